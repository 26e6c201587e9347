"""The state of an unfinished cell, so that a killed run goes on where it was, bit for bit.

It lies outside everything that a workflow manager declares, and so may delete, and is keyed by the cell's hash.
"""

import contextlib
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hal import locks
from hal.files import write_bytes, write_text
from hal.params import CellPaths
from hal.train.model import HAL


@dataclasses.dataclass
class Progress:
    """What is known of a cell after `epoch` epochs, beside the tensors; `made_with` has one entry for all processes that agree in it."""

    epoch: int = 0
    curves: list[dict[str, float]] = dataclasses.field(default_factory=list)
    diverged_at_step: int | None = None
    started: str = ""
    wall_s: float = 0.0
    train_s: float = 0.0
    resumed: int = 0
    made_with: list[dict[str, Any]] = dataclasses.field(default_factory=list)


def locked(paths: CellPaths) -> contextlib.AbstractContextManager[bool]:
    """Hold the cell for this process; yields whether it had to wait for another that held it.

    A killed workflow manager leaves its job running: the same job, started again, waits for it here.
    """

    def say() -> None:
        print(f"{paths.resume}: another process is training this cell; waiting for it", flush=True)

    return locks.held(paths.lock, say)


def save_state(
    folder: Path, cell_hash: str, net: HAL, momentum_buffers: list[Tensor], progress: Progress, epochs: int
) -> None:
    """Write the state after an epoch; a reader sees the last one or this one, never a part."""
    tensors = {name: tensor.contiguous().cpu() for name, tensor in _tensors(net, momentum_buffers).items()}
    recorded = json.dumps({"cell": cell_hash, "progress": dataclasses.asdict(progress)})
    metadata = {"state": recorded, "sha256": _sha256(tensors, recorded)}
    write_bytes(folder / "state.safetensors", save(tensors, metadata))
    path = folder / "progress.json"
    if path.is_dir():  # this program made none: an empty one, which stands in the way, may go
        path.rmdir()
    shown = {
        "epoch": progress.epoch,
        "epochs": epochs,
        "diverged": progress.diverged_at_step is not None,
        "wall_s": round(progress.wall_s, 3),
        "test_error": progress.curves[-1]["test_error"] if progress.curves else None,
    }
    write_text(path, json.dumps(shown) + "\n")


def load_state(
    folder: Path, cell_hash: str, net: HAL, momentum_buffers: list[Tensor], epochs: int
) -> Progress:
    """Bring the network and the momentum to the saved state, in place; a fresh Progress where there is none.

    A state that is broken, or another cell's, is said and set aside before anything was taken from it: the cell then
    starts from its first epoch.
    """
    path = folder / "state.safetensors"
    if not path.exists():
        return Progress()
    try:
        with safe_open(path, "pt") as stored:
            recorded, sha256 = stored.metadata()["state"], stored.metadata()["sha256"]
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (not a mapping)
        if sha256 != _sha256(tensors, recorded):
            raise ValueError("it is not whole")
        state = json.loads(recorded)
        progress = Progress(**state["progress"])
        if state["cell"] != cell_hash:
            raise ValueError("it is another cell's")
        if _shapes(tensors) != _shapes(_tensors(net, momentum_buffers)):
            raise ValueError("it holds other tensors: another version of this program wrote it")
        if not len(progress.curves) == progress.epoch <= epochs:
            raise ValueError(f"it holds {len(progress.curves)} rows of curves after epoch {progress.epoch}")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        aside = path.with_suffix(".broken")
        path.replace(aside)
        print(
            f"{path}: not used ({error}); set aside as {aside.name}, starting from the first epoch",
            flush=True,
        )
        return Progress()
    for name, tensor in _tensors(net, momentum_buffers).items():
        tensor.copy_(tensors[name])
    progress.resumed += 1
    return progress


def discard_state(folder: Path) -> None:
    """Forget a cell's state, if there is one."""
    shutil.rmtree(folder, ignore_errors=True)


def _tensors(net: HAL, momentum_buffers: list[Tensor]) -> dict[str, Tensor]:
    """What training changes, by the names that it is saved under."""
    tensors = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    return tensors | {f"momentum.{i}": buffer for i, buffer in enumerate(momentum_buffers)}


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _sha256(tensors: dict[str, Tensor], recorded: str) -> str:
    digest = hashlib.sha256(recorded.encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].numpy())  # type: ignore[arg-type]  # a buffer from Python 3.12 on
    return digest.hexdigest()
