"""One cell, from its settings to its files (docs/files.md says what is in them)."""

import csv
import dataclasses
import datetime
import hashlib
import io
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from hal import evaluate, provenance
from hal.data import store
from hal.errors import UserError
from hal.files import replace_together
from hal.model import HAL
from hal.params import Cell, CellPaths, Params
from hal.train.batches import DeviceData, EpochDraw, draw_epoch
from hal.train.device import claimed_device, configure
from hal.train.loop import Trainer
from hal.train.progress import ProgressReport
from hal.train.schedule import learning_rates
from hal.train.state import Progress, discard_state, is_complete, load_state, locked, save_state

CURVES = ("epoch", "lr", "train_loss", "train_error", "test_loss", "test_error")
SAVE_EVERY_S = 5.0


def run(params: Params, cell: Cell, force: bool = False, keep_state: bool = False) -> dict[str, Any]:
    """Train a cell, evaluate it and write its files; go on where a killed run was.

    Args:
        params: where things are, and how to run.
        cell: what to train.
        force: train the cell again though it is finished under the same settings.
        keep_state: leave the last epoch's state behind, for a workflow manager that may lose sight of a finished job
            and start it again; `discard_state` is then up to it.

    Returns:
        The content of cell.json. A cell whose loss was not finite has the status `diverged`; that is a result.

    Raises:
        UserError: the data set is missing or broken, or there is no such device.
    """
    paths = params.cell_paths(cell)
    images, description = store.load(params.path("data", f"{cell.dataset}.npz"))
    _check_data(cell, images)
    with locked(paths.resume) as waited:
        before = _whole(paths, cell)
        current = before and _identity(before) == (cell.hash, description["arrays_sha256"])
        if current and (waited or not force):
            print(f"{cell.name}: already finished under these settings; --force trains it again", flush=True)
            return before
        if before:
            print(f"{cell.name}: will replace the cell with the hash {before['hash']}", flush=True)
        if force and is_complete(paths.resume):
            discard_state(paths.resume)
        configure(params.runtime, cell.train.precision)
        with claimed_device(params.runtime) as device:
            record = _run(params, cell, images, description, device, keep_state)
        if not keep_state:
            discard_state(paths.resume)
    return record


def _run(
    params: Params,
    cell: Cell,
    images: store.Images,
    description: dict[str, Any],
    device: torch.device,
    keep_state: bool,
) -> dict[str, Any]:
    paths, settings = params.cell_paths(cell), cell.train
    print(f"{cell.name}: on {provenance.device_name(device)}, {settings.precision}", flush=True)
    mean, std = store.statistics(images.train_images)
    data = DeviceData(images, mean, std, cell.augment.pad, cell.superclasses, device)
    net = build_network(cell, data.channels).to(device, memory_format=torch.channels_last)
    trainer = Trainer(net, data, settings)

    progress = train(cell, trainer, paths.resume)
    if keep_state:
        save_state(paths.resume, cell.hash, net, trainer.momentum_buffers, progress, settings.epochs)
    began = time.monotonic()
    contents = {
        paths.checkpoints / "weights.safetensors": _weights(cell, net),
        **{path: _npz(arrays) for path, arrays in _arrays(cell, net, data, trainer.autocast, paths).items()},
        paths.results / "curves.csv": _curves(progress.curves),
    }
    progress.wall_s += time.monotonic() - began
    record = _record(cell, net, data, progress, params, description)
    record["files"] = {path.name: hashlib.sha256(content).hexdigest() for path, content in contents.items()}
    contents[paths.results / "cell.json"] = f"{json.dumps(record, indent=2)}\n".encode()
    replace_together(contents)
    return record


def build_network(cell: Cell, channels: int) -> HAL:
    """The cell's network with its initial weights, on the CPU."""
    return HAL(
        channels,
        cell.classes,
        len(cell.superclasses),
        cell.layers,
        seed=cell.seed,
        **dataclasses.asdict(cell.model),
    )


