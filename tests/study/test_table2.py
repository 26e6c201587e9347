import math

import pandas as pd
import pytest

from hal.departures import describe
from hal.errors import UserError
from hal.present import latex, markdown, tables, write_tables
from hal.study import all_tables, table2
from hal.study.grid import load_cells
from tests.made_up import ROOT, change_record, described, made_up_params, make_up_cell, make_up_grid

SMALL = "grid: {datasets: [mnist], seeds: [0, 1, 2]}\ntrain: {epochs: 2}"


@pytest.fixture
def params(tmp_path):
    """Baseline errors 1, 2 and 4; case1 errors 0.5, 0.6 and 0.7."""
    params = made_up_params(tmp_path, SMALL)
    make_up_grid(params, images=200)
    for seed, (baseline, case1) in enumerate([(1.0, 0.5), (2.0, 0.6), (4.0, 0.7)]):
        change_record(params, f"mnist/baseline/seed{seed}", test_error=baseline)
        change_record(params, f"mnist/case1/seed{seed}", test_error=case1)
    return params


def row(params, case):
    """The table's row of that case."""
    table = table2.table2(params, load_cells(params))
    return table[table["case"] == case].iloc[0]


def block(params, overlays=()):
    """The table as it is shown."""
    run = describe(params, overlays, ROOT / "params.yaml")
    return tables.errors(params, table2.table2(params, load_cells(params)), run)


def printed(params):
    """The rows as printed, by case and column."""
    shown = block(params)
    rows = [row for _, rows in shown.groups for row in rows]
    return {row[0].partition(":")[0]: dict(zip(shown.headings, row, strict=True)) for row in rows}


def in_markdown(params):
    """The table in Markdown."""
    return markdown.table(block(params))


def test_mean_sample_deviation_and_difference_are_those_worked_by_hand(params):
    baseline, case1 = row(params, "baseline"), row(params, "case1")
    assert baseline["mean"] == pytest.approx(7 / 3)
    # deviations -4/3, -1/3, 5/3: squares sum to 42/9; divided by n - 1 = 2
    assert baseline["sd"] == pytest.approx(math.sqrt(42 / 9 / 2))
    assert case1["mean"] == pytest.approx(0.6)
    assert case1["sd"] == pytest.approx(0.1)
    assert case1["difference"] == pytest.approx(0.6 - 7 / 3)
    assert math.isnan(baseline["difference"])


def test_the_papers_values_stand_beside_ours(params):
    assert printed(params)["case1"]["Paper (%)"] == "0.43 ± 0.03"
    assert printed(params)["case1"]["Paper's change"] == "−0.50"
    assert printed(params)["baseline"]["Paper (%)"] == "0.93"
    assert printed(params)["case1"]["This run (%)"] == "0.60 ± 0.10"
    assert printed(params)["case1"]["Change"] == "−1.73"


def test_one_seed_has_a_mean_and_no_deviation(params):
    for seed in (1, 2):
        make_up_cell(params, params.cell("mnist", "case1", seed), "missing")
    assert math.isnan(row(params, "case1")["sd"])
    assert printed(params)["case1"]["This run (%)"] == "0.50"
    assert printed(params)["case1"]["n"] == "1 of 3 †"


@pytest.mark.parametrize("state", ["missing", "unfinished", "diverged", "stale", "broken"])
def test_a_cell_that_is_not_ok_leaves_the_mean_and_is_named(params, state):
    make_up_cell(params, params.cell("mnist", "case1", 2), state, images=200)
    case1 = row(params, "case1")
    assert (case1["n"], case1["planned"]) == (2, 3)
    assert case1["mean"] == pytest.approx(0.55)
    assert case1["notes"].startswith(f"seed 2 {state}")
    assert printed(params)["case1"]["n"] == "2 of 3 †"
    assert f"- MNIST case1: seed 2 {state}" in in_markdown(params)


def test_without_any_cell_there_is_no_mean_and_no_difference(params):
    for seed in (0, 1, 2):
        make_up_cell(params, params.cell("mnist", "baseline", seed), "missing")
    assert printed(params)["baseline"]["This run (%)"] == "–"
    assert printed(params)["baseline"]["n"] == "0 of 3 †"
    assert printed(params)["case1"]["Change"] == "–"


def test_an_empty_grid_still_lists_every_row(tmp_path):
    params = made_up_params(tmp_path)
    table = table2.table2(params, load_cells(params))
    assert len(table) == 15
    assert table["n"].sum() == 0
    assert table["mean"].isna().all()
    assert "MNIST baseline, case1, case2, case3, case4: seeds 0, 1, 2, 3, 4 missing." in in_markdown(params)


