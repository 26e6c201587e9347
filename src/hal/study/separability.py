"""How well auxiliary scores split by superclass: Figures 3, 5 and 7 as numbers, and section 5's claim about them.

Two measures, both of two sets of scores:

- AUC: the chance that a score of one set lies above a score of the other (ties count half), or below, whichever is
  larger: 0.5 where neither tends to be larger, 1 where a threshold splits the sets.
- overlap: the area that two histograms share: 1 where they are the same, 0 where no bin holds scores of both. It also
  sees a set that lies on both sides of the other, which the AUC does not. The bins are of equal width, 2 n^(1/3) of
  them (Rice's rule, n of the smaller set, rounded up), from the 0.1 % to the 99.9 % quantile of both sets together;
  scores beyond that count in the outermost bins. Small sets overlap a little less than they should: by chance, two
  sets of 700 equal ones by 0.1, of 30,000 by 0.02.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from hal.errors import UserError
from hal.params import Params
from hal.settings import BASELINE
from hal.study.comparisons import errors
from hal.study.grid import by_case, scores, select
from hal.study.resampling import LEAST_PAIRS, spearman

COLUMNS = ("dataset", "case", "seed", "level", "first", "second", "auc", "overlap", "note")
_TAIL = 0.001


def auc(x: np.ndarray, y: np.ndarray) -> float:
    """The larger of P(x > y) and P(x < y), ties counted half, for two sets of finite scores."""
    x, y = _sorted(x), _sorted(y)
    below = np.searchsorted(y, x, "left").sum(dtype=float) + np.searchsorted(y, x, "right").sum(dtype=float)
    above = below / 2 / len(x) / len(y)
    return max(above, 1 - above)


def overlap(x: np.ndarray, y: np.ndarray) -> float:
    """The overlap coefficient of two sets of finite scores, binned as the module's text says."""
    x, y = _sorted(x), _sorted(y)
    low, high = np.quantile(np.concatenate([x, y]), [_TAIL, 1 - _TAIL])
    if low == high:
        low, high = min(x[0], y[0]), max(x[-1], y[-1])
    inner = np.linspace(low, high, math.ceil(2 * min(len(x), len(y)) ** (1 / 3)) + 1)[1:-1]
    shares = [np.diff(np.searchsorted(v, inner), prepend=0, append=len(v)) / len(v) for v in (x, y)]
    return float(np.minimum(*shares).sum())


def measure(score: np.ndarray, label: np.ndarray, superclasses: Sequence[Sequence[int]]) -> pd.DataFrame:
    """Separability of finite scores (N,) of images with labels (N,).

    Returns:
        Columns level, first, second, auc, overlap. Level `pair`: superclass `first` against superclass `second`; `class`:
        class `first` against every other superclass than its own, averaged; `all`: averaged over the pairs.

    Raises:
        UserError: all scores are equal, or a class has none.
    """
    if not len(score) or np.ptp(score) == 0:
        raise UserError("all scores are equal" if len(score) else "no finite score")
    groups = [[_sorted(score[label == k]) for k in classes] for classes in superclasses]
    for classes, sets in zip(superclasses, groups, strict=True):
        for k, values in zip(classes, sets, strict=True):
            if not len(values):
                raise UserError(f"class {k} has no finite score")
    whole = [_sorted(np.concatenate(sets)) for sets in groups]
    rows = []
    for i in range(len(whole)):
        for j in range(i + 1, len(whole)):
            rows.append(("pair", i, j, auc(whole[i], whole[j]), overlap(whole[i], whole[j])))
    mean = np.mean([row[3:] for row in rows], axis=0)
    rows.insert(0, ("all", -1, -1, *mean))
    for j, classes in enumerate(superclasses):
        others = [values for i, values in enumerate(whole) if i != j]
        for k, values in zip(classes, groups[j], strict=True):
            measures = np.mean([(auc(values, other), overlap(values, other)) for other in others], axis=0)
            rows.append(("class", k, -1, *measures))
    return pd.DataFrame(rows, columns=["level", "first", "second", "auc", "overlap"])


