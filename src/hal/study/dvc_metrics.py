"""The errors and the loss curves in the forms that `dvc metrics` and `dvc plots` read and compare."""

import contextlib
from typing import Any

import pandas as pd

from hal.errors import UserError
from hal.study.grid import by_case, curves, select


def metrics(cells: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """For each data set of `load_cells` the cells that count, and each case's mean test error over them in percent.

    A case of which no cell counts has no error.
    """
    metrics: dict[str, dict[str, Any]] = {
        dataset: {"cells": (mine["state"] == "ok").sum().item(), "test_error": {}}
        for dataset, mine in cells.groupby("dataset", sort=False)
    }
    for (dataset, case), errors in by_case(cells.dropna(subset="test_error"))["test_error"]:
        metrics[dataset]["test_error"][case] = round(sum(errors) / len(errors), 4)
    return metrics


def losses(cells: pd.DataFrame) -> pd.DataFrame:
    """The mean losses over the cells that count, in nats: columns dataset, case, epoch, train_loss, test_loss.

    A cell whose curves cannot be read is left out; `convergence` says so.
    """
    frames = []
    for cell in select(cells, state="ok").itertuples():
        with contextlib.suppress(UserError):
            frames.append(curves(cell.result).assign(dataset=cell.dataset, case=cell.case))
    columns = ["dataset", "case", "epoch", "train_loss", "test_loss"]
    if not frames:
        return pd.DataFrame(columns=columns)
    grouped = pd.concat(frames).groupby(columns[:3], sort=False, as_index=False)
    return grouped[["train_loss", "test_loss"]].mean()
