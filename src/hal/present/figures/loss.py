"""Figures 2, 4 and 6: training and test loss after every epoch, the baseline against each case."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from hal.decimals import significant
from hal.errors import UserError
from hal.outputs import Drawing
from hal.params import Params
from hal.present.figures import colours, style
from hal.settings import BASELINE
from hal.study.grid import curves
from hal.titles import case_title, dataset_title

_LOSSES: dict[str, tuple[Any, str]] = {"train_loss": ((0, (1, 1)), "training"), "test_loss": ("-", "test")}
_COLOURS = {"baseline": colours.BASELINE, "the case": colours.HAL}


@dataclasses.dataclass(frozen=True)
class _Case:
    """The losses of one case's networks.

    Attributes:
        losses: (n, epochs, 2) of the n cells that count.
        diverged: (epochs, 2) of each that diverged, NaN in the epoch in which it did.
        cells: all that are planned.
        faults: what is wrong with files that are not drawn.
    """

    losses: np.ndarray
    diverged: list[np.ndarray]
    cells: pd.DataFrame
    faults: list[str]

    @property
    def fewer(self) -> bool:
        """Whether it is drawn of fewer than planned."""
        return len(self.losses) < len(self.cells)

    @property
    def count(self) -> str:
        """How many cells are drawn, and why no more."""
        n, planned = len(self.losses), len(self.cells)
        states = Counter(state for state in self.cells["state"] if state != "ok")
        why = ", ".join(f"{k} {state}" for state, k in states.items()) or "curves broken"
        return f"n = {n} of {planned} ({why})"


def draw(params: Params, remark: str, drawing: Drawing, cells: pd.DataFrame, columns: int) -> Figure:
    """A panel for every case of the drawing: the mean over its seeds as a line, from lowest to highest seed as a band.

    A network that diverged has a thin line of its own, up to a cross.

    Args:
        params: the experiment.
        remark: on the run, for the reader.
        drawing: the data set, and which of its cases.
        cells: those of these cases and of the baseline; those that are neither ok nor diverged are counted, not drawn.
        columns: of panels.
    """
    dataset = drawing.dataset
    cases = {case: _read(mine) for case, mine in cells.groupby("case", sort=False)}
    baseline = cases[BASELINE]
    counts = {case.count for case in cases.values()}  # one: the title says it of all
    names = drawing.cases or (BASELINE,)
    figure, axes = style.panels(len(names), height=1.75, share=True, columns=columns)
    limits, above = _limits([some for case in cases.values() for some in (case.losses, *case.diverged)])
    for ax, name in zip(axes, names, strict=True):
        case = cases[name]
        ax.set_title(style.panel_title(case_title(params, dataset, name)))
        ax.set(yscale="log", ylim=limits, xlim=(0.5, params.epochs(dataset) + 0.5))
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
        ax.yaxis.set_major_locator(LogLocator(subs=(1,) if limits[1] > 50 * limits[0] else (1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.grid(axis="y")
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelbottom=True)
        _draw_case(ax, baseline, _COLOURS["baseline"])
        if name != BASELINE:
            _draw_case(ax, case, _COLOURS["the case"])
        ax.patch.set_gid(_values({BASELINE: baseline, case_title(params, dataset, name): case}))
        fewer = [
            f"{who}{some.count}"
            for who, some in (("", case), ("baseline ", baseline))
            if some.fewer and len(counts) > 1
        ]
        colour = colours.FAINT if len(case.losses) else colours.WARNING
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        at: dict[str, Any] = {"transform": ax.transAxes, "ha": "right", "va": "top", "bbox": box}
        if fewer:
            ax.text(0.99, 0.97, "\n".join(dict.fromkeys(fewer)), fontsize=7, color=colour, **at)
    for ax in axes[-columns:]:
        ax.set_xlabel("epoch")
    for ax in axes[::columns]:
        ax.set_ylabel("loss (nats)")
    lines = [
        Line2D([], [], color=colour, linestyle=dash, label=f"{who}, {what}")
        for who, colour in _COLOURS.items()
        for dash, what in _LOSSES.values()
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=columns, handlelength=2.6)
    remarks = [remark, *(fault for case in cases.values() for fault in case.faults)]
    if len(above):
        remarks += [
            f"{len(above)} value{'s lie' if len(above) > 1 else ' lies'} above the axis, up to {significant(above.max(), 3)}"
        ]
    title = f"{dataset_title(params, dataset)}: loss, epoch by epoch"
    of_all = style.of_all((len(case.losses) for case in cases.values()), params) or (
        counts.pop() if len(counts) == 1 else ""
    )
    style.head(figure, ", ".join(filter(None, [title, of_all])) + drawing.of_pages, remarks)
    return figure


def _read(cells: pd.DataFrame) -> _Case:
    losses: dict[str, list[np.ndarray]] = {"ok": [], "diverged": []}
    faults = []
    for result in cells["result"]:
        if result.state in losses:
            try:
                losses[result.state].append(curves(result)[list(_LOSSES)].to_numpy())
            except UserError as error:
                faults.append(str(error))
    whole = np.stack(losses["ok"]) if losses["ok"] else np.empty((0, 0, len(_LOSSES)))
    return _Case(whole, losses["diverged"], cells, faults)


def _values(cases: dict[str, _Case]) -> str:
    """What a page shows where the pointer is: a text whose tabs stand for numbers, then the numbers of every epoch."""
    drawn = {name: case.losses.mean(axis=0) for name, case in cases.items() if len(case.losses)}
    if not drawn:
        return "no finished cell"
    text = "\n".join(["epoch \t: training, test loss", *(f"{name}: \t, \t" for name in drawn)])
    table = np.column_stack(list(drawn.values()))
    rows = (" ".join(f"{significant(value, 3)}" for value in row) for row in table)
    return f"{text}\n\n" + "\n".join(f"{epoch} {row}" for epoch, row in enumerate(rows, start=1))


def _draw_case(ax: Axes, case: _Case, colour: str) -> None:
    for losses in case.diverged:
        epochs = np.arange(1, len(losses) + 1)
        thin: dict[str, Any] = {"color": colour, "linewidth": 0.6}
        for i, (dash, _) in enumerate(_LOSSES.values()):
            ax.plot(epochs, losses[:, i], linestyle=dash, **thin)
            known = np.flatnonzero(np.isfinite(losses[:, i]))[-1:]
            ax.plot(epochs[known], losses[known, i], "x", markersize=4, **thin)
    if not len(case.losses):
        return
    epochs = np.arange(1, case.losses.shape[1] + 1)
    marker = "." if len(epochs) <= 20 else None
    for i, (dash, _) in enumerate(_LOSSES.values()):
        values = case.losses[:, :, i]
        ax.plot(epochs, values.mean(axis=0), color=colour, linestyle=dash, marker=marker, markersize=3)
        if len(values) > 1:
            ax.fill_between(
                epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.18, linewidth=0
            )


def _limits(losses: Sequence[np.ndarray]) -> tuple[tuple[float, float], np.ndarray]:
    """A logarithmic axis's limits that a few huge losses cannot stretch, and the values that lie above them."""
    values = np.concatenate([array.ravel() for array in losses])
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return (0.01, 10), values
    top = min(values.max(), 20 * np.quantile(values, 0.9))
    return (0.8 * values.min(), 1.25 * top), values[values > 1.25 * top]
