"""The names of all that is made from the cells: one place that the commands, the Snakefile and the report read."""

from pathlib import Path

from hal.paper import load_paper
from hal.params import Params

STUDY = (
    "table2",
    "table2b",
    "statistics",
    "crossed",
    "separability",
    "pairs",
    "correlation",
    "convergence",
    "hint",
    "borders",
    "verdicts",
    "power",
)
FOR_DVC = ("metrics.json", "loss.csv")
FORMATS = ("svg", "pdf", "png")


def families(params: Params) -> dict[str, list[str]]:
    """Each data set of the grid that has variants, with the data sets made from it, itself first."""
    members: dict[str, list[str]] = {}
    for name in params.grid.datasets:
        if (base := params.datasets[name].variant_of) is not None:
            members.setdefault(base, [base]).append(name)
    return members


def study_names(params: Params) -> list[str]:
    """The tables that `hal study` computes."""
    return [*STUDY, *(["sensitivity"] if families(params) else [])]


def sums_path(params: Params) -> Path:
    """The sums of the tables that `hal study` computes."""
    return params.path("results", "study.sha256")


def study_files(params: Params) -> list[Path]:
    """The files of `hal study`."""
    names = [*(f"{name}.csv" for name in study_names(params)), *FOR_DVC]
    return [*(params.path("results", name) for name in names), sums_path(params)]


def printed_files(params: Params) -> list[Path]:
    """The files of `hal tables`: the same tables for people, in Markdown and, where a paper would print them, in LaTeX."""
    names = ["table2.tex", "table2b.tex", "table2.md", "table2b.md", "summary.md", "verdicts.md"]
    return [params.path("results", name) for name in names + ["sensitivity.md"] * bool(families(params))]


def figure_names(params: Params) -> dict[str, tuple[str, str | None]]:
    """Every figure's name with its kind and data set: `fig2_mnist_loss`, or `digits_loss` beyond the paper.

    The first and the last few are of all data sets together. A variant has no figures of its own: all variants of a
    data set are in one, such as `digits_sensitivity`.
    """
    names: dict[str, tuple[str, str | None]] = {"overview": ("overview", None)}
    for dataset in params.grid.datasets:
        if params.datasets[dataset].variant_of is not None:
            continue
        printed = load_paper().dataset(params, dataset)
        for kind in ("loss", "scores"):
            number = f"fig{printed.figures[kind]}_" if printed else ""
            names[f"{number}{dataset}_{kind}"] = (kind, dataset)
    names |= {f"{dataset}_sensitivity": ("sensitivity", dataset) for dataset in families(params)}
    return names | {name: (name, None) for name in ("listens", "borders", "separability")}


def figure_files(params: Params, name: str) -> list[Path]:
    """The files of a figure, and last that of their sums; the overview has a variant of one column, for a phone and a journal."""
    stems = [name, f"{name}-column"] if name == "overview" else [name]
    drawn = [params.path("figures", f"{stem}.{suffix}") for stem in stems for suffix in FORMATS]
    return [*drawn, params.path("figures", f"{name}.sha256")]
