"""The names of all that is made from the cells: one place that the commands, the Snakefile and the report read."""

import dataclasses
import math
from pathlib import Path

from hal.paper import load_paper
from hal.params import Cell, Params
from hal.settings import BASELINE

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
    "networks",
    "borders",
    "verdicts",
    "power",
)
FOR_DVC = ("metrics.json", "loss.csv")
FORMATS = ("svg", "pdf", "png")
PANELS = {"loss": 6, "scores": 4, "sensitivity": 4}  # that a page holds
ROWS = 20  # of a figure that has one for each case
MANY_CLASSES = 20  # with more, a page holds two panels of scores


def families(params: Params) -> dict[str, list[str]]:
    """Each data set of the grid that has variants, with the data sets made from it, itself first."""
    members: dict[str, list[str]] = {}
    for name in params.grid.datasets:
        if (base := params.datasets[name].variant_of) is not None:
            members.setdefault(base, [base]).append(name)
    return members


def has_ablations(params: Params) -> bool:
    """Whether some network of the grid is the paper's with something changed."""
    return any(params.ablations(dataset) for dataset in params.grid.datasets)


def optional_names(params: Params) -> list[str]:
    """The tables that only some runs have."""
    return [*["ablations"] * has_ablations(params), *["sensitivity"] * bool(families(params))]


def study_names(params: Params) -> list[str]:
    """The tables that `hal study` computes."""
    return [*STUDY, *optional_names(params)]


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
    return [
        params.path("results", name) for name in names + [f"{name}.md" for name in optional_names(params)]
    ]


@dataclasses.dataclass(frozen=True)
class Drawing:
    """What a figure shows.

    Attributes:
        kind: the module of `present/figures` that draws it.
        dataset: the one that it is of; empty where it is of all.
        cases: of the data set, those that have a panel; empty where there are no panels by case.
        page, pages: where the cases need several figures, which of them this is.
    """

    kind: str
    dataset: str = ""
    cases: tuple[str, ...] = ()
    page: int = 1
    pages: int = 1

    @property
    def of_pages(self) -> str:
        """Such as ` (2 of 3)`, to stand behind a title; empty where there is one page."""
        return f" ({self.page} of {self.pages})" if self.pages > 1 else ""


def figure_names(params: Params) -> dict[str, Drawing]:
    """Every figure's name with what it shows: `fig2_mnist_loss`, or `digits_loss` beyond the paper, `digits_loss_2` its second page.

    The first and the last few are of all data sets together. A variant has no figures of its own: all variants of a
    data set are in one, such as `digits_sensitivity`.
    """
    names = {"overview": Drawing("overview")}
    for dataset in params.own_datasets:
        printed = load_paper().dataset(params, dataset)
        for kind in ("loss", "scores"):
            number = f"fig{printed.figures[kind]}_" if printed else ""
            names |= _pages(params, f"{number}{dataset}_{kind}", kind, dataset)
    for dataset in families(params):
        names |= _pages(params, f"{dataset}_sensitivity", "sensitivity", dataset)
    told = [case for d in params.grid.datasets for case in params.cases(d) if params.cell(d, case, 0).is_told]
    pages = max(1, math.ceil(len(told) / ROWS))
    for page in range(1, pages + 1):
        names["listens" if page == 1 else f"listens_{page}"] = Drawing("listens", page=page, pages=pages)
    of_all = ("networks", "borders", *["ablations"] * has_ablations(params), "separability")
    return names | {name: Drawing(name) for name in of_all}


def drawn_cells(params: Params, drawing: Drawing) -> list[Cell]:
    """The cells that a figure of a data set shows, no others: many pages together cost no more than one large one would."""
    members = families(params)[drawing.dataset] if drawing.kind == "sensitivity" else [drawing.dataset]
    cases = drawing.cases if drawing.kind == "scores" else (BASELINE, *drawing.cases)
    return [params.cell(name, case, seed) for name in members for case in cases for seed in params.grid.seeds]


def _pages(params: Params, name: str, kind: str, dataset: str) -> dict[str, Drawing]:
    """As many figures as it takes for every case to have a panel that can be read."""
    cases = params.cases(dataset)[1:]
    if kind == "scores":
        cases = [case for case in cases if params.cell(dataset, case, 0).scored]
    classes = len(params.datasets[dataset].classes)
    most = 2 if kind == "scores" and classes > MANY_CLASSES else PANELS[kind]
    parts = [tuple(cases[i : i + most]) for i in range(0, len(cases), most)]
    if not parts and kind != "scores":  # the baseline alone has no score
        parts = [()]
    return {
        name if i == 1 else f"{name}_{i}": Drawing(kind, dataset, part, i, len(parts))
        for i, part in enumerate(parts, start=1)
    }


def figure_files(params: Params, name: str) -> list[Path]:
    """The files of a figure, then those of its variant for one column (a phone's, a journal's), and last that of their sums."""
    stems = (name, f"{name}-column")
    drawn = [params.path("figures", f"{stem}.{suffix}") for stem in stems for suffix in FORMATS]
    return [*drawn, params.path("figures", f"{name}.sha256")]
