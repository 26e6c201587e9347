"""What the paper leaves open: the errors of the baseline and of every case under each variant of the settings."""

import pandas as pd

from hal.outputs import families
from hal.params import Params
from hal.study.grid import by_case, select
from hal.study.resampling import moments
from hal.titles import beside_variants

UNVARIED = "as set"


def variant_title(params: Params, dataset: str) -> str:
    """What is different about a variant; of the data set itself its epochs, where variants have others."""
    return params.datasets[dataset].variant_title or f"{UNVARIED}{beside_variants(params, dataset)}"


def sensitivity(params: Params, cells: pd.DataFrame) -> pd.DataFrame:
    """One row for every variant and case of `load_cells`, and for the data set as set.

    Columns: dataset (the one varied), variant, case; planned cells, n (that count), diverged; mean and sd (sample) of
    the final test errors in percent.
    """
    rows = []
    for base, members in families(params).items():
        for (dataset, case), mine in by_case(pd.concat(select(cells, dataset=name) for name in members)):
            errors = moments(mine["test_error"].dropna())
            rows.append(
                {
                    "dataset": base,
                    "variant": variant_title(params, dataset),
                    "case": case,
                    "planned": len(mine),
                    "n": errors.n,
                    "diverged": (mine["state"] == "diverged").sum(),
                    "mean": errors.mean,
                    "sd": errors.sd,
                }
            )
    return pd.DataFrame(rows)
