import math

import numpy as np
import pandas as pd
import pytest

from hal.outputs import printed_files, study_files
from hal.present import findings, latex, markdown, tables, write_tables
from hal.present.numbers import named
from hal.study import all_tables, controls, table2b
from hal.study.comparisons import comparisons
from hal.study.grid import load_cells
from tests.made_up import change_record, described, made_up_params, make_up_cell, make_up_grid


@pytest.fixture
def params(tmp_path):
    params = made_up_params(tmp_path, "grid: {datasets: [mnist], seeds: [0, 1, 2]}\ntrain: {epochs: 2}")
    make_up_grid(params, images=500)
    return params


def set_errors(params, case, errors):
    for seed, error in enumerate(errors):
        change_record(params, f"mnist/{case}/seed{seed}", test_error=error)


def masked(params, errors):
    """Controls by hand: the masked baseline has these errors under every grouping."""
    table = controls.read(params, load_cells(params))
    for seed, error in enumerate(errors):
        of_mask = (table["control"] == "oracle_mask") & (table["seed"] == seed)
        table.loc[of_mask, ["error", "superclass_accuracy", "missing"]] = [error, 100.0, ""]
    return table


def compared(params, table):
    return comparisons(params, load_cells(params), table).set_index(["against", "case"])


def test_differences_and_their_family_of_tests(params):
    set_errors(params, "baseline", [2.0, 2.2, 2.4])
    set_errors(params, "case1", [1.0, 1.2, 1.4])
    table = compared(params, masked(params, [1.5, 1.5, 1.8]))
    row = table.loc[("baseline", "case1")]
    assert row["difference"] == pytest.approx(-1.0)
    # both sds 0.2: t = -1 / sqrt(2 x 0.04 / 3) = -6.124 with 4 degrees of freedom
    assert row["p"] == pytest.approx(0.00360, abs=1e-5)
    assert row["comparisons"] == 4
    # t(0.975, 4) = 2.776 times sqrt(2 x 0.04 / 3) = 0.1633: 0.453; of the mean 4.303 (2 degrees) times 0.2 / sqrt(3): 0.497
    assert (row["difference_low"], row["difference_high"]) == pytest.approx((-1.453, -0.547), abs=1e-3)
    assert (row["mean_low"], row["mean_high"]) == pytest.approx((1.2 - 0.497, 1.2 + 0.497), abs=1e-3)
    assert table.loc[("oracle_mask", "case1"), "difference"] == pytest.approx(1.2 - 1.6)
    assert math.isnan(table.loc[("", "baseline"), "p"])


@pytest.mark.parametrize("against", ["baseline", "oracle_mask"])
def test_each_family_of_four_tests_is_corrected_by_holm_also_before_all_are_made(params, against):
    """Differences 1, 0.5 and 0 with sds of 0.2: p = 0.00360, 0.03759 and 1, times four, three and two; case4 is missing."""
    set_errors(params, "baseline", [2.0, 2.2, 2.4])
    for case, error in (("case1", 1.2), ("case2", 1.7), ("case3", 2.2)):
        set_errors(params, case, [error - 0.2, error, error + 0.2])
    for seed in range(3):
        make_up_cell(params, params.cell("mnist", "case4", seed), "missing")
    corrected = compared(params, masked(params, [2.0, 2.2, 2.4]))["p_holm"][against]
    assert corrected["case1"] == pytest.approx(4 * 0.00360, abs=2e-5)
    assert corrected["case2"] == pytest.approx(3 * 0.03759, abs=2e-5)
    assert corrected["case3"] == 1
    assert math.isnan(corrected["case4"])


def test_the_pooled_row_weighs_every_case_the_same(params):
    set_errors(params, "baseline", [2.0, 2.2, 2.4])
    for case, error in zip(("case1", "case2", "case3", "case4"), (1.0, 1.2, 1.4, 2.0), strict=True):
        set_errors(params, case, [error, error + 0.1, error - 0.1])
    make_up_cell(params, params.cell("mnist", "case4", 2), "missing")
    row = compared(params, masked(params, [1, 1, 1])).loc[("baseline", "all cases")]
    assert row["n"] == 11
    assert row["mean"] == pytest.approx((1.0 + 1.2 + 1.4 + 2.05) / 4)
    assert row["difference"] == pytest.approx(row["mean"] - 2.2)
    assert row["mean_low"] < row["mean"] < row["mean_high"]
    assert row["difference_low"] < row["difference"] < row["difference_high"]


