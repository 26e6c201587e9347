"""The speed benchmark stays alive on a CPU, and what it compares is the same training."""

import importlib
import json
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from tests.tiny import ROOT


@pytest.fixture
def benchmark(monkeypatch):
    """A module of benchmarks/, which is no package."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))

    def imported(name: str) -> ModuleType:
        return importlib.import_module(name)

    return imported


@pytest.mark.slow
def test_every_way_is_measured_or_says_why_not(benchmark, tmp_path, monkeypatch, capsys):
    path = tmp_path / "speed.json"
    size = [
        "--networks",
        "digits",
        "--precisions",
        "float32",
        "--cells",
        "2",
        "--steps",
        "2",
        "--rounds",
        "2",
    ]
    monkeypatch.setattr(sys, "argv", ["train_speed.py", *size, "--json", str(path)])
    monkeypatch.setattr("hal.nvidia_mps.shutil.which", lambda program: None)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    train_speed = benchmark("train_speed")
    train_speed.main()
    result = json.loads(path.read_text(encoding="utf-8"))
    rows = {row["way"]: row for row in result["rows"]}
    assert list(rows) == [*train_speed.ALONE, "streams", "processes", "mps", "vmap"]
    assert rows.pop("mps")["why_not"] == "nvidia-cuda-mps-control is not installed"
    for row in rows.values():
        assert not row["why_not"]
        assert len(row["seconds"]) == 2
        images = row["cells"] * 2 * 128
        assert row["images_per_s"] == pytest.approx(images / np.median(row["seconds"]), rel=1e-3)
        assert row["cells"] == (2 if row["way"] in train_speed.TOGETHER else 1)
    (floor,) = result["floors"]
    assert floor["memory_ms_per_step"] == pytest.approx(
        floor["mb_per_step"] / floor["copy_gb_per_s"], rel=0.01
    )
    assert floor["kernels_per_step"] is None  # a GPU's
    assert result["beside_the_epochs"][0]["start_python_s"] > 0.1
    said = capsys.readouterr().out
    assert "mps                      2  not measured: nvidia-cuda-mps-control is not installed" in said


def test_fused_seeds_train_as_they_do_alone(benchmark):
    ways = benchmark("ways")
    setting = ways.Setting("digits", "float32", "cpu", 3)
    setting.configure()
    together = ways.Fused(setting, 2)
    losses = []
    for _ in range(3):
        together.launch()
        losses.append(together.losses.tolist())
    for seed in range(2):
        trainer = ways.Trainer(setting.net(seed), setting.data(), setting.cell.train)
        trainer.epoch(setting.draw(seed), setting.rates, lambda: None)
        assert [both[seed] for both in losses] == pytest.approx(trainer.losses.tolist(), rel=1e-5)
        weights = trainer.net.state_dict()
        for name, stacked in (together.parameters | together.buffers).items():
            assert torch.allclose(stacked[seed], weights[name], atol=1e-5), name


def test_the_bytes_of_a_step_by_hand(benchmark):
    """10 layers on 8x8x1: of each layer the numbers read and written for an image, three times read, twice written."""
    floors, ways = benchmark("floors"), benchmark("ways")
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
    assert floors.bytes_per_step(ways.Setting("digits", "float32", "cpu", 1)) == 128 * 4 * numbers
    assert floors.bytes_per_step(ways.Setting("digits", "bfloat16", "cpu", 1)) == 128 * 2 * numbers


def test_a_step_whose_kernels_cannot_be_counted_costs_no_other_figure(benchmark, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    floors, ways = benchmark("floors"), benchmark("ways")
    assert floors.kernels_per_step(ways.Setting("digits", "float32", "cpu", 1)) is None


def test_the_papers_grid_is_projected_from_the_best_speed_of_each_network(benchmark):
    train_speed = benchmark("train_speed")

    def row(network: str, images_per_s: float | None) -> dict:
        return {"network": network, "precision": "tf32", "images_per_s": images_per_s}

    rows = [row("mnist", None), row("mnist", 1e5), row("mnist", 1e6), row("cifar10", 5e5)]
    steps = 25 * 250 * np.array([60_000 // 128, (50_000 // 128) + (73_257 // 128)])
    hours = (steps * 128 / [1e6, 5e5]).sum() / 3600
    assert train_speed.grid_lines(rows) == [
        f"the training steps of the paper's 75 cells at the best tf32 speeds: {hours:.2f} h"
    ]
    assert train_speed.grid_lines(rows[:3]) == []  # not without the other network
