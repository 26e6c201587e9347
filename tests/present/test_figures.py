import functools
import itertools
import json
import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from hal.departures import note
from hal.errors import UserError
from hal.outputs import Drawing, figure_names
from hal.params import load
from hal.present import captions, figures
from hal.present.figures import colours, listens, loss, networks, overview, scores, sensitivity, style, svg
from hal.present.numbers import cut, number, signed
from hal.present.results import read_results
from hal.study import all_tables, controls
from hal.study.grid import curves, load_cells, select
from tests.made_up import ROOT, described, made_up_params, make_up_grid

pytestmark = pytest.mark.slow

ABLATIONS_AND_VARIANTS = """
grid: {datasets: [digits], seeds: [0, 1]}
datasets: {digits: {cases: {untold: {superclasses: [[9, 8, 7, 6, 5], [4, 3, 2, 1, 0]], hint: zero}}}}
variants: {slow: {title: slower, train: {max_lr: 0.1}}}"""


def test_every_kind_of_figure_has_its_words(tmp_path):
    """One without them was found when a report was written, by a bare KeyError."""
    params = made_up_params(tmp_path, ABLATIONS_AND_VARIANTS)
    kinds = {drawing.kind: drawing for drawing in figure_names(params).values()}
    assert {"ablations", "sensitivity", "overview", "networks"} <= set(kinds)
    nothing = pd.DataFrame(columns=["dataset", "case", "level", "seed", "state", "result"])
    for kind, drawing in kinds.items():
        assert len(captions.caption(params, drawing)) > 40, kind
        words = (
            captions.alternative(params, drawing, nothing, nothing)
            if drawing.dataset
            else captions.alternative_of_all(params, kind, nothing)
        )
        assert len(words) > 30, kind


def mine(root, n_cases, epochs=2, title="Mine", classes=("a", "$b_{", "<i>", "≥ ü")):
    """A data set of the user's own with that many cases, and its made-up cells."""
    groupings = [
        "[[0], [1, 2, 3]]",
        "[[0, 1], [2, 3]]",
        "[[3], [0, 2], [1]]",
        "[[0, 1, 2], [3]]",
        "[[0], [1], [2], [3]]",
    ]
    cases = ", ".join(f"c{i}: {{title: '{title}', superclasses: {groupings[i % 5]}}}" for i in range(n_cases))
    params = made_up_params(
        root,
        f"""
grid: {{datasets: [mine], seeds: [0, 1]}}
datasets:
  mine: {{source: digits, title: '{title}', layers: 10, classes: {json.dumps(classes, ensure_ascii=False)}, cases: {{{cases}}}}}
train: {{epochs: {epochs}}}
""",
    )
    make_up_grid(params, images=400)
    return params


def drawn(params, name, columns=2):
    """The SVG of the figure of that name, without its other formats."""
    drawing, path = figure_names(params)[name], params.path("figures", f"{name}-{columns}.svg")
    with style.applied(params):
        remark = note(params, described(params), drawing.dataset or None)
        return style.save(figures._figure(params, remark, drawing)(columns=columns), [path])[0]


def drawn_texts(path):
    """The texts of an SVG, which stay texts."""
    tree = ElementTree.fromstring(path.read_bytes())
    return ["".join(text.itertext()) for text in tree.iter("{http://www.w3.org/2000/svg}text")]


def width(path):
    """The width of an SVG in points."""
    return float(re.search(r'viewBox="0 0 ([\d.]+)', path.read_text())[1])


def replace_scores(params, name, change):
    """Let `change` alter the scores of one cell."""
    path = params.path("results", name, "scores.npz")
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["score"] = change(arrays["score"])
    np.savez_compressed(path, **arrays)


def test_the_papers_figures_have_the_papers_numbers():
    assert list(figure_names(load(ROOT / "params.yaml"))) == [
        "overview",
        "fig2_mnist_loss",
        "fig3_mnist_scores",
        "fig4_svhn_loss",
        "fig5_svhn_scores",
        "fig6_cifar10_loss",
        "fig7_cifar10_scores",
        "listens",
        "networks",
        "borders",
        "separability",
    ]


