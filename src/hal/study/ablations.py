"""What is a lower error owed to? Each ablation beside the paper's network under the same grouping, and beside the mask."""

from typing import Any

import pandas as pd

from hal.params import Params
from hal.settings import BASELINE
from hal.study.comparisons import NOTHING, control, errors
from hal.study.grid import select, summary
from hal.study.resampling import Moments, holm, moments, welch_interval, welch_p


def ablations(params: Params, cells: pd.DataFrame, controls: pd.DataFrame) -> pd.DataFrame:
    """For every grouping that has ablations a row for the baseline, for the paper's network and for each of them.

    Columns: dataset, grouping (see `Params.ablations`), case; planned, n (cells that count); error (mean, percent) and sd
    (sample); masked (the logits as tested, without the classes outside the true superclass); flips, flips_least, flips_most
    (over the networks, percent); of an ablation difference (its error minus that of the paper's network, in points), low, high,
    p (Welch) and p_holm (Holm over the run's `comparisons` of this kind); of all but the baseline behind (error minus the masked
    baseline's, in points), behind_low, behind_high (Welch); notes (names every cell that does not count, and why).
    """
    rows = []
    for dataset in params.grid.datasets:
        grouping_of = params.ablations(dataset)
        for grouping in dict.fromkeys(grouping_of.values()):
            whole = moments(errors(cells, dataset, grouping) if grouping not in grouping_of else NOTHING)
            masked = moments(control(controls, dataset, BASELINE, grouping, "oracle_mask"))
            ablated = [case for case, of in grouping_of.items() if of == grouping]
            for case in dict.fromkeys((BASELINE, grouping, *ablated)):
                error = moments(errors(cells, dataset, case))
                row = _of_case(cells, controls, dataset, grouping, case, error)
                if case in ablated:
                    row |= _difference(("difference", "low", "high"), error, whole)
                    row["p"] = welch_p(error, whole)
                if case != BASELINE:
                    row |= _difference(("behind", "behind_low", "behind_high"), error, masked)
                rows.append(row)
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    table["comparisons"] = planned = planned_ablations(params)
    table["p_holm"] = holm(table["p"].to_numpy(), planned)
    return table


def planned_ablations(params: Params) -> int:
    """The ablations of the grid that have the paper's network to be compared with."""
    of_datasets = map(params.ablations, params.grid.datasets)
    return sum(grouping not in of for of in of_datasets for grouping in of.values())


def _of_case(
    cells: pd.DataFrame, controls: pd.DataFrame, dataset: str, grouping: str, case: str, error: Moments
) -> dict[str, Any]:
    mine = select(cells, dataset=dataset, case=case)
    told = grouping if case == BASELINE else case
    flips = pd.Series(control(controls, dataset, case, told, "flips"))
    return {
        "dataset": dataset,
        "grouping": grouping,
        "case": case,
        "planned": len(mine),
        "n": error.n,
        "error": error.mean,
        "sd": error.sd,
        "masked": moments(control(controls, dataset, case, told, "oracle_mask")).mean,
        "flips": flips.mean(),
        "flips_least": flips.min(),
        "flips_most": flips.max(),
        "notes": summary(mine["result"]),
    }


def _difference(names: tuple[str, str, str], ours: Moments, theirs: Moments) -> dict[str, float]:
    bounds = welch_interval(ours, theirs)
    return dict(zip(names, (ours.mean - theirs.mean, bounds.low, bounds.high), strict=True))


COLUMNS = (
    *("dataset", "grouping", "case", "planned", "n", "error", "sd"),
    *("masked", "flips", "flips_least", "flips_most"),
    *(
        "difference",
        "low",
        "high",
        "p",
        "p_holm",
        "comparisons",
        "behind",
        "behind_low",
        "behind_high",
        "notes",
    ),
)
