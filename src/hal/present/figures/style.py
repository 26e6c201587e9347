"""One look for all figures, and files that are the same bytes every time."""

import contextlib
import functools
import io
import logging
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from hal.files import write_bytes
from hal.params import Params
from hal.present.figures import colours
from hal.present.figures.svg import compact
from hal.present.numbers import cut, widths
from hal.titles import case_title, dataset_title, superclass_names

WIDTH = 5.4  # inches: a page's column
COLUMN = 3.31  # a journal's column, 8.4 cm: where type below 6 points is not read

_MARKERS = "os^Dv"

FONT = "DejaVu Sans"  # comes with matplotlib, so every machine draws the same

_STYLE = {
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "axes.titlelocation": "left",
    "axes.edgecolor": colours.FAINT,
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
    "grid.color": colours.GRID,
    "text.color": colours.INK,
    "axes.labelcolor": colours.INK,
    "xtick.color": colours.INK,
    "ytick.color": colours.INK,
    "svg.fonttype": "none",  # text stays text: it can be searched, selected and read aloud
    "text.hinting": "none",  # a text is as wide in every format, so one layout fits them all
    "text.parse_math": False,  # a $ in a name is a dollar
    "svg.hashsalt": "hal",
    "pdf.fonttype": 42,
    "savefig.dpi": 220,
}


@contextlib.contextmanager
def applied(params: Params) -> Iterator[None]:
    """The style, for the figures of params drawn inside."""
    fonts = [FONT, *_fallbacks(_letters(params))]
    style: Any = {**sns.axes_style("ticks"), **_STYLE, "font.family": fonts, "backend": "agg"}
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # `head` says it where it is read
        logging.getLogger("matplotlib.font_manager").setLevel(
            logging.ERROR
        )  # of a fallback without bold type
        mpl.rcdefaults()  # nobody's own matplotlibrc has a part in it
        mpl.rcParams.update(style)
        yield


def _letters(params: Params) -> frozenset[str]:
    """Those of all names that a figure may show."""
    names = []
    for dataset in params.grid.datasets:
        names += [dataset_title(params, dataset), *params.datasets[dataset].classes]
        for case in params.datasets[dataset].cases:
            names += [case_title(params, dataset, case), *superclass_names(params, dataset, case)]
    return frozenset("".join(names))


@functools.cache
def _fallbacks(letters: frozenset[str]) -> list[str]:
    """Fonts of this machine that have what matplotlib's own lacks, as few as their order by name gives."""
    lacking, names = set(map(ord, letters)) - _glyphs(FONT), []
    plain = {font.name for font in fontManager.ttflist if (font.style, font.weight) == ("normal", 400)}
    for name in sorted(plain):
        if covered := lacking & _glyphs(name) if lacking else set():
            names.append(name)
            lacking -= covered
    return names


@functools.cache
def _glyphs(font: str) -> frozenset[int]:
    """The code points that a font has; coloured pictures, which PDF cannot take, are none."""
    if "emoji" in font.lower():
        return frozenset()
    try:
        return frozenset(get_font(fontManager.findfont(font, fallback_to_default=False)).get_charmap())
    except (OSError, RuntimeError, ValueError):  # a font that is gone since, or one that FreeType cannot read
        return frozenset()


