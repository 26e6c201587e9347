"""What is a lower error owed to? The table of `study.ablations`, and what it says in words that the numbers choose."""

import math

import numpy as np
import pandas as pd

from hal.params import Params
from hal.present import tables
from hal.present.blocks import Table, columns, grouped
from hal.present.numbers import (
    counted,
    difference,
    number,
    probability,
    with_deviation,
    with_range,
)
from hal.study.resampling import LEVEL
from hal.titles import case_title, dataset_title, network_title

KINDS = {  # what a case's settings may change, in the order in which it is explained
    ("hint", "zero"): "No hint: x* = 0 for every image.",
    ("hint", "random"): "A random hint: a superclass drawn anew for every image.",
    (
        "block",
        "concat",
    ): "Hint beside the features: its one-hot vector goes into the output layer with the features, and no auxiliary block stands in between.",
    ("loss", "masked"): "Masked loss: trained and tested with the classes of the true superclass alone.",
    ("block", "none"): "No block: the network is told nothing, and the loss alone knows the superclass.",
}
NOTHING_TRUE, TRUE = "Told nothing true", "Told the truth, or masked with it, in another way"


def explained(params: Params) -> str:
    """What an ablation is, those that the run has, and how their differences are given."""
    cases = [params.datasets[d].cases[case] for d in params.grid.datasets for case in params.ablations(d)]
    return " ".join(
        [
            "An ablation is the paper's network under one of its groupings with something changed.",
            *(
                said
                for (key, value), said in KINDS.items()
                if any(getattr(case, key) == value for case in cases)
            ),
            "In the sentences differences are in points [95 %, Welch, uncorrected], and p, which decides whether networks can be told apart, is Welch's test corrected by Holm: "
            "an interval without 0 may stand beside “not distinguishable”.",
        ]
    )


def table(params: Params, ablations: pd.DataFrame) -> Table:
    """Every grouping that has ablations: the baseline, the paper's network, and what is changed in it."""
    rows = []
    for r in ablations.itertuples():
        numbers = (
            counted(r.n, r.planned),
            with_deviation(r.error, r.sd),
            number(r.own_masked),
            with_range(r.flips, r.flips_least, r.flips_most),
            difference(r, "from_paper"),
            probability(r.from_paper_p_holm),
            difference(r, "from_baseline"),
            probability(r.from_baseline_p_holm),
            difference(r, "from_mask"),
        )
        title = f"{dataset_title(params, r.dataset)}, {case_title(params, r.dataset, r.grouping)}"
        rows.append((title, (network_title(params, r.dataset, r.case), *numbers)))
    of_paper, of_baseline = ablations[["from_paper_planned", "from_baseline_planned"]].iloc[0]
    caption = (
        "Test error in percent, mean ± sample standard deviation over n seeds. Networks with the masked loss are tested masked. Own masked: the logits as tested, without the classes outside the true "
        "superclass. Flips: the share of predictions so tested that depend on the superclass told, in percent (lowest to highest network). Then the error minus that of the paper's network, of the "
        "baseline, and of the baseline masked with the same grouping, in points [95 %, Welch, uncorrected]. p: Welch's test, corrected by Holm in "
        f"two families: the {of_paper} comparisons that the run plans of an ablation with the paper's network, and the {of_baseline} with the baseline; those not trained yet "
        "are counted. The paper's network is tested beside the baseline under “Errors and differences”."
    )
    headings = columns(
        *("Network", "n", "Error (%)", "Own masked (%)", "Flips (%)", "− paper's", "p", "− baseline", "p"),
        "− masked baseline",
    )
    notes = tuple(tables.said(params, ablations, "notes"))
    return Table("ablations-table", "Ablations", caption, headings, grouped(rows), notes, wide=True)


def sentences(params: Params, ablations: pd.DataFrame) -> list[str]:
    """For each grouping which ablations err less than the paper's network and which more, and so beside the baseline."""
    found = []
    for (dataset, grouping), rows in ablations.groupby(["dataset", "grouping"], sort=False):
        changed = rows.dropna(subset=["from_paper"])
        nothing_true, true = _beside_baseline(params, rows)
        sides = {
            "Beside the paper's network": _sides(params, changed, "from_paper"),
            f"{NOTHING_TRUE}, beside the baseline": _sides(params, nothing_true, "from_baseline"),
            f"{TRUE}, beside the baseline": _sides(params, true, "from_baseline"),
        }
        if said := " ".join(f"{what}, {which}." for what, which in sides.items() if which):
            found.append(f"{dataset_title(params, str(dataset))}, {grouping}. {said}")
    return found


def in_short(params: Params, ablations: pd.DataFrame) -> list[str]:
    """For each data set how many ablations err less than the baseline in the mean, and of how many that can be told."""
    found = []
    for dataset, rows in ablations.groupby("dataset", sort=False):
        counts = []
        for what, mine in zip((NOTHING_TRUE, TRUE), _beside_baseline(params, rows), strict=True):
            less = mine["from_baseline"] < 0
            apart = (less & (mine["from_baseline_p_holm"] < LEVEL)).sum()
            if len(mine):
                counts.append(
                    f"{what[0].lower()}{what[1:]}, {less.sum() or 'none'} of {len(mine)}, {apart or 'none'} distinguishably"
                )
        if counts:
            title = dataset_title(params, str(dataset))
            found.append(f"{title}, less than the baseline in the mean: {'; '.join(counts)} (Welch, Holm).")
    return found


def _beside_baseline(params: Params, ablations: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The ablations that can be compared with the baseline: those told nothing true, and those told the true superclass."""
    changed = [row.case in params.ablations(row.dataset) for row in ablations.itertuples()]
    rows = ablations[np.array(changed, dtype=bool)].dropna(subset=["from_baseline"])
    cases = [params.datasets[row.dataset].cases[row.case] for row in rows.itertuples()]
    true = np.array([case.hint == "superclass" or case.loss == "masked" for case in cases], dtype=bool)
    return rows[~true], rows[true]


def _sides(params: Params, rows: pd.DataFrame, name: str) -> str:
    """Of which ablations the difference of that name is significantly negative, of which positive, and of which neither."""
    sides: dict[str, list[str]] = {}
    for r in rows.itertuples():
        p, value = getattr(r, f"{name}_p_holm"), getattr(r, name)
        if math.isnan(p):
            side = "not to be tested"
        elif p < LEVEL:
            side = "fewer errors" if value < 0 else "more errors"
        else:
            side = "not distinguishable"
        sure = "" if math.isnan(p) else f", p {'' if p < 0.001 else '= '}{probability(p)}"
        sides.setdefault(side, []).append(
            f"{network_title(params, r.dataset, r.case)} ({difference(r, name)}{sure})"
        )
    return "; ".join(f"{side}: {', '.join(named)}" for side, named in sides.items())
