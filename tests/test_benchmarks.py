"""The speed benchmark stays alive on a CPU, and what it compares is the same training."""

import dataclasses
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.tiny import ROOT, tiny_params


@pytest.fixture
def benchmark(monkeypatch):
    """A module of benchmarks/, which is no package."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))

    def imported(name: str) -> ModuleType:
        return importlib.import_module(name)

    return imported


def options(path: Path, *more: str) -> list[str]:
    """The smallest run on this machine's CPU."""
    size = ["--networks", "digits", "--cells", "2", "--steps", "2", "--rounds", "2"]
    return [*size, "--json", str(path), *more]


@pytest.mark.slow
def test_every_way_is_measured_or_says_why_not_and_the_same_command_goes_on(
    benchmark, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "new" / "speed.json"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    train_speed = benchmark("train_speed")
    train_speed.main(options(path, "--ways", "engine", "processes", "--minutes", "0.01"))
    assert {job["why_not"] for job in json.loads(path.read_text())["measured"]} == {
        "no time was left: the same command measures it"
    }
    train_speed.main(options(path, "--ways", "plain", "engine", "processes"))
    measured = json.loads(path.read_text())["measured"]
    rows = [job for job in measured if job["what"] == "row"]
    assert [row["way"] for row in rows] == ["plain", *5 * ["engine"], "processes"]
    for row in rows:
        assert "why_not" not in row
        assert row["images_per_s"] == pytest.approx(
            row["cells"] * 2 * 128 / np.median(row["seconds"]), rel=1e-3
        )
    assert all(row["loss"] == pytest.approx(rows[1]["loss"], rel=2e-3) for row in rows[2:])
    assert rows[-1]["loss"] == rows[1]["loss"]  # a cell beside another is the same cell
    (floor,) = [job for job in measured if job["what"] == "floor"]
    assert floor["memory_ms_per_step"] == pytest.approx(
        floor["mb_per_step"] / floor["copy_gb_per_s"], rel=0.01
    )
    assert floor["kernels_per_step"] is None  # a GPU's
    (fixed,) = [job for job in measured if job["what"] == "fixed"]
    assert fixed["start_python_s"] > 0.1

    before = path.read_bytes()
    train_speed.main(options(path, "--ways", "plain", "engine", "processes"))
    assert path.read_bytes() == before
    assert "digits   float32   processes     2 " in capsys.readouterr().out


def test_figures_of_another_machine_are_kept(benchmark, tmp_path):
    path = tmp_path / "speed.json"
    path.write_text('{"machine": {"device": "another"}, "measured": []}', encoding="utf-8")
    with pytest.raises(SystemExit, match="give another --json"):
        benchmark("train_speed").begun(path, {"device": "this"})
    assert "another" in path.read_text(encoding="utf-8")


def test_a_measurement_that_hangs_or_fails_costs_its_own_row_and_leaves_no_process(
    benchmark, tmp_path, monkeypatch
):
    train_speed = benchmark("train_speed")
    setting = {"network": "digits", "precision": "float32", "device": "cpu", "steps": 2}
    job = {"what": "row", "setting": setting, "way": "engine", "cells": 1, "rounds": 1}
    assert "has no attribute 'nonsense'" in train_speed.measured(job | {"way": "nonsense"}, 60)["why_not"]
    beat = tmp_path / "beat"
    script = f"while true; do date >> {beat}; sleep 0.05; done"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "python").write_text(f"#!/bin/sh\nsh -c '{script}' &\nwait\n", encoding="utf-8")
    (tmp_path / "python").chmod(0o755)
    assert train_speed.measured(job, 0.5) == {"why_not": "stopped after 0.5 s"}
    size = beat.stat().st_size
    time.sleep(0.3)
    assert beat.stat().st_size == size > 0


def test_what_the_time_cuts_off_is_measured_by_the_next_call(benchmark, tmp_path, monkeypatch):
    train_speed, path = benchmark("train_speed"), tmp_path / "speed.json"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    figures = {"images_per_s": 1e4, "ms_per_step": 12.8, "loss": 3.0}

    def works(job: dict, limit_s: float) -> dict:
        return {"device": "this"} if job["what"] == "machine" else figures

    def hangs(job: dict, limit_s: float) -> dict:
        if job["what"] == "machine" or job["way"] == "plain":
            return works(job, limit_s)
        time.sleep(limit_s)  # the rest of the minutes
        return {"why_not": "stopped"}

    monkeypatch.setattr(train_speed, "measured", hangs)
    train_speed.main(options(path, "--ways", "plain", "engine", "--minutes", "0.005"))
    ways = [job.get("way") for job in json.loads(path.read_text())["measured"] if job.get("no_time")]
    assert ways == [*5 * ["engine"], None, None]
    monkeypatch.setattr(train_speed, "measured", works)
    train_speed.main(options(path, "--ways", "plain", "engine"))
    assert not any(job.get("no_time") for job in json.loads(path.read_text())["measured"])


