"""What a lower error is owed to: every ablation beside the paper's network and the mask, worked by hand."""

import dataclasses
import math
import re
import typing

import pytest

from hal.errors import UserError
from hal.outputs import Drawing, figure_names, study_names
from hal.params import load
from hal.present import ablations as shown
from hal.present import captions, figures
from hal.present.figures import colours
from hal.present.results import read_results
from hal.settings import Case
from hal.study import ablations, all_tables, controls, hint
from hal.study.grid import load_cells
from hal.study.separability import separability
from hal.titles import network_title
from tests.made_up import ROOT, described, made_up_params, make_up_grid

CASES = """
grid: {datasets: [mnist], seeds: [0, 1, 2]}
datasets:
  mnist:
    cases:
      case1-zero: {superclasses: &five [[9, 8, 7, 6, 5], [4, 3, 2, 1, 0]], hint: zero}
      case1-concat: {title: a title that no row of a figure has room for, superclasses: *five, block: concat}
      case1-mask-alone: {superclasses: *five, block: none, loss: masked}
      lonely: {superclasses: [[0, 9], [1, 2, 3, 4, 5, 6, 7, 8]], hint: random}
train: {epochs: 2}"""


@pytest.fixture
def params(tmp_path):
    return made_up_params(tmp_path, CASES)


def with_errors(params, **of_case):
    cells = load_cells(params)
    for case, errors in of_case.items():
        cells.loc[cells["case"] == case.replace("_", "-"), "test_error"] = errors
    return cells


def test_an_ablation_stands_beside_the_network_that_has_its_grouping(params):
    assert params.ablations("mnist") == {
        "case1-zero": "case1",
        "case1-concat": "case1",
        "case1-mask-alone": "case1",
        "lonely": "lonely",
    }
    assert load(ROOT / "params.yaml").ablations("mnist") == {}


def test_every_hint_block_and_loss_has_a_title_and_is_explained(params):
    """One without a title ended in a bare KeyError, in whatever was drawn first."""
    of_case = params.datasets["mnist"].cases["case1"]
    kinds = typing.get_type_hints(Case)
    for key in ("hint", "block", "loss"):
        default = getattr(of_case, key)
        for value in typing.get_args(kinds[key]):
            cases = {"changed": dataclasses.replace(of_case, **{key: value})}
            entry = dataclasses.replace(params.datasets["mnist"], cases=cases)
            changed = dataclasses.replace(params, datasets={"mnist": entry})
            named = network_title(changed, "mnist", "changed")
            assert (named == "the paper's network") == (value == default), value
            if value != default:
                kind = re.sub(r" \(.*", "", named.lower()).removesuffix(", masked loss")
                assert shown.KINDS[key, value].lower().startswith(f"{kind}:"), value
                assert [said in shown.explained(changed) for said in shown.KINDS.values()] == [
                    said == shown.KINDS[key, value] for said in shown.KINDS.values()
                ]


def test_what_is_changed_is_named_from_the_settings(params):
    names = {case: network_title(params, "mnist", case) for case in params.cases("mnist")}
    assert names["baseline"] == "baseline"
    assert names["case1"] == names["case4"] == "the paper's network"
    assert names["case1-zero"] == "no hint (x* = 0)"
    assert names["case1-concat"] == "hint beside the features"
    assert names["case1-mask-alone"] == "no block, masked loss"
    assert names["lonely"] == "a random hint"


