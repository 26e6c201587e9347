"""One cell, from its settings to its files (docs/files.md says what is in them)."""

import dataclasses
import hashlib
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from hal import locks
from hal.cell_files import (
    FINAL,
    check_sum,
    curves_bytes,
    is_complete,
    is_of,
    npz_bytes,
    read_record,
    record_bytes,
)
from hal.data import decode, store, wanted
from hal.errors import UserError
from hal.files import replace_together
from hal.params import Cell, CellPaths, Params
from hal.train import evaluate, provenance
from hal.train.batches import DeviceData
from hal.train.device import check_wanted, claimed_device, configure
from hal.train.loop import Trainer, train
from hal.train.memory import enough_memory, forget_peak_memory, peak_memory
from hal.train.model import HAL
from hal.train.state import Progress, discard_state, locked, save_state


def run(
    params: Params, cell: Cell, force: bool = False, keep_state: bool = False, others: str = ""
) -> dict[str, Any]:
    """Train a cell, evaluate it and write its files; go on where a killed run was.

    Args:
        params: where things are, and how to run.
        cell: what to train.
        force: train the cell again though it is finished under the same settings.
        keep_state: leave the last epoch's state behind, for a workflow manager that may lose sight of a finished job
            and start it again; `discard_state` is then up to it. So it is where a Snakemake is at work, whoever trains: it
            deletes the files of a cell that it planned to train, and from the state that costs nothing.
        others: the experiment that this root is known to be of, where it is another; its finished cells are not replaced.

    Returns:
        The content of cell.json. A cell whose loss was not finite has the status `diverged`; that is a result.

    Raises:
        UserError: the data set is missing, broken or not the one meant; there is no such device; a file of the finished cell is
            missing or damaged; or the finished cell is another experiment's.
    """
    paths = params.cell_paths(cell)
    images, description = store.load(params.data_paths(cell.dataset).arrays)
    wanted.check(params, cell.dataset, description)
    decode.check(images, cell.classes, f"data set {cell.dataset}", params.datasets[cell.dataset].channels)
    check_batch_size(cell, len(images.train_labels))
    with locked(paths) as waited:
        before = _finished(paths, force)
        current = before and is_of(before, cell, description["arrays_sha256"])
        if before and current and _stands(cell, paths, before, force, waited):
            return before
        for folder in (paths.results, paths.checkpoints):
            _check_writable(folder)  # now, and not when all is trained
        if before and others:
            raise UserError(
                f"{cell.name}: is finished under other settings or data (hash {before['hash']}), and {params.root} is the run of {others}; "
                "give this experiment a root of its own (`root: runs/NAME`), or --force replaces the cell"
            )
        if before:
            print(f"{cell.name}: will replace the cell with the hash {before['hash']}", flush=True)
        if force and is_complete(paths.resume):
            discard_state(paths.resume)
        steps = cell.train.epochs * cell.train.steps(len(images.train_labels))
        check_wanted(params.runtime, cell.name, steps)
        configure(params.runtime, cell.train.precision)
        with (
            claimed_device(params.runtime) as device,
            enough_memory(cell.name, "what was trained is kept"),
        ):
            return _run(params, cell, images, description, device, keep_state)


def _run(
    params: Params,
    cell: Cell,
    images: store.Images,
    description: dict[str, Any],
    device: torch.device,
    keep_state: bool,
) -> dict[str, Any]:
    paths, settings = params.cell_paths(cell), cell.train
    # Before the hours in which the source may change.
    made_with = provenance.describe(device) | {
        "cpu_threads": params.runtime.cpu_threads,
        "cells_per_gpu": params.runtime.cells_per_gpu if device.type == "cuda" else None,
        "deterministic": params.runtime.deterministic,
    }
    forget_peak_memory(device)
    print(f"{cell.name}: on {provenance.device_name(device)}, {settings.precision}", flush=True)
    if settings.highest_lr < settings.max_lr:
        print(
            f"{cell.name}: the warm-up of {settings.warmup_epochs:g} epochs is longer than the training of {settings.epochs}, so "
            f"the learning rate gets no higher than {settings.highest_lr:g} of {settings.max_lr:g}",
            flush=True,
        )
    data, net = on_device(cell, images, device)
    trainer = Trainer(net, data, settings)

    progress = train(cell, trainer, paths.resume, made_with)
    keep_state = keep_state or locks.is_held(params.lock)
    if keep_state:
        save_state(paths.resume, cell.hash, net, trainer.momentum_buffers, progress, settings.epochs)
    began = time.monotonic()
    contents = {
        paths.weights: _weights(cell, net),
        **measured_files(cell, net, data, trainer.autocast, paths),
        paths.curves: curves_bytes(progress.curves),
    }
    progress.wall_s += time.monotonic() - began
    record = _record(cell, net, data, progress, description, made_with)
    record["files"] = {path.name: hashlib.sha256(content).hexdigest() for path, content in contents.items()}
    contents[paths.record] = record_bytes(record)
    replace_together(contents)
    if not keep_state:
        discard_state(paths.resume)
    return record