def test_mps_is_measured_only_where_it_can_be_served(benchmark, monkeypatch):
    monkeypatch.setattr("hal.nvidia_mps.control_program", lambda: None)
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
    job = {"what": "row", "way": "mps", "setting": {}, "cells": 2, "rounds": 1}
    assert benchmark("train_speed").measured(job, 60) == {
        "why_not": "nvidia-cuda-mps-control is not installed"
    }


@pytest.mark.parametrize("full", [[], ["--full"]], ids=["short", "full"])
def test_on_a_gpu_no_measurement_is_planned_twice_and_the_networks_take_turns(benchmark, monkeypatch, full):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    train_speed, setting = benchmark("train_speed"), benchmark("setting")
    planned = list(train_speed.jobs(train_speed._arguments(full)))
    assert len({train_speed.key(job) for job in planned}) == len(planned)
    assert [(job["setting"]["network"], job["way"]) for job in planned[:4]] == [
        ("mnist", "plain"), ("cifar10", "plain"), ("mnist", "engine" if not full else "resident"),
        ("cifar10", "engine" if not full else "resident"),
    ]  # fmt: skip
    assert {job.get("way") for job in planned} == {*train_speed.WAYS, None}
    for job in planned:
        chosen = setting.Setting(**job["setting"])
        assert chosen.device == "cuda"
        assert chosen.weights == "cast" or chosen.precision == "bfloat16"
        assert chosen.norm != "triton" or chosen.layout == "channels_last"
    if not full:
        assert all(job["setting"]["steps"] == 100 for job in planned)
        assert {job["cells"] for job in planned if job["what"] == "row"} == {1, 5, 10}
    assert train_speed._arguments(full).minutes == (0 if full else 8)


def test_the_bytes_of_a_step_by_hand(benchmark):
    """10 layers on 8x8x1: of each layer the numbers read and written for an image, three times read, twice written."""
    floors, setting = benchmark("floors"), benchmark("setting")
    convolutions = [
        *[
            (64 * 1, 64 * 16),
            (64 * 16, 64 * 16),
            (64 * 16, 64 * 16),
            (64 * 16, 64 * 16),
        ],  # stem, 3x3, 3x3, 1x1
        *[(64 * 16, 16 * 32), (16 * 32, 16 * 32), (64 * 16, 16 * 32)],
        *[(16 * 32, 4 * 64), (4 * 64, 4 * 64), (16 * 32, 4 * 64)],
    ]
    normalisations = [64 * 16, 64 * 16, 64 * 16, 16 * 32, 16 * 32, 4 * 64, 4 * 64]
    numbers = sum(3 * read + 2 * written for read, written in convolutions) + 5 * sum(normalisations)
    assert floors.bytes_per_step(setting.Setting("digits", "float32", "cpu", 1)) == 128 * 4 * numbers
    assert floors.bytes_per_step(setting.Setting("digits", "bfloat16", "cpu", 1)) == 128 * 2 * numbers


