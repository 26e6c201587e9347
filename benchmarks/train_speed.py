"""How fast networks train: a usual script, ours, candidates for ours, several cells at once, and what the hardware allows.

    PYTHONPATH=src python benchmarks/train_speed.py            on a GPU: both networks, in eight minutes
    PYTHONPATH=src python benchmarks/train_speed.py --full     everything, for as long as it takes
    PYTHONPATH=src python benchmarks/train_speed.py            on a CPU: the demo's network, a minute or two

It needs torch, numpy, pyyaml and safetensors; torchvision for the way `plain`, Triton for `triton` and `compiled`.

Each measurement is a process of its own with a time limit, and the JSON is written anew after each: one that hangs or
fails costs its own row alone. The same command goes on after the rows that the JSON has, so what eight minutes could
not hold is measured the next time. The rows that decide most come first, both networks in turn. ways.py says what each
way is, setting.py what a candidate changes, floors.py what the floors are.
"""

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from setting import SHAPES, Setting

from hal import nvidia_mps
from hal.files import write_text
from hal.train.device import cpu_cores

WAYS = ("plain", "resident", "engine", "streams", "processes", "mps")
LIMIT_S = 30.0  # of one measurement; the compiler may take six times as long
# The paper's grid: 5 networks x 5 seeds x 250 epochs of each data set; SVHN's network is CIFAR-10's.
GRID_STEPS = {"mnist": 25 * 250 * 468, "cifar10": 25 * 250 * (390 + 572)}
BATCH = 128

Job = dict[str, Any]
HEAD = (
    f"{'network':9}{'precision':10}{'way':10}{'cells':>5} {'differs in':22}{'images/s':>11}{'ms/step':>9}"
    f"{'x plain':>9}{'x resident':>11}{'grid h':>8}{'loss':>9}"
)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what is missing in the JSON until the time is over; print a line a measurement and the projection."""
    arguments = _arguments(argv)
    until = time.monotonic() + 60 * arguments.minutes if arguments.minutes else float("inf")
    path = Path(arguments.json)
    result = begun(path, measured({"what": "machine", "device": arguments.device}, 6 * LIMIT_S))
    done = {key(job) for job in result["measured"] if not job.get("no_time")}
    result["measured"] = [job for job in result["measured"] if not job.get("no_time")]
    print(HEAD, flush=True)
    for job in result["measured"]:
        _say(job, result["measured"])
    for job in jobs(arguments):
        if key(job) in done:
            continue
        left = until - time.monotonic()
        own = LIMIT_S * (6 if job["setting"]["compiled"] else 1) * (10 if arguments.full else 1)
        figures = measured(job, min(left, own)) if left > 0 else NO_TIME
        if "why_not" in figures and time.monotonic() >= until:
            figures = NO_TIME
        result["measured"].append(job | figures)
        write_text(path, json.dumps(result, indent=2) + "\n")
        _say(result["measured"][-1], result["measured"])
    print("", *projections(result["measured"]), path, sep="\n", flush=True)


NO_TIME = {"why_not": "no time was left: the same command measures it", "no_time": True}


def begun(path: Path, machine: dict[str, Any]) -> dict[str, Any]:
    """What the JSON has so far.

    Raises:
        SystemExit: its figures are another machine's, or another version's of the code: they are kept.
    """
    if "why_not" in machine:
        raise SystemExit(f"this machine trains nothing: {machine['why_not']}")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        head = {"date": datetime.date.today().isoformat(), "machine": machine, "cpu_cores": cpu_cores()}
        return head | {"measured": []}
    result = json.loads(path.read_text(encoding="utf-8"))
    if result["machine"] != machine:
        raise SystemExit(
            f"{path} holds figures of {result['machine']}, this is {machine}; give another --json"
        )
    return result


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--networks", nargs="+", choices=SHAPES, default=["mnist", "cifar10"] if cuda else ["digits"])
    add("--ways", nargs="+", choices=WAYS, default=WAYS)
    add("--cells", nargs="+", type=int, help="at once (default: 5 and 10 on a GPU, 2 on a CPU)")
    add("--steps", type=int, help="of an epoch (default: 100 on a GPU, 11 on a CPU)")
    add("--rounds", type=int, default=3, help="epochs timed; the median counts")
    add("--minutes", type=float, default=8.0, help="after which nothing more is begun or goes on")
    add("--full", action="store_true", help="every combination, whole epochs, without a time limit")
    add("--json", default="train_speed.json", metavar="FILE")
    arguments = parser.parse_args(argv)
    arguments.device = "cuda" if cuda else "cpu"
    if arguments.full:
        arguments.minutes = 0
    arguments.cells = arguments.cells or (
        [2] if not cuda else [1, 2, 4, 8, 16] if arguments.full else [5, 10]
    )
    return arguments


# --- what is measured ----------------------------------------------------------------------------------------------


def jobs(arguments: argparse.Namespace) -> Iterator[Job]:
    """The measurements in their order: what decides most first, the networks in turn."""
    cuda = arguments.device == "cuda"
    plan = _full(arguments.cells, cuda) if arguments.full else _short(arguments.cells, cuda)
    rows = [
        (way, cells, changes) for way, cells, changes in plan if way in (*arguments.ways, "floor", "fixed")
    ]
    for way, cells, changes in rows:
        for network in arguments.networks:
            steps = arguments.steps or (100 if cuda else 11)
            if arguments.full and not arguments.steps:
                steps = {"mnist": 468, "cifar10": 390, "digits": 11}[network]
            usual = "tf32" if cuda else "float32"  # what PyTorch's convolutions do by themselves
            setting = Setting(
                network, **{"precision": usual, "device": arguments.device, "steps": steps} | changes
            )
            job: Job = {"what": way, "setting": dataclasses.asdict(setting)}
            if way in WAYS:
                job |= {"what": "row", "way": way, "cells": cells, "rounds": arguments.rounds}
            yield job


Plan = list[tuple[str, int, dict[str, Any]]]


def _short(cells: list[int], cuda: bool) -> Plan:
    """Ways, cells and what differs from the pipeline's setting: on a GPU what eight minutes should hold."""
    ours: Plan = [("plain", 1, {}), ("engine", 1, {}), ("resident", 1, {})]
    if not cuda:
        candidates = [
            {"norm": "cudnn"},
            {"layout": "nchw"},
            {"precision": "bfloat16"},
            {"memory": "returned"},
        ]
        together: Plan = [(way, k, {}) for k in cells for way in ("streams", "processes")]
        return [*ours, *(("engine", 1, c) for c in candidates), *together, ("floor", 1, {}), ("fixed", 1, {})]
    brief, whole = {"precision": "bfloat16"}, {"precision": "float32"}
    first, *more = cells
    return [
        *ours,
        ("engine", 1, whole),
        ("mps", first, whole),
        ("mps", first, {}),
        ("engine", 1, brief),
        ("streams", first, {}),
        ("processes", first, {}),
        *(("mps", k, {}) for k in more),
        ("engine", 1, {"norm": "triton"}),
        ("engine", 1, brief | {"norm": "triton", "weights": "copies"}),
        ("engine", 1, {"norm": "cudnn"}),
        ("engine", 1, {"deterministic": False}),
        ("fixed", 1, {}),
        ("engine", 1, whole | {"projections": "products"}),
        ("engine", 1, {"projections": "products"}),
        ("engine", 1, whole | {"layout": "nchw"}),
        ("mps", first, whole | {"projections": "products"}),
        ("mps", first, {"norm": "triton"}),
        ("mps", first, {"norm": "cudnn"}),
        ("mps", first, brief),
        ("engine", 1, {"compiled": True}),
        ("engine", 1, {"layout": "nchw"}),
        *((way, k, {}) for k in more for way in ("streams", "processes")),
        ("engine", 1, brief | {"norm": "triton"}),
        ("engine", 1, brief | {"compiled": True}),
        ("floor", 1, {}),
    ]