def test_another_data_set_has_figures_without_a_number(tmp_path):
    assert figure_names(mine(tmp_path, 1)) == {
        "overview": Drawing("overview"),
        "mine_loss": Drawing("loss", "mine", ("c0",)),
        "mine_scores": Drawing("scores", "mine", ("c0",)),
        "listens": Drawing("listens"),
        "networks": Drawing("networks"),
        "borders": Drawing("borders"),
        "separability": Drawing("separability"),
    }


def test_an_unknown_figure_is_refused_with_the_names_there_are(tmp_path):
    params = mine(tmp_path, 1)
    with pytest.raises(UserError, match="'fig9': there are overview, mine_loss, mine_scores"):
        figures.draw(params, described(params), "fig9")


def test_many_cases_run_over_several_figures_each_with_a_panel_for_its_own(tmp_path):
    params = mine(tmp_path, 13)
    names = figure_names(params)
    pages = [names[name].cases for name in names if names[name].kind == "loss"]
    assert [len(cases) for cases in pages] == [6, 6, 1]
    assert [case for cases in pages for case in cases] == params.cases("mine")[1:]
    assert names["mine_loss_3"].of_pages == " (3 of 3)"
    texts = drawn_texts(drawn(params, "mine_loss_2"))
    assert [text for text in texts if re.match(r"c\d+: ", text)] == [f"c{i}: Mine" for i in range(6, 12)]
    assert "Mine: loss, epoch by epoch, n = 2 (2 of 3)" in texts


def test_a_figure_with_a_row_for_each_case_has_pages_too(tmp_path):
    params = mine(tmp_path, 26)
    assert [name for name in figure_names(params) if name.startswith("listens")] == ["listens", "listens_2"]
    make_up_grid(params, images=40)
    controls.write(params, "mine")
    all_tables.write(params)
    for name, cases in (("listens", range(20)), ("listens_2", range(20, 26))):
        texts = drawn_texts(drawn(params, name))
        assert [text for text in texts if re.match(r"c\d+: ", text)] == [f"c{i}: Mine" for i in cases]


def test_a_case_that_is_told_nothing_needs_no_row(tmp_path):
    case = "{superclasses: [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]], block: none, loss: masked}"
    more = ", ".join(f"untold{i}: {case}" for i in range(17))
    params = made_up_params(
        tmp_path, f"grid: {{datasets: [digits]}}\ndatasets: {{digits: {{cases: {{{more}}}}}}}"
    )
    assert len(params.cases("digits")) == 1 + 4 + 17
    assert [name for name in figure_names(params) if name.startswith("listens")] == ["listens"]


@pytest.mark.parametrize("n_cases", [0, 1, 5])
@pytest.mark.parametrize("kind", ["loss", "scores"])
def test_any_number_of_cases_and_any_names_give_small_files(tmp_path, n_cases, kind):
    params = mine(tmp_path, n_cases, epochs=1 if n_cases == 1 else 3, title=r"<b>&_% $x$ \frac{ %s")
    pages = [name for name, drawing in figure_names(params).items() if drawing.kind == kind]
    panels = []
    for name in pages:
        *files, _ = figures.draw(params, described(params), name)
        for vector, pdf, png in (files[:3], files[3:]):
            assert ElementTree.parse(vector).getroot().tag.endswith("svg")
            assert pdf.read_bytes().startswith(b"%PDF")
            assert png.read_bytes().startswith(b"\x89PNG")
            assert all(path.stat().st_size < 1_000_000 for path in (vector, pdf, png))
        panels += [text for text in drawn_texts(files[0]) if text.startswith("c")]
    assert len(panels) >= n_cases


LONG = "A name of sixty characters, which is more than any panel has"


