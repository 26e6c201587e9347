"""What the hint is worth: each network's test errors with the true superclass, a wrong one, or none.

Everything here is computed from the test logits that a cell keeps: (N, S, K), entry s being what the network says when
it is told superclass s; S = 1 for the baseline, which is told none. The controls:

- `as_tested`: as the paper tests. A case is told the true superclass, the baseline nothing. Must agree with cell.json.
- `oracle_mask` (baseline, for every grouping): the logits restricted to the classes of the true superclass. The same
  hint, used without an auxiliary block.
- `no_oracle` (cases): nobody tells. Of all (s, k) with class k in superclass s the one with the largest
  log-probability of k given s (log-softmax over all K classes). The score `a` scales the features anew for every
  s, so raw logits of different s cannot be compared; their probabilities can. A class outside s contradicts s.
- `wrong_hint_mean`, `wrong_hint_worst` (cases): told a wrong superclass. The mean gives every wrong superclass of an
  image the same weight; in the worst case an image counts as wrong if any wrong superclass misleads the network.

Beside each error stands the superclass accuracy: how often the class predicted is of the true superclass.
"""

import functools
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from hal.errors import UserError
from hal.files import write_text
from hal.params import Params
from hal.settings import BASELINE, superclass_of
from hal.study.grid import CellResult, check_file, load_grid, read_npz, select

Superclasses = Sequence[Sequence[int]]

COLUMNS = (
    *("dataset", "case", "seed", "grouping", "superclasses", "control"),
    *("error", "superclass_accuracy", "hash", "missing"),
)
OF_BASELINE = ("as_tested", "oracle_mask")
OF_CASE = ("as_tested", "no_oracle", "wrong_hint_mean", "wrong_hint_worst")

_NUMBERS = ("error", "superclass_accuracy")
_KEY = ["case", "seed", "hash", "grouping", "superclasses", "control"]
_AGREES = 0.1  # percentage points by which arithmetic on another machine may move an error


def owners(superclasses: Superclasses, classes: int) -> np.ndarray:
    """The superclass of each class (K,).

    Raises:
        UserError: a class is in no superclass, in two, or out of range.
    """
    return np.array(superclass_of(superclasses, classes))


