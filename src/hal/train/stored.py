"""A finished cell measured anew from its stored weights, without training: does the number in cell.json come from them?"""

import dataclasses
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load

from hal import locks, remeasured
from hal.cell_files import AGREES, check_sum, read_record, vouched_for
from hal.data import store, wanted
from hal.errors import UserError
from hal.files import write_bytes
from hal.params import Cell, CellPaths, Params
from hal.settings import BASELINE
from hal.train import provenance
from hal.train.cell import measured_files, on_device
from hal.train.device import claimed_device, configure
from hal.train.evaluate import Evaluation
from hal.train.loop import autocast
from hal.train.memory import enough_memory


@dataclasses.dataclass(frozen=True)
class Retested:
    """What stored weights give on the test images.

    Attributes:
        error: the test error in percent, as the cell was tested.
        recorded: the one in cell.json; None of a network that diverged.
        diverged_at_step: of one that diverged.
        predictions: logits (N, S, K), label (N,) and, where it was told something, told (N,), as in predictions.npz.
        same: the files (predictions, scores) that came out as cell.json knows them, byte for byte.
        other: those that came out otherwise, as on another kind of processor.
        storable: those of `same`, and where as many images are wrong as recorded those of `other` that remeasured.json can vouch for.
        restored: those of `same` that were not here, or only as measured again by another machine, and now are.
        remeasured: those of `other` that now stand here as measured (see `hal.remeasured`), for the error is exactly the recorded one.
        unread: those that are here and that nothing vouches for, so that nobody reads them.
        made, here: the device and precision of the training, and of this measurement.
    """

    error: float
    recorded: float | None
    diverged_at_step: int | None
    predictions: dict[str, np.ndarray]
    same: list[Path]
    other: list[Path]
    storable: list[Path]
    restored: list[Path]
    remeasured: list[Path]
    unread: list[Path]
    made: str
    here: str

    @property
    def differs(self) -> bool:
        """Whether the error is further from the recorded one than other hardware would move it."""
        return self.recorded is not None and abs(self.error - self.recorded) > AGREES


def chosen(
    params: Params, dataset: str | None, case: str | None, seeds: Sequence[int]
) -> tuple[list[Cell], list[str]]:
    """The cells to measure: the named ones themselves, if seeds are; else those of the grid that are finished and have weights here.

    Returns:
        The cells, and a sentence for each that has weights here and yet nothing to measure, as one of other settings.

    Raises:
        UserError: there is no such data set, case or seed, or nothing to measure among them.
    """
    if dataset and case and seeds:
        return [params.cell(dataset, case, seed) for seed in seeds], []
    if dataset:
        params.check_in_grid(dataset)
        params.cell(dataset, case or BASELINE, params.grid.seeds[0])  # says so, if there is none
    named = [cell for cell in params.cells() if dataset in (None, cell.dataset) and case in (None, cell.case)]
    with_weights = [cell for cell in named if params.cell_paths(cell).weights.exists()]
    if not with_weights:
        raise UserError(
            "no cell among those named has its weights here; `hal status` shows which are finished"
        )
    cells, left_out = [], []
    for cell in with_weights:
        try:
            _finished(params, cell)
        except UserError as error:
            left_out.append(str(error))
        else:
            cells.append(cell)
    if not cells:
        raise UserError("\n".join(["nothing can be measured among those named:", *left_out]))
    return cells, left_out


