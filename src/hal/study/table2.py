"""Table 2: the test error of every data set and case, beside what the paper printed."""

import math

import pandas as pd

from hal.paper import load_paper
from hal.params import Params
from hal.settings import BASELINE
from hal.study.claims.evidence import HALF
from hal.study.grid import by_case, summary
from hal.study.resampling import NO_INTERVAL, Moments, moments, prediction_interval


def table2(params: Params, cells: pd.DataFrame) -> pd.DataFrame:
    """One row for every data set and case, from `load_cells`. Errors in percent, differences in percentage points.

    Columns: dataset, case, grouping; n (cells that count), planned; mean and sd of the final test errors (sd: sample
    standard deviation, NaN for n = 1); difference (mean minus the baseline's mean); paper_mean, paper_sd,
    paper_difference (NaN where the paper has none); paper_low, paper_high (where the mean of n networks, of `planned` while there is none, is to be
    expected: 95 % prediction interval from the printed deviation plus its rounding, NaN for the baseline); notes (names every cell that does not count, and why).
    """
    rows = []
    for (dataset, case), mine in by_case(cells):
        errors = moments(mine["test_error"].dropna())
        printed = load_paper().error(params, dataset, case)
        expected = NO_INTERVAL
        if printed and printed.sd is not None:
            scatter = Moments(printed.mean, printed.sd + HALF, load_paper().runs)
            expected = prediction_interval(scatter, errors.n or len(mine))
        rows.append(
            {
                "dataset": dataset,
                "case": case,
                "grouping": "" if case == BASELINE else params.datasets[dataset].cases[case].title,
                "n": errors.n,
                "planned": len(mine),
                "mean": errors.mean,
                "sd": errors.sd,
                "difference": math.nan,
                "paper_mean": printed.mean if printed else math.nan,
                "paper_sd": printed.sd if printed and printed.sd is not None else math.nan,
                "paper_difference": math.nan,
                "paper_low": expected.low,
                "paper_high": expected.high,
                "notes": summary(mine["result"]),
            }
        )
    table = pd.DataFrame(rows)
    for value, difference in (("mean", "difference"), ("paper_mean", "paper_difference")):
        baseline = table[table["case"] == BASELINE].set_index("dataset")[value]
        of_case = table["case"] != BASELINE
        table.loc[of_case, difference] = table[value] - table["dataset"].map(baseline)
    return table
