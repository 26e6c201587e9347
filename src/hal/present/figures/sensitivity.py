"""What other settings give: the test errors of every variant, seed by seed."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from hal.outputs import Drawing, families
from hal.params import Params
from hal.present.figures import colours, style
from hal.present.numbers import number
from hal.settings import BASELINE
from hal.study.grid import select
from hal.study.sensitivity import variant_title
from hal.titles import case_title, family_title

DIVERGED, ABSENT = "×", "?"


def draw(params: Params, remark: str, drawing: Drawing, cells: pd.DataFrame, columns: int) -> Figure:
    """A panel a case: a row a variant, a dot a seed, a bar at the mean; the baseline in black in every panel.

    Args:
        params: the experiment.
        remark: on the run, for the reader.
        drawing: the data set whose variants are shown, and which of its cases.
        cells: those of these cases and of the baseline, under every variant.
        columns: of panels.
    """
    dataset = drawing.dataset
    members = families(params)[dataset]
    cases = drawing.cases or (BASELINE,)
    figure, axes = style.panels(len(cases), 0.45 + 0.26 * len(members), share=True, columns=columns)
    rows = np.arange(len(members))[::-1]
    errors = cells["test_error"].dropna()
    scale: dict[str, Any] = {"value": "log"}
    lowest = min(errors, default=1)
    if lowest == 0:  # has no logarithm
        scale = {"value": "symlog", "linthresh": 0.1}
    # The right quarter of the axis is left to the seeds that have no error.
    limits = (0.8 * lowest, 2.5 * max(max(errors, default=100), 0.1))
    for ax, case in zip(axes, cases, strict=True):
        ax.set_title(style.short(case_title(params, dataset, case), 26))
        for row, member in zip(rows, members, strict=True):
            for name, colour, offset in ((BASELINE, colours.BASELINE, 0.17), (case, colours.HAL, -0.17)):
                _draw_seeds(ax, row + offset, select(cells, dataset=member, case=name), name, colour)
        ax.set_yticks(
            rows, [style.short(variant_title(params, member), 26) for member in members], linespacing=1.05
        )
        ax.set_xscale(**scale)
        ax.set(xlim=limits, ylim=(-0.6, len(rows) - 0.4))
        ax.xaxis.set_major_locator(
            FixedLocator([0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100])
        )
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.tick_params(labelbottom=True)
        ax.axhline(rows[0] - 0.5, color=colours.FAINT, linewidth=0.5)
        ax.grid(axis="x")
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[-columns:]:
        ax.set_xlabel("test error (%)")
    figure.legend(handles=_legend(cells), loc="outside lower center", ncols=3 if columns > 1 else 2)
    title = f"{family_title(params, dataset)}: settings varied"
    style.head(figure, title + drawing.of_pages, [remark])
    return figure


def _legend(cells: pd.DataFrame) -> list[Line2D]:
    """What is drawn: the baseline, a case, their means, and the signs of networks without an error."""

    def sign(label: str, marker: str = "", colour: str = colours.INK) -> Line2D:
        how: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 6}
        return Line2D([], [], linestyle="", label=label, **how)

    states = {*cells["state"]}
    return [
        sign("the baseline, a dot a seed", ".", colours.BASELINE),
        sign("the case", ".", colours.HAL),
        sign("mean of those that count", "|"),
        *[sign(f"{DIVERGED} diverged")] * ("diverged" in states),
        *[sign(f"{ABSENT} not there")] * bool(states - {"ok", "diverged"}),
    ]


def _draw_seeds(ax: Axes, y: float, cells: pd.DataFrame, name: str, colour: str) -> None:
    """A dot for each error, a bar at their mean; at the right end a sign for each network without one."""
    errors = cells["test_error"].dropna()
    if len(errors):
        dots: dict[str, Any] = {"alpha": 0.5, "markersize": 4, "markeredgewidth": 0, "clip_on": False}
        ax.plot(errors, [y] * len(errors), ".", color=colour, **dots)
        tip = f"{name}: {number(errors.mean())} % (n = {len(errors)})"
        ax.plot(errors.mean(), y, "|", color=colour, markersize=7, markeredgewidth=1.4, gid=tip)
    at: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "ha": "right", "va": "center"}
    for k, state in enumerate(cells[cells["state"] != "ok"]["state"]):
        sign = DIVERGED if state == "diverged" else ABSENT
        ax.text(1 - 0.045 * k, y, sign, color=colours.WARNING, fontsize=6.5, **at)
