"""Does the network listen? What the superclass told changes, and which part of a gain is the hint's (docs/hint.md).

From the controls of every cell. The split of a case's error, in points, lower is better:

    HAL - masked baseline = (HAL - HAL masked) + (HAL masked - masked baseline)
                             unused hint          within

The first is what a mask still mends in HAL's own logits: a part of the hint that the network does not use; it is never
negative. The second compares two networks that err within the true superclass alone: how well each tells its classes apart,
by its features and output layer and, of HAL, by what the score still changes there.
"""

from typing import Any

import numpy as np
import pandas as pd

from hal.paper import load_paper
from hal.params import Params
from hal.settings import BASELINE
from hal.study.comparisons import control, difference, errors, planned_comparisons
from hal.study.grid import by_case, select
from hal.study.resampling import holm, moments, percent_interval, welch_p

SHARES = ("flips", "blind", "best_hint", "worst_hint")
VALUES = ("score_change", "own_hint_auc", "same_hint_auc")
NO_HINT = ("no_oracle", "no_oracle_mixture", "no_oracle_baseline")
SPLIT = 0.02  # of the AUC: a network whose two differ by less splits alike
DEAF = 1.0  # percent of predictions: a network of which fewer depend on the superclass told is deaf to it


def hint(params: Params, controls: pd.DataFrame) -> pd.DataFrame:
    """One row for every data set and case that is told a superclass; errors and shares in percent, differences in points.

    Columns: dataset, case, ablation (whether the case is one), planned, n (cells with an error); mean
    error of hal, hal_masked and masked (the baseline's); unused and within (see the module's text) with `_low` and
    `_high` (Student's over the networks, Welch's between them), and within_p_holm (Welch's test, corrected by Holm for
    all groupings of the run); for each of `SHARES` its mean, `_least` and `_most` over the networks (no interval: some
    networks listen and others do not, and no mean of such has a normal error); deaf (how many have fewer flips than
    `DEAF`); scored, own_splits, same_splits (how many networks have both AUCs, of how many of them that told their own is
    larger by `SPLIT`, and of how many that told the same); the means of `VALUES`; the mean errors of `NO_HINT`.
    """
    rows = []
    own = told(params, controls)
    for (dataset, case), mine in by_case(own):
        error, value = (_by_seed(mine, column) for column in ("error", "value"))
        hal, hal_masked = error["as_tested"].dropna(), error["oracle_mask"].dropna()
        masked = control(controls, dataset, BASELINE, case, "oracle_mask")
        row: dict[str, Any] = {
            "dataset": dataset,
            "case": case,
            "ablation": params.datasets[dataset].cases[case].ablation,
            "planned": mine["seed"].nunique(),
            "n": len(hal),
        }
        row |= {
            "hal": moments(hal).mean,
            "hal_masked": moments(hal_masked).mean,
            "masked": moments(masked).mean,
        }
        unused = moments((error["as_tested"] - error["oracle_mask"]).dropna())
        bounds = percent_interval(unused)
        row |= {"unused": unused.mean, "unused_low": bounds.low, "unused_high": bounds.high}
        both = moments(hal_masked), moments(masked)
        row |= difference("within", *both)
        row["within_p"] = welch_p(*both)
        for name in SHARES:
            share = error[name]
            row |= {name: share.mean(), f"{name}_least": share.min(), f"{name}_most": share.max()}
        row["deaf"] = (error["flips"] < DEAF).sum()
        gain = (value["own_hint_auc"] - value["same_hint_auc"]).dropna()
        row |= {"scored": len(gain), "own_splits": (gain > SPLIT).sum(), "same_splits": (gain < -SPLIT).sum()}
        row |= {name: value[name].mean() for name in VALUES} | {name: error[name].mean() for name in NO_HINT}
        rows.append(row)
    table = pd.DataFrame(rows, columns=[*COLUMNS, "within_p"])
    tested = ~table["ablation"].astype(bool)
    table.loc[tested, "within_p_holm"] = holm(
        table.loc[tested, "within_p"].to_numpy(), planned_comparisons(params)
    )
    return table[list(COLUMNS)]