def panels(n: int, height: float, share: bool, columns: int = 2) -> tuple[Figure, list[Axes]]:
    """A figure with `n` panels, at most `columns` in a row, each `height` inches high; `share` gives all the same axes."""
    width = WIDTH if columns > 1 else COLUMN
    columns = min(columns, n)
    rows = -(-n // columns)
    figure = Figure(figsize=(width, rows * height + 0.75), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=share, sharey=share, squeeze=False).flat
    for ax in axes[n:]:
        ax.set_axis_off()
    return figure, list(axes[:n])


def head(figure: Figure, title: str, remarks: Sequence[str]) -> None:
    """Above the panels the figure's title and, each on lines of its own, what a reader must know of it."""
    settle(figure)
    note = _lines(figure, [*remarks, *_without_glyphs(figure)], 17)
    at: dict[str, Any] = {"transform": figure.transFigure, "ha": "left", "va": "bottom", "linespacing": 1.3}
    above = 0.03 + 10.5 / 72 * np.array([0, len(note) + 0.3])  # inches
    note_at, title_at = 1 + above / figure.get_figheight()
    figure.text(0.01, note_at, "\n".join(note), color=colours.WARNING, fontsize=7.5, **at)
    figure.text(
        0.01,
        title_at,
        "\n".join(_lines(figure, [title], 12)),
        color=colours.INK,
        fontsize=9.5,
        fontweight="bold",
        **at,
    )


def _lines(figure: Figure, texts: Iterable[str], letters: int) -> list[str]:
    """The texts in lines as wide as the figure, of so many letters an inch."""
    return [line for text in texts if text for line in wrapped(text, int(letters * figure.get_figwidth()))]


def settle(figure: Figure) -> None:
    """Lay the panels out and keep them there: what is added afterwards shall not move them."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine(None)


def _without_glyphs(figure: Figure) -> list[str]:
    shown = {
        character for text in figure.findobj(Text) for character in text.get_text() if character.isprintable()
    }
    there = frozenset().union(*map(_glyphs, mpl.rcParams["font.family"]))
    lacking = sorted(f"U+{ord(character):04X}" for character in shown if ord(character) not in there)
    return (
        [f"no font of this machine has {', '.join(lacking)}: PDF and PNG show boxes there"] if lacking else []
    )


def wrapped(text: str, width: int, most: int | None = None) -> list[str]:
    """The text in lines at most `width` letters wide, and no more than `most`; what is cut off stands in the caption."""
    broad = widths(text) > 1.2 * len(text)  # Chinese, say: nothing but signs that are two letters wide
    lines = textwrap.wrap(text, width // 2 if broad else width, max_lines=most, placeholder=" …")
    return [line.replace("\u00a0", " ") for line in lines]


def fewer(n: int, params: Params) -> str:
    """How many networks a mean is of, to stand behind a name; nothing where it is of all that are planned."""
    return "" if n == len(params.grid.seeds) else f" (n\u00a0=\u00a0{n})"


def of_all(counts: Iterable[int], params: Params) -> str:
    """For a figure's title: of how many networks each mean is that does not say so itself; nothing where all do."""
    planned, found = len(params.grid.seeds), {*counts}
    if planned not in found:
        return ""
    return f"n = {planned}" if len(found) == 1 else f"n = {planned} unless given"


def panel_title(text: str) -> str:
    """At most two lines, as wide as a panel."""
    return "\n".join(wrapped(text, 38, 2))


def short(text: str, width: int = 30) -> str:
    """At most two lines, for a row's name."""
    return "\n".join(wrapped(text, width, 2))


def row_name(text: str, end: str, width: int = 30) -> str:
    """A row's name in at most two lines, of which `end` is never cut off."""
    end = end.replace("\u00a0", " ")
    *first, last = wrapped(text, width, 2)
    if widths(last + end) > width and not first:
        return f"{last}\n{end.strip()}"
    (last,) = wrapped(last, width - widths(end), 1)
    return "\n".join([*first, f"{last}{end}"])


# Where a point's name may stand, in points from it: close by, then further off.
_PLACES = [
    (r * x, r * y)
    for r in (4, 9, 16, 24)
    for x, y in ((1, 1), (1, -1), (-1, 1), (-1, -1), (1.4, 0), (-1.4, 0), (0, 1.4), (0, -1.4))
]


def name_points(
    figure: Figure, ax: Axes, xs: Iterable[float], ys: Iterable[float], names: Iterable[str]
) -> list[str]:
    """Write each point's name beside it where nothing else stands; returns a remark if some names had no room.

    The panels are laid out for it: whatever else may move them comes before. Of more than a hundred points none is
    named: nobody would find one, and to look for room takes the square of their number.
    """
    points = list(zip(xs, ys, names, strict=True))
    if len(points) > 100:
        return [f"{len(points)} points are too many to be named"]
    settle(figure)
    places = ax.transData.transform([(x, y) for x, y, _ in points])
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in places]
    level = [line for line in ax.lines if np.size(line.get_ydata()) > 1 and np.ptp(line.get_ydata()) == 0]
    taken += [line.get_window_extent().padded(1) for line in level]
    left_out = 0
    for x, y, name in points:
        for dx, dy in _PLACES:
            text = ax.annotate(
                cut(name, 16),
                (x, y),
                (dx, dy),
                textcoords="offset points",
                ha="left" if dx > 0 else "right" if dx < 0 else "center",
                va="bottom" if dy > 0 else "top" if dy < 0 else "center",
                fontsize=6.5,
                color=colours.FAINT,
                arrowprops={
                    "arrowstyle": "-",
                    "color": colours.FAINT,
                    "linewidth": 0.4,
                    "shrinkA": 0,
                    "shrinkB": 2,
                }
                if max(abs(dx), abs(dy)) > 6
                else None,
            )
            text.get_window_extent()  # puts it in its place; the box of the text alone, without its line, comes after
            box = Text.get_window_extent(text)
            inside = all(ax.bbox.contains(*corner) for corner in (box.min, box.max))
            if inside and not any(map(box.overlaps, taken)):
                taken.append(box)
                break
            text.remove()
        else:
            left_out += 1
    return [f"{left_out} of {len(points)} points have no room for their name"] if left_out else []


def points(
    ax: Axes,
    xs: Iterable[float],
    ys: Iterable[float],
    marker: str,
    tips: Iterable[str],
    label: str,
    **how: Any,
) -> None:
    """Points, each with the text that a page shows where the pointer is on it; `how` is `plot`'s."""
    for i, (x, y, tip) in enumerate(zip(xs, ys, tips, strict=True)):
        ax.plot(x, y, marker, gid=tip, label="_" if i else label, **how)


def marker(i: int) -> str:
    """The i-th kind of points."""
    return _MARKERS[i % len(_MARKERS)]


def say(ax: Axes, text: str) -> None:
    """A panel that has nothing to draw says why."""
    lines = "\n".join(wrapped(text, 38, 6))
    ax.text(0.5, 0.5, lines, transform=ax.transAxes, ha="center", va="center", color=colours.WARNING)
    ax.set_axis_off()


def save(figure: Figure, paths: Sequence[Path]) -> list[Path]:
    """Write the figure to every path, whole or not at all, with no date inside.

    What an artist has as its gid is what a page shows where the pointer is on it: `data-tip` in the SVG.
    """
    tips = []
    for i, artist in enumerate(figure.findobj(lambda artist: artist.get_gid() is not None)):
        tips.append(str(artist.get_gid()))
        artist.set_gid(f"tip-{i}")
    settle(figure)
    box = figure.get_tightbbox().padded(0.05)  # once: "tight" would lay the figure out again for every format
    for path in paths:
        suffix = path.suffix[1:]
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[suffix]
        drawn = io.BytesIO()
        figure.savefig(drawn, format=suffix, metadata=metadata, bbox_inches=box)
        content = drawn.getvalue()
        if suffix == "svg":
            content = compact(content.decode(), tips).encode()
        write_bytes(path, content)
    return list(paths)
