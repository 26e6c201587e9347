"""Files that are written by hand: each can be read as what its name says, and none is large.

Usage: python .ci/check_files.py FILE...
"""

import json
import sys
import tomllib
from pathlib import Path

import yaml

LARGEST = 500_000  # bytes


class _AnyTag(yaml.SafeLoader):
    """Reads the tags that mkdocs and others define as plain nothing: only the syntax is in question."""


_AnyTag.add_multi_constructor("", lambda loader, tag, node: None)


def fault(path: Path) -> str | None:
    """What is wrong with the file, or None."""
    if path.stat().st_size > LARGEST:
        return f"{path.stat().st_size} bytes; the limit is {LARGEST}: large files belong to DVC (docs/dvc.md)"
    try:
        if path.suffix in (".yaml", ".yml", ".cff"):
            list(yaml.load_all(path.read_text(encoding="utf-8"), _AnyTag))
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix in (".toml",):
            tomllib.loads(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        return str(error)
    return None


if __name__ == "__main__":
    faults = {name: said for name in sys.argv[1:] if (said := fault(Path(name)))}
    for name, said in faults.items():
        print(f"{name}: {said}")
    sys.exit(bool(faults))
