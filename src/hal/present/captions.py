"""What stands under a figure, and what a reader who cannot see it is told instead."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hal.errors import UserError
from hal.params import Params
from hal.study.grid import CellResult, scores, select
from hal.titles import case_title, dataset_title, superclass_names

OF_ALL = {
    "listens": (
        "Left: the share of test images whose predicted class changes with the superclass told, mean and 95 % interval over "
        "the seeds. Right: the mean test error told the truth, told what helps or hurts each image most, and with the logits "
        "restricted to the true superclass; the axis is linear up to 1 %. A case marked * is a control."
    ),
    "borders": (
        "Across: the share of our baseline's errors whose predicted class lies in another superclass than the true one, which is "
        "all that a perfect use of the hint could remove. Up: the share of the baseline's error that the case removes, in this "
        "run (filled) and in the paper (open). On the dashed line every such error is gone; above it the features gained too."
    ),
    "separability": (
        "Each point is one data set and case: how well its auxiliary scores split by superclass (left: AUC, right: one minus "
        "the overlap; means over seeds) against the share of the baseline's error that the case takes away. Above each panel "
        "Spearman's rank correlation with its bootstrap 95 % interval over the points."
    ),
}


def caption(params: Params, kind: str, dataset: str) -> str:
    """The caption of the data set's figure of that kind (`loss`, `scores` or `sensitivity`)."""
    title = dataset_title(params, dataset)
    if kind == "sensitivity":
        return (
            f"One assumption varied at a time on {title}: the test error of every seed (dots) and their mean (bar), the "
            "baseline in black in every panel, the case in blue. × is a seed that diverged, ? one that is not there."
        )
    if kind == "loss":
        return (
            f"Training loss (dotted) and test loss (solid) of {title} after each epoch, the baseline in black and "
            "each case in blue. Lines are means over n seeds, bands reach from the lowest to the highest seed; "
            "the vertical axis is logarithmic and the same in all panels."
        )
    return (
        f"Auxiliary scores (equation 3) of all training images of {title}, one network a case. On top of each panel "
        "the distribution of every superclass, below it that of every class, with a line at its median. Each panel "
        "has its own horizontal axis, which leaves out the outermost scores, at most 0.1 % at either end; “outside” counts them."
    )


def alternative(params: Params, kind: str, dataset: str, results: Sequence[CellResult]) -> str:
    """The figure in words, with its main numbers."""
    if kind == "sensitivity":
        return f"Test errors of every variant of {dataset_title(params, dataset)}; the table of variants has the numbers."
    describe = _final_losses if kind == "loss" else _median_scores
    said = [describe(params, dataset, case, select(results, dataset, case)) for case in params.cases(dataset)]
    what = "Line chart of losses" if kind == "loss" else "Distributions of auxiliary scores"
    return f"{what}, a panel for each case. {' '.join(filter(None, said))}"


def _final_losses(params: Params, dataset: str, case: str, cells: Sequence[CellResult]) -> str:
    counted = [cell.record for cell in cells if cell.ok]
    if not counted:
        return f"{case}: no finished cell."
    train, test = (np.mean([record[key] for record in counted]) for key in ("train_loss", "test_loss"))
    return f"{case}, n = {len(counted)}: final training loss {train:.3g}, final test loss {test:.3g}."


def _median_scores(params: Params, dataset: str, case: str, cells: Sequence[CellResult]) -> str:
    if not cells[0].cell.superclasses:
        return ""
    shown = next((cell for cell in cells if cell.ok), None)
    if shown is None:
        return f"{case_title(params, dataset, case)}: no finished cell."
    try:
        table = scores(shown)
    except UserError:
        return f"{case_title(params, dataset, case)}: the scores cannot be read."
    medians = table[np.isfinite(table["score"])].groupby("superclass")["score"].median()
    names = superclass_names(params, dataset, case)
    said = ", ".join(f"{names[j]} {median:.3g}" for j, median in medians.items())
    return f"{case_title(params, dataset, case)}, seed {shown.cell.seed}: median score of {said}."


def alternative_of_all(params: Params, kind: str, pairs: pd.DataFrame) -> str:
    """A figure of all data sets in words."""
    if kind != "separability":
        what = {
            "listens": "Shares of flipped predictions and errors under several hints",
            "borders": "Scatter plot",
        }[kind]
        return f"{what}, a {'row' if kind == 'listens' else 'point'} for each data set and case; the tables have the numbers."
    said = [
        f"{dataset_title(params, r.dataset)} {r.case}: AUC {r.auc:.2f}, overlap {r.overlap:.2f}, {r.percent:.0f} %."
        for r in pairs.itertuples()
    ]
    return f"Scatter plot of separability against error reduction, {len(pairs)} points. {' '.join(said)}"
