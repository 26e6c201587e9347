"""Table 2b: beside each error of Table 2, what the hint alone is worth, and what is left without it."""

import pandas as pd

from hal.settings import BASELINE
from hal.study.comparisons import POOLED, control, errors
from hal.study.grid import of_seeds, select
from hal.study.resampling import moments

# column of the table: whose control it is, and which
_CONTROLS = {
    "baseline": (BASELINE, "as_tested"),
    "masked": (BASELINE, "oracle_mask"),
    "hal": ("", "as_tested"),
    "no_hint": ("", "no_oracle"),
    "wrong_hint": ("", "wrong_hint_mean"),
    "wrong_hint_worst": ("", "wrong_hint_worst"),
}

_DIFFERENCE = ("difference", "difference_low", "difference_high", "p_holm")  # of `comparisons`


def table2b(cells: pd.DataFrame, controls: pd.DataFrame, comparisons: pd.DataFrame) -> pd.DataFrame:
    """One row for every data set and grouping. Errors and accuracies in percent, differences in points.

    Columns: dataset, case, planned, n and reference_n (the fewest of the case's and of the baseline's networks behind any
    number of the row); for each of baseline, masked (the
    baseline's logits restricted to the classes of the true superclass), hal, no_hint, wrong_hint and wrong_hint_worst
    (see `controls`) its mean, `_sd` and `_superclass` (mean superclass accuracy); difference (hal minus masked) with
    difference_low and difference_high (Welch), p_holm; notes (what is missing). The errors of baseline and hal are those of cell.json.
    """
    rows = []
    of_cases = comparisons[comparisons["case"] != POOLED]
    for compared in select(of_cases, against="oracle_mask").itertuples():
        dataset, case = compared.dataset, compared.case
        row = {"dataset": dataset, "case": case, "planned": len(select(cells, dataset=dataset, case=case))}
        sizes: dict[str, list[int]] = {case: [], BASELINE: []}
        for name, (owner, which) in _CONTROLS.items():
            owner = owner or case
            sample = control(controls, dataset, owner, case, which)
            sizes[owner].append(len(sample))
            of_owner = moments(errors(cells, dataset, owner) if which == "as_tested" else sample)
            accuracy = control(controls, dataset, owner, case, which, "superclass_accuracy")
            row |= {name: of_owner.mean, f"{name}_sd": of_owner.sd}
            row |= {f"{name}_superclass": moments(accuracy).mean}
        row |= {"n": min(sizes[case]), "reference_n": min(sizes[BASELINE])}
        row |= {name: getattr(compared, name) for name in _DIFFERENCE}
        rows.append(row | {"notes": _missing(controls, dataset, case)})
    columns = ["dataset", "case", "planned", "n", "reference_n"]
    columns += [f"{name}{suffix}" for name in _CONTROLS for suffix in ("", "_sd", "_superclass")]
    return pd.DataFrame(rows, columns=[*columns, *_DIFFERENCE, "notes"])


def _missing(controls: pd.DataFrame, dataset: str, case: str) -> str:
    """What the entries of a grouping lack: the case's own networks, and the baseline's."""
    lacking = select(controls, dataset=dataset, grouping=case)[["case", "seed", "missing"]].drop_duplicates()
    of = {
        owner: of_seeds(lacking[lacking["case"] == owner][["seed", "missing"]].itertuples(index=False))
        for owner in (case, BASELINE)
    }
    return "; ".join(
        f"{'of the baseline ' * (owner == BASELINE)}{text}" for owner, text in of.items() if text
    )
