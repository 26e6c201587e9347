"""docs/budget.svg: how the errors on MNIST move with the number of epochs (docs/measured.py draws it)."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from hal.params import Params
from hal.present.figures import colours, style
from hal.present.numbers import number
from hal.settings import BASELINE
from hal.study.grid import load_cells, select
from hal.titles import case_title

# What is drawn, beside its name: whose logits, read how, in which colour, line and filling of its dots.
_LINES = {
    "baseline": (False, "as_tested", colours.BASELINE, "-", colours.BASELINE),
    "baseline, masked": (False, "oracle_mask", colours.MASKED, "-", colours.MASKED),
    "HAL": (True, "as_tested", colours.HAL, "-", colours.HAL),
    "HAL, masked": (True, "oracle_mask", colours.HAL, ":", "none"),
}


def draw(runs: list[tuple[Params, str]], path: Path) -> None:
    """A panel a case: the errors of every network as dots, the means of several as lines, and where networks diverged, how many.

    Args:
        runs: the experiments and their data sets, the fewest epochs first.
        path: of the SVG.
    """
    params = runs[0][0]
    errors = pd.concat([_errors(*run) for run in runs])
    cases = params.cases("mnist")[1:]
    with style.applied(params):
        figure, axes = style.panels(len(cases), 1.7, share=True)
        diverged = pd.concat([_diverged(*run) for run in runs])
        for ax, case in zip(axes, cases, strict=True):
            _panel(ax, errors[errors["grouping"] == case], case_title(params, "mnist", case))
            for epochs, lost in diverged[diverged["case"] == case].groupby("epochs"):
                at: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "top"}
                ax.text(epochs, 0.98, f"× {len(lost)}", color=colours.WARNING, fontsize=7.5, **at)
        for ax in axes[-2:]:
            ax.set_xlabel("epochs")
        for ax in axes[::2]:
            ax.set_ylabel("test error (%)")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(_LINES))
        seeds = "; ".join(f"{epochs} epochs: {n}" for epochs, n in _networks(errors))
        style.head(
            figure,
            "MNIST: errors and the number of epochs",
            [
                f"Networks of a case that count: {seeds}; ×: diverged. 250 epochs: in TF32 on a GPU.",
                "Dots: networks; lines: means of several. Both axes are logarithmic.",
            ],
        )
        style.save(figure, [path])


def _errors(params: Params, dataset: str) -> pd.DataFrame:
    """The test errors of every network in percent, as it is tested and masked."""
    controls = pd.read_csv(params.path("results", "controls", f"{dataset}.csv"))
    read = controls[controls["control"].isin(["as_tested", "oracle_mask"])].dropna(subset=["count"])
    return read.assign(
        epochs=params.epochs(dataset),
        error=100 * read["count"] / read["images"],
        hal=read["case"] != BASELINE,
    )


def _diverged(params: Params, dataset: str) -> pd.DataFrame:
    lost = select(load_cells(params), dataset=dataset, state="diverged")
    return lost.assign(epochs=params.epochs(dataset))[["case", "epochs"]]


def _panel(ax: Axes, errors: pd.DataFrame, title: str) -> None:
    ax.set_title(style.panel_title(title))
    for name, (hal, control, colour, line, filling) in _LINES.items():
        mine = errors[(errors["hal"] == hal) & (errors["control"] == control)]
        dots: dict[str, Any] = {"markersize": 3, "markeredgewidth": 0.6, "markerfacecolor": filling}
        ax.plot(mine["epochs"], mine["error"], "o", color=colour, alpha=0.5, **dots)
        of_epochs = mine.groupby("epochs")["error"].agg(["mean", "size"])
        means = of_epochs[of_epochs["size"] > 1]["mean"]  # a line to a single network would be no trend
        tip = f"{name}: " + ", ".join(f"{number(mean)} % at {epochs}" for epochs, mean in means.items())
        ax.plot(means.index, means, line, color=colour, gid=tip)
        ax.plot([], [], f"o{line}", color=colour, label=name, **dots)
    ax.set(xscale="log", yscale="log")
    for axis, ticks in ((ax.xaxis, sorted(errors["epochs"].unique())), (ax.yaxis, [0.3, 0.5, 1, 2, 3])):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())
    ax.tick_params(labelbottom=True, labelleft=True)
    ax.grid(axis="y")
    ax.spines[["top", "right"]].set_visible(False)


def _networks(errors: pd.DataFrame) -> list[tuple[int, str]]:
    """How many networks with superclasses there are of each number of epochs, from the case with the fewest."""
    cases = errors["grouping"].unique()
    counts = []
    for epochs, rows in errors[errors["hal"]].groupby("epochs"):
        of_cases = rows.groupby("case")["seed"].nunique().reindex(cases, fill_value=0)
        low, high = of_cases.min(), of_cases.max()
        counts.append((int(epochs), str(low) if low == high else f"{low} to {high}"))
    return counts
