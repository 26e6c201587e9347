"""The controls of every cell: `measures` of its stored logits, kept in results/controls/ (docs/files.md).

Images are counted, so that every number is exact. What a cell is tested as must agree with its cell.json.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hal import remeasured
from hal.cell_files import AGREES, read_auxiliary, read_predictions
from hal.errors import UserError
from hal.params import Cell, Params
from hal.settings import BASELINE
from hal.study import measures
from hal.study.grid import CellResult, load_cells, scores, select
from hal.study.kept import KeptTable, Rows, grouping_text, identity

COLUMNS = (
    *("dataset", "case", "seed", "grouping", "superclasses", "control"),
    *("count", "images", "right_superclass", "value", "networks", "missing"),
)
_NO_BASELINE = "the predictions of the baseline of that seed are not here"
DERIVED = ("error", "superclass_accuracy")  # percent, of count and right_superclass among images

TABLE = KeptTable(
    folder="controls",
    columns=COLUMNS,
    key=("case", "seed", "grouping", "superclasses", "control", "networks"),
    numbers=("count", "images", "right_superclass", "value"),
    whole=("count", "images", "right_superclass"),
)


class Predicted(NamedTuple):
    """What a network predicts of the test images, and what they are; each (N,)."""

    classes: np.ndarray
    label: np.ndarray


def write(params: Params, dataset: str) -> Path:
    """Compute the controls of a data set's cells, write results/controls/<dataset>.csv and return its path.

    Where a cell's files are not here (a clone without checkpoints), are damaged, or were measured again on another machine, what the
    table already says of the very same networks and grouping stays. Else an entry that cannot be made says what is missing.

    Raises:
        UserError: the data set is not in the grid.
    """
    params.check_in_grid(dataset)
    stored = TABLE.read(params, dataset)
    rows: list[dict[str, Any]] = []
    cells = select(load_cells(params), dataset=dataset)
    baselines = _baselines(cells)
    predicted = {seed: _predicted(params, result) for seed, result in baselines.items()}
    again = {
        result.cell.name: remeasured.among(result.paths.checkpoints, result.record)
        for result in select(cells, state="ok")["result"]
    }
    for result in cells["result"]:
        if not result.ok:
            rows += _unfinished(params, result)
            continue
        baseline = baselines.get(result.cell.seed)
        own, of_baseline = again[result.cell.name], again[baseline.cell.name] if baseline else set()
        rows += [
            TABLE.or_stored(row, stored) if _stands(row["control"], own, of_baseline) else row
            for row in _computed(params, result, baseline, predicted.get(result.cell.seed), stored)
        ]
    return TABLE.write(params, dataset, rows)


def read(params: Params, cells: pd.DataFrame) -> pd.DataFrame:
    """The controls of all cells of the grid (`load_cells`), from results/controls/: columns `COLUMNS` and `DERIVED`.

    Every entry that should be there is: one that is not of the cell as it is now, or is not computed yet, has NaN for
    its numbers and says so under `missing`.
    """
    rows: list[dict[str, Any]] = []
    for dataset, mine in cells.groupby("dataset", sort=False):
        stored, absent = TABLE.read(params, dataset), TABLE.absent(params, dataset)
        baselines = _baselines(mine)
        for result in mine["result"]:
            if result.ok:
                rows += _stored_rows(params, result, baselines.get(result.cell.seed), stored, absent)
            else:
                rows += _unfinished(params, result)
    frame = pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(TABLE.numbers, float))
    share = frame[["count", "right_superclass"]].div(frame["images"], axis=0) * 100
    frame = frame.assign(error=share["count"], superclass_accuracy=share["right_superclass"])
    # Asked for by these again and again: categories are compared a hundred times as fast as texts.
    return frame.astype(dict.fromkeys(("dataset", "case", "grouping", "control"), "category"))


def predictions(params: Params, result: CellResult) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """A cell's test logits, labels and what it was told; see `cell_files.read_predictions`."""
    path = params.cell_paths(result.cell).predictions
    return read_predictions(path, result.cell, result.record)


def controls_of(cell: Cell) -> tuple[str, ...]:
    """The controls that a network of that kind has; what a score does under other superclasses is none of a network that is told zeros under all."""
    if not cell.is_told:
        return measures.UNTOLD
    return measures.TOLD + (measures.SCORED if cell.scored and cell.hint != "zero" else ())


def _baselines(cells: pd.DataFrame) -> dict[int, CellResult]:
    """The baseline of every seed that has one that counts, among the cells of a data set."""
    return {result.cell.seed: result for result in select(cells, case=BASELINE, state="ok")["result"]}


def _groupings(params: Params, result: CellResult) -> list[str]:
    """The groupings that a cell has entries for: its own, or all of the data set for the baseline."""
    case = result.cell.case
    return params.cases(result.cell.dataset)[1:] if case == BASELINE else [case]


