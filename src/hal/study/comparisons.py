"""Table 2's differences with their uncertainty: each case against the baseline, and against the masked baseline."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from hal.params import Params
from hal.settings import BASELINE
from hal.study.grid import select
from hal.study.resampling import (
    Moments,
    contrast_interval,
    detectable,
    holm,
    moments,
    percent_interval,
    welch_interval,
    welch_p,
)

AGAINST = (BASELINE, "oracle_mask")
POOLED = "all cases"
NOTHING = np.array([])  # a sample of no networks


def errors(cells: pd.DataFrame, dataset: str, case: str, measure: str = "test_error") -> np.ndarray:
    """A final measure of the cells of one case that count, one value a seed."""
    return select(cells, dataset=dataset, case=case)[measure].dropna().to_numpy()


def control(
    controls: pd.DataFrame,
    dataset: str,
    case: str,
    grouping: str,
    name: str,
    column: str = "error",
) -> np.ndarray:
    """A control of one case and grouping, for the cells that have it, one value a seed."""
    rows = select(controls, dataset=dataset, case=case, grouping=grouping, control=name)
    return rows[column].dropna().to_numpy()


def difference(name: str, ours: Moments, theirs: Moments) -> dict[str, float]:
    """The difference of two means as columns: `name`, and its ends by Welch, `name_low` and `name_high`."""
    bounds = welch_interval(ours, theirs)
    return {name: ours.mean - theirs.mean, f"{name}_low": bounds.low, f"{name}_high": bounds.high}


def planned_comparisons(params: Params) -> int:
    """The groupings of the grid, each of which is compared once with the same reference."""
    return sum(len(params.groupings(dataset)) for dataset in params.grid.datasets)


def comparisons(params: Params, cells: pd.DataFrame, controls: pd.DataFrame) -> pd.DataFrame:
    """One row for every mean and for every difference from a reference. Errors in percent, differences in points.

    Columns: dataset, case, against (empty for the baseline's own row; else `baseline`, or `oracle_mask`: the baseline's
    logits restricted to the case's superclasses); n, mean, sd, mean_low, mean_high (Student); reference_n,
    reference_mean; difference (mean minus reference) with difference_low and difference_high, p (both Welch), p_holm
    (Holm over the `comparisons` of the grid against the same reference), detectable (see `resampling.detectable`).
    The case `all cases` pools a data set's cases, each with the same weight; it has no p.
    """
    planned = planned_comparisons(params)
    rows = []
    for dataset in params.grid.datasets:
        baseline = errors(cells, dataset, BASELINE)
        samples = {case: errors(cells, dataset, case) for case in params.groupings(dataset)}
        rows.append(_row(dataset, BASELINE, "", [baseline]))
        for case, sample in samples.items():
            rows.append(_row(dataset, case, BASELINE, [sample], baseline) | {"comparisons": planned})
        if len(samples) > 1:
            rows.append(_row(dataset, POOLED, BASELINE, list(samples.values()), baseline))
        for case, sample in samples.items():
            masked = control(controls, dataset, BASELINE, case, "oracle_mask")
            rows.append(_row(dataset, case, "oracle_mask", [sample], masked) | {"comparisons": planned})
        if len(samples) > 1:
            masked = _masked_with_all(controls, dataset, list(samples))
            rows.append(_row(dataset, POOLED, "oracle_mask", list(samples.values()), masked))
    table = pd.DataFrame(rows)
    table["p_holm"] = math.nan
    for against in AGAINST:
        of_family = (table["against"] == against) & (table["case"] != POOLED)
        table.loc[of_family, "p_holm"] = holm(table.loc[of_family, "p"].to_numpy(), planned)
    return table


def pooled(comparisons: pd.DataFrame, against: str) -> pd.DataFrame:
    """The rows of `comparisons` that pool all cases of a data set, where their difference from this reference is known."""
    return select(comparisons, case=POOLED, against=against).dropna(subset=["difference"])


def _row(
    dataset: str, case: str, against: str, samples: Sequence[np.ndarray], reference: np.ndarray = NOTHING
) -> dict:
    """The mean of one case, or of several with the same weight each, and its difference from a reference of other networks."""
    weights = [1 / len(samples)] * len(samples)
    ours, theirs = [moments(sample) for sample in samples], moments(reference)
    mean = float(np.mean([m.mean for m in ours]))
    one = ours[0] if len(ours) == 1 else None
    of_mean = percent_interval(one) if one else contrast_interval(ours, weights)
    welch = contrast_interval([*ours, theirs], [*weights, -1])
    return {
        "dataset": dataset,
        "case": case,
        "against": against,
        "n": sum(m.n for m in ours),
        "mean": mean,
        "sd": one.sd if one else math.nan,
        "mean_low": of_mean.low,
        "mean_high": of_mean.high,
        "reference_n": theirs.n,
        "reference_mean": theirs.mean,
        "difference": mean - theirs.mean,
        "difference_low": welch.low,
        "difference_high": welch.high,
        "p": welch_p(one, theirs) if one else math.nan,
        "detectable": detectable(one, theirs) if one else math.nan,
        "comparisons": 0,
    }


def _masked_with_all(controls: pd.DataFrame, dataset: str, cases: list[str]) -> np.ndarray:
    """The mean error of each baseline over the masks of all these cases: the same network under each, so one value a seed."""
    rows = select(controls, dataset=dataset, case=BASELINE, control="oracle_mask")
    of_seed = rows.astype({"grouping": str}).pivot(index="seed", columns="grouping", values="error")
    return of_seed.reindex(columns=cases).dropna().mean(axis=1).to_numpy()
