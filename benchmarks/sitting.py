"""Everything that waits for a card, in one command, for however long the card is there: `make bench-gpu`.

    PYTHONPATH=src python benchmarks/sitting.py [--minutes 10]

It needs little more than torch (numpy, pyyaml, safetensors, tqdm; pytest for the tests, torchvision and Triton for
some rows of the benchmark). In this order, each with its log in the folder (runs/sitting):

1. the tests marked `cuda`;
2. the speed benchmark, in at most eight minutes (speed.json);
3. a training step of each network, kernel by kernel (profile-*.json);
4. as many cells of the paper as fit into `--minutes`: MNIST's, then the others whose data are there or can be fetched,
   all networks of a seed before the next seed, so that what is finished can be compared.

It may be stopped anywhere; the same command goes on: finished steps are not repeated (delete sitting.json to repeat
them), the benchmark goes on after its last row and a cell after its last saved epoch.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from setting import ROOT
from train_speed import served

from hal.cell_files import read_record
from hal.files import write_text
from hal.params import Params, load
from hal.yaml12 import read_yaml

LIMITS_S = {"tests": 300, "benchmark": 600, "profile": 120, "data": 300}
HERE = Path(__file__).parent


def main(argv: Sequence[str] | None = None) -> None:
    """Do what is left of the four parts, and say what each gave."""
    arguments = _arguments(argv)
    if not (torch.cuda.is_available() or arguments.rehearse):
        raise SystemExit("PyTorch finds no CUDA device: a sitting is at a card; --rehearse shows how it goes")
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "sitting.json"
    done: dict[str, Any] = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    for name, command in steps(folder, arguments).items():
        if name == "tests" and importlib.util.find_spec("pytest") is None:
            print("tests: left out, pytest is not installed", flush=True)
            continue
        if name not in done:
            print(f"{name}: at work, see {folder / name}.log", flush=True)
            done[name] = step(command, folder / f"{name}.log", LIMITS_S[name.split("-")[0]])
            write_text(record, json.dumps(done, indent=2) + "\n")
        print(f"{name}: {done[name]['ended']} after {done[name]['seconds']:.0f} s", flush=True)
    if arguments.minutes <= 0:
        return
    together, by_mps = at_once(folder / "speed.json")
    if arguments.at_once:
        together, by_mps = arguments.at_once, arguments.at_once > 1
    with served() if by_mps else contextlib.nullcontext() as reason:
        print(f"cells: {together} at once{f', without MPS: {reason}' if reason else ''}", flush=True)
        cells(folder, arguments, together)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", default="runs/sitting", help="of logs and figures")
    parser.add_argument("--minutes", type=float, default=10.0, help="for cells of the paper, after the rest")
    parser.add_argument("--benchmark-minutes", type=float, default=8.0, help="for the speed benchmark")
    parser.add_argument(
        "--at-once", type=int, help="cells side by side (default: as many as the benchmark found best)"
    )
    parser.add_argument(
        "--overlay", action="append", default=[], help="cells of another experiment than the paper's"
    )
    parser.add_argument("--rehearse", action="store_true", help="with numbers so small that a CPU bears them")
    return parser.parse_args(argv)


def steps(folder: Path, arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Tests, benchmark and profiles: the commands."""
    speed = [sys.executable, str(HERE / "train_speed.py"), "--json", str(folder / "speed.json")]
    speed += ["--minutes", str(arguments.benchmark_minutes)]
    networks = ["mnist", "cifar10"]
    if arguments.rehearse:
        networks = ["digits"]
        speed += [
            "--networks",
            "digits",
            "--ways",
            "engine",
            "--steps",
            "2",
            "--rounds",
            "1",
            "--minutes",
            "0.4",
        ]
    precision = load(ROOT / "params.yaml").train.precision
    profile = [sys.executable, str(HERE / "profile_step.py")]
    # A file of tests that needs more than this machine has must not cost the others.
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "-m",
        "cuda",
        "-v",
        "--continue-on-collection-errors",
        "tests/train",
    ]
    return {
        "tests": tests,
        "benchmark": speed,
        **{
            f"profile-{network}": [
                *profile,
                network,
                precision,
                "--json",
                str(folder / f"profile-{network}.json"),
            ]
            for network in networks
        },
    }