def test_differences_from_the_papers_network_and_from_the_mask(params):
    make_up_grid(params, images=500)
    controls.write(params, "mnist")
    cells = with_errors(
        params,
        baseline=[2.6, 2.7, 2.8],
        case1=[2.0, 2.1, 2.2],
        case1_zero=[2.3, 2.4, 2.5],
        case1_concat=[1.0, 1.1, 1.2],
        case1_mask_alone=[2.0, 2.1, 2.3],
        lonely=[3.0, 3.0, 3.3],
    )
    measured = controls.read(params, cells)
    of_mask = (
        (measured["case"] == "baseline")
        & (measured["control"] == "oracle_mask")
        & (measured["grouping"] == "case1")
    )
    measured.loc[of_mask, "error"] = [1.5, 1.6, 1.7]
    table = ablations.ablations(params, cells, measured).set_index(["grouping", "case"])
    assert [case for _, case in table.index] == [
        *("baseline", "case1", "case1-zero", "case1-concat", "case1-mask-alone"),
        *("baseline", "lonely"),
    ]
    # Welch, both deviations 0.1: t(0.975, 4) = 2.776, times sqrt(2 x 0.01 / 3) = 0.08165
    zero = table.loc[("case1", "case1-zero")]
    assert (zero["from_paper"], zero["from_paper_low"], zero["from_paper_high"]) == pytest.approx(
        (0.3, 0.3 - 0.2267, 0.3 + 0.2267), abs=1e-4
    )
    assert (zero["from_mask"], zero["from_mask_low"]) == pytest.approx((0.8, 0.8 - 0.2267), abs=1e-4)
    assert table.loc[("case1", "case1"), "from_mask"] == pytest.approx(0.5)
    assert math.isnan(table.loc[("case1", "case1"), "from_paper"])
    assert math.isnan(table.loc[("case1", "baseline"), "from_mask"])
    # 0.3 / 0.08165 = 3.674 with 4 degrees of freedom: p = 0.02131, the second smallest of three; -1.0: p = 0.000255
    assert zero["from_paper_p_holm"] == pytest.approx(2 * 0.02131, abs=2e-5)
    assert table.loc[("case1", "case1-concat"), "from_paper_p_holm"] == pytest.approx(3 * 0.000255, abs=5e-6)
    assert (table["from_paper_planned"] == 3).all()  # nothing has the last one's grouping without its change
    assert (table["from_baseline_planned"] == 4).all()
    # from the baseline's 2.6, 2.7, 2.8: the same deviation
    assert (zero["from_baseline"], zero["from_baseline_low"]) == pytest.approx(
        (-0.3, -0.3 - 0.2267), abs=1e-4
    )
    # the p of four in order: those of concat and of mask-alone, -0.57 of deviations 0.1 and 0.1528, are smaller
    assert zero["from_baseline_p_holm"] == pytest.approx(2 * 0.02131, abs=2e-5)
    assert table.loc[("case1", "case1"), "from_baseline"] == pytest.approx(-0.6)
    assert math.isnan(table.loc[("case1", "case1"), "from_baseline_p"])
    lonely = table.loc[("lonely", "lonely")]
    assert lonely["error"] == pytest.approx(3.1)
    assert math.isnan(lonely["from_paper"])
    assert not math.isnan(lonely["from_mask"])


def test_every_made_up_network_has_its_controls_and_those_that_are_told_nothing_have_no_flips(params):
    make_up_grid(params, {"mnist/case1-zero/seed1": "diverged"}, images=500)
    controls.write(params, "mnist")
    cells = load_cells(params)
    measured = controls.read(params, cells)
    finished = measured[measured["networks"] != ""]
    assert set(finished[finished["missing"] != ""]["control"]) == set()
    table = ablations.ablations(params, cells, measured).set_index(["grouping", "case"])
    alone = table.loc[("case1", "case1-mask-alone")]
    assert alone["own_masked"] == pytest.approx(alone["error"])  # which is masked already
    assert math.isnan(alone["flips"])
    zero = table.loc[("case1", "case1-zero")]
    assert (zero["n"], zero["planned"]) == (2, 3)
    assert zero["notes"].startswith("seed 1 diverged")
    flips = measured[(measured["control"] == "flips") & (measured["case"] == "case1-concat")]["error"]
    concat = table.loc[("case1", "case1-concat")]
    assert (concat["flips"], concat["flips_least"], concat["flips_most"]) == pytest.approx(
        (flips.mean(), flips.min(), flips.max())
    )
    assert "case1-mask-alone" not in set(
        hint.hint(params, measured)["case"]
    )  # it is told nothing to listen to
    printed = shown.table(params, table.reset_index())
    assert "† fewer than planned" in printed.legend
    assert printed.notes[0].startswith("MNIST case1-zero: seed 1 diverged")


def test_a_network_that_is_masked_has_the_hint_whatever_its_block_is_told(tmp_path):
    """It was counted with those told nothing true, and its gain with theirs."""
    both = "case1-both: {superclasses: [[5, 6, 7, 8, 9], [0, 1, 2, 3, 4]], hint: zero, loss: masked}"
    params = made_up_params(
        tmp_path, f"grid: {{datasets: [mnist], seeds: [0, 1]}}\ndatasets: {{mnist: {{cases: {{{both}}}}}}}"
    )
    make_up_grid(params, images=200)
    controls.write(params, "mnist")
    cells = load_cells(params)
    (said,) = shown.in_short(params, ablations.ablations(params, cells, controls.read(params, cells)))
    assert "in the mean: told the truth, or masked with it" in said
    assert "nothing true" not in said


