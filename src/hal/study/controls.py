"""What the hint is worth: each network's test errors with the true superclass, a wrong one, or none.

Everything here is computed from what a cell keeps: the test logits (N, S, K), entry s being what the network says when
it is told superclass s (S = 1 for a network that is told none), and u = W y of equation 3. Images are counted, so that
every number is exact. The controls:

- `as_tested`: as the paper tests. A case is told the true superclass (a control: what its hint is), the baseline nothing;
  a network with the masked loss is masked here too. Must agree with cell.json.
- `oracle_mask`: the logits restricted to the classes of the true superclass. Of the baseline, for every grouping: the same
  hint, used without an auxiliary block. Of a case: its own logits, told the truth, masked too; what masking still
  mends is a hint that the network does not use.
- `no_oracle`: nobody tells. Of all (s, k) with class k in superclass s the one with the largest log-probability of k given
  s (log-softmax over all K classes). A larger score sharpens that softmax, so this favours the superclass under which the
  score is larger. Two other readings of "no hint" stand beside it: `no_oracle_mixture`, the class of the largest
  probability when those given each s are mixed by the share of the classes that s holds; and `no_oracle_baseline`, where
  the network is told the superclass of what the baseline of the same seed predicts.
- `wrong_hint_mean`, `wrong_hint_worst`: told a wrong superclass. The mean gives every wrong superclass of an image the same
  weight; in the worst case an image counts as wrong if any wrong superclass misleads the network.
- `best_hint`, `worst_hint`: wrong under every superclass, and under at least one.
- `flips`: the images whose predicted class changes with the superclass told. `blind`: those whose score, and so whose
  logits, is the same under all (to 0.001).
- `score_change`: the mean over test images of the largest minus the smallest score under any superclass (no count: `value`).
- `own_hint_auc`, `same_hint_auc`: how well the scores of the training images split by superclass (AUC, averaged over pairs
  of superclasses), each told its own, and all told the same one (averaged over which). If the second is as large, the
  split shows the features and not the hint.

Beside each error stands how many predicted classes are of the true superclass.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from hal.cell_files import read_auxiliary, read_predictions
from hal.errors import UserError
from hal.params import Cell, Params
from hal.settings import BASELINE, superclass_of
from hal.study.grid import CellResult, load_cells, scores, select
from hal.study.kept import KeptTable, Rows
from hal.study.separability import auc

Superclasses = Sequence[Sequence[int]]

COLUMNS = (
    *("dataset", "case", "seed", "grouping", "superclasses", "control"),
    *("count", "images", "right_superclass", "value", "hash", "missing"),
)
DERIVED = ("error", "superclass_accuracy")  # percent, of count and right_superclass among images

UNTOLD = ("as_tested", "oracle_mask")
TOLD = (
    *("as_tested", "oracle_mask", "no_oracle", "no_oracle_mixture", "no_oracle_baseline"),
    *("wrong_hint_mean", "wrong_hint_worst", "best_hint", "worst_hint", "flips"),
)
SCORED = ("blind", "score_change", "own_hint_auc", "same_hint_auc")

TABLE = KeptTable(
    folder="controls",
    columns=COLUMNS,
    key=("case", "seed", "hash", "grouping", "superclasses", "control"),
    numbers=("count", "images", "right_superclass", "value"),
    whole=("count", "images", "right_superclass"),
)
_AGREES = 0.1  # percentage points by which arithmetic on another machine may move an error
_BLIND = 1e-3


class Measured(NamedTuple):
    """One control: counted images of so many, and how many predictions are of the true superclass; or a value."""

    count: float = np.nan  # type: ignore[assignment]  # in place of tuple's method, which nobody calls
    images: float = np.nan
    right_superclass: float = np.nan
    value: float = np.nan


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


def as_tested(
    cell: Cell, logits: np.ndarray, label: np.ndarray, told: np.ndarray | None, owner: np.ndarray
) -> np.ndarray:
    """Classes (N,) that a network predicts as it was tested, from logits (N, S, K) and what it was told (N,).

    A network with the masked loss is masked here too.
    """
    tested = logits[np.arange(len(label)), 0 if told is None else told]
    return oracle_mask(tested, label, owner) if cell.loss == "masked" else tested.argmax(axis=1)


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


def mixture(logits: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Classes (N,) predicted from logits (N, S, K) when the probabilities under every s are mixed by its share of classes."""
    prior = np.bincount(owner, minlength=logits.shape[1]) / len(owner)
    return (
        (np.exp(log_softmax(logits.astype(np.float64), axis=2)) * prior[:, None]).sum(axis=1).argmax(axis=1)
    )


def score_under_every_hint(u: np.ndarray) -> np.ndarray:
    """Equation 3 told each superclass: u = W y (N, S) to a (N, S)."""
    distance = np.abs(u)
    return distance.sum(axis=1, keepdims=True) - distance + np.abs(u - 1)


