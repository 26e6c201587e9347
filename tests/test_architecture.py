"""docs/architecture.md has a line for every file, and no line for a file that is gone."""

import re

from tests.tiny import ROOT


def test_every_file_has_its_line():
    listed = set(
        re.findall(r"^\| `([\w/]+\.py)` \|", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
    )
    source = ROOT / "src/hal"
    there = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
    assert listed == {name for name in there if not name.endswith(("__init__.py", "__main__.py"))}
