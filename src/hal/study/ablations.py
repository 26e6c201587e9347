"""What is a lower error owed to? Each ablation beside the paper's network under the same grouping, and beside the mask."""

from typing import Any

import pandas as pd

from hal.params import Params
from hal.settings import BASELINE
from hal.study.comparisons import NOTHING, control, difference, errors
from hal.study.grid import select, summary
from hal.study.resampling import Moments, holm, moments, welch_p


def ablations(params: Params, cells: pd.DataFrame, controls: pd.DataFrame) -> pd.DataFrame:
    """For every grouping that has ablations a row for the baseline, for the paper's network and for each of them.

    Columns: dataset, grouping (see `Params.ablations`), case; planned, n (cells that count); error (mean, percent) and sd
    (sample); own_masked (the logits as tested, without the classes outside the true superclass); flips, flips_least, flips_most
    (over the networks, percent); three differences of the error in points, each with `_low` and `_high` (Welch): of an ablation
    from_paper (minus that of the paper's network), of all but the baseline from_baseline (minus its error) and from_mask (minus the masked
    baseline's); of an ablation from_paper_p and from_baseline_p (Welch), and `_holm` (Holm over the run's ablations that are so compared:
    from_paper_planned, from_baseline_planned); notes (names every cell that does not count, and why).
    """
    rows = []
    planned = {"from_paper": 0, "from_baseline": 0}
    for dataset in params.grid.datasets:
        grouping_of = params.ablations(dataset)
        for grouping in dict.fromkeys(grouping_of.values()):
            of_paper = grouping not in grouping_of
            whole = moments(errors(cells, dataset, grouping) if of_paper else NOTHING)
            baseline = moments(errors(cells, dataset, BASELINE))
            masked = moments(control(controls, dataset, BASELINE, grouping, "oracle_mask"))
            ablated = [case for case, of in grouping_of.items() if of == grouping]
            planned["from_baseline"] += len(ablated)
            planned["from_paper"] += len(ablated) * of_paper
            for case in dict.fromkeys((BASELINE, grouping, *ablated)):
                error = moments(errors(cells, dataset, case))
                row = _of_case(cells, controls, dataset, grouping, case, error)
                if case != BASELINE:
                    row |= difference("from_baseline", error, baseline) | difference(
                        "from_mask", error, masked
                    )
                if case in ablated:
                    row |= difference("from_paper", error, whole)
                    row |= {
                        "from_paper_p": welch_p(error, whole),
                        "from_baseline_p": welch_p(error, baseline),
                    }
                rows.append(row)
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    for name, count in planned.items():
        table[f"{name}_planned"] = count
        table[f"{name}_p_holm"] = holm(table[f"{name}_p"].to_numpy(), count)
    return table


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
        "own_masked": moments(control(controls, dataset, case, told, "oracle_mask")).mean,
        "flips": flips.mean(),
        "flips_least": flips.min(),
        "flips_most": flips.max(),
        "notes": summary(mine["result"]),
    }


COLUMNS = (
    *("dataset", "grouping", "case", "planned", "n", "error", "sd"),
    *("own_masked", "flips", "flips_least", "flips_most"),
    *(
        f"{name}{end}"
        for name in ("from_paper", "from_baseline", "from_mask")
        for end in ("", "_low", "_high")
    ),
    *(f"{name}{end}" for name in ("from_paper", "from_baseline") for end in ("_p", "_p_holm", "_planned")),
    "notes",
)
