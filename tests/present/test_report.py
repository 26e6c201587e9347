import os
import re
import shutil
from html.parser import HTMLParser

import pytest

from hal.errors import UserError
from hal.present import content, figures
from hal.present.pdf import note_holds, write_pdf
from hal.present.render import render
from hal.study import controls, write_study
from tests.made_up import ROOT, made_up_params, make_up_grid

pytestmark = pytest.mark.slow

PARAMS = ROOT / "params.yaml"
VOID = {"meta", "img", "br", "link", "wbr"}

DEMO = r"""
grid: {datasets: [digits], seeds: [0, 1]}
datasets:
  digits:
    source: digits
    title: '<b>&_% $x$ \frac{'
    layers: 10
    classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
    cases:
      case1: {title: "≥ 5", superclasses: [[5, 6, 7, 8, 9], [0, 1, 2, 3, 4]], names: ["≥ 5 中", '"<script>']}
      case2: {superclasses: [[1, 3, 5, 7, 9], [0, 2, 4, 6, 8]]}
train: {epochs: 3, momentum: 0.9}
"""


class Page(HTMLParser):
    """Elements, attributes and text of a page; fails on a tag that is not closed in its turn."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.pieces = [], [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.pieces.append(" " if tag in ("td", "th", "li", "dt", "dd", "p", "div") else "")

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.pieces.append(data)

    @property
    def text(self):
        """The page's text with single spaces."""
        return " ".join("".join(self.pieces).split())

    def values(self, name):
        """The values of all attributes of that name."""
        return [value for _, attribute, value in self.attributes if attribute == name]


def build(params, *overlays):
    """Render the report of params; return the page and the LaTeX."""
    html, tex = render(params, overlays, PARAMS)
    return Page(html.read_text(encoding="utf-8")), tex.read_text(encoding="utf-8")


@pytest.fixture
def demo(tmp_path):
    params = made_up_params(tmp_path, DEMO)
    make_up_grid(params, images=400)
    return params


@pytest.fixture
def paper(tmp_path):
    """The paper's whole grid, small curves and scores, no figure drawn."""
    params = made_up_params(tmp_path)
    make_up_grid(params, images=50)
    return params


def test_a_complete_run_of_the_papers_experiment_says_so_first(paper):
    page, tex = build(paper)
    assert "The paper's experiment, complete: all 75 networks are trained" in page.text
    assert "complete: all 75 networks" in tex
    assert "not the paper's" not in page.text


def test_a_demo_cannot_be_mistaken_for_the_paper(demo):
    overlay = demo.path("overlay.yaml")
    page, tex = build(demo, overlay)
    before_table = page.text[: page.text.index("Table 2. ")]
    for said in (
        "is not the paper's experiment",
        "epochs 3 (paper: 250)",
        "2 seeds (paper: 5 runs)",
        str(overlay),
    ):
        assert said in before_table
    assert "train.momentum 0 0.9" in before_table
    assert "is not the paper's experiment" in tex
    assert "changed by this run; params.yaml has 0" in page.text


def test_the_first_lines_count_what_is_missing(paper):
    make_up_grid(paper, {"svhn/case1/seed0": "missing", "svhn/case1/seed1": "diverged"}, images=50)
    page, tex = build(paper)
    assert "not complete: only 73 of 75 planned networks" in page.text
    assert "SVHN: 23 of 25 networks count; 1 missing, 1 diverged" in page.text
    assert "SVHN case1: seed 0 missing; seed 1 diverged at step" in page.text
    assert "seed 1 diverged at step" in tex


def test_verdicts_come_first_and_a_demo_reproduces_nothing(demo):
    page, tex = build(demo)
    assert page.text.index("27 claims: 27 not yet run") < page.text.index("Table 2: test errors beside")
    assert tex.index("27 claims: 27 not yet run") < tex.index("Table 2: test errors beside")
    assert page.text.index("told the true superclass of each test image") < page.text.index(
        "How each verdict"
    )
    assert {v.verdict for v in content.build(demo, path=PARAMS).verdicts} == {"not yet run"}


def test_every_claim_stands_with_its_test_its_numbers_and_the_papers_own_table(paper):
    page, tex = build(paper)
    for v in content.build(paper, path=PARAMS).verdicts:
        for said in (v.claim.says, v.rule, v.why, v.table_why):
            assert " ".join(said.split()) in page.text
    assert "Largest fall in points: case1 1.52; not 1.6: case1." in tex


