"""What stands under a figure, and what a reader who cannot see it is told instead."""

from collections.abc import Iterable, Iterator

import pandas as pd

from hal.decimals import significant
from hal.outputs import Drawing, families, figure_names
from hal.paper import load_paper
from hal.params import Params
from hal.present.numbers import number, widths
from hal.settings import BASELINE
from hal.study.grid import first_ok, select
from hal.study.hint import DEAF
from hal.titles import case_title, dataset_title, family_title, network_title, superclass_names

# The computed tables that hold what a figure shows, where it does not show its data set's cells alone.
DATA = {
    "overview": ("table2.csv", "statistics.csv", "table2b.csv"),
    "listens": ("hint.csv", "networks.csv"),
    "networks": ("networks.csv",),
    "borders": ("borders.csv",),
    "ablations": ("ablations.csv",),
    "separability": ("pairs.csv", "correlation.csv"),
    "sensitivity": ("sensitivity.csv",),
}
OF_ALL = {
    "overview": (
        "Test errors: means{paper}, and the baseline's error when its logits are masked with the same hint; where there are several networks, each of them "
        "(small dots, one a seed), Student's 95 % interval below them, cut at 0 and with an arrow where it goes on far beyond all errors, and the deviation of the masked baseline. Left is better."
    ),
    "listens": (
        "Left: the share of test images whose predicted class changes with the superclass told, of each network (small dots) and "
        "their mean. Right: the mean test error as tested, told what helps or hurts each image most, and with the logits "
        "restricted to the true superclass, HAL's and the baseline's; where the errors span a decade, the axis is linear up to 1 % and logarithmic above. A case marked * is an ablation."
    ),
    "networks": (
        "Every network that is told a superclass. Across: the share of its predictions that change with the superclass told; at 0 it "
        "makes no use of the hint. Up: how many points its error lies above the mean masked baseline's, which is the green line. Each panel has its own axes."
    ),
    "borders": (
        "Across: the share of our baseline's errors whose predicted class lies in another superclass than the true one, which is "
        "all that a perfect use of the hint could remove. Up: the share of the baseline's error that the case removes{paper}. On the dashed line every such error is gone; above it errors within a superclass fell too."
    ),
    "ablations": (
        "The paper's network with something changed: test errors of every network (small dots: one a seed) and below them their means with Student's 95 % interval, cut at 0 and with an arrow where it goes on far beyond all errors; "
        "the green bar is the baseline's error when its logits are masked with the same grouping. Kinds of which no network has finished have no row. Left is better."
    ),
    "separability": (
        "Each point is one data set and case: how well its auxiliary scores split by superclass (left: AUC, right: one minus "
        "the overlap; means over seeds) against the share of the baseline's error that the case takes away. Above each panel "
        "Spearman's rank correlation with its bootstrap 95 % interval, if there are 8 points or more."
    ),
}


WITHOUT_VARIANTS = ("overview", "borders", "separability")
WITHOUT_ABLATIONS = ("overview", "networks", "borders", "separability")

_OF_PAPER = {  # where there is a data set of the paper's
    "overview": ", the paper's printed means with their deviation",
    "borders": ", in this run (filled) and in the paper (open)",
}


def numbers(params: Params) -> dict[str, str]:
    """The number of each figure: the paper's, or A1, A2, ... in the report's order; and which page it is."""
    labels: dict[str, str] = {}
    extra = 0
    for name, drawing in sorted(figure_names(params).items(), key=lambda item: _place(item[1])):
        printed = load_paper().dataset(params, drawing.dataset) if drawing.dataset else None
        of_paper = printed.figures.get(drawing.kind) if printed else None
        extra += of_paper is None and drawing.page == 1
        labels[name] = f"{of_paper or f'A{extra}'}{drawing.of_pages}"
    return labels


def _place(drawing: Drawing) -> int:
    """Where the report shows it: those of all data sets among its tables, then the variants, then the losses and scores of each data set."""
    return 0 if not drawing.dataset else 1 if drawing.kind == "sensitivity" else 2


def caption(params: Params, drawing: Drawing) -> str:
    """What a figure shows, and in full the names that it may have shortened."""
    of_paper = any(load_paper().dataset(params, dataset) for dataset in params.grid.datasets)
    text = OF_ALL.get(drawing.kind, "").format(paper=_OF_PAPER.get(drawing.kind, "") if of_paper else "")
    if drawing.dataset:
        text = _of_dataset(params, drawing.kind, drawing.dataset)
    elif drawing.kind in WITHOUT_VARIANTS and families(params):
        text += " Variants of a data set are not drawn."
    long = dict.fromkeys(name for name, room in _names(params, drawing) if widths(name) > room)
    return f"{text} In full: {'; '.join(long)}." if long else text


