from pathlib import Path

import pytest

from hal.assumptions import read_assumptions
from hal.departures import departures, describe, note
from hal.paper import load_paper, same_grouping
from hal.params import load
from hal.present.latex import escape
from tests.made_up import ROOT, made_up_params

PARAMS = ROOT / "params.yaml"


def test_params_yaml_is_the_papers_experiment():
    assert departures(load(PARAMS)) == []
    assert describe(load(PARAMS), path=PARAMS).statement == ""


def test_the_groupings_of_params_yaml_are_those_of_table_1():
    params = load(PARAMS)
    for name, printed in load_paper().datasets.items():
        assert list(printed.errors) == params.cases(name)
        assert all(same_grouping(printed, params.datasets[name], case) for case in printed.cases)
        assert params.datasets[name].layers == printed.layers
    assert params.datasets["cifar10"].classes == load_paper().datasets["cifar10"].classes


def test_the_papers_own_contradictions_follow_from_its_table():
    falls = {}
    for name, printed in load_paper().datasets.items():
        baseline = printed.errors["baseline"].mean
        falls[name] = [round(baseline - printed.errors[case].mean, 2) for case in printed.cases]
    assert [max(fall) for fall in falls.values()] == [0.50, 1.52, 3.51]
    assert min(falls["svhn"]) == 1.19


def test_a_seed_a_case_or_a_data_set_more_is_no_departure(tmp_path):
    more = """
grid: {datasets: [mnist, svhn, cifar10], seeds: [0, 1, 2, 3, 4, 5]}
datasets: {mnist: {cases: {mine: {superclasses: [[0, 1, 2], [3, 4, 5, 6, 7, 8, 9]]}}}}"""
    assert departures(made_up_params(tmp_path, more)) == []


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ("train: {epochs: 3}", "epochs 3 (paper: 250)"),
        ("grid: {seeds: [0]}", "1 seed (paper: 5 runs)"),
        ("augment: {flip: false}", "flip false (paper: true)"),
        ("grid: {datasets: [mnist]}", "without SVHN and CIFAR-10"),
        ("datasets: {svhn: {layers: 10}}", "SVHN with 10 layers (paper: 28)"),
    ],
)
def test_each_departure_is_said(tmp_path, overlay, said):
    assert departures(made_up_params(tmp_path, overlay)) == [said]


def test_a_change_on_which_the_paper_is_silent_makes_a_variation(tmp_path):
    params = made_up_params(tmp_path, "train: {momentum: 0.9}")
    run = describe(params, [tmp_path / "overlay.yaml"], PARAMS)
    assert run.departures == ()
    assert run.changes == (("train.momentum", 0.0, 0.9),)
    assert "is a variation of params.yaml: train.momentum 0.9 in place of 0." in run.statement


def test_figures_of_one_data_set_do_not_blame_another(tmp_path):
    params = made_up_params(tmp_path, "datasets: {svhn: {layers: 10}}")
    run = describe(params, [tmp_path / "overlay.yaml"], PARAMS)
    assert "10 layers" in note(params, run, "svhn")
    assert "layers" not in note(params, run, "mnist")


def test_a_figure_of_a_variant_names_the_variants_own_settings(tmp_path):
    """It was said to be no data set of the paper, of as many epochs as the others."""
    overlay = """
grid: {datasets: [mnist]}
train: {epochs: 20, warmup_epochs: 2}
variants: {short: {title: short, train: {epochs: 3, warmup_epochs: 0}}}"""
    params = made_up_params(tmp_path, overlay)
    run = describe(params, [tmp_path / "overlay.yaml"], PARAMS)
    assert run.departures == ("epochs 20 and 3 (paper: 250)", "without SVHN and CIFAR-10")
    of_mnist, of_short = (note(params, run, name) for name in ("mnist", "mnist-short"))
    start = f"Run “{run.label}”, not the paper's experiment: "
    assert of_mnist == f"{start}epochs 20 (paper: 250); warmup epochs 2 (params.yaml: 1)"
    assert of_short == f"{start}epochs 3 (paper: 250); MNIST, short with warmup epochs 0 (elsewhere: 2)"


