"""What a referee would do: train a few cells again, drawn so that nobody chooses them, and compare.

On the same kind of machine every file must come out as the same bytes; elsewhere rounding makes another network of it, whose test
error must lie where one more seed of that network is to be expected.
"""

import contextlib
import dataclasses
import hashlib
import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import hypergeom

from hal.errors import UserError
from hal.params import Params
from hal.study.grid import CellResult, load_grid, select
from hal.study.resampling import moments, prediction_interval
from hal.train import cell as training
from hal.train.provenance import code_version

# What two machines must have in common for the same bytes.
SAME = ("device", "torch", "cuda", "driver", "cpu_threads", "deterministic")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One cell trained again.

    Attributes:
        name: the cell's.
        agrees: whether the stored cell stands.
        says: what was compared and how it came out.
    """

    name: str
    agrees: bool
    says: str


def audit(params: Params, cells: int) -> Iterator[Finding]:
    """Train `cells` of the finished cells again, below a folder of their own; what is stored is only read.

    An interrupted audit goes on where it was.

    Raises:
        UserError: there are fewer finished cells, or data are missing.
    """
    results = load_grid(params)
    drawn = draw(results, cells, code_version())
    apart = dataclasses.replace(params, root=str(params.path(".audit")))
    for dataset in {result.cell.dataset for result in drawn}:
        for kind in (".npz", ".json"):
            _link(params.path("data", f"{dataset}{kind}"), apart.path("data", f"{dataset}{kind}"))
    for result in drawn:
        yield compared(result, training.run(apart, result.cell), results)
    shutil.rmtree(apart.root)


def draw(results: Sequence[CellResult], cells: int, commit: str) -> list[CellResult]:
    """Some finished cells, by a seed that the code's commit and all results give together.

    Raises:
        UserError: fewer are finished.
    """
    finished = [result for result in results if result.ok]
    if not 0 < cells <= len(finished):
        raise UserError(f"--cells {cells}: {len(finished)} finished cells could be trained again")
    seals = (f"{result.cell.name} {result.record['sha256']}" for result in finished)
    seed = hashlib.sha256("\n".join([commit, *seals]).encode()).digest()
    chosen = np.random.default_rng(list(seed)).choice(len(finished), cells, replace=False)
    return [finished[i] for i in sorted(chosen)]


def compared(result: CellResult, again: dict[str, Any], results: Sequence[CellResult]) -> Finding:
    """A stored cell beside the record of the same cell trained again."""
    name, stored = result.cell.name, result.record
    files = [file for file, sha256 in stored["files"].items() if again["files"].get(file) != sha256]
    if not files:
        return Finding(name, True, f"the same bytes in all {len(stored['files'])} files")
    others = [key for key in SAME if again["provenance"].get(key) != stored["provenance"].get(key)]
    errors = f"{_error(stored)} stored, {_error(again)} now"
    if not others:
        return Finding(
            name, False, f"other bytes on the same kind of machine in {', '.join(files)}; test error {errors}"
        )
    differ = ", ".join(
        f"{key} {again['provenance'].get(key)} in place of {stored['provenance'].get(key)}" for key in others
    )
    siblings = [
        r.record["test_error"]
        for r in select(results, result.cell.dataset, result.cell.case)
        if r.ok and r.cell.seed != result.cell.seed
    ]
    expected = prediction_interval(moments(siblings), 1)
    if not expected.known or again["status"] != "ok":
        return Finding(
            name,
            again["status"] == "ok",
            f"another kind of machine ({differ}); test error {errors}; too few other seeds for an interval",
        )
    inside = expected.low <= again["test_error"] <= expected.high
    return Finding(
        name,
        inside,
        f"another kind of machine ({differ}); test error {errors}, {'in' if inside else 'outside'} the 95 % prediction "
        f"interval [{max(expected.low, 0):.2f}, {expected.high:.2f}] of the other {len(siblings)} seeds",
    )


def unnoticed(finished: int, drawn: int, wrong: int) -> float:
    """The probability that none of `wrong` cells among `finished` is among the drawn ones."""
    return float(hypergeom.pmf(0, finished, wrong, drawn)) if wrong <= finished else math.nan


def summary(params: Params, drawn: int) -> str:
    """What so many cells trained again can tell of all."""
    finished = sum(result.ok for result in load_grid(params))
    shares = [
        f"{100 * unnoticed(finished, drawn, wrong):.0f} % if {wrong} were wrong"
        for wrong in (1, 2, 5, 10, 25)
        if wrong <= finished - drawn + 1
    ]
    return f"{drawn} of {finished} finished cells were trained again. All would have agreed with a probability of {', '.join(shares)}"


def _error(record: dict[str, Any]) -> str:
    return f"{record['test_error']:.2f} %" if record["status"] == "ok" else record["status"]


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        target.symlink_to(source.resolve())
