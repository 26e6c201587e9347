"""The errors and the loss curves in the forms that `dvc metrics` and `dvc plots` read and compare."""

import contextlib
from collections.abc import Sequence
from typing import Any

import pandas as pd

from hal.errors import UserError
from hal.params import Params
from hal.study.grid import CellResult, curves, select


def metrics(params: Params, results: Sequence[CellResult]) -> dict[str, dict[str, Any]]:
    """For each data set the cells that count, and each case's mean test error over them in percent.

    A case of which no cell counts has no error.
    """
    found: dict[str, dict[str, Any]] = {}
    for dataset in params.grid.datasets:
        errors = {}
        for case in params.cases(dataset):
            counted = [r.record["test_error"] for r in select(results, dataset, case) if r.ok]
            if counted:
                errors[case] = round(sum(counted) / len(counted), 4)
        cells = sum(r.ok for r in select(results, dataset))
        found[dataset] = {"cells": cells, "test_error": errors}
    return found


def losses(params: Params, results: Sequence[CellResult]) -> pd.DataFrame:
    """The mean losses over the cells that count, in nats: columns dataset, case, epoch, train_loss, test_loss.

    A cell whose curves cannot be read is left out; `convergence` says so.
    """
    frames = []
    for dataset in params.grid.datasets:
        for r in filter(lambda r: r.ok, select(results, dataset)):
            with contextlib.suppress(UserError):
                frames.append(curves(r).assign(dataset=r.cell.dataset, case=r.cell.case))
    columns = ["dataset", "case", "epoch", "train_loss", "test_loss"]
    if not frames:
        return pd.DataFrame(columns=columns)
    grouped = pd.concat(frames).groupby(columns[:3], sort=False, as_index=False)
    return grouped[["train_loss", "test_loss"]].mean()
