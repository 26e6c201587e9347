"""What a referee would do: train a few cells again, drawn so that nobody chooses them, and compare.

On the same kind of machine every file must come out as the same bytes; elsewhere rounding makes another network of it, and the
stored test error and the new one must both lie where one more seed of that network is to be expected.
"""

import contextlib
import dataclasses
import datetime
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import hypergeom

from hal.cell_files import check_sum, made_with, recorded_files
from hal.data import store
from hal.errors import UserError
from hal.params import Cell, Params
from hal.study.grid import CellResult, curves, load_grid
from hal.study.resampling import moments, prediction_interval
from hal.study.two_runs import SAME
from hal.train import cell as training
from hal.train.provenance import code_version

# What of cell.json may differ between two trainings of a cell: its names, which anybody may change, and where and when it was made.
_NOT_COMPARED = {"dataset", "case", "time", "provenance", "peak_memory_bytes", "files", "sha256"}


@dataclasses.dataclass(frozen=True)
class Draw:
    """The cells that are trained again.

    Attributes:
        seed: of the draw, in hexadecimal: the SHA-256 of the code's commit and of what every finished cell holds.
        cells: the drawn ones, in the grid's order.
        finished: how many they were drawn from.
    """

    seed: str
    cells: list[CellResult]
    finished: int


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


def draw(results: Sequence[CellResult], cells: int, commit: str) -> Draw:
    """Some finished cells, diverged ones among them, by a seed that the code's commit and all results give together.

    Raises:
        UserError: fewer are finished.
    """
    finished = [result for result in results if result.finished]
    if cells < 1:
        raise UserError(f"--cells {cells}: give at least 1")
    if cells > len(finished):
        raise UserError(f"--cells {cells}: only {len(finished)} finished cells could be trained again")
    seals = (f"{result.cell.name} {result.record['sha256']}" for result in finished)
    seed = hashlib.sha256("\n".join([commit, *seals]).encode())
    chosen = np.random.default_rng(list(seed.digest())).choice(len(finished), cells, replace=False)
    return Draw(seed.hexdigest(), [finished[i] for i in sorted(chosen)], len(finished))


def drawn(params: Params, cells: int) -> Draw:
    """`draw` from the grid that there is, by the code that is running.

    Raises:
        UserError: fewer cells are finished.
    """
    return draw(load_grid(params), cells, code_version())


def announced(draw: Draw) -> str:
    """Which cells are trained again, from what they were drawn, and how long their first training took."""
    names = ", ".join(result.cell.name for result in draw.cells)
    first = datetime.timedelta(seconds=round(sum(result.record["time"]["wall_s"] for result in draw.cells)))
    return (
        f"drawn from {draw.finished} finished cells by the seed {draw.seed[:12]}, which the code's commit and all cells give: "
        f"{names}; their first training took {first}"
    )


def audit(params: Params, draw: Draw) -> Iterator[Finding]:
    """Train the drawn cells again, in a folder of this draw's own; what is stored is only read.

    An interrupted audit goes on where it was. The folder goes when all agree; else it stays, for whoever wants to know why.

    Raises:
        UserError: data are missing.
    """
    results, agree = load_grid(params), True
    apart = dataclasses.replace(params, root=str(params.path(".audit", draw.seed[:12])))
    # Looked for before the hours of training.
    damaged = {result.cell.name: _damage(params, result) for result in draw.cells}
    _forget_complete(apart, [result.cell for result in draw.cells if not damaged[result.cell.name]])
    for dataset in {result.cell.dataset for result in draw.cells}:
        here, there = params.data_paths(dataset), apart.data_paths(dataset)
        store.load(here.arrays)  # to say here what is wrong with it
        _link(here.arrays, there.arrays)
        _link(here.description, there.description)
    for result in draw.cells:
        if wrong := damaged[result.cell.name]:
            finding = Finding(result.cell.name, False, wrong)
        else:
            training.run(apart, result.cell)
            (again,) = load_grid(apart, [result.cell])
            finding = compared(result, again, results, len(draw.cells))
        agree = agree and finding.agrees
        yield finding
    if agree:
        shutil.rmtree(apart.root)
        with contextlib.suppress(OSError):  # another draw's lie there
            params.path(".audit").rmdir()


def compared(stored: CellResult, again: CellResult, results: Sequence[CellResult], cells: int) -> Finding:
    """A stored cell beside the same cell trained again, in an audit of so many."""
    name = stored.cell.name
    differing = _differing(stored.record, again.record)
    if not differing:
        return Finding(name, True, f"the same bytes in all {len(again.record['files'])} files")
    errors = f"test error {_error(stored)} stored, {_error(again)} now"
    others = _other_machine(stored.record, again.record)
    if not others:
        part = _parting(stored, again) if "curves.csv" in differing else ""
        return Finding(
            name,
            False,
            f"other {', '.join(differing)} on the same kind of machine; {errors}{part}; see {again.paths.results}",
        )
    agrees, why = _where_expected(stored, again, results, cells)
    return Finding(name, agrees, f"another kind of machine ({others}); {errors}, {why}")