def train(cell: Cell, trainer: Trainer, resume: Path) -> Progress:
    """Train from the saved state, or from the start, to the last epoch or to the first loss that is not finite."""
    settings, net, data = cell.train, trainer.net, trainer.data
    n_images = len(data.train_labels)
    rates = learning_rates(settings, n_images // settings.batch_size)
    steps = rates.shape[1]
    evaluation = evaluate.Evaluation(net, data, trainer.autocast)
    progress = load_state(resume, cell.hash, net, trainer.momentum_buffers, settings.epochs)
    progress.started = progress.started or datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    saved_at = time.monotonic()

    def draw(epoch: int) -> EpochDraw:
        return draw_epoch(cell.seed, epoch, n_images, settings.batch_size, cell.augment)

    drawn = draw(progress.epoch)
    with ProgressReport(cell.name, settings.epochs, steps * settings.batch_size, progress.epoch) as report:
        while progress.epoch < settings.epochs and progress.diverged_at_step is None:
            epoch, began = progress.epoch, time.monotonic()
            trainer.epoch(drawn, rates[epoch], lambda: report.images(settings.batch_size))
            drawn = draw(epoch + 1)  # while a GPU is still at work
            train_loss = trainer.losses.double().mean().item()
            train_error = 100 * trainer.wrong.sum().item() / (steps * settings.batch_size)
            trained = time.monotonic()
            test_error, test_loss = evaluation.error_and_loss()

            progress.epoch += 1
            progress.train_s += trained - began
            progress.wall_s += time.monotonic() - began
            if not (math.isfinite(train_loss) and math.isfinite(test_loss)):
                progress.diverged_at_step = epoch * steps + first_not_finite(trainer.losses)
            values = (progress.epoch, float(rates[epoch, -1]), train_loss, train_error, test_loss, test_error)
            progress.curves.append(dict(zip(CURVES, values, strict=True)))
            report.epoch(progress.curves[-1])
            if time.monotonic() - saved_at > SAVE_EVERY_S:
                save_state(resume, cell.hash, net, trainer.momentum_buffers, progress, settings.epochs)
                saved_at = time.monotonic()
    if progress.diverged_at_step is not None:
        print(
            f"{cell.name}: the loss is not finite at step {progress.diverged_at_step}: diverged, stopped",
            flush=True,
        )
    return progress


def first_not_finite(losses: Tensor) -> int:
    """The step, counted from 1, of the first loss (steps,) that is not finite; the last step if all are."""
    bad = (~losses.isfinite()).nonzero()
    return int(bad[0]) + 1 if len(bad) else len(losses)


def _whole(paths: CellPaths, cell: Cell) -> dict[str, Any] | None:
    """cell.json of a cell of that name, under whatever settings, all of whose files are there."""
    files = [
        paths.results / "curves.csv",
        paths.checkpoints / "weights.safetensors",
        paths.checkpoints / "predictions.npz",
    ]
    if cell.superclasses:
        files.append(paths.results / "scores.npz")
    if not all(file.exists() for file in files):
        return None
    try:
        record = json.loads((paths.results / "cell.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return record if isinstance(record, dict) and "hash" in record else None


def _identity(record: dict[str, Any]) -> tuple[Any, Any]:
    """The settings and the data that a finished cell was made from."""
    made = record.get("provenance")
    return record["hash"], made.get("data_sha256") if isinstance(made, dict) else None


def _check_data(cell: Cell, images: store.Images) -> None:
    labels = np.concatenate([images.train_labels, images.test_labels])
    if labels.max() >= cell.classes:
        raise UserError(
            f"data set {cell.dataset}: label {labels.max()}, but params.yaml names {cell.classes} classes"
        )
    if len(images.train_labels) < cell.train.batch_size:
        raise UserError(
            f"train.batch_size = {cell.train.batch_size}: {cell.dataset} has only {len(images.train_labels)} training images"
        )


def _arrays(
    cell: Cell, net: HAL, data: DeviceData, autocast: torch.autocast, paths: CellPaths
) -> dict[Path, dict[str, np.ndarray]]:
    """What is measured on the trained network, by the file that it goes into."""
    logits = evaluate.hypothesised_logits(net, data, len(cell.superclasses), autocast)
    arrays = {paths.checkpoints / "predictions.npz": {"logits": logits, "label": _uint8(data.test_labels)}}
    if cell.superclasses:
        arrays[paths.results / "scores.npz"] = {
            "score": evaluate.round_mantissa(evaluate.auxiliary_scores(net, data, autocast)),
            "label": _uint8(data.train_labels),
            "superclass": _uint8(data.superclass(data.train_labels).argmax(dim=1)),
        }
    return arrays


def _uint8(labels: Tensor) -> np.ndarray:
    return labels.to(torch.uint8).cpu().numpy()


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _weights(cell: Cell, net: HAL) -> bytes:
    return save({name: t.contiguous().cpu() for name, t in net.state_dict().items()}, {"cell": cell.hash})


def _curves(curves: list[dict[str, float]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, CURVES, lineterminator="\n")
    writer.writeheader()
    writer.writerows(curves)
    return text.getvalue().encode()


def _record(
    cell: Cell, net: HAL, data: DeviceData, progress: Progress, params: Params, description: dict[str, Any]
) -> dict[str, Any]:
    """The content of cell.json."""
    diverged, last = progress.diverged_at_step is not None, progress.curves[-1]
    steps = len(data.train_labels) // cell.train.batch_size
    measured = ("test_error", "test_loss", "train_error", "train_loss")
    return {
        "dataset": cell.dataset,
        "case": cell.case,
        "seed": cell.seed,
        "hash": cell.hash,
        "settings": cell.settings,
        "status": "diverged" if diverged else "ok",
        "diverged_at_step": progress.diverged_at_step,
        **{name: None if diverged else last[name] for name in measured},
        "epochs": progress.epoch,
        "steps": progress.epoch * steps,
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "time": {
            "started": progress.started,
            "wall_s": round(progress.wall_s, 3),
            "train_images_per_s": round(progress.epoch * steps * cell.train.batch_size / progress.train_s, 1),
            "resumed": progress.resumed,
        },
        "peak_memory_bytes": provenance.peak_memory(data.device),
        "provenance": provenance.describe(data.device)
        | {
            "cpu_threads": params.runtime.cpu_threads,
            "cells_per_gpu": params.runtime.cells_per_gpu if data.device.type == "cuda" else None,
            "deterministic": params.runtime.deterministic,
            "data_sha256": description["arrays_sha256"],
        },
    }
