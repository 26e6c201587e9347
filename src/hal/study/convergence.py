"""Section 4's "faster convergence" as numbers.

Per network, for the training and for the test loss:

- `epoch`: the first after which the loss is at or below the baseline's final one (the mean over the baseline's seeds
  of the last epoch's loss); NaN where it never is. The baseline's networks are measured too: their loss may dip below
  the final value early, and a case is faster only if it is there sooner than they.
- `log_loss`: the mean of ln(loss) over all epochs. The baseline's minus a case's is the area between their
  logarithmic curves, per epoch: 0.1 says that the case's loss lies 10 % lower (exp(-0.1) = 0.905), epoch for epoch.
"""

import math

import numpy as np
import pandas as pd

from hal.errors import UserError
from hal.settings import BASELINE
from hal.study.comparisons import NOTHING, difference
from hal.study.grid import CellResult, curves, of_seeds, select
from hal.study.resampling import moments

LOSSES = ("train_loss", "test_loss")


def first_reached(loss: np.ndarray, target: float) -> float:
    """The first epoch, counted from 1, after which the loss is at most `target`; NaN if none."""
    at = np.flatnonzero(loss <= target)
    return float(at[0] + 1) if len(at) else math.nan


def per_cell(cells: pd.DataFrame) -> pd.DataFrame:
    """One row for each cell of `load_cells` and each loss: dataset, case, seed, loss, target, epoch, log_loss, note.

    A cell that does not count, or whose curves are broken or not positive, has NaN and says why under `note`.
    """
    tables = []
    for _, mine in cells.groupby("dataset", sort=False):
        curves_of, notes = zip(*map(_losses, mine["result"]), strict=True)
        for loss in LOSSES:
            losses = [None if table is None else table[loss].to_numpy() for table in curves_of]
            final = pd.Series([math.nan if values is None else values[-1] for values in losses], mine.index)
            target = final[mine["case"] == BASELINE].mean()
            measured = {
                "target": target,
                "epoch": [math.nan if values is None else first_reached(values, target) for values in losses],
                "log_loss": [math.nan if values is None else np.log(values).mean() for values in losses],
            }
            tables.append(mine[["dataset", "case", "seed"]].assign(loss=loss, **measured, note=notes))
    return pd.concat(tables, ignore_index=True)


def convergence(cells: pd.DataFrame) -> pd.DataFrame:
    """One row for each data set, case and loss, from `per_cell`.

    Columns: dataset, case, loss, n, target; reached (of n; NaN where no baseline counts), epochs (mean over those that reached it),
    epochs_least, epochs_most (of them); area (see the module's text; NaN for the baseline), low, high (Welch); notes.
    """
    rows = []
    for (dataset, loss), table in cells.groupby(["dataset", "loss"], sort=False):
        baseline = select(table, case=BASELINE)["log_loss"].dropna().to_numpy()
        for case, mine in table.groupby("case", sort=False):
            counted = mine.dropna(subset=["log_loss"])
            values, reached = counted["log_loss"].to_numpy(), counted["epoch"].dropna().to_numpy()
            row = {"dataset": dataset, "case": case, "loss": loss, "n": len(counted)}
            row |= {
                "target": mine["target"].iloc[0],
                "reached": len(reached) if mine["target"].notna().all() else math.nan,
                "epochs": moments(reached).mean,
            }
            row |= {"epochs_least": counted["epoch"].min(), "epochs_most": counted["epoch"].max()}
            own = NOTHING if case == BASELINE else values  # no area lies between a curve and itself
            row |= difference("area", moments(baseline), moments(own))
            rows.append(row | {"notes": of_seeds(zip(mine["seed"], mine["note"], strict=True))})
    return pd.DataFrame(rows).astype({"reached": "Int64"})


def _losses(result: CellResult) -> tuple[pd.DataFrame | None, str]:
    """A cell's curves, or None and why."""
    if not result.ok:
        return None, result.description
    try:
        table = curves(result)
    except UserError as error:
        return None, str(error)
    if not (np.isfinite(table[list(LOSSES)]) & (table[list(LOSSES)] > 0)).all(axis=None):
        return None, f"{result.paths.curves}: a loss is not positive and finite"
    return table, ""
