"""Whether tables, figures and report are drawn from the cells there are, under the settings in force.

Snakemake remembers such things in .snakemake/, which a fresh clone lacks and a deleted or damaged file does not change.
So what was drawn is noted in report/drawn.json, from the bytes of the files themselves: from which settings, sources and
cells, and the SHA-256 of every file drawn.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hal import locks
from hal.assumptions import read_assumptions
from hal.departures import Run
from hal.errors import UserError, first_few
from hal.files import read_json, sha256_of, write_text
from hal.params import CellPaths, Params

_SOURCES = ("*.py", "*.yaml", "*.j2", "*.css", "*.js", "*.svg")
# What `hal.study.all_tables` consists of: a change elsewhere computes no other table.
COMPUTING = (
    "arrays.py",
    "assumptions.py",
    "cell_files.py",
    "current.py",
    "data/described.py",
    "decimals.py",
    "departures.py",
    "errors.py",
    "files.py",
    "locks.py",
    "outputs.py",
    "paper.py",
    "paper.yaml",
    "params.py",
    "remeasured.py",
    "schema.py",
    "settings.py",
    "study",
    "sums.py",
    "titles.py",
    "yaml12.py",
)


@contextlib.contextmanager
def drawing(params: Params, rules: Iterable[str]) -> Iterator[None]:
    """Hold the tables that these rules compute: `hal draw` beside a Snakemake would else put those of fewer networks over its own."""
    with contextlib.ExitStack() as stack:
        for rule in rules:
            path = params.path(".resume", f"{rule.replace('/', '.')}.lock")
            said = f"{path}: another process computes these tables; waiting for it"
            stack.enter_context(locks.held(path, functools.partial(print, said, flush=True)))
        yield


def stamp_path(params: Params) -> Path:
    """Where it is noted what was drawn."""
    return params.path("report", "drawn.json")


def settings_sum(params: Params) -> str:
    """Changes with any setting of the grid that shows in a table, a figure or the report."""
    shown = dataclasses.asdict(params) | {"runtime": None, "data": None}
    shown["datasets"] = {dataset: shown["datasets"][dataset] for dataset in params.grid.datasets}
    return _text_sum(shown)


def study_basis(params: Params) -> str:
    """What the computed tables depend on beside the cells: settings, wherever the run lies, and the code that computes."""
    settings = settings_sum(dataclasses.replace(params, root="."))
    return f"settings {settings}, code {_sources_sum(of=COMPUTING)}"


def write_stamp(params: Params, run: Run, files: Iterable[Path]) -> Path:
    """Note what the files were drawn from, and their sums."""
    drawn = {
        "overlays": [Path(file).name for file in run.overlays],
        "from": basis(params, run),
        "files": {str(params.within(path)): sha256_of(path) for path in files},
    }
    write_text(stamp_path(params), json.dumps(drawn, indent=1) + "\n")
    return stamp_path(params)


def other_experiment(params: Params, overlays: Sequence[str]) -> str:
    """The overlays under which this root was drawn last, where they are others than these, by the files' names; empty else."""
    try:
        drawn = read_json(stamp_path(params))["overlays"]
        return "" if drawn == [Path(file).name for file in overlays] else " ".join(drawn) or "params.yaml"
    except (OSError, ValueError, KeyError, TypeError):  # nothing was drawn, or by older code
        return ""


def sums_drawn(params: Params) -> dict[str, str]:
    """The sums of the files drawn last, by their paths below the root; none where nothing is noted."""
    try:
        return dict(read_json(stamp_path(params))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def check_root(params: Params, overlays: Sequence[str]) -> None:
    """Refuse an experiment that has none of the networks which are here of the one that this root was drawn as.

    Raises:
        UserError: names that other experiment.
    """
    other = other_experiment(params, overlays)
    try:
        drawn = read_json(stamp_path(params))["from"]["cells"] if other else {}
        names = [name for name in drawn if params.path("results", name, "cell.json").exists()]
    except (KeyError, TypeError):  # drawn by older code
        return
    if names and {cell.name for cell in params.cells()}.isdisjoint(names):
        raise UserError(
            f"{params.root} is the run of {other}, of whose networks ({first_few(names, 1)}) this experiment has none: its tables, "
            f"figures and report would be replaced. Give this experiment a root of its own (`root: runs/NAME`), or delete {params.root} if that run may go"
        )


def outdated(params: Params, run: Run, files: Iterable[Path]) -> set[Path]:
    """Those of the files that are missing, damaged or drawn from something else than what is there now."""
    files = list(files)
    try:
        drawn = read_json(stamp_path(params))
        sums = drawn["files"] if drawn["from"] == basis(params, run) else {}
        return {path for path in files if sums.get(str(params.within(path))) != _sum(path)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set(files)


def basis(params: Params, run: Run) -> dict[str, Any]:
    """What tables, figures and report depend on: settings, what params.yaml says of them, sources, data sets' descriptions, cells."""
    assumed = [dataclasses.asdict(assumption) for assumption in read_assumptions(params, run.path)]
    descriptions = {name: _sum(params.data_paths(name).description) for name in params.grid.datasets}
    return {
        "settings": settings_sum(params),
        "said": _text_sum([run.departures, run.changes, assumed]),
        "sources": _sources_sum(),
        "data": descriptions,
        "cells": {cell.name: _cell(params.cell_paths(cell)) for cell in params.cells()},
    }


def _cell(paths: CellPaths) -> str | None:
    """What is here of a cell: the sum of its record, and which small file is not here to be drawn from."""
    record = _sum(paths.record)
    small = [paths.curves, *([paths.scores] if paths.scored else [])]
    lacking = [file.name for file in small if not file.exists()]
    return f"{record} without {', '.join(lacking)}" if record and lacking else record


def _text_sum(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _sources_sum(of: Collection[str] = ()) -> str:
    """Changes with any source file, or with any of those files and folders."""
    here, digest = Path(__file__).parent, hashlib.sha256()
    for path in sorted(path.relative_to(here) for kind in _SOURCES for path in here.rglob(kind)):
        if not of or any(path.is_relative_to(one) for one in of):
            digest.update(f"{path} {sha256_of(here / path)}\n".encode())
    return digest.hexdigest()[:16]


def _sum(path: Path) -> str | None:
    """None for a file that is not there, which no noted sum equals."""
    try:
        return sha256_of(path)
    except OSError:
        return None