def _full(cells: list[int], cuda: bool) -> Plan:
    """Every candidate in every precision, alone and together."""
    plan: Plan = []
    for precision in ("tf32", "bfloat16", "float32") if cuda else ("float32", "bfloat16"):
        common = {"precision": precision}
        plan += [("plain", 1, common), ("resident", 1, common)]
        for layout in ("channels_last", "nchw"):
            for norm in ("native", "cudnn", *(["triton"] if cuda and layout == "channels_last" else [])):
                for weights in ("cast", "copies") if precision == "bfloat16" else ("cast",):
                    chosen = common | {"layout": layout, "norm": norm, "weights": weights}
                    plan.append(("engine", 1, chosen))
                    if layout == "channels_last" and weights == "cast":
                        ways = ("streams", "processes", *(["mps"] if cuda else []))
                        plan += [(way, k, chosen) for way in ways for k in cells]
        plan += [("engine", 1, common | {"compiled": True}), ("engine", 1, common | {"deterministic": False})]
        plan += [("floor", 1, common), ("fixed", 1, common)]
    return plan


def key(job: Job) -> str:
    """What a measurement is, without what it gave."""
    return json.dumps({name: job.get(name) for name in ("what", "setting", "way", "cells", "rounds")})


# --- one measurement -----------------------------------------------------------------------------------------------