def test_a_variant_beside_the_papers_grid_is_no_departure_and_what_it_inherits_is_not_its_own(tmp_path):
    beside = "variants: {noflip: {title: no flips, augment: {flip: false}}}"
    assert departures(made_up_params(tmp_path, beside)) == []
    overlay = "grid: {datasets: [mnist]}\ndatasets: {mnist: {train: {epochs: 20}}}\n"
    params = made_up_params(
        tmp_path, f"{overlay}variants: {{narrow: {{title: narrow, model: {{widths: [4, 4, 4]}}}}}}"
    )
    assert departures(params) == ["without SVHN and CIFAR-10", "MNIST with epochs 20 (paper: 250)"]


def test_every_assumption_of_params_yaml_is_found_with_its_value():
    found = {a.key: a for a in read_assumptions(load(PARAMS), PARAMS)}
    assert len(found) == PARAMS.read_text(encoding="utf-8").count("# Assumed:")
    assert found["train.momentum"].value == 0.0
    assert found["grid.seeds"].value == (0, 1, 2, 3, 4)
    assert found["model.linear_init"].reason.startswith('"weights are initialized')
    assert not any(a.changed for a in found.values())


def test_an_assumption_that_an_overlay_replaces_is_marked(tmp_path):
    params = made_up_params(tmp_path, "train: {momentum: 0.9}")
    changed = [a for a in read_assumptions(params, PARAMS) if a.changed]
    assert [(a.key, a.value, a.assumed) for a in changed] == [("train.momentum", 0.9, 0.0)]


def test_only_the_comment_beside_a_key_is_its_assumption(tmp_path):
    text = PARAMS.read_text(encoding="utf-8").replace(
        "  epochs: 250\n", "  epochs: 250   # Assumed: here.\n  # Assumed: of nothing.\n"
    )
    path = Path(tmp_path, "params.yaml")
    path.write_text(text, encoding="utf-8")
    found = {a.key: a.reason for a in read_assumptions(load(path), path)}
    assert found["train.epochs"] == "Here."
    assert "Of nothing." not in found.values()


def test_latex_sets_signs_and_names_what_it_cannot_set():
    assert escape("≥ 5 ± 1 − 2") == r"$\geq$ 5 $\pm$ 1 $-$ 2"
    assert escape("Zürich ł") == "Zürich ł"
    assert escape("u\u0308") == "ü"
    assert escape("中\u200b\x07") == "[U+4E2D][U+200B][U+0007]"
    assert escape("a\nb") == "a b"


def test_what_the_paper_leaves_open_and_an_overlay_changes_is_said_beside_the_departures():
    """A run in TF32 was called the paper's but for its data sets."""
    overlay = ROOT / "configs/gpu-mnist.yaml"
    run = describe(load(ROOT / "params.yaml", [overlay]), [overlay], ROOT / "params.yaml")
    assert run.statement.endswith(
        "without SVHN and CIFAR-10. Changed from params.yaml: train.precision tf32 in place of float32."
    )


def test_the_variants_of_a_run_are_named_though_their_settings_are_no_departure_of_its_own():
    """A run with momentum in two variants was described as if it had none."""
    overlay = ROOT / "configs/cpu-mnist-settings.yaml"
    run = describe(load(ROOT / "params.yaml", [overlay]), [overlay], ROOT / "params.yaml")
    assert "Variants beside it: 3 epochs; 3 epochs, highest rate 0.5; " in run.statement
    assert "; 20 epochs, momentum 0.9, a tenth of the learning rate; " in run.statement
    overlay = ROOT / "configs/cpu-mnist-ablations.yaml"  # two variants of the same title
    run = describe(load(ROOT / "params.yaml", [overlay]), [overlay], ROOT / "params.yaml")
    assert run.statement.endswith("Variants beside it: 3 epochs.")