def on_device(cell: Cell, images: store.Images, device: torch.device) -> tuple[DeviceData, HAL]:
    """The cell's data and its network with its initial weights, both on the device."""
    data = DeviceData(images, *store.statistics(images.train_images), cell, device)
    net = build_network(cell, data.channels).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return data, net


def build_network(cell: Cell, channels: int) -> HAL:
    """The cell's network with its initial weights, on the CPU."""
    return HAL(
        channels,
        cell.classes,
        len(cell.superclasses),
        cell.block,
        cell.layers,
        seed=cell.seed,
        **dataclasses.asdict(cell.model),
    )


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror}); nothing was trained") from None
    if not os.access(folder, os.W_OK):
        raise UserError(f"{folder}: cannot be written to; change its rights; nothing was trained")


def _finished(paths: CellPaths, force: bool) -> dict[str, Any] | None:
    """cell.json of a cell of that name, under whatever settings.

    Raises:
        UserError: it is damaged, and nobody has asked to train the cell again.
    """
    try:
        return read_record(paths.record)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UserError as error:
        if force:
            return None
        raise UserError(f"{error}; git may bring it back; --force trains the cell again") from None


def _stands(cell: Cell, paths: CellPaths, record: dict[str, Any], force: bool, waited: bool) -> bool:
    """Whether a finished cell of these settings and data is not to be trained again: whole, and not asked for since.

    Raises:
        UserError: it is not whole, and nobody has asked to train it again.
    """
    wrong = _fault(paths, record)
    if wrong and not force:
        raise UserError(wrong)
    if wrong or (force and not waited):  # whoever held it while this process waited was asked, too
        return False
    print(f"{cell.name}: already finished under these settings; --force trains it again", flush=True)
    return True


def _fault(paths: CellPaths, record: dict[str, Any]) -> str:
    """Which file of a finished cell is missing or damaged, and what brings it back: there may be another copy. Empty where all are whole."""
    for file in paths.files:
        try:
            check_sum(file, record)
        except UserError as error:
            measured = record["status"] == "ok" and file not in (paths.weights, paths.curves)
            from_weights = ", or `hal evaluate` from the weights," if measured else ""
            return (
                f"{error}; `dvc pull` or git{from_weights} may bring it back; --force trains the cell again"
            )
    return ""


def check_batch_size(cell: Cell, images: int) -> None:
    """Whether so many training images give a step.

    Raises:
        UserError: they are fewer than a batch.
    """
    if images < cell.train.batch_size:
        raise UserError(
            f"train.batch_size = {cell.train.batch_size}: {cell.dataset} has only {images} training images; set it lower"
        )


def measured_files(
    cell: Cell, net: HAL, data: DeviceData, autocast: torch.autocast, paths: CellPaths
) -> dict[Path, bytes]:
    """What is measured on the trained network: the files with their contents."""
    logits = evaluate.hypothesised_logits(net, data, autocast)
    predictions = {"logits": logits, "label": _uint8(data.test_labels)}
    if data.test_told is not None:
        predictions["told"] = _uint8(data.test_told)
    arrays = {paths.predictions: predictions}
    if cell.scored:
        u_test, _ = evaluate.auxiliary(net, data, "test", autocast)
        u_train, score = evaluate.auxiliary(net, data, "train", autocast)
        arrays[paths.auxiliary] = {
            "u_test": evaluate.round_mantissa(u_test),
            "u_train": evaluate.round_mantissa(u_train),
        }
        arrays[paths.scores] = {
            "score": evaluate.round_mantissa(score),
            "label": _uint8(data.train_labels),
            "superclass": _uint8(data.superclass_of[data.train_labels]),
        }
    return {path: npz_bytes(content) for path, content in arrays.items()}


def _uint8(labels: Tensor) -> np.ndarray:
    return labels.to(torch.uint8).cpu().numpy()


def _weights(cell: Cell, net: HAL) -> bytes:
    return save({name: t.contiguous().cpu() for name, t in net.state_dict().items()}, {"cell": cell.hash})


def _record(
    cell: Cell,
    net: HAL,
    data: DeviceData,
    progress: Progress,
    description: dict[str, Any],
    made_with: dict[str, Any],
) -> dict[str, Any]:
    """The content of cell.json."""
    before = [others for others in progress.made_with if others != made_with]
    diverged, last = progress.diverged_at_step is not None, progress.curves[-1]
    steps = cell.train.steps(len(data.train_labels))
    return {
        "dataset": cell.dataset,
        "case": cell.case,
        "seed": cell.seed,
        "hash": cell.hash,
        "settings": cell.settings,
        "status": "diverged" if diverged else "ok",
        "diverged_at_step": progress.diverged_at_step,
        **{name: None if diverged else last[name] for name in FINAL},
        "epochs": progress.epoch,
        "steps": progress.epoch * steps,
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "time": {
            "started": progress.started,
            "wall_s": round(progress.wall_s, 3),
            "train_images_per_s": round(progress.epoch * steps * cell.train.batch_size / progress.train_s, 1),
            "resumed": progress.resumed,
        },
        "peak_memory_bytes": peak_memory(data.device),
        "provenance": made_with
        | {"data_sha256": description["arrays_sha256"]}
        | ({"before": before} if before else {}),
    }