@pytest.fixture
def long_names(tmp_path):
    """A data set whose every name is long, and everything that figures are drawn from."""
    params = mine(tmp_path, 5, title=LONG, classes=["x", f"{LONG} 1", f"{LONG} 2", "漢字" * 15])
    controls.write(params, "mine")
    all_tables.write(params)
    return params


def test_long_names_fit_a_page_and_a_journals_column_in_type_that_a_journal_allows(long_names):
    for name in figure_names(long_names):
        wide, column = drawn(long_names, name), drawn(long_names, name, columns=1)
        assert width(wide) < 1.04 * 72 * 5.4
        assert width(column) < 1.04 * 72 * 3.31
        assert LONG not in drawn_texts(column)
        assert min(map(float, re.findall(r"font-size: ([\d.]+)px", column.read_text()))) >= 6, name
        if name == "mine_scores":
            assert {cut(f"{LONG} 1", 16), cut(f"{LONG} 2", 16)} <= set(drawn_texts(column))


def test_what_a_figure_shortens_stands_in_full_in_its_caption(long_names):
    drawing = figure_names(long_names)["mine_scores"]
    said = captions.caption(long_names, drawing)
    for name in (LONG, f"c1: {LONG}", f"{LONG} 1", f"{LONG} 2", "漢字" * 15):
        assert name in said.partition("In full: ")[2]
    assert "In full" not in captions.caption(
        load(ROOT / "params.yaml"), Drawing("scores", "mnist", ("case4",))
    )


def test_a_text_is_cut_in_its_middle_and_a_broad_sign_takes_two_letters():
    assert cut("abcdefghij", 10) == "abcdefghij"
    assert cut("abcdefghij", 9) == "abcd…ghij"
    assert cut("漢字漢字", 8) == "漢字漢字"
    assert cut("漢字漢字", 6) == "漢…字"


def test_no_type_is_smaller_than_a_journal_allows_with_a_hundred_classes(tmp_path):
    classes, halves = [f"class {i}" for i in range(100)], [list(range(50)), list(range(50, 100))]
    big = {"source": "digits", "layers": 10, "classes": classes, "cases": {"half": {"superclasses": halves}}}
    overlay = {"grid": {"datasets": ["big"], "seeds": [0]}, "datasets": {"big": big}, "train": {"epochs": 2}}
    params = made_up_params(tmp_path, "\n".join(f"{key}: {json.dumps(overlay[key])}" for key in overlay))
    make_up_grid(params, images=400)
    wide = drawn(params, "big_scores")
    assert set(classes) <= set(drawn_texts(wide))
    assert min(map(float, re.findall(r"font-size: ([\d.]+)px", wide.read_text()))) >= 6


def test_the_number_of_networks_stands_beside_a_name_where_some_are_missing(tmp_path):
    params = mine(tmp_path, 2)
    make_up_grid(params, {"mine/c0/seed0": "diverged"}, images=400)
    controls.write(params, "mine")
    all_tables.write(params)
    for name in ("overview", "listens"):
        texts = drawn_texts(drawn(params, name))
        assert "c0: Mine (n = 1)" in texts
        assert "c1: Mine" in texts
        assert any(text.endswith("n = 2 unless given") for text in texts)
    make_up_grid(params, {f"mine/{case}/seed0": "missing" for case in params.cases("mine")}, images=400)
    controls.write(params, "mine")
    all_tables.write(params)
    for name in ("overview", "listens", "mine_loss"):
        assert not any("n = 2" in text for text in drawn_texts(drawn(params, name))), name


