"""Does the network listen: the split of an error, the borders, and the correlation with these held fixed, by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from hal.present import findings
from hal.study import all_tables, controls, hint, separability
from hal.study.grid import load_cells
from hal.titles import dataset_title
from tests.made_up import made_up_params, make_up_grid


@pytest.fixture
def params(tmp_path):
    overlay = """
grid: {datasets: [mnist], seeds: [0, 1, 2]}
datasets: {mnist: {cases: {case1-zero: {superclasses: [[5, 6, 7, 8, 9], [0, 1, 2, 3, 4]], hint: zero}}}}
train: {epochs: 2}"""
    params = made_up_params(tmp_path, overlay)
    make_up_grid(params, images=500)
    return params


def measured(params):
    controls.write(params, "mnist")
    return controls.read(params, load_cells(params))


def set_control(table, case, control, values, column="error", grouping="case1"):
    rows = (table["case"] == case) & (table["control"] == control) & (table["grouping"] == grouping)
    table.loc[rows, column] = values


def test_an_error_is_split_into_the_unused_hint_and_what_lies_within(params):
    table = measured(params)
    set_control(table, "case1", "as_tested", [2.0, 2.2, 2.4])
    set_control(table, "case1", "oracle_mask", [1.8, 1.9, 2.0])
    set_control(table, "baseline", "oracle_mask", [1.5, 1.6, 1.7])
    rows = hint.hint(params, table).set_index("case")
    row = rows.loc["case1"]
    assert row["unused"] == pytest.approx(0.3)  # 0.2, 0.3, 0.4
    # Student: 0.3 -+ 4.303 x 0.1 / sqrt(3)
    assert (row["unused_low"], row["unused_high"]) == (
        pytest.approx(0.0516, abs=1e-4),
        pytest.approx(0.5484, abs=1e-4),
    )
    assert row["within"] == pytest.approx(0.3)
    assert row["unused"] + row["within"] == pytest.approx(row["hal"] - row["masked"])
    assert row["n"] == row["planned"] == 3
    assert rows["ablation"].to_dict() == dict.fromkeys(("case1", "case2", "case3", "case4"), False) | {
        "case1-zero": True
    }


def test_an_ablation_is_in_no_comparison_and_no_verdict(params):
    table = measured(params)
    crossing = hint.borders(params, load_cells(params), table)
    assert set(crossing["case"]) == {"case1", "case2", "case3", "case4"}
    assert params.groupings("mnist") == ["case1", "case2", "case3", "case4"]
    scores = separability.separability(load_cells(params))
    assert "case1-zero" in set(scores["case"])
    assert "case1-zero" not in set(separability.pairs(params, load_cells(params), scores)["case"])


def test_the_border_share_counts_errors_of_another_superclass(params):
    table = measured(params)
    set_control(table, "baseline", "as_tested", [2.0, 2.0, 2.0])
    set_control(table, "baseline", "as_tested", [99.5, 99.0, 98.5], "superclass_accuracy")
    rows = hint.borders(params, load_cells(params), table).set_index(["case", "whose"])
    assert rows.loc[("case1", "ours"), "borders"] == pytest.approx(100 * 3.0 / 6.0)
    assert rows.loc[("case1", "paper"), "gain"] == pytest.approx(100 * (1 - 0.43 / 0.93))
    assert rows.loc[("case1", "paper"), "n"] == 5


def test_a_correlation_with_the_borders_held_fixed():
    """X and y both follow the borders and nothing else: held fixed, nothing is left of rho = 1 but the noise between them."""
    held = pd.Series([1.0, 2, 3, 4, 5, 6, 7, 8])
    x, y = pd.Series([1.0, 3, 2, 4, 6, 5, 7, 8]), pd.Series([2.0, 1, 3, 4, 5, 6, 8, 7])
    ranks = np.corrcoef([x, y, held])
    by_hand = (ranks[0, 1] - ranks[0, 2] * ranks[1, 2]) / math.sqrt(
        (1 - ranks[0, 2] ** 2) * (1 - ranks[1, 2] ** 2)
    )
    assert separability.partial_spearman(x, y, held) == pytest.approx(by_hand)
    assert math.isnan(separability.partial_spearman(x[:7], y[:7], held[:7]))
    assert math.isnan(separability.partial_spearman(held, y, held))


def test_what_lies_within_is_tested_together_and_ablations_are_not_among_them(params):
    table = measured(params)
    set_control(table, "case1", "oracle_mask", [1.8, 1.9, 2.0])
    set_control(table, "baseline", "oracle_mask", [1.5, 1.6, 1.7])
    for case, shift in (("case2", 0.2), ("case3", 0.0), ("case4", 0.0)):
        for whose, more in (("baseline", 0.0), (case, shift)):
            values = [1.0 + more, 1.1 + more, 1.2 + more]
            set_control(table, whose, "oracle_mask", values, grouping=case)
    corrected = hint.hint(params, table).set_index("case")["within_p_holm"]
    # Welch: 0.3 / sqrt(2 x 0.01 / 3) = 3.674 with 4 degrees of freedom: p = 0.02131, times four; 0.2: 2.449, p = 0.07048, times three
    assert corrected["case1"] == pytest.approx(4 * 0.02131, abs=4e-5)
    assert corrected["case2"] == pytest.approx(3 * 0.07048, abs=3e-5)
    assert corrected["case3"] == corrected["case4"] == 1
    assert math.isnan(corrected["case1-zero"])


def test_every_network_stands_beside_the_mean_masked_baseline(params):
    table = measured(params)
    set_control(table, "case1", "as_tested", [2.0, 2.2, 2.4])
    set_control(table, "case1", "oracle_mask", [1.8, 1.9, 2.0])
    set_control(table, "case1", "flips", [0.0, 5.0, math.nan])
    set_control(table, "baseline", "oracle_mask", [1.5, 1.6, 1.7])
    rows = hint.networks(params, table)
    mine = rows[rows["case"] == "case1"]
    assert mine["seed"].tolist() == [0, 1]  # of the third something is missing
    assert mine["behind"].tolist() == pytest.approx([0.4, 0.6])
    assert mine["hal_masked"].tolist() == pytest.approx([1.8, 1.9])
    assert rows.groupby("case", sort=False)["ablation"].first().to_dict() == {
        **dict.fromkeys(("case1", "case2", "case3", "case4"), False),
        "case1-zero": True,
    }
    assert hint.networks(params, table.assign(error=math.nan)).empty


def test_deaf_networks_are_counted(params):
    table = measured(params)
    set_control(table, "case1", "flips", [0.0, 0.9, 21.5])
    row = hint.hint(params, table).set_index("case").loc["case1"]
    assert (row["deaf"], row["flips_least"], row["flips_most"]) == (2, 0.0, 21.5)
    assert row["flips"] == pytest.approx(22.4 / 3)


def test_whether_the_hint_splits_is_counted_network_by_network(params):
    """A mean AUC told the same that is as large hides a network whose scores the hint alone splits."""
    table = measured(params)
    set_control(table, "case1", "own_hint_auc", [0.99, 0.62, 0.80], "value")
    set_control(table, "case1", "same_hint_auc", [0.81, 0.95, 0.81], "value")
    row = hint.hint(params, table).set_index("case").loc["case1"]
    assert (row["scored"], row["own_splits"], row["same_splits"]) == (3, 1, 1)
    set_control(table, "case1", "own_hint_auc", [math.nan, 0.62, 0.80], "value")
    row = hint.hint(params, table).set_index("case").loc["case1"]
    assert (row["scored"], row["own_splits"], row["same_splits"]) == (2, 0, 1)


def told(*of_hint):
    """The findings of one data set, in a row."""
    ((title, items),) = findings.listening(*of_hint)
    return f"{title}: {' '.join(items)}"


def test_the_findings_sentences_are_chosen_by_the_numbers(params):
    rows = hint.hint(params, measured(params))
    rows = rows[rows["case"].isin(["case1", "case2"])].assign(
        blind=0.0,
        scored=[3, 3],
        own_splits=[2, 0],
        same_splits=[0, 1],
        unused=[0.1, 0.25],
        within=[-0.1, 0.1],
        within_p_holm=[0.01, 0.3],
        flips_least=[10.0, 0.02],
        flips_most=[12.0, 31.0],
        deaf=[0, 1],
    )
    networks = pd.DataFrame(
        {
            "dataset": "mnist",
            "ablation": False,
            "flips": [0.0, 0.5, 12, 31],
            "behind": [0.62, 0.36, -0.02, 0.14],
        }
    )
    one = rows.head(1).assign(n=1, scored=1, own_splits=1, flips_least=70.0, flips_most=70.0)
    said = told(params, one, networks.tail(1))
    assert "Told another superclass, HAL's one network changes 70.0 % of its predictions. " in said
    assert "Its error lies +0.14 points from the mean masked baseline's" in said
    assert "Its scores split better where each image is told its own superclass." in said
    said = told(params, rows, networks)
    assert said.startswith(
        "MNIST: Told another superclass, HAL's networks change 0.0 to 31.0 % of their predictions; "
        "1 of 6 networks is deaf to the hint (less than 1 %: case2 1 of 3)."
    )
    assert (
        "Scores split better where each image is told its own superclass (by more than 0.02 of the AUC) in 2 of 6 networks (case1 2 "
        "of 3); in 1 they split better when all images are told the same one, so the split is the features' and not the hint's."
        in said
    )
    assert (
        "The errors of the deaf ones lie +0.36 to +0.62 points from the mean masked baseline's (+: more errors), those of "
        "the others −0.02 to +0.14." in said
    )
    assert "A mask laid over HAL's own logits still takes off 0.10 to 0.25 points" in said
    assert "In case1 HAL errs less than the masked baseline even with the mask laid over both" in said
    assert "case2" not in said.split("(Welch, Holm)")[0].rsplit(".", 1)[1]
    said = told(params, rows.assign(within_p_holm=0.5, deaf=0), networks[2:])
    assert "none of the 6 networks changes less than 1 %" in said
    assert "that HAL tells the classes within a superclass apart better or worse is not shown" in said
    assert "Their errors lie −0.02 to +0.14 points from the mean masked baseline's (+: more errors)." in said
    untold = {
        "no_oracle": [1.16, 1.31],
        "no_oracle_mixture": [math.nan] * 2,
        "no_oracle_baseline": [1.0, 1.0],
    }
    said = told(params, rows.assign(**untold), networks)
    assert said.endswith(
        "Where nobody tells the superclass, HAL errs in 1.16 to 1.31 % taking the most probable pair of a superclass and a class in it, "
        "in 1.00 % told the superclass of what the baseline predicts."
    )
    said = told(params, rows.assign(within_p_holm=math.nan), networks)
    assert (
        "apart better cannot be told: a test needs at least two networks of each, and errors that vary."
        in said
    )
    said = told(params, rows.assign(same_splits=0), networks)
    assert (
        "in 2 of 6 networks (case1 2 of 3), and in none of them where all images are told the same one."
        in said
    )
    said = told(params, rows.assign(within=math.nan, within_p_holm=math.nan), networks[:0])
    assert said.startswith("MNIST: Told another superclass, HAL's networks change")  # they need no baseline
    assert "apart better cannot be told: there is no masked baseline to compare with" in said


def test_a_variants_groupings_are_not_more_groupings(tmp_path):
    overlay = """
grid: {datasets: [mnist], seeds: [0, 1, 2]}
train: {epochs: 2}
variants: {longer: {title: longer, train: {epochs: 3}}}"""
    params = made_up_params(tmp_path, overlay)
    make_up_grid(params, images=300)
    for dataset in params.grid.datasets:
        controls.write(params, dataset)
    table = all_tables.study(params, load_cells(params))["table2b"]
    assert len(table) == 8
    assert "of 4 groupings that can be tested (Welch" in findings.summary(params, table)
    assert [dataset_title(params, name) for name in params.grid.datasets] == [
        "MNIST, 2 epochs",
        "MNIST, longer",
    ]
    wider = made_up_params(tmp_path, overlay.replace("train: {epochs: 3}", "model: {widths: [4, 4, 4]}"))
    assert dataset_title(wider, "mnist") == "MNIST"