def pairwise_auc(score: np.ndarray, superclass: np.ndarray) -> float:
    """The AUC of scores (N,), averaged over the pairs of superclasses (N,)."""
    sets = [score[superclass == j] for j in range(superclass.max() + 1)]
    return float(np.mean([auc(x, y) for x, y in combinations(sets, 2)]))


def untold_controls(logits: np.ndarray, label: np.ndarray, superclasses: Superclasses) -> dict[str, Measured]:
    """`UNTOLD` of a network that is told nothing, from logits (N, 1, K) and labels (N,).

    Raises:
        UserError: the grouping does not cover the classes.
    """
    owner = owners(superclasses, logits.shape[2])
    return {
        "as_tested": _measure(logits[:, 0].argmax(axis=1), label, owner),
        "oracle_mask": _measure(oracle_mask(logits[:, 0], label, owner), label, owner),
    }


def told_controls(
    logits: np.ndarray,
    label: np.ndarray,
    superclasses: Superclasses,
    of_baseline: np.ndarray | None = None,
) -> dict[str, Measured]:
    """`TOLD` of a network that is told a superclass.

    Args:
        logits: (N, S, K).
        label: (N,).
        superclasses: the classes of each.
        of_baseline: (N,) what the baseline of the same seed predicts; without it that control is left out.

    Raises:
        UserError: the grouping does not cover the classes.
    """
    owner = owners(superclasses, logits.shape[2])
    n, s, _ = logits.shape
    measure = functools.partial(_measure, label=label, owner=owner)
    by_hint = logits.argmax(axis=2)
    errs = by_hint != label[:, None]
    predicted, misled = wrong_hints(logits, label, owner)
    right = owner[predicted] == owner[label][:, None]
    truth = owner[label]
    measures = {
        "as_tested": measure(told_truth(logits, label, owner)),
        "oracle_mask": measure(oracle_mask(logits[np.arange(n), truth], label, owner)),
        "no_oracle": measure(no_oracle(logits, owner)),
        "no_oracle_mixture": measure(mixture(logits, owner)),
        "wrong_hint_mean": Measured(misled.sum(), n * (s - 1), right.sum()),
        "wrong_hint_worst": Measured(misled.any(axis=1).sum(), n, right.all(axis=1).sum()),
        "best_hint": Measured(errs.all(axis=1).sum(), n),
        "worst_hint": Measured(errs.any(axis=1).sum(), n),
        "flips": Measured((by_hint != by_hint[:, :1]).any(axis=1).sum(), n),
    }
    if of_baseline is not None:
        measures["no_oracle_baseline"] = measure(by_hint[np.arange(n), owner[of_baseline]])
    return measures


def scored_controls(
    u_test: np.ndarray, u_train: np.ndarray, score: np.ndarray, superclass: np.ndarray
) -> dict[str, Measured]:
    """`SCORED` of a network with an auxiliary block, from u = W y (N, S) of both splits and the training images' scores."""
    test, train = score_under_every_hint(u_test), score_under_every_hint(u_train)
    change = np.ptp(test, axis=1)
    finite = np.isfinite(score)
    measured = {
        "blind": Measured((change < _BLIND).sum(), len(change)),
        "score_change": Measured(value=change.mean()),
    }
    if finite.all():
        same = [pairwise_auc(train[:, s], superclass) for s in range(train.shape[1])]
        measured["own_hint_auc"] = Measured(value=pairwise_auc(score, superclass))
        measured["same_hint_auc"] = Measured(value=float(np.mean(same)))
    return measured


def write(params: Params, dataset: str) -> Path:
    """Compute the controls of a data set's cells, write results/controls/<dataset>.csv and return its path.

    Where a cell's predictions are not here (a clone without checkpoints), what the file already says of the very same
    cell and grouping stays. An entry that cannot be made says what is missing.

    Raises:
        UserError: the data set is not in the grid.
    """
    if dataset not in params.grid.datasets:
        raise UserError(f"data set {dataset!r}: the grid has {', '.join(params.grid.datasets)}")
    stored = TABLE.read(params, dataset)
    rows: list[dict[str, Any]] = []
    cells = select(load_cells(params), dataset=dataset)
    baselines = select(cells, case=BASELINE, state="ok").set_index("seed")["result"]
    for result in cells["result"]:
        path = params.cell_paths(result.cell).predictions
        if not result.ok:
            rows += _unfinished(params, result)
        elif path.exists():
            rows += _computed(params, result, baselines.get(result.cell.seed))
        else:
            rows += _stored_rows(params, result, stored, f"{path}: no such file")
    return TABLE.write(params, dataset, rows)


