import numpy as np
import pandas as pd
import pytest

from hal.errors import UserError
from hal.study import separability
from hal.study.grid import load_cells
from tests.made_up import change_record, made_up_params, make_up_cell, make_up_grid


@pytest.fixture
def params(tmp_path):
    params = made_up_params(tmp_path, "grid: {datasets: [mnist], seeds: [0, 1]}\ntrain: {epochs: 2}")
    make_up_grid(params, images=500)
    return params


def replace_scores(params, name, change):
    path = params.path("results", name, "scores.npz")
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["score"] = change(arrays["score"]).astype(np.float32)
    np.savez_compressed(path, **arrays)


def test_auc_by_hand():
    # pairs (1, 2), (1, 3), (3, 2), (3, 3): above in one, equal in one: (1 + 0.5) / 4 = 0.375; the other way 0.625
    assert separability.auc(np.array([1.0, 3.0]), np.array([2.0, 3.0])) == pytest.approx(0.625)


def test_sets_apart_split_perfectly_in_either_order():
    low, high = np.arange(100.0), np.arange(200.0, 300.0)
    for x, y in ((low, high), (high, low)):
        assert separability.auc(x, y) == 1
        assert separability.overlap(x, y) == 0


def test_the_same_set_does_not_split():
    x = np.random.default_rng(0).standard_normal(1_000)
    assert separability.auc(x, x) == pytest.approx(0.5)
    assert separability.overlap(x, x) == pytest.approx(1)


def test_sets_that_overlap_by_half():
    # uniform on (0, 1) and (0.5, 1.5): P(x > y) = 1/8; half of each lies where the other does
    x, y = np.linspace(0, 1, 20_000), np.linspace(0.5, 1.5, 20_000)
    assert separability.auc(x, y) == pytest.approx(7 / 8, abs=1e-3)
    assert separability.overlap(x, y) == pytest.approx(0.5, abs=0.02)


def test_the_overlap_sees_a_set_on_both_sides_of_the_other_and_the_auc_does_not():
    middle, sides = (
        np.linspace(-0.5, 0.5, 1_000),
        np.concatenate([np.linspace(-3, -2, 500), np.linspace(2, 3, 500)]),
    )
    assert separability.auc(middle, sides) == pytest.approx(0.5)
    assert separability.overlap(middle, sides) == 0


def test_a_few_huge_scores_change_nothing():
    random = np.random.default_rng(0)
    x, y = random.normal(0, 1, 5_000), random.normal(2, 1, 5_000)
    assert separability.overlap(np.append(x, 1e9), y) == pytest.approx(separability.overlap(x, y), abs=0.02)


def test_measures_of_pairs_are_averaged_and_classes_stand_apart():
    # classes 0 and 1 are one superclass; 0 is mixed with class 2, 1 and 3 are apart from all
    label = np.repeat([0, 1, 2, 3], 100)
    score = np.concatenate(
        [np.arange(100), np.arange(100) + 1e3, np.arange(100), np.arange(100) + 2e3]
    ).astype(float)
    table = separability.measure(score, label, [[0, 1], [2], [3]])
    pairs = table[table["level"] == "pair"].set_index(["first", "second"])
    assert pairs.loc[(0, 1), "auc"] == pytest.approx(0.75)  # half of it mixed (0.5), half apart (1)
    assert pairs.loc[(0, 2), "auc"] == pairs.loc[(1, 2), "auc"] == 1
    assert table[table["level"] == "all"]["auc"].item() == pytest.approx((0.75 + 1 + 1) / 3)
    classes = table[table["level"] == "class"].set_index("first")
    assert classes.loc[0, "auc"] == pytest.approx((0.5 + 1) / 2)
    assert classes.loc[1, "auc"] == classes.loc[3, "auc"] == 1


def test_scores_that_are_all_equal_are_refused():
    with pytest.raises(UserError, match="all scores are equal"):
        separability.measure(np.full(4, 2.5), np.arange(4), [[0, 1], [2, 3]])


def test_scores_constant_within_superclasses_are_apart():
    table = separability.measure(np.repeat([1.0, 2.0], 50), np.repeat([0, 1], 50), [[0], [1]])
    assert table.iloc[0][["auc", "overlap"]].tolist() == [1, 0]


def test_a_class_without_scores_is_named():
    with pytest.raises(UserError, match="class 3 has no finite score"):
        separability.measure(np.arange(3.0), np.arange(3), [[0, 1], [2, 3]])


def test_a_cells_faults_cost_its_own_entry_only_and_are_said(params):
    replace_scores(params, "mnist/case1/seed0", lambda score: np.full_like(score, 3.0))
    replace_scores(params, "mnist/case2/seed0", lambda score: np.where(np.arange(500) < 7, np.inf, score))
    replace_scores(params, "mnist/case3/seed0", lambda score: score * np.nan)
    params.path("results/mnist/case4/seed0/scores.npz").unlink()
    make_up_cell(params, params.cell("mnist", "case1", 1), "missing")
    table = separability.separability(load_cells(params)).query("level == 'all'").set_index(["case", "seed"])
    said = {
        ("case1", 0): "all scores are equal",
        ("case1", 1): "missing",
        ("case2", 0): "7 of 500 scores are not finite and left out",
        ("case3", 0): "500 of 500 scores are not finite and left out; no finite score",
        ("case4", 0): "no such file",
    }
    assert len(table) == 8
    for key, row in table.iterrows():
        assert said.get(key, "") in row["note"]
        assert (row["note"] == "") == (key not in said)
        assert np.isnan(row["auc"]) == (key in said and key != ("case2", 0))


def test_pairs_hold_the_mean_over_seeds_and_the_share_of_the_baselines_error(params):
    for seed, (baseline, case1) in enumerate([(2.0, 1.0), (4.0, 2.0)]):
        change_record(params, f"mnist/baseline/seed{seed}", test_error=baseline)
        change_record(params, f"mnist/case1/seed{seed}", test_error=case1)
    cells = load_cells(params)
    scores = separability.separability(cells)
    pairs = separability.pairs(params, cells, scores).set_index("case")
    assert len(pairs) == 4
    assert pairs.loc["case1", "points"] == pytest.approx(1.5)
    assert pairs.loc["case1", "percent"] == pytest.approx(50)
    whole = scores[(scores["level"] == "all") & (scores["case"] == "case1")]
    assert pairs.loc["case1", "auc"] == pytest.approx(whole["auc"].mean())


def test_section_5s_claim_is_found_where_it_holds_and_where_the_opposite_does():
    table = pd.DataFrame(
        {
            "auc": [0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0],
            "overlap": [0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.1],
            "percent": [5, 8, 10, 15, 20, 25, 30, 50],
        }
    )
    table["points"] = -table["percent"]
    found = separability.predicts(table).set_index(["separability", "reduction"])
    assert found.loc[("auc", "percent"), "rho"] == found.loc[("split", "percent"), "rho"] == pytest.approx(1)
    assert found.loc[("auc", "points"), "rho"] == pytest.approx(-1)
    assert separability.predicts(table[:7])["rho"].isna().all()
