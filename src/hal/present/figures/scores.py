"""Figures 3, 5 and 7: auxiliary scores of all training images by superclass, every class apart."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter1d

from hal.decimals import significant
from hal.errors import UserError
from hal.outputs import Drawing
from hal.params import Params
from hal.present.figures import colours, style
from hal.present.numbers import cut, widths
from hal.study.grid import CellResult, first_ok, scores, select, summary
from hal.titles import case_title, dataset_title, superclass_names

_TAIL = 0.001  # the share of scores at either end that may not stretch the axis
_BINS = 100
_ROW = 0.155  # inches a class takes, or less where there are many
_LEAST = 6 / 72 / 0.9  # inches: room for type of 6 points, however many classes there are
_HIGHEST = 9.0  # inches a panel may take
_TOP = 3  # rows that the superclasses' densities take


def draw(params: Params, remark: str, drawing: Drawing, cells: pd.DataFrame, columns: int) -> Figure:
    """A panel for every case that has scores: on top those of each superclass as a density, below them those of each class.

    Args:
        params: the experiment.
        remark: on the run, for the reader.
        drawing: the data set, and which of its cases.
        cells: those of these cases; of each case the first that is ok is shown.
        columns: of panels.
    """
    dataset = drawing.dataset
    entry, remarks = params.datasets[dataset], [remark]
    drawn: dict[str, tuple[CellResult, pd.DataFrame]] = {}
    images = 0
    for name in drawing.cases:
        shown = first_ok(cells, dataset, name)
        if shown is None:
            remarks.append(f"{name}: no finished cell: {summary(select(cells, case=name)['result'])}")
            continue
        try:
            table = scores(shown)
        except UserError as error:
            remarks.append(f"{name}: {error}")
            continue
        images = len(table)
        finite = table[np.isfinite(table["score"])]
        if len(finite) < len(table):
            remarks.append(f"{len(table) - len(finite):,} scores of {name} are not finite")
        if not finite.empty:
            drawn[name] = shown, finite
    rows = _TOP + len(entry.classes) + max((len(entry.cases[name].superclasses) for name in drawn), default=0)
    row = max(_LEAST, min(_ROW, _HIGHEST / rows))
    height = 0.5 + row * rows if drawn else 1.0
    figure, axes = style.panels(max(1, len(drawn)), height, share=False, columns=columns)
    labels = [cut(name, 16) for name in entry.classes]
    room = 38 - max(map(widths, labels))  # letters: the classes' names stand beside a panel
    if not drawn:
        style.say(axes[0], "no scores to draw")
    for ax, (name, (cell, table)) in zip(axes, drawn.items(), strict=False):
        ax.set_title(style.short(case_title(params, dataset, name), room))
        _draw_case(ax, params, cell, table, labels, room, min(7.5, 0.9 * 72 * row))
    count = f"{images:,} " if images else ""
    title = f"{dataset_title(params, dataset)}: auxiliary scores of all {count}training images"
    style.head(figure, title + drawing.of_pages, remarks)
    return figure


def _draw_case(
    ax: Axes, params: Params, cell: CellResult, table: pd.DataFrame, labels: list[str], room: int, font: float
) -> None:
    """One panel from finite scores, with the classes' `labels`, and `room` letters for superclasses. The vertical axis counts rows, downwards."""
    dataset, case, seed = cell.cell.dataset, cell.cell.case, cell.cell.seed
    low, high = _limits(table["score"].to_numpy(dtype=float))
    outside = int((~table["score"].between(low, high)).sum())
    edges = np.linspace(low, high, _BINS + 1)
    groups = [table["score"][table["superclass"] == j].to_numpy() for j in range(len(cell.cell.superclasses))]
    densities = [_density(values, edges) for values in groups]
    scale = 0.9 * _TOP / max(density.max() for density in densities)
    names = superclass_names(params, dataset, case)
    beside: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "clip_on": False}
    y, ticks = float(_TOP), {}
    for j, classes in enumerate(cell.cell.superclasses):
        colour = colours.COLOURS[j % len(colours.COLOURS)]
        _draw_density(ax, edges, scale * densities[j], _TOP, colour, _tip(names[j], groups[j]))
        ax.plot([0, 0], [y + 0.15, y + 1 + len(classes)], color=colour, lw=4, solid_capstyle="butt", **beside)
        ax.text(
            0.02,
            y + 0.55,
            cut(names[j], min(26, room)),
            va="center",
            fontweight="bold",
            fontsize=font,
            **beside,
        )
        for middle, label in enumerate(classes, start=1):
            ticks[y + middle + 0.5] = labels[label]
            values = table["score"][table["label"] == label].to_numpy()
            tip = _tip(params.datasets[dataset].classes[label], values)
            _draw_violin(ax, edges, values, y + middle + 0.5, colour, tip)
        y += 1 + len(classes)
    left_out = f"; {outside:,} outside" if outside else ""
    ax.set(xlim=(low, high), ylim=(y + 0.2, 0), xlabel=f"auxiliary score (seed {seed}{left_out})")
    ax.set_yticks(list(ticks), list(ticks.values()), fontsize=font)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.grid(axis="x")


def _tip(name: str, values: np.ndarray) -> str:
    """What a page shows of a set of scores."""
    return (
        f"{name}: median {significant(np.median(values), 3)}, {len(values):,} images" if len(values) else name
    )


def _draw_density(
    ax: Axes, edges: np.ndarray, height: np.ndarray, base: float, colour: str, tip: str
) -> None:
    x, height = _seen(edges, height)
    ax.fill_between(x, base, base - height, color=colour, alpha=0.35, linewidth=0, gid=tip)
    ax.plot(x, base - height, color=colour, linewidth=0.9)


def _draw_violin(
    ax: Axes, edges: np.ndarray, values: np.ndarray, middle: float, colour: str, tip: str
) -> None:
    """The scores of one class, at most 0.9 rows thick, with a line at their median."""
    if not len(values):
        return
    density = _density(values, edges)
    x, half = _seen(edges, 0.45 * density / max(density.max(), 1))
    ax.fill_between(x, middle - half, middle + half, color=colour, linewidth=0, gid=tip)
    ax.plot([np.median(values)] * 2, [middle - 0.45, middle + 0.45], color=colours.INK, linewidth=0.9)


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Where nearly all values lie, with a margin; never empty."""
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    margin = 0.04 * (high - low) or 0.5 * max(abs(high), 1e-3)
    return float(low - margin), float(high + margin)


def _seen(edges: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middles of the bins and heights where a density is more than a hair line; the rest only makes files larger."""
    tall = np.flatnonzero(height > 0.004)
    kept = slice(tall[0], tall[-1] + 1) if len(tall) else slice(0)
    return (edges[1:] + edges[:-1])[kept] / 2, height[kept]


def _density(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Values a bin, smoothed as Silverman's rule has it (a kernel density, but on a grid: fast for any number)."""
    counts = np.histogram(values, edges)[0].astype(float)
    if len(values) < 2:
        return counts
    spread = min(values.std(), np.subtract(*np.quantile(values, [0.75, 0.25])) / 1.34)
    bandwidth = 0.9 * spread * len(values) ** -0.2 / (edges[1] - edges[0])
    return gaussian_filter1d(counts, float(np.clip(bandwidth, 0.7, _BINS / 10)), mode="constant")
