"""docs/architecture.md has a line for every file, and no line for a file that is gone; and who may import what is slow to import."""

import ast
import re
import subprocess
import sys

import pytest

from hal.current import COMPUTING
from tests.tiny import ROOT


def test_every_file_has_its_line():
    listed = set(
        re.findall(r"^\| `([\w/]+\.py)` \|", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
    )
    source = ROOT / "src/hal"
    there = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
    assert listed == {name for name in there if not name.endswith(("__init__.py", "__main__.py"))}


def test_tables_are_of_another_version_if_and_only_if_what_computes_them_is():
    code = "import sys, hal.study.all_tables; print(*(m for m in sys.modules if m.startswith('hal.')))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    files = {f"{module.removeprefix('hal.').replace('.', '/')}.py" for module in loaded} - {
        "data.py"
    }  # a package
    assert {"study" if file.startswith("study") else file for file in files} | {"paper.yaml"} == {*COMPUTING}


def test_every_line_says_what_the_file_says_of_itself():
    said = re.findall(
        r"^\| `([\w/]+\.py)` \| (.*) \|$", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE
    )
    assert said
    for name, subject in said:
        docstring = ast.get_docstring(ast.parse((ROOT / "src/hal" / name).read_text()))
        assert subject == " ".join(docstring.split("\n\n")[0].split()), name


@pytest.mark.parametrize(
    ("modules", "without"),
    [
        # the Snakefile's and every command's
        ("hal.cli, hal.session, hal.current, hal.study.grid", {"torch", "matplotlib", "seaborn", "scipy"}),
        ("hal.study.controls, hal.study.crossed", {"torch", "matplotlib", "seaborn", "scipy.stats"}),
        ("hal.present.render, hal.present.write_tables", {"torch", "matplotlib", "seaborn", "scipy.stats"}),
        ("hal.present.figures.overview", {"torch"}),
        ("hal.train.cell", {"matplotlib", "seaborn", "pandas", "scipy"}),
    ],
)
def test_no_command_pays_for_a_library_that_it_does_not_use(modules, without):
    """Each is a third of a second or more, and each job of a run is a process."""
    code = f"import sys, {modules}; print(sorted({without!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "[]\n", result.stderr
