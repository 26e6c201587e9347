"""Table 2 as a picture: every network, our means with their intervals, the paper's means, and what a mask is worth."""

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hal.params import Params
from hal.present.figures import colours, style
from hal.present.numbers import interval, number, with_deviation
from hal.settings import BASELINE
from hal.study.comparisons import errors
from hal.study.grid import select
from hal.study.resampling import Interval, moments, percent_interval
from hal.titles import case_title, dataset_title

ROW = 0.3  # inches a case
MOST = 16  # cases that a panel holds
_KINDS = {
    colours.BASELINE: "baseline, ours",
    colours.HAL: "HAL, ours",
    colours.ABLATION: "with something changed, ours",
}
SEEDS, OURS, THEIRS = -0.27, -0.03, 0.24  # where in its row (downwards, in rows) something is drawn
_BEYOND = 1.5  # times the farthest error; intervals of two networks can be so wide that all errors would crowd at the left


@dataclasses.dataclass(frozen=True)
class Row:
    """One kind of network; NaN where there is no number, and errors in percent.

    Attributes:
        title: the case's.
        colour: of the kind: one of `_KINDS`.
        fewer: the number of networks where some are missing, else empty.
        seeds: the test error of each network.
        mean, low, high: of our networks, with the interval's ends.
        paper, paper_sd: as printed.
        masked, masked_sd: the baseline's error when its logits are restricted to the true superclass.
    """

    title: str
    colour: str
    fewer: str
    seeds: tuple[float, ...]
    mean: float
    low: float
    high: float
    paper: float
    paper_sd: float
    masked: float
    masked_sd: float


def panels(
    params: Params, cells: pd.DataFrame, table2: pd.DataFrame, table2b: pd.DataFrame
) -> dict[str, list[Row]]:
    """The rows of each data set's panel, by its title; variants and ablations have figures of their own."""
    controls = table2b.set_index(["dataset", "case"])
    masked, sds = controls["masked"].to_dict(), controls["masked_sd"].to_dict()
    shown: dict[str, list[Row]] = {}
    for dataset in params.own_datasets:
        rows = select(table2, dataset=dataset).set_index("case")
        for case in [BASELINE, *params.groupings(dataset)]:
            seeds = errors(cells, dataset, case)
            colour = colours.BASELINE if case == BASELINE else colours.HAL
            printed = rows["paper_mean"][case], rows["paper_sd"][case]
            shown.setdefault(dataset_title(params, dataset), []).append(
                row_of(
                    params,
                    case_title(params, dataset, case),
                    colour,
                    seeds,
                    (masked.get((dataset, case), math.nan), sds.get((dataset, case), math.nan)),
                    printed,
                )
            )
    return shown


def row_of(
    params: Params,
    title: str,
    colour: str,
    seeds: np.ndarray,
    masked: tuple[float, float],
    printed: tuple[float, float] = (math.nan, math.nan),
) -> Row:
    """A row from the errors of its networks, and mean and deviation of the masked baseline and of what the paper prints."""
    sample = moments(seeds)
    bounds, fewer = percent_interval(sample), style.fewer(len(seeds), params)
    return Row(title, colour, fewer, tuple(seeds), sample.mean, bounds.low, bounds.high, *printed, *masked)


def draw(
    params: Params, remark: str, panels: dict[str, list[Row]], columns: int, heading: str = "Test errors"
) -> Figure:
    """A panel for each data set, the baseline first in it, `columns` of them beside each other.

    Args:
        params: the experiment.
        remark: on the run, for the reader.
        panels: as `panels` gives them.
        columns: 1 for a journal's column or a phone.
        heading: of the figure.
    """
    width = style.WIDTH if columns > 1 else style.COLUMN
    parts = [part for title, rows in panels.items() for part in _parts(title, rows)]
    columns = min(columns, len(parts))
    grid = [parts[i : i + columns] for i in range(0, len(parts), columns)]
    heights = [max(len(rows) for _, rows in line) * ROW + 0.62 for line in grid]
    figure = Figure(figsize=(width, sum(heights) + 0.6), layout="constrained")
    axes = figure.subplots(len(grid), columns, squeeze=False, height_ratios=heights)
    for line, line_axes in zip(grid, axes, strict=True):
        for ax in line_axes[len(line) :]:
            ax.set_axis_off()
        for (title, rows), ax in zip(line, line_axes, strict=False):
            _panel(ax, title, rows)
    handles = _legend([row for rows in panels.values() for row in rows])
    figure.legend(
        handles=handles, loc="outside lower left", ncols=columns, handlelength=1.8, columnspacing=1.4
    )
    of_all = style.of_all((len(row.seeds) for rows in panels.values() for row in rows), params)
    style.head(figure, ", ".join(filter(None, [heading, of_all])), [remark])
    return figure