def test_a_figure_names_what_the_paper_leaves_open_and_an_overlay_changes():
    overlay = ROOT / "configs/gpu-mnist.yaml"
    params = load(ROOT / "params.yaml", [overlay])
    run = describe(params, [overlay], ROOT / "params.yaml")
    assert note(params, run).endswith("without SVHN and CIFAR-10; precision tf32 (params.yaml: float32)")
    assert note(params, run, "mnist") == (
        "Run “gpu-mnist”, a variation of params.yaml: precision tf32 (params.yaml: float32)"
    )
    paper = load(ROOT / "params.yaml")
    assert note(paper, describe(paper, path=ROOT / "params.yaml")) == ""


def test_table_1s_superclasses_in_another_order_are_said_to_be_that(tmp_path):
    turned = "datasets: {mnist: {cases: {case1: {superclasses: [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]}}}}"
    assert departures(made_up_params(tmp_path, turned)) == [
        "MNIST case1 has Table 1's superclasses in another order"
    ]
    other = turned.replace("[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]", "[0, 1, 2, 3], [4, 5, 6, 7, 8, 9]")
    assert departures(made_up_params(tmp_path, other)) == ["MNIST case1 is not Table 1's grouping"]


def test_what_variants_have_other_than_the_paper_is_said_where_the_run_is_not_the_papers(tmp_path):
    """A variant with another rate was described as if the paper's were kept."""
    variants = "variants: {slow: {title: slow, train: {max_lr: 0.1}}, fast: {title: fast, train: {max_lr: 0.5, momentum: 0.9}}}"
    own = made_up_params(tmp_path, variants)
    assert departures(own) == []  # the paper's run, with variants beside it
    assert departures(made_up_params(tmp_path, f"{variants}\ntrain: {{epochs: 3}}")) == [
        "epochs 3 (paper: 250)",
        "max lr 1, 0.1 and 0.5 (paper: 1)",
    ]


def test_a_setting_that_every_data_set_has_of_its_own_is_named_as_theirs(tmp_path):
    """All tables said 20 epochs, which no network was trained for."""
    own = "grid: {datasets: [mnist]}\ntrain: {epochs: 20}\ndatasets: {mnist: {train: {epochs: %d}}}"
    said = departures(made_up_params(tmp_path, own % 250))
    assert not [phrase for phrase in said if "epochs" in phrase]
    said = departures(made_up_params(tmp_path, own % 7))
    assert [phrase for phrase in said if "epochs" in phrase] == ["MNIST with epochs 7 (paper: 250)"]
    short = "variants: {short: {title: short, train: {epochs: 3}}}\n"
    said = departures(made_up_params(tmp_path, short + own % 250))
    assert [phrase for phrase in said if "epochs" in phrase] == ["variants with epochs 3 (paper: 250)"]


def test_variants_of_the_file_itself_are_no_change_of_an_overlay(tmp_path):
    text = (
        ROOT / "params.yaml"
    ).read_text() + "\nvariants: {low: {title: a low rate, train: {max_lr: 0.1}}}\n"
    (tmp_path / "params.yaml").write_text(text)
    (tmp_path / "overlay.yaml").write_text("root: runs/mine\n")
    params = load(tmp_path / "params.yaml", [tmp_path / "overlay.yaml"])
    assert describe(params, [tmp_path / "overlay.yaml"], tmp_path / "params.yaml").changes == ()


def test_what_an_overlay_adds_is_named_once_and_variants_by_their_titles(tmp_path):
    """It said `datasets.mnist-slow defined by the overlay in place of none`, and each key of a new case."""
    mine = (
        "datasets: {mnist: {cases: {mine: {title: mine, superclasses: [[0, 1, 2], [3, 4, 5, 6, 7, 8, 9]]}}}}"
    )
    variants = "variants: {slow: {title: a tenth of the rate, train: {max_lr: 0.1}}}"
    run = describe(made_up_params(tmp_path, f"{mine}\n{variants}"), [tmp_path / "overlay.yaml"], PARAMS)
    assert run.statement.endswith(
        "is a variation of params.yaml: datasets.mnist.cases.mine added. Variants beside it: a tenth of the rate."
    )
    run = describe(made_up_params(tmp_path, variants), [tmp_path / "overlay.yaml"], PARAMS)
    assert run.statement.endswith("is that of params.yaml. Variants beside it: a tenth of the rate.")
    assert run.changes == (("variants.slow", None, "a tenth of the rate"),)