def measured(job: Job, limit_s: float) -> dict[str, Any]:
    """The figures of a job, or why there are none; its processes have ended when this returns."""
    asked = {
        name: value
        for name, value in job.items()
        if name in ("what", "setting", "way", "cells", "rounds", "device")
    }
    with served() if job.get("way") == "mps" else contextlib.nullcontext() as reason:
        if reason:
            return {"why_not": reason}
        command = [sys.executable, str(Path(__file__).with_name("measure.py")), json.dumps(asked)]
        with tempfile.TemporaryFile("w+") as said:
            # A session of its own, so that its loaders and workers can be ended with it.
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=said, text=True, start_new_session=True
            )
            try:
                out, _ = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                return {"why_not": f"stopped after {limit_s:.3g} s"}
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
            if process.returncode == 0:
                return json.loads(out.splitlines()[-1])
            said.seek(0)
            lines = said.read().split("\n")
            reasons = [line for line in lines if line and not line.startswith((" ", "\t"))]
            return {"why_not": (reasons or [f"ended with status {process.returncode}"])[-1][:300]}


@contextlib.contextmanager
def served() -> Iterator[str | None]:
    """MPS for the processes started meanwhile; yields why there is none."""
    with tempfile.TemporaryDirectory(prefix="hal-mps-", ignore_cleanup_errors=True) as folder:
        reason = nvidia_mps.start(Path(folder))
        try:
            yield reason
        finally:
            nvidia_mps.stop(Path(folder))


# --- what a person sees --------------------------------------------------------------------------------------------


def _say(job: Job, so_far: list[Job]) -> None:
    print(line(job, so_far), flush=True)


def line(job: Job, so_far: list[Job]) -> str:
    """One measurement as a line of the table, compared with what was measured before."""
    setting = job["setting"]
    name = f"{setting['network']:9}{setting['precision']:10}{job.get('way', job['what']):10}{job.get('cells', ''):>5} {', '.join(_changed(setting)):22}"
    if "why_not" in job:
        return f"{name}  not measured: {job['why_not']}"
    if job["what"] != "row":
        figures = {k: v for k, v in job.items() if k not in ("what", "setting") and v is not None}
        return name + "  " + ", ".join(f"{k.replace('_', ' ')} {v:g}" for k, v in figures.items())
    speed, hours = job["images_per_s"], grid_hours(job)
    return (
        f"{name}{speed:11,.0f}{job['ms_per_step']:9.3f}{_times(job, so_far, 'plain'):>9}"
        f"{_times(job, so_far, 'resident'):>11}{'' if hours is None else f'{hours:.2f}':>8}{job['loss']:9.4f}"
        f"{_other_loss(job, so_far)}"
    )


def _changed(setting: dict[str, Any]) -> Iterator[str]:
    """What differs from the pipeline's setting, in words."""
    for field in dataclasses.fields(Setting):
        value = setting[field.name]
        if field.default not in (dataclasses.MISSING, value):
            words = {
                True: field.name,
                False: f"not {field.name}",
                "copies": "weight copies",
                "returned": "memory returned",
            }
            yield words.get(value, str(value))


def _times(job: Job, so_far: list[Job], way: str) -> str:
    """How many times as fast, for the whole device, as the network's first measurement of another way."""
    other = _first(job, so_far, way)
    return f"{job['images_per_s'] / other['images_per_s']:.2f}" if other else "-"


def _other_loss(job: Job, so_far: list[Job]) -> str:
    """A mark where the loss is not the engine's though the batches are: what is fast there trains something else."""
    engine = _first(job, so_far, "engine")
    alike = job["way"] == "plain" or engine is None or abs(job["loss"] / engine["loss"] - 1) <= 0.01
    return "" if alike else "  <- NOT the engine's loss"


def _first(job: Job, so_far: list[Job], way: str) -> Job | None:
    """The first figures of a way for the job's network."""
    network = job["setting"]["network"]
    rows = (row for row in so_far if row.get("way") == way and "images_per_s" in row)
    return next((row for row in rows if row["setting"]["network"] == network), None)


def grid_hours(job: Job) -> float | None:
    """Hours that the training steps of the network's part of the paper's 75 cells take at this speed."""
    network = job["setting"]["network"]
    return GRID_STEPS[network] * BATCH / job["images_per_s"] / 3600 if network in GRID_STEPS else None


def projections(done: list[Job]) -> list[str]:
    """The grid's training steps at the best speed of each network in each precision; what is missing is said."""
    lines = []
    rows = [job for job in done if "images_per_s" in job]
    for precision in dict.fromkeys(row["setting"]["precision"] for row in rows):
        parts, total = [], 0.0
        for network, what in (("mnist", "MNIST"), ("cifar10", "SVHN and CIFAR-10")):
            hours = [
                grid_hours(row)
                for row in rows
                if (row["setting"]["network"], row["setting"]["precision"]) == (network, precision)
            ]
            total += min(hours, default=float("nan"))
            parts.append(f"{what} {min(hours):.2f} h" if hours else f"{what} not measured")
        sum_of_both = "" if total != total else f", all {total:.2f} h"
        lines.append(
            f"training steps of the paper's 75 cells at the best {precision} speeds: {', '.join(parts)}{sum_of_both}"
        )
    return lines


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    main()