def test_an_interval_that_goes_far_beyond_all_errors_ends_in_an_arrow(tmp_path):
    """Two networks of 9 and 16 % had an interval to 56 %, and five rows of errors crowded in a third of the axis."""
    params = mine(tmp_path, 1)
    rows = [
        overview.row_of(params, title, colours.HAL, np.array(errors), (np.nan, np.nan))
        for title, errors in (("apart", [9.37, 16.15]), ("close", [15.0, 15.4]))
    ]
    ax = overview.draw(params, "", {"Mine": rows}, 1).axes[0]
    assert ax.get_xlim() == pytest.approx((0, 1.5 * 16.15))
    arrows = [line for line in ax.get_lines() if line.get_marker() == ">"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in arrows] == [
        (pytest.approx(1.5 * 16.15), overview.OURS)
    ]
    ax = overview.draw(params, "", {"Mine": rows[1:]}, 1).axes[0]
    assert ax.get_xlim()[1] > rows[1].high
    assert not [line for line in ax.get_lines() if line.get_marker() == ">"]


def test_a_sign_that_no_font_has_is_said(tmp_path):
    params = mine(tmp_path, 1, classes=["a", "b", "c", "\U0001f408"])
    texts = drawn_texts(drawn(params, "mine_scores"))
    assert "no font of this machine has U+1F408: PDF and PNG show boxes there" in texts
    assert "\U0001f408" in texts  # which a browser has a font for


def test_signs_that_matplotlibs_font_lacks_are_drawn_with_one_that_has_them():
    (font,) = style._fallbacks(frozenset("a漢")) or [None]
    if font is None:
        pytest.skip("no font here has 漢")
    assert ord("漢") in style._glyphs(font)
    assert style._fallbacks(frozenset("a≥ρ")) == []


def test_a_panel_of_curves_carries_their_means_of_every_epoch(tmp_path):
    params = mine(tmp_path, 2, epochs=4)
    root = ElementTree.fromstring(drawn(params, "mine_loss").read_bytes())
    tips = [element.get("data-tip") for element in root.iter() if element.get("data-tip")]
    assert len(tips) == 2
    text, numbers = tips[1].split("\n\n")
    assert text == "epoch \t: training, test loss\nbaseline: \t, \t\nc1: Mine: \t, \t"
    tables = [
        [
            curves(cell)[["train_loss", "test_loss"]].to_numpy()
            for cell in select(load_cells(params), case=case)["result"]
        ]
        for case in ("baseline", "c1")
    ]
    expected = np.column_stack([np.mean(table, axis=0) for table in tables])
    given = np.array([line.split() for line in numbers.split("\n")], dtype=float)
    assert given[:, 0].tolist() == [1, 2, 3, 4]
    assert given[:, 1:] == pytest.approx(expected, rel=0.005)


def test_a_curve_is_written_in_steps_and_ends_where_it_did():
    points = [(10 * np.cos(i), 7.123 * np.sin(i) - 3) for i in range(50)]
    twice = [
        points[0],
        *points,
        points[-1],
    ]  # a step of no length at the start and at the end, as areas have them
    path = "M " + " \nL ".join(f"{x:.6f} {y:.6f}" for x, y in twice) + "\nz\n"
    written = svg.compact(f'<path d="{path}"/>', [])
    start, steps = re.fullmatch(r'<path d="M(.*)l(.*)z"/>', written).groups()
    numbers = [[float(n) for n in re.findall(r"-?\d*\.?\d+", part)] for part in (start, steps)]
    ends = np.cumsum(np.reshape(numbers[0] + numbers[1], (-1, 2)), axis=0)
    assert ends == pytest.approx(np.array(points), abs=0.051)


def test_a_caption_speaks_of_the_paper_only_where_its_numbers_are_drawn(tmp_path):
    for name in ("overview", "borders"):
        assert "paper" not in captions.caption(mine(tmp_path, 1), Drawing(name))
        assert "paper" in captions.caption(load(ROOT / "params.yaml"), Drawing(name))


def test_no_number_that_is_read_is_shortened():
    """A batch norm momentum of 0.003 was 0.00 in a figure."""
    text = '<text x="1.23456" y="2.5">rate 0.0005 (params.yaml: 0.003), 12.34567</text>'
    assert svg.compact(text, []) == '<text x="1.23" y="2.5">rate 0.0005 (params.yaml: 0.003), 12.34567</text>'