def test_the_sentences_follow_the_tests(params):
    make_up_grid(params, images=500)
    controls.write(params, "mnist")
    errors = {
        "baseline": [4.8, 5.0, 5.2],
        "lonely": [1.9, 2.0, 2.1],
        "case1": [2.0, 2.1, 2.2],
        "case1_zero": [2.3, 2.4, 2.5],
        "case1_concat": [1.0, 1.1, 1.2],
    }
    cells = with_errors(params, **errors, case1_mask_alone=[2.0, 2.1, 2.3])
    measured = controls.read(params, cells)
    assert shown.sentences(params, ablations.ablations(params, cells, measured)) == [
        "MNIST, case1. Beside the paper's network, more errors: no hint (x* = 0) (+0.30 [+0.07, +0.53], p = 0.043); fewer errors: hint beside the features (−1.00 [−1.23, −0.77], p < 0.001); "
        "not distinguishable: no block, masked loss (+0.03 [−0.28, +0.35], p = 0.770). Told nothing true, beside the baseline, fewer errors: no hint (x* = 0) (−2.60 [−3.02, −2.18], p < 0.001). "
        "Told the truth, or masked with it, in another way, beside the baseline, fewer errors: hint beside the features (−3.90 [−4.32, −3.48], p < 0.001), no block, masked loss (−2.87 [−3.28, −2.45], p < 0.001).",
        "MNIST, lonely. Told nothing true, beside the baseline, fewer errors: a random hint (−3.00 [−3.42, −2.58], p < 0.001).",
    ]
    assert shown.in_short(params, ablations.ablations(params, cells, measured)) == [
        "MNIST, less than the baseline in the mean: told nothing true, 2 of 2, 2 distinguishably; told the truth, or masked with it, "
        "in another way, 2 of 2, 2 distinguishably (Welch, Holm)."
    ]
    single = cells[cells["seed"] == 0]
    sentence, _ = shown.sentences(params, ablations.ablations(params, single, measured))
    assert shown.in_short(params, ablations.ablations(params, cells[:0], measured)) == []
    assert "not to be tested: no hint (x* = 0) (+0.30), hint beside the features (−1.00)" in sentence


def test_a_run_with_ablations_has_a_table_and_a_figure_of_them(params):
    assert "ablations" in study_names(params)
    assert "ablations" in figure_names(params)
    paper = load(ROOT / "params.yaml")
    assert "ablations" not in study_names(paper)
    assert "ablations" not in figure_names(paper)
    make_up_grid(
        params,
        {
            f"mnist/case1-{case}/seed{seed}": "missing"
            for case in ("zero", "concat", "mask-alone")
            for seed in range(3)
        },
        images=500,
    )
    controls.write(params, "mnist")
    all_tables.write(params)
    figures.draw(params, described(params), "ablations")
    svg = params.path("figures", "ablations.svg").read_text(encoding="utf-8")
    assert "MNIST, lonely" in svg  # though the paper's network has no such grouping
    assert "MNIST, case1" not in svg  # of which no ablation has finished
    assert "a random hint" in svg
    assert colours.ABLATION.lower() in svg.lower()
    assert "HAL, ours" not in svg


def test_a_caption_gives_in_full_what_its_figure_names_and_no_more(params):
    full = {
        kind: "a title that no row" in captions.caption(params, Drawing(kind)) for kind in captions.OF_ALL
    }
    assert full == dict.fromkeys(("overview", "networks", "borders", "separability", "ablations"), False) | {
        "listens": True
    }


def test_tables_of_other_settings_or_other_code_are_refused(params, monkeypatch):
    make_up_grid(params, images=500)
    controls.write(params, "mnist")
    all_tables.write(params)
    assert len(read_results(params, "table2")) == 1
    more = dataclasses.replace(params, grid=dataclasses.replace(params.grid, seeds=(0, 1)))
    with pytest.raises(
        UserError, match=r"table2\.csv: computed under other settings.*`hal study` computes it again"
    ):
        read_results(more, "table2")
    elsewhere = dataclasses.replace(params, runtime=dataclasses.replace(params.runtime, cpu_threads=3))
    assert len(read_results(elsewhere, "table2")) == 1  # how a cell is run shows in no table
    monkeypatch.setattr(
        "hal.present.results.study_basis", lambda params: "settings of today, code of tomorrow"
    )
    with pytest.raises(UserError, match="another version of the code"):
        read_results(params, "table2")


def test_networks_that_can_have_no_score_are_in_no_figure_of_scores(params):
    drawings = figure_names(params).values()
    scored = {case for drawing in drawings if drawing.kind == "scores" for case in drawing.cases}
    losses = {case for drawing in drawings if drawing.kind == "loss" for case in drawing.cases}
    assert "case1-zero" in scored
    assert losses - scored == {"case1-concat", "case1-mask-alone"}
    make_up_grid(params, images=500)
    cells = load_cells(params)
    (drawing,) = (d for d in drawings if d.kind == "scores" and "case1-zero" in d.cases)
    said = captions.alternative(params, drawing, cells, separability(cells))
    assert "case1-zero, seed 0: AUC" in said