def test_the_controls_are_in_the_report_once_they_are_computed(demo):
    page, _ = build(demo)
    assert "`hal controls digits` computes it" in page.text
    assert "the controls are not computed yet" in page.text
    controls.write(demo, "digits")
    page, tex = build(demo)
    assert "hal controls digits" not in page.text
    assert "with the hint, the masked baseline errs in" in page.text
    assert "with the hint, the masked baseline errs in" in tex


def test_one_seed_prints_no_interval_and_says_so(tmp_path):
    params = made_up_params(tmp_path, DEMO.replace("seeds: [0, 1]", "seeds: [0]"))
    make_up_grid(params, images=400)
    controls.write(params, "digits")
    page, _ = build(params)
    table = content.build(params, path=PARAMS).statistics
    assert "A single seed gives no interval and no test" in page.text
    assert not any("[" in cell for _, rows in table.groups for row in rows for cell in row)


def test_a_data_set_without_groupings_gives_a_report(tmp_path):
    overlay = "datasets: {mine: {source: digits, layers: 10, classes: [a, b], cases: {}}}\ntrain: {epochs: 2}"
    params = made_up_params(tmp_path, f"grid: {{datasets: [mine], seeds: [0, 1]}}\n{overlay}")
    make_up_grid(params, images=400)
    page, _ = build(params)
    assert "mine: 2 of 2 networks count" in page.text


def test_no_error_stands_without_its_n(paper):
    make_up_grid(paper, {"mnist/case1/seed0": "missing", "mnist/case2/seed0": "stale"}, images=50)
    for row in content.build(paper, path=PARAMS).rows:
        assert re.fullmatch(r"5|4 of 5 †", row.n)
        assert re.fullmatch(r"\d+\.\d\d ± \d+\.\d\d", row.ours)


def test_the_hint_is_said_in_plain_words(paper):
    page, tex = build(paper)
    assert "every test image is fed its true superclass too" in page.text
    assert "derived from the label" in page.text
    assert "derived from the label" in tex


def test_the_page_needs_nothing_from_outside(demo):
    controls.write(demo, "digits")
    write_study.write(demo, path=PARAMS)
    for name in figures.figure_names(demo):
        figures.draw(demo, name)
    page, _ = build(demo)
    html = demo.path("report", "report.html").read_text(encoding="utf-8")
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert all(value.startswith("data:image/svg+xml;base64,") for value in page.values("src"))
    assert all(value.startswith("#") for value in page.values("href"))
    assert "url(" not in html
    assert "@import" not in html


def test_the_page_is_made_for_screen_readers(demo):
    controls.write(demo, "digits")
    write_study.write(demo, path=PARAMS)
    for name in figures.figure_names(demo):
        figures.draw(demo, name)
    page, _ = build(demo)
    assert ("html", "lang", "en") in page.attributes
    assert page.tags.count("h1") == page.tags.count("main") == 1
    assert {"header", "nav", "footer"} < set(page.tags)
    assert page.tags.count("caption") == page.tags.count("table")
    assert page.tags.count("th") == len([a for a in page.attributes if a[:2] == ("th", "scope")])
    assert page.tags.count("figcaption") == page.tags.count("figure") == 5
    assert all(len(alt) > 60 for alt in page.values("alt"))
    ids = page.values("id")
    assert len(set(ids)) == len(ids)
    assert {value[1:] for value in page.values("href")} | set(page.values("aria-labelledby")) <= set(ids)


def test_the_alternative_text_of_a_figure_holds_its_main_numbers(demo):
    texts = [figure.alternative for figure in content.build(demo, path=PARAMS).figures]
    assert re.search(r"baseline, n = 2: final training loss \d\.\d+, final test loss \d\.\d+\.", texts[0])
    assert re.search(r'case1: ≥ 5, seed 0: median score of ≥ 5 中 \d\.\d+, "<script> \d\.\d+\.', texts[1])


def test_names_cannot_break_the_page(demo):
    page, tex = build(demo)
    assert r"<b>&_% $x$ \frac{" in page.text
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert r"\textless{}b\textgreater{}\&\_\% \$x\$ \textbackslash{}frac\{" in tex
    assert "[U+4E2D]" in tex


def test_a_figure_that_is_not_drawn_yet_is_no_crash(demo):
    page, tex = build(demo, "configs/demo.yaml")
    command = f"snakemake --force {demo.path('figures', 'digits_loss.svg')} --configfile configs/demo.yaml"
    assert f"Not drawn yet: {command} draws it." in page.text
    assert "Not drawn yet" in tex