def _entries(
    params: Params, result: CellResult, baseline: CellResult | None = None
) -> Iterator[dict[str, Any]]:
    """The rows that a cell should have, without numbers, each with the networks that it is of."""
    cell = result.cell
    for grouping in _groupings(params, result):
        superclasses = params.datasets[cell.dataset].cases[grouping].superclasses
        text = grouping_text(superclasses)
        for control in controls_of(cell):
            row = {"dataset": cell.dataset, "case": cell.case, "seed": cell.seed, "grouping": grouping}
            networks = [result, baseline] if control == "no_oracle_baseline" and baseline else [result]
            identified = identity(control, networks) if result.ok else ""
            row |= {"superclasses": text, "control": control, "networks": identified, "missing": ""}
            yield row | measures.Counts()._asdict()


def _computed(
    params: Params,
    result: CellResult,
    baseline: CellResult | None,
    predicted: Predicted | None,
    kept: Rows,
) -> list[dict[str, Any]]:
    """The rows of a cell that is ok from its files in checkpoints/, and from what the baseline of the same seed predicts."""
    rows = list(_entries(params, result, baseline))
    path = params.cell_paths(result.cell).predictions
    try:
        stored = predictions(params, result)
        measured = {
            name: _measured(params, result, stored, predicted, name) for name in _groupings(params, result)
        }
    except UserError as error:
        reasons = {"no_oracle_baseline": _NO_BASELINE} if predicted is None else {}
        return [
            TABLE.or_stored(row | {"missing": reasons.get(row["control"], str(error))}, kept) for row in rows
        ]
    rows = [_filled(row, measured[row["grouping"]], result, kept) for row in rows]
    recorded = result.record["test_error"]
    for computed in (100 * row["count"] / row["images"] for row in rows if row["control"] == "as_tested"):
        if abs(computed - recorded) > AGREES:
            mismatch = f"{path}: its error is {computed:.2f} %, but cell.json's {recorded:.2f} %"
            return [row | {"missing": mismatch} for row in _entries(params, result, baseline)]
    return rows


def _measured(
    params: Params,
    result: CellResult,
    stored: tuple[np.ndarray, np.ndarray, np.ndarray | None],
    predicted: Predicted | None,
    grouping: str,
) -> dict[str, measures.Counts]:
    cell = result.cell
    superclasses = params.datasets[cell.dataset].cases[grouping].superclasses
    logits, label, told = stored
    same_images = predicted is not None and np.array_equal(predicted.label, label)
    of_baseline = predicted.classes if predicted is not None and same_images else None
    measured = measures.of_network(logits, label, told, superclasses, cell.loss, of_baseline)
    if not set(measures.SCORED).isdisjoint(controls_of(cell)):
        table = scores(result)
        u_test, u_train = read_auxiliary(params.cell_paths(cell).auxiliary, cell, result.record)
        measured |= measures.of_scored(
            u_test, u_train, table["score"].to_numpy(), table["superclass"].to_numpy()
        )
    return measured


def _stands(control: str, own: set[str], of_baseline: set[str]) -> bool:
    """Whether a control is counted here on a file measured again, of the cell's `own` or the baseline's: what was counted before then stands."""
    if control in measures.SCORED:
        return "auxiliary.npz" in own
    return "predictions.npz" in own | (of_baseline if control == "no_oracle_baseline" else set())


def _predicted(params: Params, baseline: CellResult) -> Predicted | None:
    """What a baseline predicts, or None where its predictions are not to be had."""
    try:
        logits, label, _ = predictions(params, baseline)
    except UserError:
        return None  # the baseline's own rows say why
    return Predicted(logits[:, 0].argmax(axis=1), label)


def _filled(
    row: dict[str, Any], measured: Mapping[str, measures.Counts], result: CellResult, kept: Rows
) -> dict[str, Any]:
    """The row with its numbers; what cannot be measured here stays as the file has it of the same networks."""
    if row["control"] in measured:
        return row | measured[row["control"]]._asdict()
    unless = dict.fromkeys(measures.SCORED, "scores are not finite")
    unless["no_oracle_baseline"] = _NO_BASELINE
    return TABLE.or_stored(row | {"missing": unless[row["control"]]}, kept)


def _stored_rows(
    params: Params, result: CellResult, baseline: CellResult | None, stored: Rows, absent: str
) -> list[dict[str, Any]]:
    """The rows of a cell that is ok as the file has them; `absent` is said of those that it has not."""
    return [TABLE.kept(row, stored, absent) for row in _entries(params, result, baseline)]


def _unfinished(params: Params, result: CellResult) -> list[dict[str, Any]]:
    """The rows of a cell that is not ok: no numbers, for there is no network that they are of."""
    return [row | {"missing": result.description} for row in _entries(params, result)]
