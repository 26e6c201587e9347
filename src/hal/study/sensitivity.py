"""What the paper leaves open, one assumption at a time: what each is worth to the baseline and to every case."""

from collections.abc import Sequence

import pandas as pd

from hal.outputs import families
from hal.params import Params
from hal.study.grid import CellResult, select

UNVARIED = "as set"


def variant_title(params: Params, dataset: str) -> str:
    """What is different about a variant."""
    return params.datasets[dataset].variant_title or UNVARIED


def sensitivity(params: Params, results: Sequence[CellResult]) -> pd.DataFrame:
    """One row for every variant and case; errors in percent, differences in percentage points.

    Columns: dataset (the one varied), variant, case; planned cells, n (that count), diverged; mean and sd (sample) of
    the final test errors; change (mean minus that of the same case unvaried); gain (baseline's mean minus this one's,
    within the variant).
    """
    rows = []
    for base, members in families(params).items():
        means: dict[tuple[str, str], float] = {}
        for dataset in members:
            for case in params.cases(dataset):
                cells = select(results, dataset, case)
                errors = pd.Series([r.record["test_error"] for r in cells if r.ok], dtype=float)
                means[dataset, case] = errors.mean()
                rows.append(
                    {
                        "dataset": base,
                        "variant": variant_title(params, dataset),
                        "case": case,
                        "planned": len(cells),
                        "n": len(errors),
                        "diverged": sum(r.state == "diverged" for r in cells),
                        "mean": errors.mean(),
                        "sd": errors.std(ddof=1),
                        "change": errors.mean() - means[base, case],
                        "gain": means[dataset, "baseline"] - errors.mean(),
                    }
                )
    return pd.DataFrame(rows)
