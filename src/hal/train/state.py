"""The state of an unfinished cell, so that a killed run goes on where it was, bit for bit.

It lies outside everything that a workflow manager declares, and so may delete, and is keyed by the cell's hash.
"""

import contextlib
import dataclasses
import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from hal.errors import UserError
from hal.files import write_atomically, write_text
from hal.model import HAL


@dataclasses.dataclass
class Progress:
    """What is known of a cell after `epoch` epochs, beside the tensors."""

    epoch: int = 0
    curves: list[dict[str, float]] = dataclasses.field(default_factory=list)
    diverged_at_step: int | None = None
    started: str = ""
    wall_s: float = 0.0
    train_s: float = 0.0
    resumed: int = 0


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the cell for this process; the kernel lets go of it however the process ends.

    Raises:
        UserError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder}: another process is training this cell; wait for it or stop it"
            ) from None
        yield


def save_state(
    folder: Path, net: HAL, optimizer: torch.optim.Optimizer, progress: Progress, epochs: int
) -> None:
    """Write the state after an epoch; a reader sees the last one or this one, never a part."""
    tensors = {f"net.{name}": tensor.contiguous() for name, tensor in net.state_dict().items()}
    for i, parameter in enumerate(net.parameters()):
        momentum = optimizer.state[parameter].get("momentum_buffer")
        if momentum is not None:
            tensors[f"momentum.{i}"] = momentum.contiguous()
    metadata = {"progress": json.dumps(dataclasses.asdict(progress))}
    write_atomically(folder / "state.safetensors", lambda file: file.write(save(tensors, metadata)))
    write_text(folder / "progress.json", json.dumps({"epoch": progress.epoch, "epochs": epochs}) + "\n")


def load_state(folder: Path, net: HAL, optimizer: torch.optim.Optimizer) -> Progress:
    """Bring the network and the optimizer to the saved state; a fresh Progress where there is none.

    A broken state file is said and set aside: the cell then starts from its first epoch.
    """
    path = folder / "state.safetensors"
    if not path.exists():
        return Progress()
    try:
        with safe_open(path, "pt") as stored:
            progress = Progress(**json.loads(stored.metadata()["progress"]))
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (not a mapping)
        net.load_state_dict({name[4:]: tensor for name, tensor in tensors.items() if name.startswith("net.")})
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        aside = path.with_suffix(".broken")
        path.replace(aside)
        print(
            f"{path}: cannot be read ({error}); set aside as {aside.name}, starting from the first epoch",
            flush=True,
        )
        return Progress()
    for i, parameter in enumerate(net.parameters()):
        if f"momentum.{i}" in tensors:
            momentum = torch.empty_like(parameter, requires_grad=False)  # keeps the parameter's memory layout
            optimizer.state[parameter]["momentum_buffer"] = momentum.copy_(tensors[f"momentum.{i}"])
    progress.resumed += 1
    return progress


def discard_state(folder: Path) -> None:
    """Forget a finished cell's state."""
    shutil.rmtree(folder)