def _names(params: Params, drawing: Drawing) -> Iterator[tuple[str, int]]:
    """The names in a figure, each with the letters for which every figure has room."""
    for dataset in [drawing.dataset] if drawing.dataset else params.grid.datasets:
        variant = params.datasets[dataset].variant_of is not None
        if (drawing.kind in WITHOUT_VARIANTS and variant) or (
            drawing.kind == "ablations" and not params.ablations(dataset)
        ):
            continue
        yield dataset_title(params, dataset), 20
        cases = [case_title(params, dataset, case) for case in _cases(params, drawing, dataset)]
        yield from ((case, 34 if drawing.kind == "sensitivity" else 40) for case in cases)
        if drawing.kind == "ablations":  # whose panels are called by both names
            yield from ((f"{dataset_title(params, dataset)}, {case}", 50) for case in cases)
            yield from ((network_title(params, dataset, case), 40) for case in params.ablations(dataset))
        if drawing.kind == "scores":
            yield from ((name, 16) for name in params.datasets[dataset].classes)
            yield from (
                (name, 22) for case in drawing.cases for name in superclass_names(params, dataset, case)
            )


def _cases(params: Params, drawing: Drawing, dataset: str) -> Iterable[str]:
    """The cases of a data set that a figure names."""
    if drawing.cases:
        return drawing.cases
    if drawing.kind == "ablations":
        return dict.fromkeys(params.ablations(dataset).values())
    return params.groupings(dataset) if drawing.kind in WITHOUT_ABLATIONS else params.cases(dataset)[1:]


def _of_dataset(params: Params, kind: str, dataset: str) -> str:
    title = dataset_title(params, dataset)
    if kind == "sensitivity":
        return (
            f"Settings varied on {family_title(params, dataset)}: the test error of every seed (dots) and their mean (bar), the "
            "baseline in black in every panel, the case in blue. × is a seed that diverged, ? one that is not there."
        )
    if kind == "loss":
        return (
            f"Training loss (dotted; of the augmented images, as they are trained on during an epoch) and test loss (solid; after it) of {title}, the "
            "baseline in black and each case in blue. Lines are means over n seeds, bands reach from the lowest to the highest seed; a thin line up to × is a network that diverged; "
            "the vertical axis is logarithmic and the same in all panels."
        )
    return (
        f"Auxiliary scores (equation 3) of all training images of {title}, of one network a case: the first seed that finished, which the axis names. On top of each panel "
        "the distribution of every superclass, below it that of every class, with a line at its median. Each panel "
        "has its own horizontal axis, which leaves out the outermost scores, at most 0.1 % at either end; “outside” counts them."
    )


def deaf(drawing: Drawing, networks: pd.DataFrame, cells: pd.DataFrame) -> str:
    """Which networks of a figure of scores are deaf to their hint, as a sentence behind its caption; `networks` is `study.hint.networks`."""
    if drawing.kind != "scores":
        return ""
    names = [
        f"{r.case} (seed {r.seed})"
        for case in drawing.cases
        if (drawn := first_ok(cells, drawing.dataset, case))
        for r in select(networks, dataset=drawing.dataset, case=case, seed=drawn.cell.seed).itertuples()
        if r.flips < DEAF
    ]
    return f" Deaf to their hint: {', '.join(names)}." if names else ""


def alternative(params: Params, drawing: Drawing, cells: pd.DataFrame, separability: pd.DataFrame) -> str:
    """The figure of a data set in words, with its main numbers."""
    kind, dataset = drawing.kind, drawing.dataset
    if kind == "sensitivity":
        return f"Test errors of every variant of {dataset_title(params, dataset)}; the table of variants has the numbers."
    if kind == "loss":
        cases = (BASELINE, *drawing.cases)
        losses = [_final_losses(case, select(cells, dataset=dataset, case=case)) for case in cases]
        return f"Line chart of losses, a panel for each case. {' '.join(losses)}"
    distributions = []
    for case in drawing.cases:
        shown = first_ok(cells, dataset, case)
        seed = shown.cell.seed if shown else None
        for drawn in select(separability, dataset=dataset, case=case, level="all", seed=seed).itertuples():
            measures = f"AUC {number(drawn.auc)}, overlap {number(drawn.overlap)}"
            distributions.append(f"{case_title(params, dataset, case)}, seed {seed}: {measures}.")
    return f"Distributions of auxiliary scores, a panel for each case. {' '.join(distributions) or 'No finished cell.'}"


def _final_losses(case: str, cells: pd.DataFrame) -> str:
    counted = select(cells, state="ok")
    if counted.empty:
        return f"{case}: no finished cell."
    train, test = counted["train_loss"].mean(), counted["test_loss"].mean()
    return f"{case}, n = {len(counted)}: final training loss {significant(train, 3)}, final test loss {significant(test, 3)}."


def alternative_of_all(params: Params, kind: str, pairs: pd.DataFrame) -> str:
    """A figure of all data sets in words."""
    if kind != "separability":
        what = {
            "overview": "Dot plot of test errors, a row for each data set and case",
            "listens": "Shares of flipped predictions and errors under several hints, a row for each data set and case",
            "borders": "Scatter plot, a point for each data set and case",
            "ablations": "Dot plot of test errors, a panel for each data set and grouping, a row for each kind of network",
            "networks": "Scatter plot of flips and the distance from the mask, a point for each network",
        }[kind]
        return f"{what}; the tables have the numbers."
    named = [
        f"{dataset_title(params, r.dataset)} {r.case}: AUC {r.auc:.2f}, overlap {r.overlap:.2f}, {r.percent:.0f} %."
        for r in pairs.itertuples()
    ]
    return f"Scatter plot of separability against error reduction, {len(pairs)} points. {' '.join(named)}"
