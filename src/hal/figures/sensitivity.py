"""What each assumption is worth: the test errors of every variant, seed by seed."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from hal.analysis.grid import CellResult, select
from hal.analysis.labels import case_title, dataset_title
from hal.analysis.run import note
from hal.analysis.sensitivity import families, variant_title
from hal.figures import style
from hal.params import BASELINE, Params


def draw(params: Params, dataset: str, results: Sequence[CellResult]) -> Figure:
    """A panel a case: a row a variant, a dot a seed, a bar at the mean; the baseline in black in every panel.

    Args:
        params: the experiment.
        dataset: the one whose variants are shown.
        results: all cells of the grid.
    """
    members = families(params)[dataset]
    cases = params.cases(dataset)[1:] or [BASELINE]
    figure, axes = style.panels(len(cases), height=0.45 + 0.24 * len(members), share=True)
    rows = np.arange(len(members))[::-1]
    for ax, case in zip(axes, cases, strict=True):
        ax.set_title(style.panel_title(case_title(params, dataset, case)))
        for row, member in zip(rows, members, strict=True):
            for name, colour, offset in ((BASELINE, style.INK, 0.17), (case, style.COLOURS[0], -0.17)):
                cells = select(results, member, name)
                errors = [r.record["test_error"] for r in cells if r.ok]
                y = row + offset
                if errors:
                    ax.plot(
                        errors,
                        [y] * len(errors),
                        ".",
                        color=colour,
                        alpha=0.5,
                        markersize=4,
                        markeredgewidth=0,
                    )
                    ax.plot(np.mean(errors), y, "|", color=colour, markersize=7, markeredgewidth=1.4)
                lost = len(cells) - len(errors)
                if lost:
                    said = {
                        "transform": ax.get_yaxis_transform(),
                        "ha": "right",
                        "va": "center",
                        "fontsize": 6.5,
                    }
                    states = ", ".join(sorted({r.state for r in cells if not r.ok}))
                    ax.text(1, y, f"{lost} {states}", color=style.WARNING, **said)
        ax.set_yticks(rows, [variant_title(params, member) for member in members])
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("{x:g}")
        ax.tick_params(which="minor", labelsize=6.5)
        ax.axhline(rows[0] - 0.5, color=style.FAINT, linewidth=0.5)
        ax.grid(axis="x")
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[-2:]:
        ax.set_xlabel("test error (percent)")
    remarks = [
        note(params, dataset),
        "Black: the baseline; blue: with superclass. A dot is a seed, a bar their mean.",
    ]
    style.head(figure, f"{dataset_title(params, dataset)}: one assumption varied at a time", remarks)
    return figure