def test_all_groupings_together_against_the_mask_count_each_plain_network_once(params):
    """Its masks of several groupings are one network's: averaged first, they are three values, not twelve."""
    for case, error in zip(("case1", "case2", "case3", "case4"), (1.0, 1.2, 1.4, 2.0), strict=True):
        set_errors(params, case, [error - 0.1, error, error + 0.1])
    table = masked(params, [0.9, 1.0, 1.1])
    of_case1 = (table["control"] == "oracle_mask") & (table["grouping"] == "case1")
    table.loc[of_case1, "error"] += 0.4
    row = compared(params, table).loc[("oracle_mask", "all cases")]
    assert (row["n"], row["reference_n"]) == (12, 3)
    assert row["reference_mean"] == pytest.approx(1.1)
    assert row["difference"] == pytest.approx(1.4 - 1.1)
    # parts (0.25 x 0.1)^2 / 3 four times and 0.1^2 / 3, together 0.0041667; freedom 0.0041667^2 / (4 (0.00020833)^2 / 2 +
    # 0.0033333^2 / 2) = 3.0769; t(0.975) = 3.141
    assert row["difference_high"] - row["difference"] == pytest.approx(3.141 * math.sqrt(0.0041667), abs=1e-3)
    cells = load_cells(params)
    statistics = comparisons(params, cells, table)
    found = table2b.table2b(cells, table, statistics)
    assert set(found["case"]) == {"case1", "case2", "case3", "case4"}
    said = "uncorrected, HAL's mean error lies above the mask's: +0.30 [+0.10, +0.50] points (Welch)."
    assert said in findings.masked(params, found, statistics)[0]
    errors = tables.controls(params, found, statistics, described(params))
    ((_, rows),) = errors.groups
    assert rows[-1][:6] == ("All cases", "12", "–", "1.10", "1.40", "+0.30 [+0.10, +0.50]")
    make_up_cell(params, params.cell("mnist", "case4", 2), "missing")
    cells = load_cells(params)
    statistics = comparisons(params, cells, table)
    found = table2b.table2b(cells, table, statistics)
    ((_, rows),) = tables.controls(params, found, statistics, described(params)).groups
    assert rows[-1][:2] == ("All cases", "11 of 12 †")  # it said 11, as if all were there
    make_up_cell(params, params.cell("mnist", "baseline", 2), "missing")
    cells, table = load_cells(params), table[(table["case"] != "baseline") | (table["seed"] != 2)]
    statistics = comparisons(params, cells, table)
    found = table2b.table2b(cells, table, statistics)
    ((_, rows),) = tables.controls(params, found, statistics, described(params)).groups
    assert rows[-1][:2] == ("All cases", "11 of 12 †, baseline 2 of 3 †")


def test_one_seed_has_means_and_no_interval(tmp_path):
    params = made_up_params(tmp_path, "grid: {datasets: [mnist], seeds: [0]}\ntrain: {epochs: 2}")
    make_up_grid(params, images=500)
    controls.write(params, "mnist")
    found = all_tables.study(params, load_cells(params))
    row = found["statistics"].set_index(["against", "case"]).loc[("baseline", "case1")]
    assert not math.isnan(row["difference"])
    assert (
        row[["mean_low", "mean_high", "difference_low", "difference_high", "p", "p_holm", "detectable"]]
        .isna()
        .all()
    )
    assert (
        "nothing can be tested (a test needs at least two networks of each"
        in findings.masked(params, found["table2b"], found["statistics"])[0]
    )
    assert "cannot be told yet" in findings.summary(params, found["table2b"])


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        ([2.0, 2.1, 2.2], "HAL is better than the mask in case1, case2, case3, case4 (Welch, Holm). All cases"),
        ([0.1, 0.2, 0.3], "HAL is worse than the mask in case1, case2, case3, case4 (Welch, Holm). In no grouping"),
        ([0.9, 1.0, 1.1], "HAL is not distinguishable from it in case1, case2, case3, case4 (Welch, Holm). All cases"),
    ],
)  # fmt: skip
def test_the_finding_is_chosen_by_the_numbers(params, mask, said):
    for case in ("case1", "case2", "case3", "case4"):
        set_errors(params, case, [0.95, 1.0, 1.05])
    cells, table = load_cells(params), masked(params, mask)
    compared = comparisons(params, cells, table)
    found = table2b.table2b(cells, table, compared)
    assert said in findings.masked(params, found, compared)[0]


def test_more_cases_than_anybody_reads_are_counted():
    cases = [f"c{i}" for i in range(26)]
    assert named(cases[:8], 26) == "c0, c1, c2, c3, c4, c5, c6, c7"
    assert named(cases[:9], 26) == "9 of 26 groupings"
    assert named(cases, 26) == "all 26 groupings"


def test_the_finding_tells_cases_apart(params):
    for case, error in zip(("case1", "case2", "case3", "case4"), (0.2, 1.0, 1.0, 2.0), strict=True):
        set_errors(params, case, [error - 0.05, error, error + 0.05])
    cells, table = load_cells(params), masked(params, [0.95, 1.0, 1.05])
    compared = comparisons(params, cells, table)
    found = table2b.table2b(cells, table, compared)
    said = "HAL is better than the mask in case1; worse than the mask in case4; not distinguishable from it in case2, case3"
    assert said in findings.masked(params, found, compared)[0]
    one = found[found["case"] == "case1"]
    assert findings.summary(params, one).endswith(
        "HAL errs less in 1 and more in none of the one grouping that can be tested (Welch, Holm)."
    )
    assert findings.summary(params, found).endswith(
        "HAL errs less in 1 and more in 1 of 4 groupings that can be tested (Welch, Holm); in the others they cannot be told apart."
    )


