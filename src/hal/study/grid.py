"""What became of every planned cell, and the numbers of those that are whole and current: one frame, a row a cell."""

import dataclasses
import json
import math
import operator
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pandas.api.typing import DataFrameGroupBy

from hal.cell_files import FINAL, read_curves, read_record, read_scores
from hal.data.described import arrays_sha256
from hal.errors import UserError, first_line
from hal.files import read_json
from hal.params import Cell, CellPaths, Params

State = Literal["ok", "diverged", "missing", "unfinished", "stale", "broken"]
FINISHED = ("ok", "diverged")  # trained to the end under the settings in force


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far the training of an unfinished cell has come.

    Attributes:
        epoch: that was saved last.
        epochs: that it will have.
        wall_s: that it took until then, where that can be read.
        test_error: in percent after that epoch, where that can be read.
        saved: when, in seconds since 1970.
    """

    epoch: int
    epochs: int
    wall_s: float | None
    test_error: float | None
    saved: float


@dataclasses.dataclass(frozen=True)
class CellResult:
    """One planned cell.

    Attributes:
        state: `ok`, or why no number of this cell may enter a mean.
        reason: what a reader should know of the state, as a phrase; for an `ok` cell mostly empty.
        record: cell.json where it could be read (also of a diverged or stale cell), else empty.
        progress: of an `unfinished` cell, where it can be read.
    """

    cell: Cell
    state: State
    reason: str
    record: dict[str, Any]
    paths: CellPaths
    progress: Progress | None = None

    @property
    def ok(self) -> bool:
        """Whether the cell's numbers count."""
        return self.state == "ok"

    @property
    def finished(self) -> bool:
        """Whether it is trained to its end, diverged or not, under the settings in force."""
        return self.state in FINISHED

    @property
    def description(self) -> str:
        """Its state, and what a reader should know of it."""
        return f"{self.state} {self.reason}".rstrip()


def load_cells(params: Params, cells: Sequence[Cell] | None = None) -> pd.DataFrame:
    """`load_grid`'s results as a frame that studies group and join, one row a cell.

    Columns: dataset, case, seed; state; `cell_files.FINAL`, NaN where the cell does not count; result (its `CellResult`).
    """
    rows = [
        (
            r.cell.dataset,
            r.cell.case,
            r.cell.seed,
            r.state,
            *(r.record[k] if r.ok else math.nan for k in FINAL),
            r,
        )
        for r in load_grid(params, cells)
    ]
    return pd.DataFrame(rows, columns=["dataset", "case", "seed", "state", *FINAL, "result"])


