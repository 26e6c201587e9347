"""How fast networks train: two usual ways, ours, several cells at once, and what the hardware allows.

    PYTHONPATH=src python benchmarks/train_speed.py                     on a GPU: both networks, all ways
    PYTHONPATH=src python benchmarks/train_speed.py --networks mnist    one of them
    python benchmarks/train_speed.py                                    on a CPU: the demo's network, a minute

It needs torch, numpy, pyyaml and safetensors; torchvision for the way `plain`, a C++ compiler or Triton for `compiled`.
Prints a table and writes JSON. All figures of one table are of one run, so their ratios hold where the machine's
speed does not. ways.py says what each way is, floors.py what the floors are.
"""

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import floors
import torch
import ways
from ways import Setting

from hal.train import evaluate, provenance
from hal.train.loop import Trainer, autocast

ALONE = ("plain", "resident", "bare", "engine", "not_deterministic")
TOGETHER = ("streams", "processes", "mps", "vmap")
SIZES = {
    "mnist": (60_000, 10_000),
    "cifar10": (50_000, 10_000),
    "digits": (1_437, 360),
}  # training and test images
PLAIN_STEPS = 60  # of the slowest way, enough to keep its loader busy
# The paper's grid: 5 networks x 5 seeds x 250 epochs of each data set; SVHN's network is CIFAR-10's.
GRID_STEPS = {"mnist": 25 * 250 * 468, "cifar10": 25 * 250 * (390 + 572)}

HEAD = f"{'way':20}{'cells':>6}{'images/s':>12}{'per cell':>12}{'ms/step':>9}{'x plain':>9}{'x resident':>12}"

Row = dict[str, Any]


def main() -> None:
    """Measure, print the tables, write the JSON anew after each of them."""
    arguments = _arguments()
    result: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "provenance": provenance.describe(torch.device(arguments.device)),
        "cpu_cores": os.cpu_count(),
        "loader_workers": ways.LOADER_WORKERS,
        "rows": [],
        "floors": [],
        "beside_the_epochs": [],
    }
    for network in arguments.networks:
        for precision in arguments.precisions:
            setting = Setting(
                network, precision, arguments.device, arguments.steps or SIZES[network][0] // 128
            )
            print(
                f"\n{network}, {precision}, {setting.steps} steps of 128 images an epoch\n{HEAD}", flush=True
            )
            table: list[Row] = []
            for row in measurements(setting, arguments):
                table.append(row)
                print(_line(row, table), flush=True)
            result["rows"] += table
            _write(result, arguments.json)
            result["floors"].append(floor(setting, arguments.copy_mib))
            print(_floor_line(result["floors"][-1]), flush=True)
            _write(result, arguments.json)
        result["beside_the_epochs"].append(beside_the_epochs(setting))
        print(f"\n{_fixed_line(result['beside_the_epochs'][-1])}", flush=True)
        _write(result, arguments.json)
    print("", *grid_lines(result["rows"]), arguments.json, sep="\n")


def _write(result: dict[str, Any], path: str) -> None:
    Path(path).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = ["mnist", "cifar10"] if cuda else ["digits"]
    parser.add_argument("--networks", nargs="+", choices=ways.SHAPES, default=default)
    default = ["float32", "tf32", "bfloat16"] if cuda else ["float32", "bfloat16"]
    parser.add_argument("--precisions", nargs="+", choices=floors.BYTES, default=default)
    # `compiled` last: a capture that fails may leave the process in a state that slows what follows.
    default = [*ALONE, *TOGETHER, "compiled"] if cuda else [*ALONE, *TOGETHER]
    parser.add_argument("--ways", nargs="+", choices=[*ALONE, *TOGETHER, "compiled"], default=default)
    parser.add_argument("--cells", nargs="+", type=int, default=[2, 4, 8, 16] if cuda else [2])
    parser.add_argument(
        "--steps", type=int, default=None if cuda else 11, help="of an epoch (default: the data set's)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="epochs timed; the median counts")
    parser.add_argument("--json", default="train_speed.json", metavar="FILE")
    arguments = parser.parse_args()
    arguments.device = "cuda" if cuda else "cpu"
    arguments.copy_mib = 1024 if cuda else 64
    return arguments


def measurements(setting: Setting, arguments: argparse.Namespace) -> Iterator[Row]:
    """Every way that was asked for, one after another.

    One that this machine cannot go is a row that says why; it must not cost the figures of the others.
    """
    for way in arguments.ways:
        if way in ("processes", "mps"):
            yield from _in_processes(setting, way, arguments)
        else:
            for k in arguments.cells if way in TOGETHER else [1]:
                yield _in_this_process(setting, way, k, arguments.rounds)


def _in_this_process(setting: Setting, way: str, k: int, rounds: int) -> Row:
    if way == "plain":
        setting = dataclasses.replace(setting, steps=min(setting.steps, PLAIN_STEPS))
    try:
        with getattr(ways, way)(setting, *([k] if way in TOGETHER else [])) as epoch:
            return _row(setting, way, k, _timed(epoch, rounds))
    except (ImportError, RuntimeError) as error:
        return _row(setting, way, k, why_not=f"{type(error).__name__}: {str(error).splitlines()[0]}")
    finally:
        if setting.device == "cuda":
            torch.cuda.empty_cache()


def _in_processes(setting: Setting, way: str, arguments: argparse.Namespace) -> Iterator[Row]:
    most, rounds = max(arguments.cells), arguments.rounds
    with ways.served() if way == "mps" else contextlib.nullcontext() as reason:
        try:
            if reason:
                raise RuntimeError(reason)
            with ways.processes(setting, most) as epoch:
                for k in arguments.cells:
                    yield _row(setting, way, k, _timed(lambda k=k: epoch(k), rounds))
        except (RuntimeError, OSError) as error:
            yield _row(setting, way, most, why_not=str(error))


def _timed(epoch: Callable[[], object], rounds: int) -> list[float]:
    """Seconds of each round, after one that does not count."""
    epoch()
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - began)
    return seconds