def test_every_cell_says_how_it_was_made(demo):
    make_up_grid(demo, {"digits/case2/seed1": "missing"}, images=400)
    page, tex = build(demo)
    for cell in demo.cells():
        assert f"{cell.name} " in page.text
        assert cell.hash in page.text
        assert cell.hash in tex
    assert "made-up device, torch 2.13.0, Python 3.11.2" in page.text
    assert "da7a" * 16 in page.text


def test_commands_rebuild_each_part_of_this_very_run(demo):
    commands = dict(content.build(demo, ["a.yaml", "b.yaml"], PARAMS).commands)
    assert all(command.endswith(" --configfile a.yaml b.yaml") for command in commands.values())
    last = demo.cells()[-1].name
    assert commands[f"One network, such as {last}"].startswith(
        f"snakemake --force {demo.root}/results/{last}"
    )


def test_commands_keep_their_two_hyphens_in_latex(demo):
    _, tex = build(demo)
    assert r"snakemake -{}-force" in tex
    assert "snakemake --force" not in tex


def test_an_empty_grid_and_broken_data_descriptions_still_give_a_report(tmp_path):
    params = made_up_params(tmp_path)
    params.path("data").mkdir()
    params.path("data", "mnist.json").write_text("[]")
    page, tex = build(params)
    assert "only 0 of 75 planned networks" in page.text
    assert "is not here or cannot be read" in page.text
    assert "only 0 of 75" in tex


def test_the_same_cells_give_the_same_report(demo):
    first = [path.read_bytes() for path in render(demo, [], PARAMS)]
    assert [path.read_bytes() for path in render(demo, [], PARAMS)] == first


@pytest.mark.skipif(shutil.which("latexmk") is None, reason="latexmk is not installed")
def test_weird_names_and_missing_figures_compile_to_a_pdf(demo):
    figures.draw(demo, "digits_loss")
    build(demo, demo.path("overlay.yaml"))
    write_pdf(demo)
    pdf = demo.path("report", "report.pdf")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert sorted(path.name for path in pdf.parent.iterdir()) == ["report.html", "report.pdf", "report.tex"]


@pytest.mark.skipif(shutil.which("latexmk") is None, reason="latexmk is not installed")
def test_a_tex_error_costs_the_pdf_alone_and_is_shown_with_its_line(demo):
    folder = demo.path("report")
    folder.mkdir()
    (folder / "report.html").write_text("whole")
    (folder / "report.pdf").write_bytes(b"of an older report")
    (folder / "report.tex").write_text(
        "\\documentclass{article}\n\\begin{document}\n\\nonsense\n\\end{document}\n"
    )
    message = r"report\.tex:3: Undefined control sequence.*report\.log"
    with pytest.raises(UserError, match=message):
        write_pdf(demo)
    note = folder / "pdf.txt"
    assert re.search(message, write_pdf(demo, note))
    assert re.search(message, note.read_text())
    assert note_holds(demo, note)
    assert (folder / "report.html").read_text() == "whole"
    assert not (folder / "report.pdf").exists()


@pytest.mark.skipif(shutil.which("latexmk") is None, reason="latexmk is not installed")
def test_nobodys_own_configuration_of_tex_has_a_part_in_the_build(demo, monkeypatch, tmp_path):
    build(demo)
    (tmp_path / ".latexmkrc").write_text("$preview_continuous_mode = 1; $jobname = 'mine'; $pdf_mode = 4;")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TEXINPUTS", str(tmp_path))
    write_pdf(demo)
    assert demo.path("report", "report.pdf").read_bytes().startswith(b"%PDF")


def test_without_latexmk_there_is_a_line_that_says_so_until_there_is_one(demo, monkeypatch, tmp_path):
    build(demo)
    path, note = os.environ["PATH"], tmp_path / "pdf.txt"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "latexmk is not installed" in write_pdf(demo, note)
    assert note_holds(demo, note)
    (tmp_path / "latexmk").touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{path}")
    assert not note_holds(demo, note)


def test_without_a_report_there_is_no_pdf_to_build(demo):
    with pytest.raises(UserError, match=r"report\.tex: no such file"):
        write_pdf(demo)


def test_what_assumptions_are_worth_is_in_a_run_that_varies_them(tmp_path, demo):
    page, _ = build(demo, demo.path("overlay.yaml"))
    assert "What the assumptions are worth" not in page.text
    overlay = (
        "grid: {datasets: [digits], seeds: [0, 1]}\nvariants: {slow: {title: slower, train: {max_lr: 0.1}}}"
    )
    varied = made_up_params(tmp_path, overlay)
    make_up_grid(varied, images=200)
    page, tex = build(varied, varied.path("overlay.yaml"))
    for text in (page.text, tex):
        assert "What the assumptions are worth" in text
        assert "slower" in text
