"""What the paper leaves open, one assumption at a time: what each is worth to the baseline and to every case."""

import pandas as pd

from hal.outputs import families
from hal.params import Params
from hal.settings import BASELINE
from hal.study.grid import by_case, select

UNVARIED = "as set"


def variant_title(params: Params, dataset: str) -> str:
    """What is different about a variant."""
    return params.datasets[dataset].variant_title or UNVARIED


def sensitivity(params: Params, cells: pd.DataFrame) -> pd.DataFrame:
    """One row for every variant and case of `load_cells`; errors in percent, differences in percentage points.

    Columns: dataset (the one varied), variant, case; planned cells, n (that count), diverged; mean and sd (sample) of
    the final test errors; change (mean minus that of the same case unvaried); gain (baseline's mean minus this one's,
    within the variant).
    """
    rows = []
    for base, members in families(params).items():
        means: dict[tuple[str, str], float] = {}
        for (dataset, case), mine in by_case(pd.concat(select(cells, dataset=name) for name in members)):
            errors = mine["test_error"].dropna()
            means[dataset, case] = errors.mean()
            rows.append(
                {
                    "dataset": base,
                    "variant": variant_title(params, dataset),
                    "case": case,
                    "planned": len(mine),
                    "n": len(errors),
                    "diverged": (mine["state"] == "diverged").sum(),
                    "mean": errors.mean(),
                    "sd": errors.std(ddof=1),
                    "change": errors.mean() - means[base, case],
                    "gain": means[dataset, BASELINE] - errors.mean(),
                }
            )
    return pd.DataFrame(rows)
