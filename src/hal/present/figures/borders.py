"""What a perfect use of the hint could remove of the baseline's errors, and what was removed."""

import pandas as pd
from matplotlib.figure import Figure

from hal.paper import load_paper
from hal.params import Params
from hal.present.figures import colours, style
from hal.present.numbers import cut, number
from hal.titles import dataset_title


def draw(params: Params, remark: str, table: pd.DataFrame, columns: int) -> Figure:
    """A point for each data set and case, ours filled and the paper's open, against the line of a perfect use.

    Args:
        params: the experiment.
        remark: on the run, for the reader.
        table: `study.hint.borders`.
        columns: 1 for a journal's column or a phone.
    """
    figure, (ax,) = style.panels(1, height=3.0, share=False, columns=columns)
    remarks = [remark]
    if table.empty:
        style.say(ax, "no finished baseline with controls yet")
    else:
        top = 1.08 * max(table["borders"].max(), table["gain"].max(), 1)
        ax.plot([0, top], [0, top], color=colours.FAINT, linewidth=0.8, linestyle=(0, (4, 2)))
        for (dataset, whose), rows in table.groupby(["dataset", "whose"], sort=False):
            i = list(params.grid.datasets).index(dataset)
            ours = whose == "ours"
            colour = colours.HAL if ours else colours.PAPER
            printed = load_paper().dataset(params, dataset)
            title = (
                dataset_title(params, dataset) if ours or not printed else printed.title
            )  # ours names its epochs
            who = "ours" if ours else "the paper"
            style.points(
                ax,
                rows["borders"],
                rows["gain"],
                style.marker(i),
                [
                    f"{title}, {row.case}, {who}: {row.borders:.0f} % cross a border, {number(row.gain, 0)} % removed"
                    for row in rows.itertuples()
                ],
                f"{cut(title, 24)}, {who}",
                color=colour,
                markerfacecolor=colour if ours else "none",
                markersize=5,
            )
        ax.axhline(0, color=colours.FAINT, linewidth=0.6, zorder=0)
        ax.set_xlabel("baseline's errors that cross a superclass border (%)")
        ax.set_ylabel("error removed (% of baseline's)")
        ax.set_xlim(0, top)
        ax.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", ncols=columns)
        remarks += style.name_points(figure, ax, table["borders"], table["gain"], table["case"])
    style.head(figure, "What the hint could remove, and what was removed", remarks)
    return figure