def read(params: Params, cells: pd.DataFrame) -> pd.DataFrame:
    """The controls of all cells of the grid (`load_cells`), from results/controls/: columns `COLUMNS` and `DERIVED`.

    Every entry that should be there is: one that is not of the cell as it is now, or is not computed yet, has NaN for
    its numbers and says so under `missing`.
    """
    rows: list[dict[str, Any]] = []
    for dataset, mine in cells.groupby("dataset", sort=False):
        stored, absent = TABLE.read(params, dataset), TABLE.absent(params, dataset)
        for result in mine["result"]:
            rows += _stored_rows(params, result, stored, absent) if result.ok else _unfinished(params, result)
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
    """The controls that a network of that kind has."""
    if cell.hint == "none":
        return UNTOLD
    return TOLD + (SCORED if cell.scored else ())


def _measure(predicted: np.ndarray, label: np.ndarray, owner: np.ndarray) -> Measured:
    return Measured((predicted != label).sum(), len(label), (owner[predicted] == owner[label]).sum())


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
        for control in controls_of(cell):
            row = {"dataset": cell.dataset, "case": cell.case, "seed": cell.seed, "grouping": grouping}
            row |= {"superclasses": text, "control": control, "hash": cell.hash, "missing": ""}
            yield row | Measured()._asdict()


def _computed(params: Params, result: CellResult, baseline: CellResult | None) -> list[dict[str, Any]]:
    """The rows of a cell that is ok from its files in checkpoints/, and from the baseline's of the same seed."""
    rows = list(_entries(params, result))
    path = params.cell_paths(result.cell).predictions
    try:
        measured = {name: _measured(params, result, baseline, name) for name in _groupings(params, result)}
    except UserError as error:
        return [row | {"missing": str(error)} for row in rows]
    rows = [_filled(row, measured[row["grouping"]], result) for row in rows]
    if any(map(functools.partial(_contradicts_record, result), rows)):
        computed, recorded = 100 * rows[0]["count"] / rows[0]["images"], result.record["test_error"]
        mismatch = f"{path}: its error is {computed:.2f} %, but cell.json's {recorded:.2f} %"
        return [row | {"missing": mismatch} for row in _entries(params, result)]
    return rows


def _measured(
    params: Params, result: CellResult, baseline: CellResult | None, grouping: str
) -> dict[str, Measured]:
    cell, folder = result.cell, params.cell_paths(result.cell).checkpoints
    superclasses = params.datasets[cell.dataset].cases[grouping].superclasses
    logits, label, told = predictions(params, result)
    if cell.hint == "none":
        measured = untold_controls(logits, label, superclasses)
    else:
        measured = told_controls(logits, label, superclasses, _predicted(params, baseline, label))
    owner = owners(superclasses, cell.classes)
    measured["as_tested"] = _measure(as_tested(cell, logits, label, told, owner), label, owner)
    if cell.scored:
        table = scores(result)
        u_test, u_train = read_auxiliary(folder / "auxiliary.npz", cell, result.record)
        measured |= scored_controls(
            u_test, u_train, table["score"].to_numpy(), table["superclass"].to_numpy()
        )
    return measured


def _predicted(params: Params, baseline: CellResult | None, label: np.ndarray) -> np.ndarray | None:
    """What the baseline predicts of the same test images, or None where its predictions are not to be had."""
    if baseline is None:
        return None
    try:
        logits, of, _ = predictions(params, baseline)
    except UserError:
        return None  # the baseline's own rows say why
    return logits[:, 0].argmax(axis=1) if np.array_equal(of, label) else None


def _filled(row: dict[str, Any], measured: Mapping[str, Measured], result: CellResult) -> dict[str, Any]:
    if row["control"] in measured:
        return row | measured[row["control"]]._asdict()
    baseline = f"the predictions of baseline seed {result.cell.seed} are not here"
    return row | {"missing": baseline if row["control"] == "no_oracle_baseline" else "scores are not finite"}


def _stored_rows(params: Params, result: CellResult, stored: Rows, absent: str) -> list[dict[str, Any]]:
    """The rows of a cell that is ok as the file has them; `absent` is said of those that it has not."""
    rows = [TABLE.kept(row, stored, absent) for row in _entries(params, result)]
    if any(_contradicts_record(result, row) for row in rows):
        return [row | {"missing": absent} for row in _entries(params, result)]
    return rows


def _unfinished(params: Params, result: CellResult) -> list[dict[str, Any]]:
    """The rows of a cell that is not ok: no numbers, and no hash, for there is no network that they are of."""
    return [row | {"hash": "", "missing": result.description} for row in _entries(params, result)]


def _contradicts_record(result: CellResult, row: dict[str, Any]) -> bool:
    """Whether a row cannot be of the network that cell.json describes."""
    if row["control"] != "as_tested" or not row["images"] > 0:
        return False
    return abs(100 * row["count"] / row["images"] - result.record["test_error"]) > _AGREES