def oracle_mask(logits: np.ndarray, label: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Classes (N,) predicted from logits (N, K) by the best class of the true superclass."""
    allowed = owner[None, :] == owner[label][:, None]
    return np.where(allowed, logits, -np.inf).argmax(axis=1)


def told_truth(logits: np.ndarray, label: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Classes (N,) predicted from logits (N, S, K) when told the true superclass."""
    return logits[np.arange(len(label)), owner[label]].argmax(axis=1)


def no_oracle(logits: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Classes (N,) predicted from logits (N, S, K) by the most probable pair of a superclass and a class in it."""
    n, s, k = logits.shape
    joint = log_softmax(logits.astype(np.float64), axis=2)
    belongs = owner[None, :] == np.arange(s)[:, None]
    return np.where(belongs, joint, -np.inf).reshape(n, s * k).argmax(axis=1) % k


def wrong_hints(logits: np.ndarray, label: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classes (N, S - 1) predicted from logits (N, S, K) when told each wrong superclass, and who errs (N, S - 1)."""
    n, s, _ = logits.shape
    wrong = np.arange(s)[None, :] != owner[label][:, None]
    predicted = logits.argmax(axis=2)[wrong].reshape(n, s - 1)
    return predicted, predicted != label[:, None]


def baseline_controls(
    logits: np.ndarray, label: np.ndarray, superclasses: Superclasses
) -> dict[str, tuple[float, float]]:
    """Error and superclass accuracy in percent of `OF_BASELINE`, from logits (N, 1, K) and labels (N,).

    Raises:
        UserError: the grouping does not cover the classes.
    """
    owner = owners(superclasses, logits.shape[2])
    return {
        "as_tested": _measure(logits[:, 0].argmax(axis=1), label, owner),
        "oracle_mask": _measure(oracle_mask(logits[:, 0], label, owner), label, owner),
    }


def case_controls(
    logits: np.ndarray, label: np.ndarray, superclasses: Superclasses
) -> dict[str, tuple[float, float]]:
    """Error and superclass accuracy in percent of `OF_CASE`, from logits (N, S, K) and labels (N,).

    Raises:
        UserError: the grouping does not cover the classes.
    """
    owner = owners(superclasses, logits.shape[2])
    predicted, errs = wrong_hints(logits, label, owner)
    right = owner[predicted] == owner[label][:, None]
    return {
        "as_tested": _measure(told_truth(logits, label, owner), label, owner),
        "no_oracle": _measure(no_oracle(logits, owner), label, owner),
        "wrong_hint_mean": (100 * errs.mean(), 100 * right.mean()),
        "wrong_hint_worst": (100 * errs.any(axis=1).mean(), 100 * right.all(axis=1).mean()),
    }


def write(params: Params, dataset: str) -> Path:
    """Compute the controls of a data set's cells, write results/controls/<dataset>.csv and return its path.

    Where a cell's predictions are not here (a clone without checkpoints), what the file already says of the very same
    cell and grouping stays. An entry that cannot be made says what is missing.

    Raises:
        UserError: the data set is not in the grid.
    """
    if dataset not in params.grid.datasets:
        raise UserError(f"data set {dataset!r}: the grid has {', '.join(params.grid.datasets)}")
    stored = _stored(params, dataset)
    rows: list[dict[str, Any]] = []
    for result in select(load_grid(params), dataset):
        path = params.cell_paths(result.cell).checkpoints / "predictions.npz"
        if not result.ok:
            rows += _unfinished(params, result)
        elif path.exists():
            rows += _computed(params, result, path)
        else:
            rows += _kept(params, result, stored, f"{path}: no such file")
    text = io.StringIO()
    pd.DataFrame(rows, columns=COLUMNS).to_csv(text, index=False, float_format="%.6g", lineterminator="\n")
    path = controls_path(params, dataset)
    write_text(path, text.getvalue())
    return path


def read(params: Params, results: Sequence[CellResult]) -> pd.DataFrame:
    """The controls of all cells of the grid, from results/controls/: columns `COLUMNS`, errors in percent.

    Every entry that should be there is: one that is not of the cell as it is now, or is not computed yet, has NaN for
    its numbers and says so under `missing`.
    """
    rows: list[dict[str, Any]] = []
    for dataset in params.grid.datasets:
        stored = _stored(params, dataset)
        absent = f"not in {controls_path(params, dataset)}; `hal controls {dataset}` computes it"
        for result in select(results, dataset):
            rows += _kept(params, result, stored, absent) if result.ok else _unfinished(params, result)
    return pd.DataFrame(rows, columns=COLUMNS)


def controls_path(params: Params, dataset: str) -> Path:
    """Where a data set's controls lie."""
    return params.path("results", "controls", f"{dataset}.csv")


def predictions(result: CellResult, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A cell's test logits (N, S, K) and labels (N,).

    Raises:
        UserError: the file is missing, broken, of another shape, or holds values that are not finite.
    """
    check_file(result, path)
    logits, label = read_npz(path, {"logits": ("f", 3), "label": ("u", 1)})
    cell = result.cell
    superclasses = 1 if cell.hint == "none" else len(cell.superclasses)
    expected = (len(label), superclasses, cell.classes)
    if logits.shape != expected or not len(label) or label.max() >= cell.classes:
        raise UserError(f"{path}: logits {logits.shape} and labels {label.shape} are not {cell.case}'s")
    if not np.isfinite(logits).all():
        raise UserError(f"{path}: {(~np.isfinite(logits)).sum():,} logits are not finite")
    return logits, label


def _measure(predicted: np.ndarray, label: np.ndarray, owner: np.ndarray) -> tuple[float, float]:
    return 100 * (predicted != label).mean(), 100 * (owner[predicted] == owner[label]).mean()


def _groupings(params: Params, result: CellResult) -> list[str]:
    """The groupings that a cell has entries for: its own, or all of the data set for the baseline."""
    case = result.cell.case
    return params.cases(result.cell.dataset)[1:] if case == BASELINE else [case]


def _entries(params: Params, result: CellResult) -> Iterator[dict[str, Any]]:
    """The rows that a cell should have, without numbers."""
    cell = result.cell
    for grouping in _groupings(params, result):
        superclasses = params.datasets[cell.dataset].cases[grouping].superclasses
        text = " | ".join(" ".join(map(str, sorted(labels))) for labels in superclasses)
        for control in OF_BASELINE if cell.case == BASELINE else OF_CASE:
            row = {"dataset": cell.dataset, "case": cell.case, "seed": cell.seed, "grouping": grouping}
            row |= {"superclasses": text, "control": control, "hash": cell.hash, "missing": ""}
            yield row | {"error": np.nan, "superclass_accuracy": np.nan}


def _computed(params: Params, result: CellResult, path: Path) -> list[dict[str, Any]]:
    """The rows of a cell that is ok from its predictions."""
    rows = list(_entries(params, result))
    try:
        logits, label = predictions(result, path)
    except UserError as error:
        return [row | {"missing": str(error)} for row in rows]
    compute = baseline_controls if result.cell.case == BASELINE else case_controls
    cases = params.datasets[result.cell.dataset].cases
    found = {name: compute(logits, label, cases[name].superclasses) for name in _groupings(params, result)}
    rows = [row | dict(zip(_NUMBERS, found[row["grouping"]][row["control"]], strict=True)) for row in rows]
    if any(map(functools.partial(_of_another, result), rows)):
        error, recorded = rows[0]["error"], result.record["test_error"]
        said = f"{path}: its error is {error:.2f} %, but cell.json's {recorded:.2f} %"
        return [row | {"missing": said} for row in _entries(params, result)]
    return rows


def _kept(
    params: Params, result: CellResult, stored: dict[tuple, dict[str, Any]], absent: str
) -> list[dict[str, Any]]:
    """The rows of a cell that is ok as the file has them; `absent` is said of those that it has not."""
    rows = list(_entries(params, result))
    before = [stored.get(tuple(str(row[key]) for key in _KEY)) for row in rows]
    if any(_of_another(result, row) for row in before if row is not None):
        before = [None] * len(rows)
    return [
        row | ({"missing": absent} if old is None else {key: old[key] for key in (*_NUMBERS, "missing")})
        for row, old in zip(rows, before, strict=True)
    ]


def _unfinished(params: Params, result: CellResult) -> list[dict[str, Any]]:
    """The rows of a cell that is not ok: no numbers, and no hash, for there is no network that they are of."""
    said = f"{result.state} {result.reason}".rstrip()
    return [row | {"hash": "", "missing": said} for row in _entries(params, result)]


def _of_another(result: CellResult, row: dict[str, Any]) -> bool:
    """Whether a row cannot be of the network that cell.json describes."""
    tested = row["control"] == "as_tested"
    return tested and abs(row["error"] - result.record["test_error"]) > _AGREES


def _stored(params: Params, dataset: str) -> dict[tuple, dict[str, Any]]:
    """The rows of results/controls/<dataset>.csv by `_KEY`; a file that is not there or broken has none."""
    try:
        frame = pd.read_csv(
            controls_path(params, dataset),
            dtype={name: str for name in COLUMNS} | {"error": float, "superclass_accuracy": float},
            keep_default_na=False,
            na_values={"error": [""], "superclass_accuracy": [""]},
            usecols=list(COLUMNS),
        )
    except (FileNotFoundError, ValueError):
        return {}
    return {tuple(row[key] for key in _KEY): row for row in frame.to_dict("records")}
