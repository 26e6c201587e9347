"""Figures 2, 4 and 6: training and test loss after every epoch, the baseline against each case."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from hal.departures import note
from hal.errors import UserError
from hal.params import Params
from hal.present.figures import style
from hal.settings import BASELINE
from hal.study.grid import CellResult, curves, select
from hal.titles import case_title, dataset_title

_LOSSES: dict[str, tuple[Any, str]] = {"train_loss": ((0, (1, 1)), "training"), "test_loss": ("-", "test")}
_COLOURS = {"baseline": style.INK, "with superclass": style.COLOURS[0]}


@dataclasses.dataclass(frozen=True)
class _Case:
    """Losses (n, epochs, 2) of the n cells drawn, all planned cells, and what is wrong with files that are not drawn."""

    losses: np.ndarray
    cells: Sequence[CellResult]
    faults: list[str]

    @property
    def count(self) -> str:
        n, planned = len(self.losses), len(self.cells)
        if n == planned:
            return f"n = {n}"
        states = Counter(cell.state for cell in self.cells if not cell.ok)
        why = ", ".join(f"{k} {state}" for state, k in states.items()) or "curves broken"
        return f"n = {n} of {planned} ({why})"


def draw(params: Params, dataset: str, results: Sequence[CellResult]) -> Figure:
    """A panel for every case: the mean over its seeds as a line, from lowest to highest seed as a band.

    Args:
        params: the experiment.
        dataset: its name.
        results: the data set's cells; those that are not ok are counted, not drawn.
    """
    cases = {case: _read(select(results, dataset, case)) for case in params.cases(dataset)}
    baseline = cases[BASELINE]
    names = params.cases(dataset)[1:] or [BASELINE]
    figure, axes = style.panels(len(names), height=1.75, share=True)
    limits, above = _limits([case.losses for case in cases.values()])
    epochs = params.cell(dataset, BASELINE, params.grid.seeds[0]).train.epochs
    for ax, name in zip(axes, names, strict=True):
        case = cases[name]
        ax.set_title(style.panel_title(case_title(params, dataset, name)))
        ax.set(yscale="log", ylim=limits, xlim=(0.5, epochs + 0.5))
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
        ax.yaxis.set_major_locator(LogLocator(subs=(1,) if limits[1] > 50 * limits[0] else (1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.grid(axis="y")
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelbottom=True)
        _draw_case(ax, baseline, _COLOURS["baseline"])
        if name != BASELINE:
            _draw_case(ax, case, _COLOURS["with superclass"])
        counts = case.count if name == BASELINE else f"{case.count}\nbaseline {baseline.count}"
        colour = style.FAINT if len(case.losses) else style.WARNING
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        ax.text(
            0.99,
            0.97,
            counts,
            transform=ax.transAxes,
            ha="right",
            va="top",
            fontsize=7,
            color=colour,
            bbox=box,
        )
    for ax in axes[-2:]:
        ax.set_xlabel("epoch")
    for ax in axes[::2]:
        ax.set_ylabel("loss (nats)")
    lines = [
        Line2D([], [], color=colour, linestyle=dash, label=f"{who}, {what}")
        for who, colour in _COLOURS.items()
        for dash, what in _LOSSES.values()
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=2, handlelength=2.6)
    remarks = [note(params, dataset), *(fault for case in cases.values() for fault in case.faults)]
    remarks += [f"{above} values lie above the axis"] if above else []
    style.head(figure, f"{dataset_title(params, dataset)}: loss after each epoch", remarks)
    return figure


def _read(cells: Sequence[CellResult]) -> _Case:
    losses, faults = [], []
    for cell in cells:
        if cell.ok:
            try:
                losses.append(curves(cell)[list(_LOSSES)].to_numpy())
            except UserError as error:
                faults.append(str(error))
    return _Case(np.stack(losses) if losses else np.empty((0, 0, len(_LOSSES))), cells, faults)


def _draw_case(ax: Axes, case: _Case, colour: str) -> None:
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


def _limits(losses: Sequence[np.ndarray]) -> tuple[tuple[float, float], int]:
    """A logarithmic axis's limits that a few huge losses cannot stretch, and how many values lie above them."""
    values = np.concatenate([array.ravel() for array in losses])
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return (0.01, 10), 0
    top = min(values.max(), 20 * np.quantile(values, 0.9))
    return (0.8 * values.min(), 1.25 * top), int((values > 1.25 * top).sum())
