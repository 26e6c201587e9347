"""The bootstrap of networks crossed with test images, against what is known of either alone."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hal.settings import BASELINE
from hal.study import controls, crossed
from hal.study.grid import load_cells
from tests.made_up import made_up_params, make_up_cell, make_up_grid

A, B = ("a", "a", "error"), ("b", "b", "error")


def test_networks_that_agree_leave_the_scatter_of_images_alone():
    """300 of 1,000 images wrong, by every network: the binomial's interval, 30 ± 1.96 sqrt(0.3 0.7 / 1000)."""
    wrong = np.tile(np.arange(1000) < 300, (3, 1))
    (interval,) = crossed.crossed({A: wrong}, [{A: 1}])
    half = 196 * math.sqrt(0.3 * 0.7 / 1000)
    assert interval.low == pytest.approx(30 - half, abs=0.15)
    assert interval.high == pytest.approx(30 + half, abs=0.15)


def test_images_that_agree_leave_the_scatter_of_networks_alone():
    """Networks that are wrong on all images or on none: which images are drawn does not matter.

    Of five draws with a chance of 2/5 none is wrong in 7.8 % and at most four in 99.0 %, three in 91.3 %: 0 to 80 %.
    """
    wrong = np.repeat([[True], [False], [True], [False], [False]], 50, axis=1)
    (interval,) = crossed.crossed({A: wrong}, [{A: 1}])
    assert (interval.low, interval.high) == (0, 80)


def test_both_scatter_more_than_either():
    random = np.random.default_rng(1)
    rate = np.array([[0.05], [0.1], [0.15], [0.2], [0.25]])
    wrong = random.random((5, 100)) < rate
    (interval,) = crossed.crossed({A: wrong}, [{A: 1}])
    of_networks = 100 * wrong.mean(axis=1)
    seeds = stats.bootstrap((of_networks,), np.mean, method="percentile", rng=random).confidence_interval
    assert interval.low < seeds.low < seeds.high < interval.high


def test_the_same_images_are_drawn_for_both_sides_of_a_difference():
    wrong = np.tile(np.arange(200) % 3 == 0, (4, 1))
    (interval,) = crossed.crossed({A: wrong, B: wrong}, [{A: 1, B: -1}])
    assert (interval.low, interval.high) == (0, 0)


def test_one_network_has_no_interval():
    wrong = np.arange(20)[None] % 2 == 0
    difference, own = crossed.crossed({A: wrong, B: np.tile(wrong, (2, 1))}, [{A: 1, B: -1}, {B: 1}])
    assert not difference.known
    assert own.known


@pytest.fixture
def params(tmp_path):
    params = made_up_params(tmp_path, "grid: {datasets: [mnist], seeds: [0, 1, 2]}\ntrain: {epochs: 4}")
    make_up_grid(params, images=300)
    return params


def table_of(params) -> pd.DataFrame:
    return crossed.read(params, load_cells(params)).set_index(["case", "quantity"])


def test_the_values_are_those_of_the_controls(params):
    controls.write(params, "mnist")
    crossed.write(params, "mnist")
    table, measured = table_of(params), controls.read(params, load_cells(params))
    error = measured.groupby(["case", "grouping", "control"])["error"].mean()
    case = "case1"
    expected = {
        (BASELINE, "baseline"): error[BASELINE, case, "as_tested"],
        (case, "masked"): error[BASELINE, case, "oracle_mask"],
        (case, "hal"): error[case, case, "as_tested"],
        (case, "hal_masked"): error[case, case, "oracle_mask"],
        (case, "flips"): error[case, case, "flips"],
        (case, "hal - masked"): error[case, case, "as_tested"] - error[BASELINE, case, "oracle_mask"],
        (case, "hal - hal_masked"): error[case, case, "as_tested"] - error[case, case, "oracle_mask"],
    }
    for key, value in expected.items():
        assert table.loc[key, "value"] == pytest.approx(value, abs=1e-12)
        assert table.loc[key, "low"] <= value <= table.loc[key, "high"]
        assert tuple(table.loc[key, ["n", "images", "missing"]]) == (3, 300, "")


def test_a_clone_without_predictions_keeps_what_is_of_the_same_networks(params):
    path = crossed.write(params, "mnist")
    before = path.read_bytes()
    paths = params.cell_paths(params.cell("mnist", "case2", 1))
    (paths.checkpoints / "predictions.npz").unlink()
    assert crossed.write(params, "mnist").read_bytes() == before
    make_up_cell(params, params.cell("mnist", "case2", 2), "missing")
    crossed.write(params, "mnist")
    table = table_of(params)
    assert "predictions.npz: no such file" in table.loc[("case2", "hal"), "missing"]
    assert math.isnan(table.loc[("case2", "hal"), "value"])
    assert table.loc[("case1", "hal"), "missing"] == ""


def test_predictions_that_cannot_be_read_are_looked_for_once(params, monkeypatch):
    params.path("checkpoints", "mnist", "baseline", "seed0", "predictions.npz").unlink()
    read, looked = crossed.predictions, []

    def counted(params, result):
        looked.append(result.cell.name)
        return read(params, result)

    monkeypatch.setattr(crossed, "predictions", counted)
    crossed.write(params, "mnist")
    groupings = len(params.cases("mnist"))
    assert looked.count("mnist/baseline/seed0") <= groupings


def test_what_was_counted_under_another_grouping_is_not_kept(params):
    """The baseline's networks are the same, and its mask is not."""
    crossed.write(params, "mnist")
    for checkpoint in params.path("checkpoints").rglob("predictions.npz"):
        checkpoint.unlink()
    mnist = params.datasets["mnist"]
    regrouped = dataclasses.replace(mnist.cases["case1"], superclasses=((0,), tuple(range(1, 10))))
    other = dataclasses.replace(mnist, cases=mnist.cases | {"case1": regrouped})
    changed = dataclasses.replace(params, datasets=params.datasets | {"mnist": other})
    for read in (crossed.read, lambda *of: (crossed.write(changed, "mnist"), crossed.read(*of))[1]):
        table = read(changed, load_cells(changed)).set_index(["case", "quantity"])
        assert math.isnan(table.loc[("case1", "masked"), "value"])
        assert table.loc[("case1", "masked"), "missing"] != ""
        assert table.loc[("case2", "masked"), "missing"] == ""


def test_a_damaged_file_is_not_read(params):
    path = crossed.write(params, "mnist")
    path.write_text(path.read_text().replace("0.", "1."))
    assert table_of(params)["value"].isna().all()
    assert table_of(params)["missing"].str.contains("`hal controls mnist` computes it").all()
