"""One look for all figures, and files that are the same bytes every time."""

import contextlib
import functools
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hal.files import write_atomically

# Okabe and Ito's colours, told apart by colour-blind readers; their yellow is left out: too faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK = "#222222"
FAINT = "#6b6b6b"
WARNING = "#A03000"
# What a colour means, in every figure; superclasses take COLOURS in their order.
BASELINE, HAL, PAPER, MASKED = INK, COLOURS[0], COLOURS[1], COLOURS[2]

GRID = "#dddddd"
# Each colour's name on a page, which has another value for it in a dark room.
PAGE_COLOURS = {
    **{colour: f"series{i}" for i, colour in enumerate(COLOURS)},
    **{INK: "ink", FAINT: "faint", WARNING: "warn", GRID: "line", "#ffffff": "paper"},
}

WIDTH = 5.4  # inches: a page's column
COLUMN = 3.31  # a journal's column, 8.4 cm: where type below 6 points is not read

_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "ytick.minor.size": 0,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.1,
    "grid.linewidth": 0.4,
    "grid.color": GRID,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.fonttype": "none",  # text stays text: it can be searched, selected and read aloud
    "text.parse_math": False,  # a $ in a name is a dollar
    "svg.hashsalt": "hal",
    "pdf.fonttype": 42,
    "savefig.dpi": 220,
    "figure.constrained_layout.use": True,
}


@contextlib.contextmanager
def applied() -> Iterator[None]:
    """The style, for the figures drawn inside."""
    style: Any = {**sns.axes_style("ticks"), **_STYLE, "backend": "agg"}
    with mpl.rc_context():
        mpl.rcdefaults()  # nobody's own matplotlibrc has a part in it
        mpl.rcParams.update(style)
        yield


def panels(n: int, height: float, share: bool) -> tuple[Figure, list[Axes]]:
    """A figure with `n` panels, at most two in a row, each `height` inches high; `share` gives all the same axes."""
    columns = min(2, n)
    rows = -(-n // columns)
    figure = Figure(figsize=(WIDTH, rows * height + 0.75))
    axes = figure.subplots(rows, columns, sharex=share, sharey=share, squeeze=False).flat
    for ax in axes[n:]:
        ax.set_axis_off()
    return figure, list(axes[:n])


def head(figure: Figure, title: str, remarks: Sequence[str], wrap: int = 92) -> None:
    """Above the panels the figure's title and, each on lines of its own, what a reader must know of it."""
    lines = [line for remark in remarks if remark for line in textwrap.wrap(remark, wrap)]
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the panels are laid out; what comes above them shall not move them
    at: dict[str, Any] = {"transform": figure.transFigure, "ha": "left", "va": "bottom"}
    above = 0.03 + 10.5 / 72 * np.array([0, len(lines) + 0.3])  # inches
    note_at, title_at = 1 + above / figure.get_figheight()
    figure.text(0.01, note_at, "\n".join(lines), color=WARNING, fontsize=7.5, linespacing=1.3, **at)
    figure.text(0.01, title_at, title, color=INK, fontsize=9.5, fontweight="bold", **at)


def panel_title(text: str) -> str:
    """At most two lines, as wide as a panel."""
    return "\n".join(textwrap.wrap(text, 38, max_lines=2, placeholder=" …"))


def short(text: str, width: int = 30) -> str:
    """At most two lines, for a row's name; what is cut off stands in the table."""
    return "\n".join(textwrap.wrap(text, width, max_lines=2, placeholder=" …"))


def say(ax: Axes, text: str) -> None:
    """A panel that has nothing to draw says why."""
    wrapped = "\n".join(textwrap.wrap(text, 38, max_lines=6, placeholder=" …"))
    ax.text(0.5, 0.5, wrapped, transform=ax.transAxes, ha="center", va="center", color=WARNING)
    ax.set_axis_off()


def save(figure: Figure, paths: Sequence[Path]) -> list[Path]:
    """Write the figure to every path, whole or not at all, with no date inside."""
    for path in paths:
        suffix = path.suffix[1:]
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[suffix]
        options: dict[str, Any] = {
            "format": suffix,
            "metadata": metadata,
            "bbox_inches": "tight",
            "pad_inches": 0.05,
        }
        write_atomically(path, functools.partial(figure.savefig, **options))
    return list(paths)
