"""Figures 3, 5 and 7: auxiliary scores of all training images by superclass, every class apart."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter1d

from hal.analysis.grid import CellResult, scores, select, summary
from hal.analysis.labels import case_title, dataset_title, superclass_names
from hal.analysis.run import note
from hal.errors import UserError
from hal.figures import style
from hal.params import Params

_TAIL = 0.001  # the share of scores at either end that may not stretch the axis
_BINS = 160
_ROW = 0.155  # inches a class takes
_TOP = 3  # rows that the superclasses' densities take


def draw(params: Params, dataset: str, results: Sequence[CellResult]) -> Figure:
    """A panel for every case: on top the scores of each superclass as a density, below them those of each class.

    Args:
        params: the experiment.
        dataset: its name.
        results: the data set's cells; of each case the first that is ok is shown.
    """
    cases = params.datasets[dataset].cases
    rows = max((len(params.datasets[dataset].classes) + len(case.superclasses) for case in cases.values()), default=8)
    figure, axes = style.panels(max(1, len(cases)), height=min(7.0, 0.5 + _ROW * (_TOP + rows)), share=False)
    if not cases:
        style.say(axes[0], "the baseline has no auxiliary scores")
    remarks = [note(params, dataset)]
    for ax, name in zip(axes, cases, strict=False):
        ax.set_title(style.panel_title(case_title(params, dataset, name)))
        cells = select(results, dataset, name)
        shown = next((cell for cell in cells if cell.ok), None)
        if shown is None:
            style.say(ax, f"no finished cell: {summary(cells)}")
            continue
        try:
            table = scores(shown)
        except UserError as error:
            remarks.append(str(error))
            style.say(ax, "scores cannot be read")
            continue
        remarks += _draw_case(ax, params, shown, table)
    style.head(figure, f"{dataset_title(params, dataset)}: auxiliary scores of all training images", remarks)
    return figure


def _draw_case(ax: Axes, params: Params, cell: CellResult, table: pd.DataFrame) -> list[str]:
    """Draw one panel; return what had to be left out."""
    dataset, case = cell.cell.dataset, cell.cell.case
    finite = table[np.isfinite(table["score"])]
    remarks = [f"{len(table) - len(finite):,} scores of {case} are not finite"] if len(finite) < len(table) else []
    if finite.empty:
        style.say(ax, "no finite score")
        return remarks
    low, high = _limits(finite["score"].to_numpy())
    outside = int((~finite["score"].between(low, high)).sum())
    edges = np.linspace(low, high, _BINS + 1)
    x = (edges[1:] + edges[:-1]) / 2
    names = superclass_names(params, dataset, case)
    of_superclass = [_density(finite["score"][finite["superclass"] == j].to_numpy(), edges) for j in range(len(names))]
    scale = _TOP * 0.9 / max(density.max() for density in of_superclass)
    xlabel = f"auxiliary score, seed {cell.cell.seed}" + (f" ({outside:,} images outside)" if outside else "")
    y, ticks = float(_TOP), {}
    for j, classes in enumerate(cell.cell.superclasses):
        colour = style.COLOURS[j % len(style.COLOURS)]
        height = scale * of_superclass[j]
        seen = _seen(height)
        ax.fill_between(x[seen], _TOP, _TOP - height[seen], color=colour, alpha=0.35, linewidth=0)
        ax.plot(x[seen], _TOP - height[seen], color=colour, linewidth=0.9)
        ax.text(0.02, y + 0.55, names[j], transform=ax.get_yaxis_transform(), va="center", fontweight="bold")
        bar = {"linewidth": 4, "solid_capstyle": "butt", "clip_on": False}
        ax.plot([0, 0], [y + 0.15, y + 1 + len(classes)], transform=ax.get_yaxis_transform(), color=colour, **bar)
        for i, label in enumerate(classes):
            middle = y + 1.5 + i
            ticks[middle] = params.datasets[dataset].classes[label]
            values = finite["score"][finite["label"] == label].to_numpy()
            if len(values):
                density = _density(values, edges)
                half = 0.45 * density / max(density.max(), 1)
                seen = _seen(half)
                ax.fill_between(x[seen], middle - half[seen], middle + half[seen], color=colour, linewidth=0)
                ax.plot([np.median(values)] * 2, [middle - 0.45, middle + 0.45], color=style.INK, linewidth=0.9)
        y += 1 + len(classes)
    ax.set(xlim=(low, high), ylim=(y + 0.2, 0), xlabel=xlabel)
    ax.set_yticks(list(ticks), list(ticks.values()))
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.grid(axis="x")
    return remarks


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Where nearly all values lie, with a margin; never empty."""
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    margin = 0.04 * (high - low) or 0.5 * max(abs(high), 1e-3)
    return float(low - margin), float(high + margin)


def _seen(height: np.ndarray) -> slice:
    """Where a density is more than a hair line; the rest would only make the file larger."""
    tall = np.flatnonzero(height > 0.004)
    return slice(tall[0], tall[-1] + 1) if len(tall) else slice(0)


def _density(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Values a bin, smoothed as Silverman's rule has it (a kernel density, but on a grid: fast for any number)."""
    counts = np.histogram(values, edges)[0].astype(float)
    if len(values) < 2:
        return counts
    spread = min(values.std(), np.subtract(*np.quantile(values, [0.75, 0.25])) / 1.34)
    bandwidth = 0.9 * spread * len(values) ** -0.2 / (edges[1] - edges[0])
    return gaussian_filter1d(counts, float(np.clip(bandwidth, 0.7, _BINS / 10)), mode="constant")