def step(command: list[str], log: Path, limit_s: float) -> dict[str, Any]:
    """Run a command to its end or its limit, what it says going to the log; how it ended."""
    began = time.monotonic()
    with open(log, "a") as said:
        process = begun(command, said)
        try:
            status = process.wait(timeout=limit_s)
            ended = "done" if status == 0 else f"failed with status {status}"
        except subprocess.TimeoutExpired:
            ended = f"stopped at its limit of {limit_s:g} s"
        finally:
            end([process])
    return {"ended": ended, "seconds": round(time.monotonic() - began, 1)}


def begun(command: list[str], said: Any) -> subprocess.Popen:
    """The command as a process in a session of its own, at the repository's root."""
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=said,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": path},
        start_new_session=True,
    )


def end(processes: list[subprocess.Popen]) -> None:
    """End the processes and what they started: at once, or after the seconds that they need to end their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            for process in processes:
                process.wait(timeout=20)


def at_once(speed: Path) -> tuple[int, bool]:
    """How many cells the pipeline's own setting trains best at once, and whether by MPS, as the benchmark measured."""
    best, speed_of_best = (1, False), 0.0
    measured = json.loads(speed.read_text(encoding="utf-8"))["measured"] if speed.exists() else []
    own = {
        "norm": "native",
        "projections": "convolutions",
        "layout": "channels_last",
        "precision": load(ROOT / "params.yaml").train.precision,
    }
    for row in measured:
        pipelines = own.items() <= row["setting"].items()
        ours = row.get("way") in ("engine", "processes", "mps") and row["setting"]["network"] != "cifar10"
        if pipelines and ours and row.get("images_per_s", 0) > speed_of_best:
            best, speed_of_best = (row["cells"], row["way"] == "mps"), row["images_per_s"]
    return best


def cells(folder: Path, arguments: argparse.Namespace, together: int) -> None:
    """Train cells until the minutes are over, `together` at once, all networks of a seed before the next seed."""
    own = folder / "params.yaml"  # how a cell is run changes nothing that it is identified by
    content = read_yaml(ROOT / "params.yaml")
    content["runtime"]["cells_per_gpu"] = together
    write_text(own, json.dumps(content, indent=2) + "\n")  # JSON is YAML
    params = load(own, arguments.overlay)
    overlays = [word for overlay in arguments.overlay for word in ("--overlay", str(Path(overlay).resolve()))]
    hal = [sys.executable, "-m", "hal", "--params", str(own.resolve()), *overlays]

    until = time.monotonic() + 60 * arguments.minutes
    left = [
        (dataset, case, str(seed))
        for dataset in _with_data(params, hal, folder)
        for seed in params.grid.seeds
        for case in params.cases(dataset)
    ]
    running: list[subprocess.Popen] = []
    with open(folder / "cells.log", "a") as said:
        try:
            while time.monotonic() < until and (left or running):
                running = [process for process in running if process.poll() is None]
                if left and len(running) < together:
                    running.append(begun([*hal, "train", *left.pop(0)], said))
                time.sleep(0.1)
        finally:
            end(running)
    print(finished(params), flush=True)


def _with_data(params: Params, hal: list[str], folder: Path) -> list[str]:
    """The data sets of the grid that are there or can be fetched: MNIST's small networks first."""
    there = []
    for dataset in sorted(params.grid.datasets, key=lambda name: params.datasets[name].layers):
        if not (ROOT / params.path("data", f"{dataset}.npz")).exists():
            print(f"{dataset}: fetching", flush=True)
            ended = step([*hal, "data", dataset], folder / f"data-{dataset}.log", LIMITS_S["data"])["ended"]
            if ended != "done":
                print(f"{dataset}: no data, see {folder / f'data-{dataset}.log'}", flush=True)
                continue
        there.append(dataset)
    return there


def finished(params: Params) -> str:
    """How many cells of the grid there are, by data set, and what one took."""
    lines = []
    for dataset in params.grid.datasets:
        of_dataset = [cell for cell in params.cells() if cell.dataset == dataset]
        paths = [ROOT / params.cell_paths(cell).results / "cell.json" for cell in of_dataset]
        records = [read_record(path) for path in paths if path.exists()]
        text = f"{dataset}: {len(records)} of {len(of_dataset)} cells"
        if records:
            walls = [record["time"]["wall_s"] for record in records]
            speeds = [record["time"]["train_images_per_s"] for record in records]
            text += f", {min(walls):,.0f} to {max(walls):,.0f} s and {min(speeds):,.0f} to {max(speeds):,.0f} images/s each"
        lines.append(text)
    return "\n".join(lines)


if __name__ == "__main__":
    for number in (
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # so that what was started is ended, also with a lost connection
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    main()