def test_errors_close_to_each_other_stand_on_a_linear_axis_and_others_on_one_with_marks(tmp_path):
    params = mine(tmp_path, 2)
    controls.write(params, "mine")
    all_tables.write(params)
    of_hint, of_networks = read_results(params, "hint", "networks")
    names = ["best_hint", "hal", "hal_masked", "masked", "worst_hint"]
    for errors, scale in (([2.4, 2.5, 1.1, 1.3, 2.9], "linear"), ([0.3, 0.5, 0.3, 0.3, 17.0], "symlog")):
        with style.applied(params):
            table = of_hint.assign(**dict(zip(names, errors, strict=True)))
            figure = listens.draw(params, "", Drawing("listens"), table, of_networks, 2)
            right = figure.axes[1]
            assert right.get_xscale() == scale
            low, high = right.get_xlim()
            assert sum(low <= tick <= high for tick in right.get_xticks()) >= 3


def test_names_of_points_stand_apart_and_those_without_room_are_counted(tmp_path):
    with style.applied(mine(tmp_path, 1)):
        figure, (ax,) = style.panels(1, 2.0, share=False)
        ax.plot([0, 1], [0, 1], "o")
        assert style.name_points(figure, ax, [0.5] * 8, [0.5] * 8, [f"case{i}" for i in range(8)]) == []
        boxes = [Text.get_window_extent(text) for text in ax.texts]
        assert len(boxes) == 8
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
        of_many = style.name_points(figure, ax, [0.5] * 101, [0.5] * 101, ["a"] * 101)
        assert of_many == ["101 points are too many to be named"]
        (said,) = style.name_points(figure, ax, [0.5] * 40, [0.5] * 40, ["a name of some length"] * 40)
        assert re.fullmatch(r"\d\d of 40 points have no room for their name", said)


def test_no_name_is_struck_through_by_a_line(tmp_path):
    with style.applied(mine(tmp_path, 1)):
        figure, (ax,) = style.panels(1, height=2.0, share=False)
        ax.set(xlim=(0, 1), ylim=(0, 1))
        line = ax.axhline(0.56)
        assert style.name_points(figure, ax, [0.5], [0.5], ["case1"]) == []
        (text,) = ax.texts
        assert not Text.get_window_extent(text).overlaps(line.get_window_extent())


def test_a_rows_name_is_cut_before_the_number_of_its_networks():
    assert style.row_name("case1: mod 2", " (n = 2)") == "case1: mod 2 (n = 2)"
    assert (
        style.row_name("case4: circle / curve / strai", " (n = 2)")
        == "case4: circle / curve / strai\n(n = 2)"
    )
    name = style.row_name("MNIST, 3 epochs case4: circle / curve / straight line", " (n = 2)")
    first, last = name.split("\n")
    assert last.endswith("… (n = 2)")
    assert max(map(len, (first, last))) <= 30


def test_fewer_than_four_pairs_have_no_rank_correlation_and_the_figure_says_so(tmp_path):
    params = mine(tmp_path, 3)
    all_tables.write(params)
    svg = drawn(params, "separability")
    texts = drawn_texts(svg)
    assert texts.count("too few points for a rank correlation") == 2
    assert {"c0", "c1", "c2"} <= set(texts)  # the points are there all the same


def test_the_scatter_plot_names_every_pair_and_its_rank_correlation(tmp_path):
    for n, found in (
        (7, "too few points for a rank correlation"),
        (8, r"Spearman's ρ −?\d\.\d\d \[.*\], 8 points"),
    ):
        (tmp_path / str(n)).mkdir()
        params = mine(tmp_path / str(n), n)
        all_tables.write(params)
        texts = drawn_texts(drawn(params, "separability"))
        assert {f"c{i}" for i in range(n)} <= set(texts)
        assert sum(re.fullmatch(found, text) is not None for text in texts) == 2


