"""Section 5's claim as a figure: does a network whose scores split better gain more?"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from hal.params import Params
from hal.present.figures import colours, style
from hal.present.numbers import cut, number, with_interval
from hal.study.resampling import LEAST_PAIRS, Interval
from hal.titles import dataset_title


def draw(params: Params, remark: str, table: pd.DataFrame, correlation: pd.DataFrame, columns: int) -> Figure:
    """A point for each data set and case: separability of its scores against what it takes off the baseline's error.

    Args:
        params: the experiment.
        remark: on the run, for the reader.
        table: `study.separability.pairs`.
        correlation: `study.separability.predicts`.
        columns: 1 sets one panel below the other.
    """
    figure, (left, right) = style.panels(2, height=2.3, share=False, columns=columns)
    remarks = [remark]
    if table.empty:
        style.say(left, "no data set and case of which both separability and error are known yet")
        right.set_axis_off()
    else:
        rho = correlation[correlation["held"] == ""].set_index(["separability", "reduction"])
        _draw_points(left, params, table, table["auc"], "AUC of the scores", rho.loc[("auc", "percent")])
        _draw_points(
            right,
            params,
            table,
            1 - table["overlap"],
            "1 − overlap of the scores",
            rho.loc[("split", "percent")],
        )
        for ax in [left, right] if columns == 1 else [left]:
            ax.set_ylabel("error reduction (% of baseline's)")
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3 if columns > 1 else 1)
        for ax, x in ((left, table["auc"]), (right, 1 - table["overlap"])):
            remarks += style.name_points(figure, ax, x, table["percent"], table["case"])
    title = f"Separability and error reduction of {len(table)} case{'s' * (len(table) != 1)}"
    style.head(figure, title, list(dict.fromkeys(remarks)))
    return figure


def _draw_points(
    ax: Axes, params: Params, table: pd.DataFrame, x: pd.Series, label: str, rho: pd.Series
) -> None:
    for i, dataset in enumerate(params.grid.datasets):
        mine = table["dataset"] == dataset
        if not mine.any():  # a name in the legend promises a point
            continue
        title = dataset_title(params, dataset)
        style.points(
            ax,
            x[mine],
            table["percent"][mine],
            style.marker(i),
            [
                f"{title}, {row.case}: AUC {row.auc:.2f}, overlap {row.overlap:.2f}, {number(row.percent, 0)} % of the error taken off"
                for row in table[mine].itertuples()
            ],
            cut(title, 24),
            color=colours.HAL,
            markerfacecolor=colours.HAL if i % 2 == 0 else "none",
            markersize=5,
        )
    ax.axhline(0, color=colours.FAINT, linewidth=0.6, zorder=0)
    ax.margins(x=0.2, y=0.12)
    ax.xaxis.set_major_locator(
        FixedLocator([tick for tick in MaxNLocator(5).tick_values(*ax.get_xlim()) if tick <= 1])
    )
    ax.set_xlabel(label)
    bounds = Interval(rho["low"], rho["high"])
    found = f"Spearman's ρ {with_interval(number(rho['rho']), bounds)}, {len(table)} points"
    if len(table) < LEAST_PAIRS:  # of so few chance makes any coefficient
        found = "too few points for a rank correlation"
    elif not bounds.known:
        found += ": no interval"  # their order is perfect
    ax.set_title(found)
    ax.grid()
    ax.spines[["top", "right"]].set_visible(False)