def _parts(title: str, rows: list[Row]) -> list[tuple[str, list[Row]]]:
    """A data set's panels: several alike, each with the baseline on top, where one would be too high."""
    baseline, *cases = rows
    n = max(1, math.ceil(len(cases) / MOST))
    each = max(1, math.ceil(len(cases) / n))
    parts = [[baseline, *cases[i : i + each]] for i in range(0, len(cases), each)] or [rows]
    return [
        (f"{title} ({i} of {len(parts)})" if len(parts) > 1 else title, part)
        for i, part in enumerate(parts, 1)
    ]


def _panel(ax: Axes, title: str, rows: list[Row]) -> None:
    if all(not row.seeds and math.isnan(row.masked) and math.isnan(row.paper) for row in rows):
        ax.set_title(style.short(title))
        style.say(ax, "no network of it has finished yet")
        return
    end = _cut_at(rows)
    for y, row in enumerate(rows):
        at = y + OURS
        seeds = np.array(row.seeds, dtype=float)
        dot: dict[str, Any] = {"color": row.colour, "markeredgewidth": 0}
        each = ", ".join(f"{seed:.2f}" for seed in row.seeds)
        tip = f"seeds: {each} %"
        if len(seeds) > 1:  # one is its mean
            ax.plot(seeds, np.full(len(seeds), y + SEEDS), "o", alpha=0.5, markersize=3, gid=tip, **dot)
        if not math.isnan(row.low):
            ax.plot([row.low, min(row.high, end)], [at, at], color=row.colour, linewidth=1.4)
            if row.high > end:
                ax.plot([end], [at], ">", markersize=4, clip_on=False, **dot)
        known = f" {interval(Interval(row.low, row.high))}" if not math.isnan(row.low) else ""
        tip = f"{row.title}: {number(row.mean)}{known} %, n = {len(row.seeds)}"
        ax.plot([row.mean], [at], "o", markersize=4.5, gid=tip, **dot)
        if not math.isnan(row.paper):
            spread = 0 if math.isnan(row.paper_sd) else row.paper_sd
            below = y + THEIRS
            ax.plot(
                [row.paper - spread, row.paper + spread], [below, below], color=colours.PAPER, linewidth=0.9
            )
            tip = f"{row.title}, the paper: {with_deviation(row.paper, row.paper_sd)} %"
            ax.plot(
                [row.paper], [below], "D", color=colours.PAPER, markersize=3.2, markeredgewidth=0, gid=tip
            )
        if not math.isnan(row.masked):
            tip = f"{row.title}, baseline masked: {with_deviation(row.masked, row.masked_sd)} %"
            green: dict[str, Any] = {"color": colours.MASKED, "solid_capstyle": "butt"}
            spread = 0 if math.isnan(row.masked_sd) else row.masked_sd
            ax.plot([row.masked - spread, row.masked + spread], [y - 0.4] * 2, linewidth=0.9, **green)
            ax.plot([row.masked] * 2, [y - 0.42, y + 0.36], linewidth=1.8, gid=tip, zorder=1.5, **green)
    ax.set_title(style.short(title))
    ax.set_yticks(
        range(len(rows)), [style.row_name(row.title, row.fewer, 26) for row in rows], linespacing=1.05
    )
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(0, None if math.isinf(end) else end)
    ax.set_xlabel("test error (%)")
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.spines[["top", "right", "left"]].set_visible(False)


def _cut_at(rows: list[Row]) -> float:
    """Where the axis ends if intervals go on far beyond every error that is drawn; infinite where none does."""
    drawn = [error for row in rows for error in (*row.seeds, row.paper, row.masked) if not math.isnan(error)]
    end = _BEYOND * max(drawn)
    return end if end > 0 and any(row.high > end for row in rows) else math.inf


def _legend(rows: list[Row]) -> list[Line2D]:
    def mark(colour: str, marker: str, label: str, size: float) -> Line2D:
        return Line2D([], [], color=colour, marker=marker, markersize=size, markeredgewidth=0, label=label)

    several = any(len(row.seeds) > 1 for row in rows)
    of_rows = {row.colour for row in rows}
    handles = [
        mark(
            colour,
            "o",
            f"{kind}{': each seed, mean and 95 % interval' * (colour == colours.BASELINE and several)}",
            4.5,
        )
        for colour, kind in _KINDS.items()
        if colour in of_rows
    ]
    if not all(math.isnan(row.masked) for row in rows):
        handles.append(
            Line2D(
                [],
                [],
                color=colours.MASKED,
                linestyle="",
                marker="|",
                markersize=8,
                markeredgewidth=1.8,
                label=f"baseline masked, same hint{': mean ± deviation' * any(row.masked_sd > 0 for row in rows)}",
            )
        )
    if not all(math.isnan(row.paper) for row in rows):
        handles.append(mark(colours.PAPER, "D", "the paper: mean ± deviation", 3.2))
    return handles