def test_the_scatter_plots_legend_names_no_data_set_without_points(tmp_path):
    params = made_up_params(tmp_path, "grid: {datasets: [mnist, svhn], seeds: [0, 1]}\ntrain: {epochs: 1}")
    absent = {cell.name: "missing" for cell in params.cells() if cell.dataset == "svhn"}
    make_up_grid(params, absent, images=400)
    all_tables.write(params)
    texts = drawn_texts(drawn(params, "separability"))
    assert "MNIST" in texts
    assert "SVHN" not in texts


def test_the_same_cells_give_the_same_bytes(tmp_path):
    params = mine(tmp_path, 1)
    controls.write(params, "mine")
    all_tables.write(params)
    for name in figure_names(params):
        first = [path.read_bytes() for path in figures.draw(params, described(params), name)]
        assert [path.read_bytes() for path in figures.draw(params, described(params), name)] == first


def test_a_data_set_without_cells_gives_figures_that_say_so(tmp_path):
    params = made_up_params(tmp_path, "grid: {datasets: [mnist], seeds: [0]}")
    svg = drawn(params, "fig2_mnist_loss")
    assert any("n = 0 of 1 (1 missing)" in text for text in drawn_texts(svg))
    svg = drawn(params, "fig3_mnist_scores")
    texts = drawn_texts(svg)
    assert " ".join(texts).count("no finished cell: seed 0 missing") == 4
    assert "no scores to draw" in texts


def test_a_short_run_says_in_the_figure_that_it_is_not_the_papers(tmp_path):
    svg = drawn(mine(tmp_path, 1), "mine_loss")
    assert any("not the paper's experiment: epochs 2 (paper: 250)" in text for text in drawn_texts(svg))


def test_cells_that_do_not_count_are_counted_out_and_the_next_seed_is_shown(tmp_path):
    params = mine(tmp_path, 2)
    make_up_grid(params, {"mine/c0/seed0": "diverged", "mine/c1/seed1": "broken"}, images=400)
    svg = drawn(params, "mine_loss")
    assert any("n = 1 of 2 (1 diverged)" in text for text in drawn_texts(svg))
    assert any("n = 1 of 2 (1 broken)" in text for text in drawn_texts(svg))
    svg = drawn(params, "mine_scores")
    shown = [text for text in drawn_texts(svg) if text.startswith("auxiliary score (")]
    assert [re.search(r"seed \d", text)[0] for text in shown] == ["seed 1", "seed 0"]


def test_a_network_that_diverged_is_drawn_until_it_did(tmp_path):
    params = mine(tmp_path, 1, epochs=12)
    make_up_grid(params, {"mine/c0/seed0": "diverged"}, images=400)
    made = load_cells(params)
    (losses,) = (curves(r)[["train_loss", "test_loss"]] for r in made["result"] if r.state == "diverged")
    figure = loss.draw(params, "", figure_names(params)["mine_loss"], made, 2)
    ends = [line.get_xydata() for line in figure.axes[0].lines if line.get_marker() == "x"]
    last = [losses[name].last_valid_index() for name in losses]
    for end, i, name in zip(ends, last, losses, strict=True):
        assert end.tolist() == [[i + 1, losses[name][i]]]


def test_broken_curves_and_scores_cost_their_own_panel_only_and_are_named(tmp_path):
    params = mine(tmp_path, 2)
    params.path("results/mine/c0/seed0/curves.csv").write_text("nonsense")
    params.path("results/mine/c0/seed0/scores.npz").write_text("nonsense")
    for kind in ("loss", "scores"):
        texts = drawn_texts(drawn(params, f"mine_{kind}"))
        assert any("broken" in text for text in texts)
        assert ("n = 1 of 2" in " ".join(texts)) == (kind == "loss")
        assert "c1: Mine" in texts
        assert ("c0: Mine" in texts) == (kind == "loss")  # an empty panel would say nothing