def unnoticed(finished: int, drawn: int, wrong: int) -> float:
    """The probability that none of `wrong` cells among `finished` is among the drawn ones."""
    return float(hypergeom.pmf(0, finished, wrong, drawn))


def summary(draw: Draw) -> str:
    """What so many cells trained again can tell of all."""
    n, of = len(draw.cells), draw.finished
    head = f"{n} of {of} finished cells were trained again"
    if n == of:
        return f"{head}: none could have gone unnoticed"
    shares = [
        f"{100 * unnoticed(of, n, wrong):.0f} % if {f'1 of the {of} is wrong' if wrong == 1 else f'{wrong} are'}"
        for wrong in (1, 2, 5, 10, 25)
        if wrong <= of - n
    ]
    return f"{head}. They would miss every wrong cell with a probability of {', '.join(shares)}"


def _forget_complete(apart: Params, cells: Sequence[Cell]) -> None:
    """Make room for another audit of the same draw, whose code may have changed since: only an interrupted one goes on."""
    if all(result.finished for result in load_grid(apart, cells)):
        shutil.rmtree(apart.root, ignore_errors=True)


def _damage(params: Params, result: CellResult) -> str:
    """Which file of a stored cell is not that of its cell.json, or whose numbers are not those of its files; empty where all agree."""
    paths = params.cell_paths(result.cell)
    try:
        for path in filter(Path.exists, recorded_files(result.record, paths.results, paths.checkpoints)):
            check_sum(path, result.record)
        curves(result)
    except UserError as error:
        return str(error)
    return ""


def _differing(stored: dict[str, Any], again: dict[str, Any]) -> list[str]:
    """What cell.json vouches for and the new training gives otherwise: numbers by their keys, files by their names."""
    sums = stored["files"]
    files = [name for name, sha256 in again["files"].items() if sums.get(name) != sha256]
    keys = sorted({*stored, *again} - _NOT_COMPARED)
    return [*files, *(key for key in keys if stored.get(key) != again.get(key))]


def _other_machine(stored: dict[str, Any], again: dict[str, Any]) -> str:
    """Why the same bytes are not to be expected; empty where they are."""
    differences = [
        f"{key} {made_with(again, key)} in place of {made_with(stored, key)}"
        for key in SAME
        if made_with(again, key) != made_with(stored, key)
    ]
    deterministic = again["provenance"].get("deterministic")
    return ", ".join(differences) or ("" if deterministic else "runtime.deterministic is false")


def _where_expected(
    stored: CellResult, again: CellResult, results: Sequence[CellResult], cells: int
) -> tuple[bool, str]:
    """Whether both errors lie in the prediction interval of the network's other seeds, and how to say it.

    It is so wide that both errors of all audited cells lie inside in 95 % of audits that find nothing wrong.
    """
    if not (stored.ok and again.ok):
        return stored.state == again.state, "of which there is no interval"
    cell = stored.cell
    siblings = [
        r.record["test_error"]
        for r in results
        if r.ok and (r.cell.dataset, r.cell.case) == (cell.dataset, cell.case) and r.cell.seed != cell.seed
    ]
    expected = prediction_interval(moments(siblings), 1, 2 * cells)
    if not expected.known:
        few = (
            f"too few other seeds ({len(siblings)})"
            if len(siblings) < 2
            else f"all {len(siblings)} other seeds are alike"
        )
        return True, f"which decides nothing: {few} for an interval"
    outside = [
        which
        for which, result in (("the stored", stored), ("the new", again))
        if not expected.low <= result.record["test_error"] <= expected.high
    ]
    where = f"{' and '.join(outside)} one outside" if outside else "both in"
    return not outside, (
        f"{where} the prediction interval [{max(expected.low, 0):.2f}, {expected.high:.2f}] of the other {len(siblings)} seeds "
        "(95 % for all errors of the audit together)"
    )


def _parting(stored: CellResult, again: CellResult) -> str:
    """The first epoch after which the curves are not the same."""
    first, second = curves(stored), curves(again)
    n = min(len(first), len(second))
    apart = (first[:n] != second[:n]).any(axis=1).to_numpy()
    return f"; the curves part at epoch {int(apart.argmax()) + 1 if apart.any() else n + 1}"


def _error(result: CellResult) -> str:
    return f"{result.record['test_error']:.2f} %" if result.ok else result.state


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        target.symlink_to(source.resolve())