def test_a_row_is_the_mean_of_its_cells_controls(params):
    controls.write(params, "mnist")
    stored = controls.read(params, load_cells(params))
    row = all_tables.study(params, load_cells(params))["table2b"].set_index("case").loc["case4"]
    mine = stored[(stored["case"] == "case4") & (stored["control"] == "no_oracle")]
    assert row["no_hint"] == pytest.approx(mine["error"].mean())
    assert row["no_hint_sd"] == pytest.approx(mine["error"].std(ddof=1))
    assert row["no_hint_superclass"] == pytest.approx(mine["superclass_accuracy"].mean())
    assert row["n"] == row["planned"] == 3
    assert row["wrong_hint_worst"] >= row["wrong_hint"]


def test_missing_controls_are_counted_out_and_said(params):
    params.path("checkpoints/mnist/case2/seed1/predictions.npz").unlink()
    controls.write(params, "mnist")
    all_tables.write(params)
    paths = {path.name: path for path in write_tables.write(params, described(params))}
    table = pd.read_csv(params.path("results", "table2b.csv")).set_index("case")
    assert table["n"].to_dict() == {"case1": 3, "case2": 2, "case3": 3, "case4": 3}
    markdown = paths["table2b.md"].read_text()
    assert "2 of 3 †" in markdown
    assert "MNIST case2: seed 1 " in markdown


def test_a_lost_baseline_costs_what_needs_it_and_nothing_else(params):
    for seed in range(3):
        make_up_cell(params, params.cell("mnist", "baseline", seed), "missing")
    controls.write(params, "mnist")
    row = all_tables.study(params, load_cells(params))["table2b"].set_index("case").loc["case1"]
    assert np.isnan(row[["baseline", "masked", "difference"]].astype(float)).all()
    assert row["no_hint"] > 0
    assert (row["n"], row["reference_n"]) == (3, 0)
    all_tables.write(params)
    paths = {path.name: path for path in write_tables.write(params, described(params))}
    errors, others = paths["table2b.md"].read_text().split("Without the hint, or with a wrong one")
    assert "| 3, baseline 0 of 3 † |" in errors
    assert "†" not in others
    assert (
        "MNIST: there is no masked baseline to compare with: none is finished, or its predictions are not here."
        in errors
    )
    assert "Told another superclass, HAL's networks change" in errors
    assert (
        "apart better cannot be told: there is no masked baseline to compare with: none is finished" in errors
    )


def test_where_some_baselines_are_lost_a_number_of_theirs_says_of_how_many_it_is(params):
    make_up_cell(params, params.cell("mnist", "baseline", 0), "missing")
    controls.write(params, "mnist")
    found = all_tables.study(params, load_cells(params))["table2b"]
    ((_, rows),) = tables.without_hint(params, found).groups
    assert rows[0][1] == "3, baseline 2 of 3 †"


def test_an_empty_grid_is_analysed(tmp_path):
    params = made_up_params(tmp_path)
    for path in all_tables.write(params) + write_tables.write(params, described(params)):
        assert path.stat().st_size > 0


def test_a_data_set_without_groupings_is_analysed(tmp_path):
    overlay = """
grid: {datasets: [mine], seeds: [0, 1]}
datasets: {mine: {source: digits, layers: 10, classes: [a, b], cases: {}}}
train: {epochs: 2}"""
    params = made_up_params(tmp_path, overlay)
    make_up_grid(params, images=400)
    controls.write(params, "mine")
    assert len(all_tables.write(params)) == len(study_files(params))
    assert len(write_tables.write(params, described(params))) == len(printed_files(params))


def test_the_same_cells_give_the_same_files(params):
    controls.write(params, "mnist")
    first = [path.read_bytes() for path in all_tables.write(params)]
    assert [path.read_bytes() for path in all_tables.write(params)] == first


def test_names_cannot_break_markdown_or_latex(tmp_path):
    overlay = r"""
grid: {datasets: [mnist], seeds: [0, 1]}
datasets: {mnist: {title: '<b>&_%|$#', cases: {case1: {title: 'a|b \frac{ ~^"`'}}}}"""
    params = made_up_params(tmp_path, overlay + "\ntrain: {epochs: 2}")
    make_up_grid(params, images=400)
    controls.write(params, "mnist")
    found = all_tables.study(params, load_cells(params))
    errors = tables.controls(params, found["table2b"], found["statistics"], described(params))
    others = tables.without_hint(params, found["table2b"])
    for block in (errors, others):
        rows = [line for line in markdown.table(block).splitlines() if line.startswith("|")]
        assert {line.replace(r"\|", "").count("|") for line in rows} == {len(block.columns) + 2}
    assert r"\textless{}b\textgreater{}\&\_\%\textbar{}\$\#" in latex.tabular(errors)