def test_scores_that_are_not_finite_are_left_out_and_counted(tmp_path):
    params = mine(tmp_path, 1)
    replace_scores(params, "mine/c0/seed0", lambda score: np.where(np.arange(400) < 7, np.nan, score))
    assert any("7 scores of c0 are not finite" in text for text in drawn_texts(drawn(params, "mine_scores")))


@pytest.mark.parametrize("value", [0.0, 2.5, np.inf])
def test_constant_scores_are_drawn_and_infinite_ones_said(tmp_path, value):
    params = mine(tmp_path, 1)
    replace_scores(params, "mine/c0/seed0", lambda score: np.full_like(score, value))
    texts = drawn_texts(drawn(params, "mine_scores"))
    assert ("no scores to draw" in texts) == ("400 scores of c0 are not finite" in texts) == (value == np.inf)


def test_a_few_huge_scores_do_not_stretch_the_axis():
    values = np.concatenate([np.linspace(1, 2, 9_999), [1e30]])
    low, high = scores._limits(values)
    assert 0.9 < low < 1
    assert 2 < high < 2.1


def test_the_density_holds_every_score():
    values = np.random.default_rng(0).normal(5, 1, 1_000)
    density = scores._density(values, np.linspace(-5, 15, 161))
    assert density.sum() == pytest.approx(1_000)
    assert abs(np.argmax(density) - 80) < 6


def test_a_few_huge_losses_do_not_stretch_the_axis_and_are_counted():
    losses = np.full((1, 100, 2), 0.5)
    losses[0, 0] = 1e9
    (low, high), above = loss._limits([losses])
    assert (low, list(above)) == (pytest.approx(0.4), [1e9, 1e9])
    assert high < 100


def test_no_loss_at_all_still_gives_an_axis():
    for none in (np.empty((0, 0, 2)), np.full((1, 3, 2), np.nan)):
        limits, above = loss._limits([none])
        assert (limits, len(above)) == ((0.01, 10), 0)


def test_variants_are_drawn_together_and_have_no_figures_of_their_own(tmp_path):
    overlay = (
        "grid: {datasets: [digits], seeds: [0, 1]}\nvariants: {slow: {title: slower, train: {max_lr: 0.1}}}"
    )
    params = made_up_params(tmp_path, overlay)
    make_up_grid(params, {"digits-slow/case1/seed1": "diverged", "digits/case2/seed0": "missing"}, images=200)
    assert set(figure_names(params)) == {
        "overview",
        "digits_loss",
        "digits_scores",
        "digits_sensitivity",
        "listens",
        "networks",
        "borders",
        "separability",
    }
    svg = drawn(params, "digits_sensitivity")
    assert svg.stat().st_size > 5000
    for dataset in params.grid.datasets:
        controls.write(params, dataset)
    all_tables.write(params)
    texts = drawn_texts(drawn(params, "listens"))
    assert {"Digits (8×8)", "Digits (8×8), slower"} <= set(texts)  # above their rows
    assert not any(text.startswith("Digits") and "case" in text for text in texts)


def test_a_heading_is_shortened_where_the_figure_ends(tmp_path):
    title = "a title that is longer than a journal's column is wide, and than a page, if its type is not set smaller than a reader likes"
    overlay = f"grid: {{datasets: [digits], seeds: [0]}}\nvariants: {{slow: {{title: '{title.replace(chr(39), chr(39) * 2)}', train: {{max_lr: 0.1}}}}}}"
    params = made_up_params(tmp_path, overlay)
    make_up_grid(params, images=200)
    for dataset in params.grid.datasets:
        controls.write(params, dataset)
    all_tables.write(params)
    of_hint, of_networks = read_results(params, "hint", "networks")
    for columns in (1, 2):
        with style.applied(params):
            figure = listens.draw(params, "", Drawing("listens"), of_hint, of_networks, columns)
            (heading, *_) = [text for text in figure.axes[0].texts if "…" in text.get_text()]
            assert heading.get_window_extent().x1 <= figure.bbox.x1


