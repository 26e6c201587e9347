"""What a rule of the DAG declares is what its command reads: a folder with that alone gives the same bytes."""

import shutil
from pathlib import Path

import pytest

from hal import cli, dag
from hal.outputs import figure_names
from tests.made_up import ROOT, made_up_params, make_up_grid
from tests.svg_alone import draw_svg_alone

pytestmark = pytest.mark.slow

OVERLAY = """
grid: {datasets: [digits, mnist], seeds: [0, 1]}
train: {epochs: 3}
variants: {slow: {title: slower, train: {max_lr: 0.1}}}"""


@pytest.fixture(scope="module", autouse=True)
def svg_alone():
    """What is read shows in a figure's SVG as in its other formats, whose place the same bytes take."""
    with pytest.MonkeyPatch.context() as patch:
        draw_svg_alone(patch)
        yield


@pytest.fixture(scope="module")
def drawn(tmp_path_factory, svg_alone):
    """A run of which everything is drawn, and its parameters."""
    root = tmp_path_factory.mktemp("inputs") / "run"
    root.mkdir()
    params = made_up_params(root, OVERLAY)
    make_up_grid(params, images=200)
    for step in (["controls"], ["study"], ["tables"], ["figure"], ["report"]):
        command(params, *step)
    return params


def command(params, *arguments: str) -> None:
    overlay = f"{params.root}/overlay.yaml"
    assert cli.main(["--params", str(ROOT / "params.yaml"), "--overlay", overlay, *arguments]) == 0


def names() -> list[str]:
    return ["controls/digits", "controls/mnist-slow", "study", "tables", "figure/overview", "figure/listens", "figure/networks"] + [
        f"figure/{name}" for name in ("borders", "separability", "digits_loss", "fig3_mnist_scores", "digits_sensitivity")
    ] + ["report"]  # fmt: skip


def declared(params, name: str) -> list[str]:
    rule, _, argument = name.partition("/")
    inputs = {
        "controls": lambda: dag.control_inputs(params, argument),
        "study": lambda: dag.study_inputs(params),
        "tables": lambda: dag.drawn_by(params, "study"),
        "figure": lambda: dag.figure_inputs(params, argument),
        "report": lambda: dag.report_inputs(params),
    }
    return inputs[rule]() + (dag.descriptions(params) if rule != "tables" else [])


@pytest.mark.parametrize("name", names())
def test_a_rules_declared_inputs_are_all_that_it_reads(drawn, name):
    rule, _, argument = name.partition("/")
    assert argument == "" or argument in figure_names(drawn) or argument in drawn.grid.datasets
    outputs = [Path(file) for file in dag.drawn_by(drawn, name)]
    expected = [output.read_bytes() for output in outputs]
    root = Path(drawn.root)
    whole = root.with_name("whole")
    root.rename(whole)
    try:
        for file in [*declared(drawn, name), str(root / "overlay.yaml")]:
            source = whole / Path(file).relative_to(root)
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, file)
        command(drawn, rule, *([argument] if argument else []))
        drawn_again = zip(outputs, expected, strict=True)
        assert [output.name for output, before in drawn_again if output.read_bytes() != before] == []
    finally:
        shutil.rmtree(root)
        whole.rename(root)
