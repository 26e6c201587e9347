"""Does the network listen? How many predictions depend on the superclass told, and where each error comes from."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from hal.outputs import ROWS, Drawing
from hal.params import Params
from hal.present.figures import colours, style
from hal.present.numbers import cut, number, widths
from hal.study.grid import select
from hal.titles import case_title, dataset_title

_ERRORS = (
    ("best_hint", "o", "none", colours.FAINT, "told what helps most"),
    ("hal", "o", colours.HAL, colours.HAL, "as tested (HAL)"),
    ("hal_masked", "x", colours.HAL, colours.HAL, "HAL, masked"),
    ("masked", "|", colours.MASKED, colours.MASKED, "baseline, masked"),
    ("worst_hint", "s", "none", colours.FAINT, "told what hurts most"),
)


def draw(
    params: Params, remark: str, drawing: Drawing, table: pd.DataFrame, networks: pd.DataFrame, columns: int
) -> Figure:
    """Left the share of predictions that flip, of every network and their mean; right the errors under several hints.

    Args:
        params: the experiment.
        remark: on the run, for the reader.
        drawing: which page.
        table: `study.hint.hint`.
        networks: `study.hint.networks`.
        columns: 1 sets one panel below the other.
    """
    shown = table[ROWS * (drawing.page - 1) : ROWS * drawing.page].dropna(subset=["flips"])
    several = len(params.grid.datasets) > 1
    rows, headings = _places(list(shown["dataset"]), several)
    height = max(1.2, 0.26 * (len(shown) + len(headings)) + 0.5)
    figure, (left, right) = style.panels(2, height, share=False, columns=columns)
    if shown.empty:
        style.say(left, "no finished network that is told a superclass, with its controls")
        right.set_axis_off()
    else:
        names = [_name(params, row) for row in shown.itertuples()]
        whose = [
            f"{f'{dataset_title(params, row.dataset)}, ' * several}{name}".replace("\n", " ")
            for row, name in zip(shown.itertuples(), names, strict=True)
        ]
        _draw_flips(left, rows, shown, networks, whose)
        _draw_errors(right, rows, shown, whose)
        _frame(left, rows, names)
        _frame(right, rows, names if columns == 1 else [""] * len(names))
        figure.legend(loc="outside lower center", ncols=3 if columns > 1 else 1)
        style.settle(figure)  # a heading has the figure's width, and no panel makes room for it
        right.patch.set_visible(False)  # headings of the left panel go on over the right one
        for ax in (left, right)[: 3 - columns]:
            for y, dataset in headings.items():
                _head(ax, y, dataset_title(params, dataset), 0.99 * figure.bbox.x1)
    title = " ".join(filter(None, ["Does the network listen?", style.of_all(shown["n"], params)]))
    style.head(figure, title + drawing.of_pages, [remark])
    return figure


def _draw_flips(
    ax: Axes, rows: np.ndarray, shown: pd.DataFrame, networks: pd.DataFrame, whose: list[str]
) -> None:
    """A large point for each mean, and below it a small one for each network."""
    dots: dict[str, Any] = {"color": colours.HAL, "alpha": 0.35, "markersize": 3, "markeredgewidth": 0}
    for y, row in zip(rows, shown.itertuples(), strict=True):
        seeds = select(networks, dataset=row.dataset, case=row.case)
        tips = [f"seed {r.seed}: {number(r.flips)} % flip" for r in seeds.itertuples()]
        ys = np.full(len(seeds), y + 0.2)
        style.points(ax, seeds["flips"], ys, "o", tips, "_", **dots, clip_on=False)
    tips = [
        f"{who}: {number(row.flips)} % flip in the mean, {number(row.flips_least)} to {number(row.flips_most)}"
        for who, row in zip(whose, shown.itertuples(), strict=True)
    ]
    style.points(ax, shown["flips"], rows, "o", tips, "_", color=colours.HAL, markersize=4.5, clip_on=False)
    ax.set_xlabel("predictions that flip (%)")


def _draw_errors(ax: Axes, rows: np.ndarray, shown: pd.DataFrame, whose: list[str]) -> None:
    """The mean errors under each of `_ERRORS`; on a logarithmic axis where a linear one would crowd them at its end."""
    for name, marker, face, edge, label in _ERRORS:
        how: dict[str, Any] = {
            "color": edge,
            "markerfacecolor": face,
            "markersize": 9 if marker == "|" else 4.5,
        }
        tips = [f"{who}, {label}: {number(x)} %" for who, x in zip(whose, shown[name], strict=True)]
        style.points(ax, shown[name], rows, marker, tips, label, **how, clip_on=False)
    errors = shown[[name for name, *_ in _ERRORS]]
    ax.set_xlabel("test error (%)")
    if errors.max(axis=None) > 10 * max(errors.min(axis=None), 0.1):
        ax.set_xscale("symlog", linthresh=1)
        ax.set_xlabel("test error (%; log above 1)")
        ax.xaxis.set_major_locator(FixedLocator([0, 0.5, 1, 2, 5, 10, 20, 50, 100]))
    ax.xaxis.set_major_formatter("{x:g}")


def _places(datasets: list[str], headed: bool) -> tuple[np.ndarray, dict[int, str]]:
    """Where the rows stand from above, and where their data sets' titles: a line before the first of each."""
    rows: list[int] = []
    headings: dict[int, str] = {}
    for before, dataset in zip(["", *datasets], datasets, strict=False):
        if headed and dataset != before:
            headings[len(rows) + len(headings)] = dataset
        rows.append(len(rows) + len(headings))
    return np.array(rows), headings


def _name(params: Params, row: Any) -> str:
    end = f"{' *' * row.ablation}{style.fewer(row.n, params)}"
    return style.row_name(case_title(params, row.dataset, row.case), end)


def _head(ax: Axes, y: float, title: str, end: float) -> None:
    """A data set's title above its rows, shortened where the figure ends (in pixels)."""
    how: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": 7}
    text = ax.text(0.01, y, title, fontweight="bold", **how)
    for width in range(widths(title), 10, -1):
        text.set_text(cut(title, width))
        if text.get_window_extent().x1 <= end:
            return


def _frame(ax: Axes, rows: np.ndarray, names: list[str]) -> None:
    ax.set_yticks(rows, names, linespacing=1.05)
    ax.set_ylim(rows[-1] + 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.spines[["top", "right", "left"]].set_visible(False)
