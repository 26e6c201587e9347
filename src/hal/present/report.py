"""The report: everything that it says, as blocks in the order of reading."""

from collections.abc import Iterable

import pandas as pd

from hal.departures import Run
from hal.outputs import STUDY, families, has_ablations
from hal.paper import load_paper, other_order, same_grouping
from hal.params import Params
from hal.present import (
    ablations,
    assumed,
    drawings,
    findings,
    hint,
    in_short,
    made,
    rebuild,
    tables,
    verdicts,
)
from hal.present.blocks import (
    Block,
    Column,
    Document,
    Figure,
    Heading,
    Items,
    Prose,
    Sketch,
    Table,
    grouped,
)
from hal.present.results import read_results
from hal.study.grid import load_cells
from hal.study.hint import DEAF
from hal.titles import case_title, dataset_title, superclass_names

HINT = (
    "The networks of every case are told the true superclass of each image, and not only in training: every test image is fed its true superclass too, as equation 1 implies; "
    "no sentence of the paper says what is fed at test time. The superclass is derived from the label, so it is a hint "
    "at the answer: it rules out every class outside the superclass. The baseline gets no such hint. That a case's error "
    "lies below the baseline's therefore does not show that its network sees better; it shows what the hint and the "
    "network achieve together."
)
INTRODUCTION = (
    "Hierarchical auxiliary learning (HAL) groups the classes of a data set into superclasses, such as even and odd digits, and "
    "tells the network the superclass of each image: a small auxiliary block turns it, with the network's features, into one "
    "number, the auxiliary score, that scales the features before the output layer. Test images are told their true superclass, too: a hint, derived from the label. "
    "Each grouping is a case; the baseline is the same network without the block. A mask is the plainest use of the same hint: the baseline's logits without the classes outside the superclass. "
    f"A network is deaf to its hint if less than {DEAF:g} % of its predictions change when it is told another superclass."
)
SKETCH = (
    "The network of the paper's Figure 1: the auxiliary block measures how far W y lies from the one-hot superclass x*, and this "
    "one number a scales the features y (equations 1 to 3)."
)
MASK = (
    "A plain network can use the same hint without any auxiliary block: take its logits and leave out every class that is not in "
    "the true superclass. This needs no training with superclasses at all. An error no lower than the mask's needs only "
    "the hint; one below it shows that the network does what a mask on the baseline does not, by hint, block or training."
)


def build(params: Params, run: Run) -> Document:
    """The report of the run that `params` describe.

    Raises:
        UserError: a table of results/ is missing or damaged, or a figure is.
    """
    cells, paper = load_cells(params), load_paper()
    r = dict(zip(STUDY, read_results(params, *STUDY), strict=True))
    drawn = drawings.all_figures(params, run, cells, r)
    figures = drawings.with_something(params, drawn, cells, r)
    left_out = drawings.left_out(params, figures)
    blocks: list[Block] = [
        Prose(f"{verdicts.answer(r['verdicts'])} {_state(run, cells['state'])}", lead=True),
        Prose(INTRODUCTION),
        *_in_short(params, cells, r),
        *drawings.of_kind(params, figures, "overview"),
        Sketch("sketch", SKETCH),
        *verdicts.blocks(r["verdicts"]),
        Heading("errors", "Test errors beside the paper's"),
        Prose(HINT),
        _groupings(params),
        tables.errors(params, r["table2"], run),
        Heading("controls", "What the hint alone is worth"),
        Prose(MASK),
        Prose(findings.summary(params, r["table2b"])),
        Items(tuple(findings.masked(params, r["table2b"], r["statistics"]))),
        tables.controls(params, r["table2b"], r["statistics"], run),
        tables.without_hint(params, r["table2b"]),
        Heading("listening", "Does the network listen?"),
        *_listening(params, r["hint"], r["networks"]),
        *hint.tables(params, r["hint"]),
        hint.derivation(),
        *drawings.of_kind(params, figures, "listens"),
        *drawings.of_kind(params, figures, "networks"),
        *drawings.of_kind(params, figures, "borders"),
        *_ablations(params, figures),
        Heading("statistics", "How sure the numbers are"),
        tables.statistics(params, r["statistics"]),
        tables.crossed(params, r["crossed"], r["table2"]),
        Heading("splits", "Do the scores split by superclass?", 3),
        tables.separability(params, r["separability"]),
        *drawings.of_kind(params, figures, "separability"),
        Heading("convergence", "Do losses fall faster?", 3),
        tables.convergence(params, r["convergence"]),
    ]
    if families(params):
        of_variants = tables.sensitivity(params, *read_results(params, "sensitivity"))
        blocks += [
            Heading("sensitivity", "Other settings"),
            *of_variants,
            *drawings.of_kind(params, figures, "sensitivity"),
        ]
    of_paper = any(paper.dataset(params, dataset) for dataset in params.grid.datasets)
    blocks += [
        Heading("figures", "The paper's figures" if of_paper else "Losses and scores"),
        *figures.values(),
        *left_out,
    ]
    blocks += assumed.blocks(params, run.path)
    blocks += made.blocks(params, run, cells)
    blocks += rebuild.blocks(params, run, drawn)
    authors = f"{', '.join(paper.citation.authors)}, “{paper.citation.title}”, {paper.citation.published}, {paper.citation.year}"
    return Document(
        title=f"Reproduction of “{paper.citation.title}”" + (f": run “{run.label}”" if run.label else ""),
        authors=f"The paper: {authors}, {paper.citation.url}",
        blocks=tuple(block for block in blocks if not (isinstance(block, Items) and not block.items)),
        footer=f"Written by `hal report` from `{run.root}`; the same as LaTeX, but for the two sketches, is in `report.tex`.",
    )


