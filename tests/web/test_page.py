"""The report's page in a browser: valid HTML, nothing for axe to say, no wider than a phone."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hal.departures import describe
from hal.outputs import figure_names
from hal.present import comparison, figures
from hal.present.render import render
from hal.study import all_tables, controls
from tests.made_up import ROOT, made_up_params, make_up_grid
from tests.svg_alone import draw_svg_alone

HERE = Path(__file__).parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (HERE / "node_modules").is_dir(), reason="`npm ci --prefix tests/web` was not run"
    ),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]

OVERLAY = """
grid: {datasets: [digits, mnist], seeds: [0, 1]}
datasets:
  digits:
    title: A data set whose title is rather longer than anybody would wish for
    cases: {case1-no-hint: {superclasses: [[5, 6, 7, 8, 9], [0, 1, 2, 3, 4]], hint: zero}}
train: {epochs: 3}"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of a half-finished run, with everything drawn."""
    root = tmp_path_factory.mktemp("web")
    params = made_up_params(root, OVERLAY)
    states = {"mnist/case1/seed0": "diverged", "mnist/case2/seed1": "stale", "digits/case3/seed0": "missing"}
    make_up_grid(params, states, images=300)
    for dataset in params.grid.datasets:
        controls.write(params, dataset)
    all_tables.write(params)
    kind = describe(params, [root / "overlay.yaml"], ROOT / "params.yaml")
    with pytest.MonkeyPatch.context() as patch:
        draw_svg_alone(patch)
        for name in figure_names(params):
            figures.draw(params, kind, name)
    return render(params, kind)[0]


def test_the_page_is_valid_html(page):
    command = ["npx", "html-validate", "-c", "html-validate.json", str(page)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_page_of_two_runs_is_valid_html(page, tmp_path):
    root = page.parents[1]
    tables, document = comparison.build(root, root, ("a <b>", '"c" & d'))
    *_, written = comparison.write(tmp_path, tables, document)
    command = ["npx", "html-validate", "-c", "html-validate.json", str(written)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_axe_finds_nothing_the_page_fits_a_phone_and_curves_tell_their_values(page):
    command = ["node", "axe.js", CHROMIUM, str(page)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert len(seen) == 4
    for view in seen:
        assert view["violations"] == [], view
        assert view["tooWide"] <= 0, view
        assert (view["folded"] > 0) == (view["width"] == 360), view  # long tables, on a phone alone
        # Three epochs: in the middle is the second, with both losses of the baseline and of the case.
        assert re.fullmatch(r"epoch 2: training, test loss(\n[\w-]+.*: [\d.]+, [\d.]+){2}", view["tip"])
