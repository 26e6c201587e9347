import math

import numpy as np
import pandas as pd
import pytest

from hal.study import convergence
from hal.study.grid import load_cells
from tests.made_up import change_curves, made_up_params, make_up_cell, make_up_grid

# losses after each of four epochs, by case and seed, the same for training and test
CURVES = {
    ("baseline", 0): [4.0, 2.0, 1.5, 0.9],
    ("baseline", 1): [4.0, 3.0, 2.0, 1.1],
    ("case1", 0): [2.0, 1.0, 0.5, 0.25],
    ("case1", 1): [2.0, 2.0, 1.0, 0.5],
    ("case2", 0): [4.0, 3.0, 2.0, 0.5],
    ("case2", 1): [4.0, 3.0, 2.0, 1.5],
}


@pytest.fixture
def params(tmp_path):
    params = made_up_params(tmp_path, "grid: {datasets: [mnist], seeds: [0, 1]}\ntrain: {epochs: 4}")
    make_up_grid(params, images=200)
    for (case, seed), losses in CURVES.items():
        write_curves(params, f"mnist/{case}/seed{seed}", losses)
    return params


def write_curves(params, name, losses):
    table = pd.read_csv(params.path("results", name, "curves.csv"))
    table["train_loss"] = table["test_loss"] = losses
    change_curves(params, name, table)


def summary(params, loss="test_loss"):
    cells = convergence.per_cell(load_cells(params))
    table = convergence.convergence(cells)
    return table[table["loss"] == loss].set_index("case")


def test_the_first_epoch_at_or_below_the_target():
    losses = np.array([3.0, 1.0, 2.0, 0.5])
    assert convergence.first_reached(losses, 1.0) == 2
    assert math.isnan(convergence.first_reached(losses, 0.4))


def test_epochs_to_the_baselines_final_loss_are_those_counted_by_hand(params):
    found = summary(params)
    assert found.loc["case1", "target"] == pytest.approx(1.0)  # the mean of 0.9 and 1.1
    assert found.loc["case1", ["reached", "epochs"]].tolist() == [2, 2.5]  # after epochs 2 and 3
    assert found.loc["case1", ["epochs_least", "epochs_most"]].tolist() == [2, 3]
    assert found.loc["baseline", ["reached", "epochs"]].tolist() == [1, 4]


def test_a_network_that_never_gets_there_is_counted(params):
    case2 = summary(params).loc["case2"]
    assert (case2["n"], case2["reached"], case2["epochs"]) == (2, 1, 4)


def test_the_area_between_logarithmic_curves_is_that_worked_by_hand(params):
    area = {key: np.log(losses).mean() for key, losses in CURVES.items()}
    baseline, case1 = ((area[(case, 0)] + area[(case, 1)]) / 2 for case in ("baseline", "case1"))
    for loss in convergence.LOSSES:
        found = summary(params, loss).loc["case1"]
        assert found["area"] == pytest.approx(baseline - case1)
        assert found["area_low"] < found["area"] < found["area_high"]


def test_half_the_loss_all_along_is_an_area_of_ln_2(params):
    for seed in (0, 1):
        write_curves(params, f"mnist/case3/seed{seed}", np.array(CURVES[("baseline", seed)]) / 2)
    assert summary(params).loc["case3", "area"] == pytest.approx(math.log(2))


def test_curves_that_cannot_be_used_cost_their_own_cell_and_are_named(params):
    write_curves(params, "mnist/case1/seed0", [1.0, 0.0, 1.0, 1.0])
    params.path("results/mnist/case2/seed1/curves.csv").unlink()
    make_up_cell(params, params.cell("mnist", "case3", 1), "diverged", images=200)
    found = summary(params)
    assert found["n"].to_dict() == {"baseline": 2, "case1": 1, "case2": 1, "case3": 1, "case4": 2}
    assert "seed 0" in found.loc["case1", "notes"]
    assert "not positive and finite" in found.loc["case1", "notes"]
    assert "no such file" in found.loc["case2", "notes"]
    assert "diverged" in found.loc["case3", "notes"]
    assert found.loc["baseline", "notes"] == ""
    assert math.isnan(found.loc["case1", "area_low"])  # one seed: no interval


def test_without_a_baseline_nothing_can_be_compared_but_nothing_breaks(params):
    for seed in (0, 1):
        make_up_cell(params, params.cell("mnist", "baseline", seed), "missing")
    found = summary(params)
    assert found["area"].isna().all()
    assert found["reached"].isna().all()  # nobody knows, which is not never