def separability(cells: pd.DataFrame) -> pd.DataFrame:
    """Separability of every cell of `load_cells` with an auxiliary block: columns `COLUMNS`, one row for each level and set.

    `first` and `second` are numbers of superclasses or classes as in `measure`, -1 where there is none. A cell that does
    not count, or whose scores tell nothing, has one row with NaN and says why under `note`.
    """
    frames = []
    for row in cells.itertuples():
        result, note = row.result, ""
        if not result.cell.scored:
            continue
        try:
            if not result.ok:
                raise UserError(result.description)
            table = scores(result)
            finite = table[np.isfinite(table["score"])]
            if len(finite) < len(table):
                note = f"{len(table) - len(finite):,} of {len(table):,} scores are not finite and left out"
            measured = measure(
                finite["score"].to_numpy(dtype=np.float64),
                finite["label"].to_numpy(),
                result.cell.superclasses,
            )
        except UserError as error:
            measured = pd.DataFrame([("all", -1, -1, math.nan, math.nan)], columns=COLUMNS[3:-1])
            note = "; ".join(filter(None, [note, str(error)]))
        frames.append(measured.assign(dataset=row.dataset, case=row.case, seed=row.seed, note=note))
    return pd.concat(frames)[list(COLUMNS)] if frames else pd.DataFrame(columns=COLUMNS)


def pairs(params: Params, cells: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """One row for each (data set, case): auc and overlap (means over seeds) and what the case takes off the error.

    Columns: dataset, case, n, auc, overlap, points (the baseline's mean error minus the case's), percent (the same as a
    share of the baseline's). `table` is `separability`'s. Only pairs with all their numbers, and none of a variant: it is
    another run of the same pair.
    """
    rows = []
    for (dataset, case), mine in by_case(select(table, level="all").dropna(subset="auc")):
        if params.datasets[dataset].variant_of is not None or case not in params.groupings(dataset):
            continue
        baseline, sample = (errors(cells, dataset, which) for which in (BASELINE, case))
        if len(sample) and len(baseline) and baseline.mean() > 0:
            points = baseline.mean() - sample.mean()
            rows.append(
                {
                    "dataset": dataset,
                    "case": case,
                    "n": len(mine),
                    "auc": mine["auc"].mean(),
                    "overlap": mine["overlap"].mean(),
                    "points": points,
                    "percent": 100 * points / baseline.mean(),
                }
            )
    return pd.DataFrame(rows, columns=["dataset", "case", "n", "auc", "overlap", "points", "percent"])


def predicts(table: pd.DataFrame, borders: pd.DataFrame | None = None) -> pd.DataFrame:
    """Spearman's rho between separability and error reduction over `pairs`: one row for each measure of both.

    Columns: separability (`auc`, or `split`: 1 - overlap), reduction (`percent` of the baseline's error, or `points`),
    pairs, rho, low, high (bootstrap over the pairs), held (empty, or `borders`). Points rank data sets by their baseline's
    error as much as cases by what they gain; percent does not. NaN for fewer than 8 pairs.

    With `borders` (see `hint.borders`), two rows more: what is left of the correlation with `percent` when the share of the
    baseline's errors that cross a border is held fixed, which by itself makes some groupings gain more (the partial rank
    correlation; no interval, and NaN for fewer than 8 pairs).
    """
    rows = []
    for reduction in ("percent", "points"):
        for name, values in (("auc", table["auc"]), ("split", 1 - table["overlap"])):
            rho, interval = spearman(values.to_numpy(), table[reduction].to_numpy())
            rows.append((name, reduction, len(table), rho, interval.low, interval.high, ""))
    if borders is not None:
        ours = select(borders, whose="ours")[["dataset", "case", "borders"]]
        both = table.merge(ours, on=["dataset", "case"])
        for name, values in (("auc", both["auc"]), ("split", 1 - both["overlap"])):
            rho = partial_spearman(values, both["percent"], both["borders"])
            rows.append((name, "percent", len(both), rho, math.nan, math.nan, "borders"))
    return pd.DataFrame(rows, columns=["separability", "reduction", "pairs", "rho", "low", "high", "held"])


def partial_spearman(x: pd.Series, y: pd.Series, held: pd.Series) -> float:
    """The rank correlation of x and y with `held` held fixed; NaN for fewer than 8 triples or where one does not vary."""
    ranks = pd.DataFrame({"x": x, "y": y, "held": held}).rank()
    if len(ranks) < LEAST_PAIRS or (ranks.nunique() < 2).any():
        return math.nan
    rho = ranks.corr()
    xy, xz, yz = rho.loc["x", "y"], rho.loc["x", "held"], rho.loc["y", "held"]
    rest = (1 - xz**2) * (1 - yz**2)
    return float((xy - xz * yz) / math.sqrt(rest)) if rest > 1e-12 else math.nan


def _sorted(values: np.ndarray) -> np.ndarray:
    """Sorted values; quick where they are sorted already."""
    return np.sort(values, kind="stable")