def select(table: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    """The rows of a table whose columns hold these values, as in `select(cells, dataset="mnist", case="case1")`."""
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


def first_ok(cells: pd.DataFrame, dataset: str, case: str) -> CellResult | None:
    """The cell of a case that stands for it where one network is shown: the first that counts."""
    return next(iter(select(cells, dataset=dataset, case=case, state="ok")["result"]), None)


def by_case(table: pd.DataFrame) -> DataFrameGroupBy:
    """The rows of each data set and case, in the order in which they stand."""
    return table.groupby(["dataset", "case"], sort=False, observed=True)


def load_grid(params: Params, cells: Sequence[Cell] | None = None) -> list[CellResult]:
    """Look at every cell of the grid, in the order of `params.cells()`; never at what merely lies around.

    With `cells`, what is to be said of these alone; no others are looked at where their data sets' descriptions are there.
    """
    wanted = params.cells() if cells is None else cells
    data = {name: data_identity(params, name) for name in dict.fromkeys(cell.dataset for cell in wanted)}
    undescribed = [name for name, (sha256, _) in data.items() if sha256 is None]
    if cells is not None and undescribed:
        names = {cell.name for cell in cells}
        return [result for result in load_grid(params) if result.cell.name in names]
    results = [_look(params, cell, *data[cell.dataset]) for cell in wanted]
    for dataset in undescribed:
        results = _of_one_data_set(params, dataset, results)
    return results


def _of_one_data_set(params: Params, dataset: str, results: list[CellResult]) -> list[CellResult]:
    """Where nothing says what the data are, cells that were trained on different ones do not enter one mean."""
    finished = [r for r in results if r.finished and r.cell.dataset == dataset]
    used = {str(r.record["provenance"].get("data_sha256")) for r in finished}
    if len(used) < 2:
        return results
    path = params.data_paths(dataset).description
    reason = f"(this data set's networks were trained on {len(used)} different data, and no {path} says on which to train)"
    apart = {r.cell.name for r in finished}
    return [
        dataclasses.replace(r, state="stale", reason=reason) if r.cell.name in apart else r for r in results
    ]


def summary(results: Iterable[CellResult]) -> str:
    """The cells of which there is something to say, such as `seeds 1, 2 missing; seed 3 diverged at step 812`."""
    return of_seeds((r.cell.seed, r.reason if r.ok else r.description) for r in results)


def of_seeds(said: Iterable[tuple[int, str]]) -> str:
    """What is said of each seed, if anything, the same said once: `seeds 1, 2 missing; seed 3 diverged at step 812`."""
    seeds_of: dict[str, list[int]] = {}
    for seed, text in said:
        if text:
            seeds_of.setdefault(text, []).append(seed)
    return "; ".join(
        f"seed{'s' if len(s) > 1 else ''} {', '.join(map(str, s))} {text}" for text, s in seeds_of.items()
    )


def curves(result: CellResult) -> pd.DataFrame:
    """A cell's curves.csv; see `cell_files.read_curves`."""
    return read_curves(result.paths.curves, result.record)


def scores(result: CellResult) -> pd.DataFrame:
    """A cell's scores.npz; see `cell_files.read_scores`."""
    return read_scores(result.paths.scores, result.cell, result.record)


def differences(recorded: Any, expected: Any, path: str = "") -> list[str]:
    """Where two nested settings differ, as `train.epochs is 3, not 250`."""
    if isinstance(recorded, dict) and isinstance(expected, dict):
        keys = [*expected, *(key for key in recorded if key not in expected)]
        below = [
            differences(recorded.get(key), expected.get(key), f"{path}.{key}" if path else str(key))
            for key in keys
        ]
        return [difference for some in below for difference in some]
    return [] if recorded == expected else [f"{path} is {_shown(recorded)}, not {_shown(expected)}"]


def _look(params: Params, cell: Cell, data_sha256: str | None, data_warning: str) -> CellResult:
    paths = params.cell_paths(cell)

    def result(state: State, reason: str = "", record: dict | None = None) -> CellResult:
        return CellResult(cell, state, reason, record or {}, paths)

    def unfinished(reason: str = "", record: dict | None = None) -> CellResult:
        progress = _progress(paths.resume)
        epochs = f"after epoch {progress.epoch} of {progress.epochs}" if progress else ""
        reason = f"{epochs} {reason}".strip()
        return CellResult(cell, "unfinished", reason, record or {}, paths, progress)

    try:
        record = read_record(paths.record)
    except FileNotFoundError:
        return unfinished() if paths.resume.is_dir() else result("missing")
    except UserError as error:
        return result("broken", f"({error})")
    except OSError as error:
        return result("broken", f"({paths.record} cannot be read: {first_line(error)})")
    if record["hash"] != cell.hash:
        changed = differences(record["settings"], cell.settings) or ["its hash is another"]
        if paths.resume.is_dir():
            return unfinished(f"(over one of other settings: {'; '.join(changed)})", record)
        return result("stale", f"({'; '.join(changed)})", record)
    if data_sha256 is not None and record["provenance"].get("data_sha256") != data_sha256:
        return result("stale", "(trained on other data than the present data set)", record)
    if record["status"] == "diverged":
        return result("diverged", f"at step {record['diverged_at_step']}", record)
    return result("ok", data_warning, record)


def _progress(folder: Path) -> Progress | None:
    """How far the cell whose training state lies in `folder` has come; None if that cannot be read."""
    path = folder / "progress.json"
    try:
        saved = read_json(path)
        epoch, epochs = (operator.index(saved[name]) for name in ("epoch", "epochs"))
        wall_s, test_error = (_number(saved.get(name)) for name in ("wall_s", "test_error"))
        return Progress(epoch, epochs, wall_s, test_error, path.stat().st_mtime)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) else None


def data_identity(params: Params, dataset: str) -> tuple[str | None, str]:
    """The present data set's arrays_sha256, if it is there, and a warning if it is there but cannot be read."""
    try:
        return arrays_sha256(params, dataset), ""
    except UserError as error:
        return None, f"not compared with the data set: {error}"


def _shown(value: Any) -> str:
    shown = json.dumps(value) if not isinstance(value, str) else value
    return shown if len(shown) <= 60 else shown[:57] + "..."