def test_a_grouping_of_the_papers_name_but_not_its_classes_gets_no_value_of_the_paper(tmp_path):
    changed = "datasets: {mnist: {cases: {case1: {superclasses: [[5, 6, 7, 8], [0, 1, 2, 3, 4, 9]]}}}}"
    params = made_up_params(tmp_path, changed)
    table = table2.table2(params, load_cells(params)).set_index(["dataset", "case"])
    assert math.isnan(table.loc[("mnist", "case1"), "paper_mean"])
    assert table.loc[("mnist", "case2"), "paper_mean"] == 0.73
    assert table.loc[("svhn", "case1"), "paper_mean"] == 2.53


def test_a_data_set_of_the_papers_name_but_another_source_gets_no_value_of_the_paper(tmp_path):
    params = made_up_params(tmp_path, "datasets: {mnist: {source: digits}}")
    table = table2.table2(params, load_cells(params))
    assert table[table["dataset"] == "mnist"]["paper_mean"].isna().all()


def test_the_caption_says_when_this_is_not_the_papers_run(params):
    assert "not the paper's experiment: epochs 2 (paper: 250); 3 seeds (paper: 5 runs)" in in_markdown(params)


def test_the_full_runs_caption_says_nothing_of_the_kind(tmp_path):
    assert "experiment" not in in_markdown(made_up_params(tmp_path))


def test_names_cannot_break_markdown_or_latex(tmp_path):
    weird = r"""
grid: {datasets: [mnist]}
datasets: {mnist: {title: '<b>&_%|$#', cases: {case1: {title: 'a|b \frac{ ~^"`'}}}}"""
    params = made_up_params(tmp_path, weird)
    shown = block(params)
    rows = [line for line in markdown.table(shown).splitlines() if line.startswith("|")]
    assert {line.replace(r"\|", "").count("|") for line in rows} == {len(shown.columns) + 2}
    tex = latex.tabular(shown)
    assert r"\textless{}b\textgreater{}\&\_\%\textbar{}\$\#" in tex
    assert r"a\textbar{}b \textbackslash{}frac\{ \textasciitilde{}\textasciicircum{}" in tex


def test_a_table_for_a_paper_needs_no_colour_that_only_the_report_defines(tmp_path):
    """It did not compile wherever a network was missing."""
    params = made_up_params(tmp_path, "grid: {datasets: [mnist], seeds: [0, 1]}")
    make_up_grid(params, {"mnist/case1/seed1": "missing"}, images=50)
    written = block(params)
    assert any(
        getattr(text, "mark", "") == "partial" for _, rows in written.groups for row in rows for text in row
    )
    assert "color" not in latex.tabular(written)


def test_all_files_hold_the_same_numbers(params):
    all_tables.write(params)
    stored = pd.read_csv(params.path("results", "table2.csv")).set_index("case")
    assert stored.loc["case1", "mean"] == pytest.approx(0.6)
    assert stored.loc["case1", "n"] == 3
    written = {path.name: path.read_text() for path in write_tables.write(params, described(params))}
    assert "0.60 ± 0.10" in written["table2.md"]
    assert r"0.60~$\pm$~0.10" in written["table2.tex"]


def test_a_damaged_table_is_refused_by_whatever_would_show_it(params):
    all_tables.write(params)
    path = params.path("results", "table2.csv")
    content = path.read_text()
    path.write_text(content.replace("0.6", "0.5", 1))
    with pytest.raises(UserError, match=r"table2\.csv: not what was written .*`hal study` makes it again"):
        write_tables.write(params, described(params))
    path.unlink()
    with pytest.raises(UserError, match=r"table2\.csv: no such file; `hal study` makes it"):
        write_tables.write(params, described(params))


def test_of_cells_that_all_count_there_is_nothing_to_say_and_of_others_once(params):
    table = table2.table2(params, load_cells(params))
    assert "†" not in tables.errors(params, table, described(params)).legend
    for case in ("case2", "case3"):
        make_up_cell(params, params.cell("mnist", case, 1), "missing")
    shown = tables.errors(params, table2.table2(params, load_cells(params)), described(params))
    assert shown.legend.endswith(" † fewer than planned: the others diverged, are missing or do not count.")
    assert shown.notes == ("MNIST case2, case3: seed 1 missing.",)


@pytest.mark.parametrize("name", ["01", "1e3", "true"])
def test_a_case_whose_name_looks_like_a_number_is_shown_by_its_name(name, tmp_path):
    case = f'"{name}": {{superclasses: [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]}}'
    cases = f"{{case1: null, case2: null, case3: null, case4: null, {case}}}"
    params = made_up_params(
        tmp_path, f"grid: {{datasets: [digits], seeds: [0]}}\ndatasets: {{digits: {{cases: {cases}}}}}"
    )
    make_up_grid(params, images=50)
    all_tables.write(params)
    write_tables.write(params, described(params))
    assert f"| {name} |" in params.path("results", "table2.md").read_text()
