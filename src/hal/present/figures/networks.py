"""Does listening pay? Of every network how many predictions flip, and how far its error lies from the mask's."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hal.params import Params
from hal.present.figures import colours, style
from hal.present.numbers import cut, number, signed
from hal.titles import dataset_title

_OF_CASES = tuple(colour for colour in colours.COLOURS if colour != colours.MASKED)
_PANELS = 12  # data sets
_NAMED = 8  # cases that a legend can tell apart


def draw(params: Params, remark: str, table: pd.DataFrame, columns: int) -> Figure:
    """A panel for each data set, a point for each network; the line is the mean masked baseline.

    Args:
        params: the experiment.
        remark: on the run, for the reader.
        table: `study.hint.networks`.
        columns: 1 sets the panels below each other.
    """
    shown = table[~table["ablation"].astype(bool)].dropna(subset=["behind"])
    datasets = [name for name in params.grid.datasets if (shown["dataset"] == name).any()]
    cases = list(dict.fromkeys(case for name in datasets for case in params.groupings(name)))
    figure, axes = style.panels(max(len(datasets[:_PANELS]), 1), 2.0, share=False, columns=columns)
    remarks = [remark]
    if not datasets:
        style.say(axes[0], "no finished network that is told a superclass, with its controls and a baseline")
    for ax, dataset in zip(axes, datasets, strict=False):
        for i, case in enumerate(cases):
            mine = shown[(shown["dataset"] == dataset) & (shown["case"] == case)]
            tips = [
                f"{case}, seed {r.seed}: {number(r.flips)} % flip, error {number(r.error)} %, {signed(r.behind)} points from the mask"
                for r in mine.itertuples()
            ]
            style.points(ax, mine["flips"], mine["behind"], tips=tips, label="_", **_look(i), clip_on=False)
        ax.axhline(0, color=colours.MASKED, linewidth=1.2, zorder=1.5)
        ax.set_title(style.panel_title(dataset_title(params, dataset)))
        ax.set_xlim(left=0)
        ax.set_xlabel("predictions that flip (%)")
        ax.set_ylabel("points behind the mask")
        ax.grid()
        ax.spines[["top", "right"]].set_visible(False)
    if len(datasets) > _PANELS:
        remarks.append(f"{_PANELS} of {len(datasets)} data sets; networks.csv has all")
    if len(cases) > _NAMED:
        remarks.append(f"{len(cases)} cases are too many to be told apart; networks.csv has all")
    else:
        handles = [
            Line2D([], [], linestyle="", label=cut(case, 24), **_look(i))
            for i, case in enumerate(cases)
            if (shown["case"] == case).any()
        ]
        mask = Line2D([], [], color=colours.MASKED, linewidth=1.2, label="baseline, masked (mean)")
        figure.legend(handles=[*handles, mask], loc="outside lower center", ncols=3 if columns > 1 else 2)
    style.head(figure, "Flips and the distance from the mask, network by network", remarks)
    return figure


def _look(i: int) -> dict[str, Any]:
    return {
        # as many kinds of points as colours: the second round begins with another kind
        "marker": style.marker(i + i // len(_OF_CASES)),
        "color": _OF_CASES[i % len(_OF_CASES)],
        "markersize": 4.5,
        "markeredgewidth": 0,
        "alpha": 0.8,
    }
