"""What is a lower error owed to? The table of `study.ablations`, and what it says in words that the numbers choose."""

import math

import pandas as pd

from hal.params import Params
from hal.present import tables
from hal.present.blocks import Table, columns, grouped
from hal.present.numbers import (
    counted,
    number,
    probability,
    signed,
    with_deviation,
    with_interval,
    with_range,
)
from hal.settings import BASELINE
from hal.study.resampling import LEVEL, Interval
from hal.titles import case_title, dataset_title, network_title

OWED = (
    "An ablation is the paper's network under one of its groupings with something changed. No hint: x* = 0 for every image. A random hint: a superclass drawn anew for "
    "every image. Hint beside the features: its one-hot vector goes into the output layer with the features, and no auxiliary block stands in between. Masked loss: trained and "
    "tested with the classes of the true superclass alone. No block: the network is told nothing, and the loss alone knows the superclass."
)


def table(params: Params, ablations: pd.DataFrame) -> Table:
    """Every grouping that has ablations: the baseline, the paper's network, and what is changed in it."""
    rows = []
    for r in ablations.itertuples():
        numbers = (
            counted(r.n, r.planned),
            with_deviation(r.error, r.sd),
            number(r.masked),
            with_range(r.flips, r.flips_least, r.flips_most),
            with_interval(signed(r.difference), Interval(r.low, r.high), sign=True),
            probability(r.p_holm),
            with_interval(signed(r.behind), Interval(r.behind_low, r.behind_high), sign=True),
        )
        title = f"{dataset_title(params, r.dataset)}, {case_title(params, r.dataset, r.grouping)}"
        rows.append((title, (network_title(params, r.dataset, r.case), *numbers)))
    caption = (
        "Test error in percent, mean ± sample standard deviation over n seeds. Masked: the logits as tested, without the classes outside the true "
        "superclass. Flips: the share of predictions that depend on the superclass told, in percent (lowest to highest network). − paper's: the error minus that of the paper's network, in points "
        f"[95 %, Welch, uncorrected; p: Welch's test, corrected by Holm for the run's {ablations['comparisons'].iloc[0]} comparisons of this kind]. − masked baseline: the error minus what the baseline errs, "
        "masked with the same grouping [95 %, Welch, uncorrected]."
    )
    headings = columns(
        *("Network", "n", "Error (%)", "Masked (%)", "Flips (%)", "− paper's", "p", "− masked baseline")
    )
    notes = tuple(tables.missing(params, ablations))
    return Table("ablations-table", "Ablations", caption, headings, grouped(rows), notes, wide=True)


def sentences(params: Params, ablations: pd.DataFrame) -> list[str]:
    """A sentence or two for each grouping: which changes lower its error, which raise it, and which cannot be told apart."""
    found = []
    for (dataset, grouping), rows in ablations.groupby(["dataset", "grouping"], sort=False):
        compared = rows.dropna(subset=["difference"])
        if len(compared):
            of_case = rows.set_index("case")["error"]
            known = f"the paper's network errs in {number(of_case[grouping])} %, the baseline in {number(of_case[BASELINE])} %"
            where = f"{dataset_title(params, dataset)}, {grouping}"
            found.append(f"{where}: {known}. {_changed(params, compared)}")
    return found


def _changed(params: Params, rows: pd.DataFrame) -> str:
    """Which ablations err significantly less than the paper's network, which more, and of which neither is shown."""
    parts: dict[str, list[str]] = {}
    for r in rows.itertuples():
        points = with_interval(signed(r.difference), Interval(r.low, r.high), sign=True)
        if math.isnan(r.p_holm):
            side = "not to be tested"
        elif r.p_holm < LEVEL:
            side = "fewer errors" if r.difference < 0 else "more errors"
        else:
            side = "not distinguishable from it"
        parts.setdefault(side, []).append(f"{network_title(params, r.dataset, r.case)} ({points})")
    listed = "; ".join(f"{side}: {', '.join(named)}" for side, named in parts.items())
    tested = " (p by Welch and Holm; intervals uncorrected)" if rows["p_holm"].notna().any() else ""
    return f"Changed, with the difference in points{tested}: {listed}."