def _in_short(params: Params, cells: pd.DataFrame, r: dict[str, pd.DataFrame]) -> list[Block]:
    """What was found, in a few lines for each data set and of the ablations."""
    found = in_short.in_short(params, cells, r["table2"], r["statistics"], r["table2b"], r["hint"])
    if has_ablations(params):
        found.append(("Ablations", ablations.in_short(params, *read_results(params, "ablations"))))
    return _titled(found, lead=True)


def _listening(params: Params, of_hint: pd.DataFrame, networks: pd.DataFrame) -> list[Block]:
    """Each data set's findings on the hint, below its name."""
    return _titled(findings.listening(params, of_hint, networks))


def _titled(found: Iterable[tuple[str, list[str]]], lead: bool = False) -> list[Block]:
    """Lists, each below its title."""
    return [
        block for title, items in found if items for block in (Prose(f"{title}:"), Items(tuple(items), lead))
    ]


def _ablations(params: Params, figures: dict[str, Figure]) -> list[Block]:
    """What a lower error is owed to, where ablations are in the grid."""
    if not has_ablations(params):
        return []
    (table,) = read_results(params, "ablations")
    return [
        Heading("owed", "What is a lower error owed to?"),
        Prose(ablations.explained(params)),
        Items(tuple(ablations.sentences(params, table))),
        *drawings.of_kind(params, figures, "ablations"),
        ablations.table(params, table),
    ]


def _state(run: Run, states: pd.Series) -> str:
    counted, diverged, planned = (states == "ok").sum(), (states == "diverged").sum(), len(states)
    complete = counted + diverged == planned
    networks = f"{counted} of {planned} planned networks are trained and count in the numbers below" + (
        f"; {diverged} diverged." if diverged else "."
    )
    if run.statement:
        return f"{run.statement} {networks}"
    if not complete:
        return f"The paper's experiment, not complete: only {networks}"
    if diverged:
        return f"The paper's experiment, complete: all {planned} networks are trained, {counted} count in the numbers below; {diverged} diverged."
    return f"The paper's experiment, complete: all {planned} networks are trained and count in the numbers below."


def _groupings(params: Params) -> Table:
    rows = []
    for dataset in params.own_datasets:
        entry = params.datasets[dataset]
        printed = load_paper().dataset(params, dataset)
        for name, case in entry.cases.items():
            classes = (", ".join(entry.classes[label] for label in labels) for labels in case.superclasses)
            named = zip(superclass_names(params, dataset, name), classes, strict=True)
            superclasses = "; ".join(f"{superclass}: {members}" for superclass, members in named)
            of_paper = printed is not None and same_grouping(printed, entry, name)
            if of_paper:
                source = "Table 1"
            elif case.ablation:
                source = "ablation"
            elif printed is not None and other_order(printed, entry, name):
                source = "Table 1, in another order"
            else:
                source = "not in the paper"
            rows.append(
                (dataset_title(params, dataset), (case_title(params, dataset, name), superclasses, source))
            )
    columns = (
        Column("Case", "name"),
        Column("Superclasses", "text"),
        Column("Source", "text"),
    )
    caption = "The groupings of classes into superclasses, superclass 0 first."
    return Table("groupings", "Table 1", caption, columns, grouped(rows), main=True)