def networks(params: Params, controls: pd.DataFrame) -> pd.DataFrame:
    """One row for every network that is told a superclass and has these numbers; errors and shares in percent.

    Columns: dataset, case, ablation (whether the case is one), seed; flips; error and hal_masked (its own logits masked); behind
    (the error minus the mean of the masked baselines, in points; NaN where there is none).
    """
    keys = ["dataset", "case", "seed"]
    own = told(params, controls).astype(dict.fromkeys(("dataset", "case", "control"), str))
    wanted = {"flips": "flips", "as_tested": "error", "oracle_mask": "hal_masked"}
    of_network = own.pivot(index=keys, columns="control", values="error").reindex(columns=list(wanted))
    table = own[keys].drop_duplicates().join(of_network, on=keys).rename(columns=wanted)
    table = table.dropna(subset=["flips", "error"])
    mask = {
        (dataset, case): moments(control(controls, dataset, BASELINE, case, "oracle_mask")).mean
        for dataset, case in table[["dataset", "case"]].drop_duplicates().itertuples(index=False)
    }
    of_case = list(zip(table["dataset"], table["case"], strict=True))
    table["behind"] = table["error"] - np.array([mask[key] for key in of_case], dtype=float)
    table["ablation"] = [params.datasets[dataset].cases[case].ablation for dataset, case in of_case]
    return table[["dataset", "case", "ablation", "seed", "flips", "error", "hal_masked", "behind"]]


def borders(params: Params, cells: pd.DataFrame, controls: pd.DataFrame) -> pd.DataFrame:
    """How much a perfect use of the hint could remove, and what was removed, as shares of the baseline's error in percent.

    Columns: dataset, case, whose (`ours`, or `paper`: the paper's gain beside our baseline's errors), n; borders (the
    baseline's errors whose predicted class lies in another superclass than the true one), gain (of the mean error). One
    row for each grouping of the grid that is no ablation and of no variant, where the numbers are there.
    """
    rows = []
    tested = select(controls, case=BASELINE, control="as_tested")
    for (dataset, case), mine in tested.groupby(["dataset", "grouping"], sort=False, observed=True):
        mine = mine.dropna(subset="error")
        entry, wrong = params.datasets[dataset], mine["error"].to_numpy()
        if entry.variant_of is not None or entry.cases[case].ablation or not wrong.sum() > 0:
            continue
        share = 100 * (100 - mine["superclass_accuracy"].to_numpy()).sum() / wrong.sum()
        baseline, sample = (errors(cells, dataset, which) for which in (BASELINE, case))
        if len(sample):
            gain = 100 * (1 - sample.mean() / baseline.mean())
            rows.append((dataset, case, "ours", len(sample), share, gain))
        printed, of_baseline = (load_paper().error(params, dataset, which) for which in (case, BASELINE))
        if printed and of_baseline:
            gain = 100 * (1 - printed.mean / of_baseline.mean)
            rows.append((dataset, case, "paper", load_paper().runs, share, gain))
    return pd.DataFrame(rows, columns=["dataset", "case", "whose", "n", "borders", "gain"])


def told(params: Params, controls: pd.DataFrame) -> pd.DataFrame:
    """The controls of the networks that are told something, each under its own grouping."""
    own = controls[controls["case"].astype(str) == controls["grouping"].astype(str)]
    untold = {
        (dataset, case)
        for dataset in params.grid.datasets
        for case in params.cases(dataset)
        if not params.cell(dataset, case, 0).is_told
    }
    keys = zip(own["dataset"], own["case"], strict=True)
    return own[np.array([key not in untold for key in keys], dtype=bool)]


def _by_seed(controls: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column of one case's controls: a row for each seed, a column for each control of this module, NaN where it is not known."""
    table = controls.astype({"control": str}).pivot(index="seed", columns="control", values=column)
    return table.reindex(columns=["as_tested", "oracle_mask", *SHARES, *VALUES, *NO_HINT])


COLUMNS = (
    *("dataset", "case", "ablation", "planned", "n", "hal", "hal_masked", "masked"),
    *(f"{name}{end}" for name in ("unused", "within") for end in ("", "_low", "_high")),
    *(f"{name}{end}" for name in SHARES for end in ("", "_least", "_most")),
    *("within_p_holm", "deaf", "scored", "own_splits", "same_splits"),
    *(*VALUES, *NO_HINT),
)
