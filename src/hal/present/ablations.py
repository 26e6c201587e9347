"""What is a lower error owed to? The table of `study.ablations`, and what it says in words that the numbers choose."""

import math
from typing import Any

import pandas as pd

from hal.params import Params
from hal.present.blocks import Table, columns, grouped
from hal.present.numbers import NONE, counted, number, probability, signed, with_deviation, with_interval
from hal.settings import BASELINE
from hal.study.resampling import LEVEL, Interval
from hal.titles import case_title, dataset_title, network_title

OWED = (
    "Each ablation is the paper's network under that grouping with one thing changed. No hint: x* = 0 for every image. A random hint: a superclass drawn anew for every "
    "image. Hint beside the features: its one-hot vector goes into the output layer with the features, and no block stands in between. Masked loss: trained and tested "
    "with the classes of the true superclass alone."
)


def table(params: Params, ablations: pd.DataFrame) -> Table:
    """Every grouping that has ablations: the baseline, the paper's network, and what is changed in it."""
    rows = []
    for r in ablations.itertuples():
        numbers = (
            counted(r.n, r.planned),
            with_deviation(r.error, r.sd),
            number(r.masked),
            _flips(r),
            with_interval(signed(r.difference), Interval(r.low, r.high), sign=True),
            probability(r.p_holm),
            with_interval(signed(r.behind), Interval(r.behind_low, r.behind_high), sign=True),
        )
        title = f"{dataset_title(params, r.dataset)}, {case_title(params, r.dataset, r.grouping)}"
        rows.append((title, (network_title(params, r.dataset, r.case), *numbers)))
    caption = (
        "Test error in percent, mean ± sample standard deviation over n seeds. Masked: the same logits without the classes outside the true "
        "superclass. Flips: the share of predictions that depend on the superclass told, in percent (lowest to highest network). − paper's: the error minus that of the paper's network, in points "
        f"[95 %, Welch; p: corrected by Holm for the run's {planned(ablations)} comparisons of this kind]. − masked baseline: the error minus what the baseline errs, masked with the "
        "same grouping [95 %, Welch, uncorrected]."
    )
    headings = columns(
        *("Network", "n", "Error (%)", "Masked (%)", "Flips (%)", "− paper's", "p", "− masked baseline")
    )
    return Table("ablations-table", "Ablations", caption, headings, grouped(rows), wide=True)


def planned(ablations: pd.DataFrame) -> int:
    """How many comparisons with the paper's network the run makes once all is trained."""
    return int(ablations["comparisons"].iloc[0])


def sentences(params: Params, ablations: pd.DataFrame) -> list[str]:
    """A sentence or two for each grouping: which changes lower its error, which raise it, and which cannot be told apart."""
    found = []
    for (dataset, grouping), rows in ablations.groupby(["dataset", "grouping"], sort=False):
        compared = rows.dropna(subset=["difference"])
        if len(compared):
            whole = rows[rows["case"] == grouping]["error"].iloc[0]
            where = f"{dataset_title(params, dataset)}, {grouping}"
            found.append(
                f"{where}: the paper's network errs in {number(whole)} %. {_changed(params, compared)}"
            )
    return found


def _changed(params: Params, rows: pd.DataFrame) -> str:
    """With one thing changed: the differences that are significant with their direction, and the others by their names."""
    parts: dict[str, list[str]] = {}
    for r in rows.itertuples():
        title, points = network_title(params, r.dataset, r.case), signed(r.difference)
        if math.isnan(r.p_holm):
            parts.setdefault("not to be tested with so few seeds:", []).append(f"{title} ({points} points)")
        elif r.p_holm < LEVEL:
            side = "fewer errors:" if r.difference < 0 else "more errors:"
            parts.setdefault(side, []).append(f"{title} ({points} points)")
        else:
            parts.setdefault("not distinguishable from it:", []).append(f"{title} ({points})")
    listed = "; ".join(f"{side} {', '.join(names)}" for side, names in parts.items())
    tested = " (Welch, Holm)" if rows["p_holm"].notna().any() else ""
    return f"With one thing changed, {listed}{tested}."


def _flips(row: Any) -> str:
    if row.case == BASELINE or math.isnan(row.flips):
        return NONE
    spread = f" ({number(row.flips_least, 1)}–{number(row.flips_most, 1)})" if row.n > 1 else ""
    return f"{number(row.flips, 1)}{spread}"