def _row(setting: Setting, way: str, k: int, seconds: Sequence[float] = (), why_not: str = "") -> Row:
    median = statistics.median(seconds) if seconds else None
    return {
        "network": setting.network,
        "precision": setting.precision,
        "way": way,
        "cells": k,
        "steps": setting.steps,
        "seconds": [round(s, 6) for s in seconds],
        "images_per_s": median and round(k * setting.steps * 128 / median, 1),
        "ms_per_step": median and round(1000 * median / setting.steps, 4),
        "why_not": why_not,
    }


def floor(setting: Setting, mib: int) -> Row:
    """The floors of one network in one precision; those of kernels and their launches on a GPU only."""
    setting.configure()
    bandwidth, moved = floors.copy_bandwidth(setting, mib), floors.bytes_per_step(setting)
    kernels = floors.kernels_per_step(setting) if setting.device == "cuda" else None
    launch = floors.launch_floor(setting, kernels) if kernels else None
    return {
        "network": setting.network,
        "precision": setting.precision,
        "copy_gb_per_s": round(bandwidth / 1e9, 1),
        "mb_per_step": round(moved / 1e6, 2),
        "memory_ms_per_step": round(1000 * moved / bandwidth, 4),
        "kernels_per_step": kernels,
        "launch_ms_per_step": launch and round(1000 * launch, 4),
    }


def beside_the_epochs(setting: Setting) -> Row:
    """Seconds that a cell of the data set's real size spends on other things than its training steps."""
    images = setting.images(*SIZES[setting.network])
    command = [sys.executable, "-c", "import hal.train.cell"]
    spent = {"network": setting.network, "precision": setting.precision}

    def timed(what: str, done: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = done()
        setting.finish()
        spent[what] = round(time.perf_counter() - began, 3)
        return result

    setting.configure()
    cell = setting.cell
    timed("start_python_s", lambda: subprocess.run(command, check=True))
    data = timed("data_s", lambda: setting.data(images))
    net, precision = setting.net(), autocast(cell.train, data.device)
    timed("capture_s", lambda: Trainer(net, data, cell.train))
    evaluation = timed("capture_evaluation_s", lambda: evaluate.Evaluation(net, data, precision))
    evaluation.error_and_loss()
    timed("test_each_epoch_s", evaluation.error_and_loss)
    timed("predictions_s", lambda: evaluate.hypothesised_logits(net, data, precision))
    timed("scores_s", lambda: evaluate.auxiliary(net, data, "train", precision))
    return spent


def _line(row: Row, rows: list[Row]) -> str:
    name = f"{row['way'].replace('_', ' '):20}{row['cells']:6}"
    if not row["images_per_s"]:
        return f"{name}  not measured: {row['why_not']}"
    speed = row["images_per_s"]
    return (
        f"{name}{speed:12,.0f}{speed / row['cells']:12,.0f}{row['ms_per_step']:9.3f}"
        f"{_times(speed, rows, 'plain'):>9}{_times(speed, rows, 'resident'):>12}"
    )


def _times(speed: float, rows: list[Row], way: str) -> str:
    """How many times as fast as another way of the same table, for the whole device."""
    other = [row["images_per_s"] for row in rows if row["way"] == way and row["images_per_s"]]
    return f"{speed / other[0]:.2f}" if other else "-"


def _floor_line(row: Row) -> str:
    text = (
        f"floor: {row['mb_per_step']:,.0f} MB a step at {row['copy_gb_per_s']:,.0f} GB/s = "
        f"{row['memory_ms_per_step']:.3f} ms a step and cell"
    )
    if row["kernels_per_step"]:
        text += f"; {row['kernels_per_step']} launches in one graph = {row['launch_ms_per_step']:.3f} ms"
    return text


def _fixed_line(row: Row) -> str:
    parts = [
        f"{name[:-2].replace('_', ' ')} {value:.2f}" for name, value in row.items() if name.endswith("_s")
    ]
    return f"{row['network']}, {row['precision']}, seconds of a cell beside its steps: {', '.join(parts)}"


def grid_lines(rows: list[Row]) -> list[str]:
    """The paper's 75 cells at the best speeds measured, for each precision in which both of its networks were."""
    lines = []
    for precision in dict.fromkeys(row["precision"] for row in rows):
        best = {
            network: max(
                (
                    row["images_per_s"] or 0
                    for row in rows
                    if (row["network"], row["precision"]) == (network, precision)
                ),
                default=0,
            )
            for network in GRID_STEPS
        }
        if all(best.values()):
            hours = sum(steps * 128 / best[network] for network, steps in GRID_STEPS.items()) / 3600
            lines.append(
                f"the training steps of the paper's 75 cells at the best {precision} speeds: {hours:.2f} h"
            )
    return lines


if __name__ == "__main__":
    main()