def measure(params: Params, cell: Cell) -> Retested:
    """Load a finished cell's weights and test them; write the files measured on them that are missing here.

    One that is, byte for byte, what cell.json vouches for is written as it is. Predictions and u with other last digits are written, too, if
    just as many test images are wrong, and remeasured.json then vouches for them. Nothing else that is here is replaced.

    Raises:
        UserError: the cell is not finished under these settings, its weights or its data set are missing or damaged, or it is being
            trained.
    """
    paths = params.cell_paths(cell)
    record = _finished(params, cell)
    weights = paths.weights
    try:
        check_sum(weights, record)
    except UserError as wrong:
        raise UserError(f"{wrong}; bring them back (`dvc pull`, or git), or train the cell again") from None
    images, description = store.load(params.data_paths(cell.dataset).arrays)
    wanted.check(params, cell.dataset, description)
    if record["provenance"].get("data_sha256") != description["arrays_sha256"]:
        raise UserError(
            f"{cell.name}: was trained on other data than {params.data_paths(cell.dataset).arrays}"
        )
    configure(params.runtime, cell.train.precision)
    with claimed_device(params.runtime) as device, enough_memory(cell.name, "nothing was measured"):
        data, net = on_device(cell, images, device)
        net.load_state_dict(load(weights.read_bytes()))
        arithmetic = autocast(cell.train, device)
        error, _ = Evaluation(net, data, arithmetic).error_and_loss()
        contents = measured_files(cell, net, data, arithmetic, paths)
    same = [path for path, content in contents.items() if _sum(content) == record["files"].get(path.name)]
    other = [path for path in contents if path not in same]
    vouchable = record["test_error"] in (None, error) and remeasured.WEIGHTS in record["files"]
    again = [path for path in other if vouchable and path.name in remeasured.FILES]
    storable = [*same, *again]
    restored = [path for path in same if not path.exists() or remeasured.is_remeasured(path, record)]
    again = [path for path in again if _lacks(path, contents[path], record)]
    if restored or again:
        _store(cell, paths, record, contents, restored, again)
    with np.load(io.BytesIO(contents[paths.predictions])) as arrays:
        predictions = dict(arrays)
    return Retested(
        error,
        record["test_error"],
        record.get("diverged_at_step"),
        predictions,
        same,
        other,
        storable,
        restored,
        again,
        unread=[path for path in contents if path.exists() and not vouched_for(path, record)],
        made=f"{record['provenance'].get('device')} in {cell.train.precision}",
        here=f"{provenance.device_name(device)} in {_on(device, cell.train.precision)}",
    )


def _lacks(path: Path, content: bytes, record: dict[str, Any]) -> bool:
    """Whether a file is not here, or is here as measured and nothing vouches for it yet."""
    if not path.exists():
        return True
    return not vouched_for(path, record) and path.is_file() and path.read_bytes() == content


def _store(
    cell: Cell,
    paths: CellPaths,
    record: dict[str, Any],
    contents: dict[Path, bytes],
    restored: Sequence[Path],
    again: Sequence[Path],
) -> None:
    """Write what was measured, where no training of the cell is under way or has come between.

    What vouches for files measured again comes before them: a process that dies between leaves nothing that nobody vouches for.
    """
    lock = locks.acquire(paths.lock)
    if lock is None:
        raise UserError(f"{cell.name}: is being trained here; nothing was stored")
    try:
        if read_record(paths.record) != record:
            raise UserError(f"{cell.name}: was trained again meanwhile; nothing was stored. Measure it again")
        if again:
            before = remeasured.sums_in(paths.checkpoints, record)
            stay = remeasured.among(paths.checkpoints, record) - {path.name for path in restored}
            sums = {name: before[name] for name in stay} | {path.name: _sum(contents[path]) for path in again}
            write_bytes(paths.checkpoints / remeasured.NOTE, remeasured.note_bytes(record, sums))
        for path in (*restored, *again):
            write_bytes(path, contents[path])
    finally:
        lock.release()


def _finished(params: Params, cell: Cell) -> dict[str, Any]:
    path = params.cell_paths(cell).record
    try:
        record = read_record(path)
    except FileNotFoundError:
        seeds = params.grid.seeds
        beyond = "" if cell.seed in seeds else f"; the grid's seeds are {', '.join(map(str, seeds))}"
        raise UserError(
            f"{path}: no such file{beyond}; `hal train {cell.dataset} {cell.case} {cell.seed}` trains the cell"
        ) from None
    if record["hash"] != cell.hash:
        raise UserError(
            f"{path}: of other settings (hash {record['hash']}, not {cell.hash}); `hal status` says which"
        )
    return record


def _on(device: torch.device, precision: str) -> str:
    """The precision of the arithmetic: a CPU has no TF32 and computes in float32."""
    return "float32" if (device.type, precision) == ("cpu", "tf32") else precision


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