@pytest.mark.slow
def test_a_step_whose_kernels_cannot_be_counted_costs_no_other_figure(benchmark, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    floors, setting = benchmark("floors"), benchmark("setting")
    assert floors.kernels_per_step(setting.Setting("digits", "float32", "cpu", 1)) is None


def test_the_papers_grid_is_projected_from_the_best_speed_of_each_network(benchmark):
    train_speed = benchmark("train_speed")

    def row(network: str, figures: dict) -> dict:
        return {"setting": {"network": network, "precision": "tf32"}} | figures

    rows = [
        row("mnist", {"why_not": "no reason"}),
        *(row("mnist", {"images_per_s": speed}) for speed in (1e5, 1e6)),
        row("cifar10", {"images_per_s": 5e5}),
    ]
    mnist, others = 60_000 // 128, (50_000 // 128) + (73_257 // 128)
    first, second = (25 * 250 * steps * 128 / speed / 3600 for steps, speed in [(mnist, 1e6), (others, 5e5)])
    said = "training steps of the paper's 75 cells at the best tf32 speeds:"
    assert train_speed.projections(rows) == [
        f"{said} MNIST {first:.2f} h, SVHN and CIFAR-10 {second:.2f} h, all {first + second:.2f} h"
    ]
    assert train_speed.projections(rows[:3]) == [
        f"{said} MNIST {first:.2f} h, SVHN and CIFAR-10 not measured"
    ]


def test_a_candidate_that_trains_something_else_is_marked(benchmark):
    train_speed, setting = benchmark("train_speed"), benchmark("setting")

    def row(way: str, loss: float) -> dict:
        chosen = dataclasses.asdict(setting.Setting("mnist", "tf32", "cuda", 100))
        figures = {"images_per_s": 1e5, "ms_per_step": 1.28, "loss": loss}
        return {"what": "row", "setting": chosen, "way": way, "cells": 1} | figures

    engine = row("engine", 3.0)
    for loss, marked in [(3.02, False), (2.9, True), (float("nan"), True)]:
        assert ("NOT" in train_speed.line(row("streams", loss), [engine])) == marked
    assert "NOT" not in train_speed.line(row("plain", 2.9), [engine])  # its batches are others


def test_time_that_two_kernels_share_counts_once(benchmark):
    assert benchmark("profile_step").covered([(5, 6), (0, 2), (1, 3), (1, 1.5)]) == 4


@pytest.mark.slow
def test_the_profile_of_a_step_lists_what_ran(benchmark):
    profile_step, setting = benchmark("profile_step"), benchmark("setting")
    result = profile_step.profiled(setting.Setting("digits", "float32", "cpu", 2))
    counts = {kernel["name"]: kernel["count"] for kernel in result["kernels"]}
    assert counts["aten::mkldnn_convolution"] == counts["aten::convolution_backward"] == 10
    assert counts["aten::native_batch_norm"] == 7
    assert 0 <= result["waiting_us"] < result["span_us"]
    assert "10 x  aten::convolution_backward" in profile_step.table(result)


def test_cells_share_a_gpu_as_the_benchmark_found_best(benchmark, tmp_path):
    sitting, path = benchmark("sitting"), tmp_path / "speed.json"
    assert sitting.at_once(path) == (1, False)

    def row(way: str, cells: int, speed: float | None, **changes: str) -> dict:
        usual = {"norm": "native", "layout": "channels_last", "precision": "float32"}
        usual |= {"projections": "convolutions"}
        setting = {"network": "mnist"} | usual | changes
        figures = {"why_not": "no reason"} if speed is None else {"images_per_s": speed}
        return {"way": way, "cells": cells, "setting": setting} | figures

    rows = [
        row("engine", 1, 100.0),
        row("mps", 4, 250.0),
        row("processes", 4, 150.0),
        row("mps", 8, None),
        row("streams", 8, 900.0),  # not a way of the pipeline
        row("mps", 8, 900.0, norm="cudnn"),  # nor a setting of it
        row("mps", 8, 900.0, precision="tf32"),  # nor what the paper's cells are trained in
        {"what": "floor", "setting": row("engine", 1, 1.0)["setting"]},
    ]
    path.write_text(json.dumps({"measured": rows}), encoding="utf-8")
    assert sitting.at_once(path) == (4, True)


@pytest.mark.slow
def test_a_sitting_at_a_card_is_rehearsed_stopped_and_gone_on_with(tmp_path):
    tiny = tmp_path / "tiny"
    params = tiny_params(tiny)
    folder = tmp_path / "sitting"
    command = [sys.executable, str(ROOT / "benchmarks/sitting.py"), "--rehearse", "--minutes", "2"]
    command += ["--folder", str(folder), "--overlay", str(tiny / "overlay.yaml")]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    first = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    for line in first.stdout:
        if line.startswith("benchmark: at work"):
            break
    first.terminate()
    assert first.wait(timeout=60) == 128 + signal.SIGTERM
    before = (folder / "sitting.json").read_text(encoding="utf-8")
    assert list(json.loads(before)) == ["tests"]  # kept

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    record = json.loads((folder / "sitting.json").read_text(encoding="utf-8"))
    assert list(record) == ["tests", "benchmark", "profile-digits"]
    assert record["tests"] == json.loads(before)["tests"]  # not repeated
    assert {step["ended"] for step in record.values()} == {"done"}
    assert "skipped" in (folder / "tests.log").read_text(encoding="utf-8")
    assert json.loads((folder / "speed.json").read_text(encoding="utf-8"))["measured"]
    assert json.loads((folder / "profile-digits.json").read_text(encoding="utf-8"))["kernels"]
    assert "tiny: 6 of 6 cells, " in done.stdout
    assert all((params.cell_paths(cell).results / "cell.json").exists() for cell in params.cells())


def test_a_sitting_without_a_card_begins_nothing(benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA device"):
        benchmark("sitting").main(["--folder", str(tmp_path / "sitting")])
    assert not (tmp_path / "sitting").exists()


def test_what_a_sitting_started_ends_with_it(benchmark, tmp_path):
    sitting = benchmark("sitting")
    script = f"sh -c 'while true; do date >> {tmp_path}/beat; sleep 0.05; done' & wait"
    ended = sitting.step(["sh", "-c", script], tmp_path / "log", 0.5)
    assert ended["ended"] == "stopped at its limit of 0.5 s"
    size = (tmp_path / "beat").stat().st_size
    time.sleep(0.3)
    assert (tmp_path / "beat").stat().st_size == size > 0
    assert (
        sitting.step(["sh", "-c", "echo said; exit 3"], tmp_path / "log", 60)["ended"]
        == "failed with status 3"
    )
    assert (tmp_path / "log").read_text(encoding="utf-8") == "said\n"