def test_an_error_of_none_has_its_place_on_a_logarithmic_axis(tmp_path):
    overlay = (
        "grid: {datasets: [digits], seeds: [0, 1]}\nvariants: {slow: {title: slow, train: {max_lr: 0.1}}}"
    )
    params = made_up_params(tmp_path, overlay)
    make_up_grid(params, images=200)
    cells = load_cells(params)
    for errors, scale in ((cells["test_error"] + 1, "log"), (cells["test_error"] * 0, "symlog")):
        with style.applied(params):
            drawing = Drawing("sensitivity", "digits", ("case1",))
            figure = sensitivity.draw(params, "", drawing, cells.assign(test_error=errors), 2)
            (ax,) = figure.axes
            assert ax.get_xscale() == scale
            low, high = ax.get_xlim()
            drawn_at = [
                x for line in ax.lines for x in np.atleast_1d(line.get_xdata()) if line.get_marker() == "."
            ]
            assert drawn_at
            assert all(low <= x <= high for x in drawn_at)


def test_the_cases_of_a_legend_are_told_apart():
    looks = [(how["marker"], how["color"]) for how in map(networks._look, range(networks._NAMED))]
    assert len(set(looks)) == networks._NAMED


def test_nobodys_own_matplotlibrc_has_a_part_in_a_figure(tmp_path):
    params = mine(tmp_path, 2)
    name = "mine_loss"
    plain = [path.read_bytes() for path in figures.draw(params, described(params), name)]
    with matplotlib.rc_context({"lines.linewidth": 9, "savefig.facecolor": "red", "axes.titlesize": 30}):
        assert [path.read_bytes() for path in figures.draw(params, described(params), name)] == plain


def test_points_and_distributions_tell_their_values(tmp_path):
    params = made_up_params(tmp_path, "grid: {datasets: [mnist], seeds: [0, 1]}\ntrain: {epochs: 2}")
    make_up_grid(params, images=200)
    controls.write(params, "mnist")
    tables = all_tables.study(params, load_cells(params))
    all_tables.write(params)

    @functools.cache
    def tips(name):
        root = ElementTree.fromstring(drawn(params, name).read_bytes())
        return [element.get("data-tip") for element in root.iter() if element.get("data-tip")]

    ours = tables["borders"].set_index(["case", "whose"]).loc[("case2", "ours")]
    said = f"MNIST, case2, ours: {ours['borders']:.0f} % cross a border, {ours['gain']:.0f} % removed"
    assert said.replace("-", "−") in [tip.replace("-", "−") for tip in tips("borders")]
    one = tables["networks"].set_index(["case", "seed"]).loc[("case1", 1)]
    said = f"case1, seed 1: {number(one['flips'])} % flip, error {number(one['error'])} %, {signed(one['behind'])} points from the mask"
    assert said in tips("networks")
    assert len(tips("networks")) == 8  # two seeds of four cases
    assert len(tips("borders")) == 8  # ours and the paper's of four cases
    pair = tables["pairs"].set_index("case").loc["case3"]
    said = (
        f"MNIST, case3: AUC {pair['auc']:.2f}, overlap {pair['overlap']:.2f}, {number(pair['percent'], 0)} %"
    )
    assert sum(tip.startswith(said) for tip in tips("separability")) == 2  # in either panel
    row = tables["hint"].set_index("case").loc["case1"]
    assert any(f"as tested (HAL): {row['hal']:.2f} %" in tip for tip in tips("listens"))
    assert any(f": {row['flips']:.2f} % flip in the mean, " in tip for tip in tips("listens"))
    assert any(re.fullmatch(r"seed 0: \d+\.\d\d % flip", tip) for tip in tips("listens"))
    of_scores = tips("fig3_mnist_scores")
    assert len(of_scores) == sum(
        10 + len(case.superclasses) for case in params.datasets["mnist"].cases.values()
    )
    assert sum(tip.endswith(", 20 images") for tip in of_scores) == 4 * 10
