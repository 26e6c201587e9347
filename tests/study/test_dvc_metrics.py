"""What DVC compares: means over the cells that count, and only those."""

import json

import pandas as pd

from hal.study import all_tables
from hal.study.grid import curves, load_cells, select
from tests.made_up import made_up_params, make_up_grid


def write(params):
    """metrics.json and loss.csv, computed now."""
    all_tables.write(params)
    return params.path("results", "metrics.json"), params.path("results", "loss.csv")


OVERLAY = "grid: {datasets: [digits], seeds: [0, 1, 2]}"


def test_means_are_of_the_cells_that_count(tmp_path):
    params = made_up_params(tmp_path, OVERLAY)
    gone = {f"digits/case2/seed{seed}": "missing" for seed in (0, 1, 2)}
    make_up_grid(params, {"digits/case1/seed2": "diverged", **gone}, images=20)
    metrics, losses = write(params)
    counted = select(load_cells(params), case="case1", state="ok")["result"]
    assert len(counted) == 2

    digits = json.loads(metrics.read_text())["digits"]
    assert digits["cells"] == 15 - 4
    assert digits["test_error"]["case1"] == round(sum(r.record["test_error"] for r in counted) / 2, 4)
    assert "case2" not in digits["test_error"]

    table = pd.read_csv(losses).query("case == 'case1'")
    cells = [curves(result) for result in counted]
    last = cells[0]["epoch"].max()
    mean = sum(cell.set_index("epoch").loc[last, "test_loss"] for cell in cells) / 2
    assert abs(table.set_index("epoch").loc[last, "test_loss"] - mean) < 1e-4 * mean


def test_without_a_single_cell_the_files_are_there_and_empty(tmp_path):
    metrics, losses = write(made_up_params(tmp_path, OVERLAY))
    assert json.loads(metrics.read_text()) == {"digits": {"cells": 0, "test_error": {}}}
    assert losses.read_text() == "dataset,case,epoch,train_loss,test_loss\n"
