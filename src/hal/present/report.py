"""The report: everything that it says, as blocks in the order of reading."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from hal import sums
from hal.departures import Run
from hal.errors import UserError
from hal.outputs import FORMATS, ROWS, STUDY, families, figure_files, figure_names, has_ablations, study_names
from hal.paper import load_paper, other_order, same_grouping
from hal.params import Params
from hal.present import ablations, assumed, captions, findings, hint, in_short, made, tables, verdicts
from hal.present.blocks import (
    Block,
    Column,
    Command,
    Document,
    Downloads,
    Figure,
    Heading,
    Items,
    Prose,
    Sketch,
    Table,
    grouped,
    plain,
)
from hal.present.results import read_results
from hal.settings import BASELINE
from hal.study.grid import FINISHED, load_cells
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
REBUILD = (
    "In the repository, with its environment active. Snakemake makes what is missing or out of date, and `--force` makes its "
    "target again."
)


def build(params: Params, run: Run) -> Document:
    """The report of the run that `params` describe.

    Raises:
        UserError: a table of results/ is missing or damaged, or a figure is.
    """
    cells, paper = load_cells(params), load_paper()
    r = dict(zip(STUDY, read_results(params, *STUDY), strict=True))
    drawn = _figures(params, run, cells, r)
    figures = {name: figure for name, figure in drawn.items() if _shows_something(params, name, cells, r)}
    left_out = _left_out(params, figures)
    blocks: list[Block] = [
        Prose(f"{verdicts.answer(r['verdicts'])} {_state(run, cells['state'])}", lead=True),
        Prose(INTRODUCTION),
        *_in_short(params, cells, r),
        *_of_kind(params, figures, "overview"),
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
        *_of_kind(params, figures, "listens"),
        *_of_kind(params, figures, "networks"),
        *_of_kind(params, figures, "borders"),
        *_ablations(params, figures),
        Heading("statistics", "How sure the numbers are"),
        tables.statistics(params, r["statistics"]),
        tables.crossed(params, r["crossed"], r["table2"]),
        Heading("splits", "Do the scores split by superclass?", 3),
        tables.separability(params, r["separability"]),
        *_of_kind(params, figures, "separability"),
        Heading("convergence", "Do losses fall faster?", 3),
        tables.convergence(params, r["convergence"]),
    ]
    if families(params):
        of_variants = tables.sensitivity(params, *read_results(params, "sensitivity"))
        blocks += [
            Heading("sensitivity", "Other settings"),
            *of_variants,
            *_of_kind(params, figures, "sensitivity"),
        ]
    of_paper = any(paper.dataset(params, dataset) for dataset in params.grid.datasets)
    blocks += [
        Heading("figures", "The paper's figures" if of_paper else "Losses and scores"),
        *figures.values(),
        *left_out,
    ]
    blocks += assumed.blocks(params, run.path)
    blocks += made.blocks(params, run, cells)
    blocks += [Heading("rebuild", "Rebuild and cite"), Prose(REBUILD), _commands(params, run, drawn)]
    files = [params.path("results", f"{name}.csv") for name in study_names(params)]
    blocks += [Downloads(tuple((file.name, file.read_bytes()) for file in files))]
    blocks += [Prose("To cite the paper:"), Command(_bibtex())]
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
        found += (
            [("Ablations", said)]
            if (said := ablations.in_short(params, *read_results(params, "ablations")))
            else []
        )
    return _titled(found, lead=True)


def _listening(params: Params, of_hint: pd.DataFrame, networks: pd.DataFrame) -> list[Block]:
    """Each data set's findings on the hint, below its name."""
    return _titled(findings.listening(params, of_hint, networks))


def _titled(found: Iterable[tuple[str, list[str]]], lead: bool = False) -> list[Block]:
    """Lists, each below its title."""
    return [block for title, items in found for block in (Prose(f"{title}:"), Items(tuple(items), lead))]


def _ablations(params: Params, figures: dict[str, Figure]) -> list[Block]:
    """What a lower error is owed to, where ablations are in the grid."""
    if not has_ablations(params):
        return []
    (table,) = read_results(params, "ablations")
    return [
        Heading("owed", "What is a lower error owed to?"),
        Prose(ablations.OWED),
        Items(tuple(ablations.sentences(params, table))),
        *_of_kind(params, figures, "ablations"),
        ablations.table(params, table),
    ]


def _of_kind(params: Params, figures: dict[str, Figure], kind: str) -> list[Figure]:
    """The figures of a kind, taken out of those that are left."""
    names = [name for name, drawing in figure_names(params).items() if drawing.kind == kind]
    return [figures.pop(name) for name in names if name in figures]


def _shows_something(params: Params, name: str, cells: pd.DataFrame, r: dict[str, pd.DataFrame]) -> bool:
    """Whether any network that a figure is about has finished, or what it shows is computed; the overview is always there."""
    drawing = figure_names(params)[name]
    if drawing.dataset:
        members = families(params)[drawing.dataset] if drawing.kind == "sensitivity" else [drawing.dataset]
        first = [BASELINE] * (drawing.page == 1 and drawing.kind != "scores")  # alone it is shown once
        mine = cells[cells["dataset"].isin(members) & cells["case"].isin([*first, *drawing.cases])]
        return mine["state"].isin(["ok"] if drawing.kind == "scores" else FINISHED).any()
    if drawing.kind == "listens":
        return r["hint"]["flips"][ROWS * (drawing.page - 1) : ROWS * drawing.page].notna().any()
    table = {"networks": "networks", "borders": "borders", "separability": "pairs"}.get(drawing.kind)
    return table is None or not r[table].empty


def _left_out(params: Params, figures: dict[str, Figure]) -> list[Block]:
    """Which figures are not shown."""
    numbers = [number for name, number in captions.numbers(params).items() if name not in figures]
    if not numbers:
        return []
    which = f"Figure{'s' * (len(numbers) > 1)} {', '.join(numbers)}"
    return [Prose(f"Left out, because there is nothing to show: {which}.")]


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


def _figures(params: Params, run: Run, cells: pd.DataFrame, r: dict[str, pd.DataFrame]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    numbers = captions.numbers(params)
    for name, drawing in figure_names(params).items():
        kind, dataset = drawing.kind, drawing.dataset
        *files, sums_file = figure_files(params, name)
        for file in filter(Path.exists, files):
            try:
                sums.check(file, sums_file)
            except (OSError, ValueError):
                raise UserError(
                    f"{file}: not what was drawn, or damaged since; `hal figure {name}` draws it again"
                ) from None
        if dataset:
            alternative = captions.alternative(params, drawing, cells, r["separability"])
        else:
            alternative = captions.alternative_of_all(params, kind, r["pairs"])
        figures[name] = Figure(
            name=name,
            number=numbers[name],
            caption=f"{captions.caption(params, drawing)}{captions.deaf(drawing, r['networks'], cells)}",
            alternative=alternative,
            svg=files[0],
            pdf=files[1],
            column=files[len(FORMATS)],
            command=f"snakemake --force {files[0]}{run.suffix}",
            data=tuple(f"../results/{file}" for file in captions.DATA.get(kind, (dataset,))),
        )
    return figures


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


def _commands(params: Params, run: Run, figures: dict[str, Figure]) -> Table:
    cell = params.cells()[-1]
    targets = {
        "Everything that is missing or out of date": f"snakemake{run.suffix}",
        f"One network, such as {cell.name}": f"snakemake --force {params.path('results', cell.name)}{run.suffix}",
        "The controls of a data set": f"snakemake --force {params.path('results', 'controls', f'{params.grid.datasets[0]}.csv')}{run.suffix}",
        "Every computed table": f"snakemake --force {params.path('results', 'table2.csv')}{run.suffix}",
        **{f"Figure {figure.number}": figure.command for figure in figures.values()},
        "This report": f"snakemake --force {params.path('report', 'report.html')}{run.suffix}",
    }
    columns = (Column("Part", "name"), Column("Command", "code"))
    return Table("commands", "", "The command for each part.", columns, plain(list(targets.items())))


def _bibtex() -> str:
    citation = load_paper().citation
    entries = {
        "title": citation.title,
        "author": " and ".join(citation.authors),
        "year": str(citation.year),
        "howpublished": citation.published,
        "url": citation.url,
    }
    lines = ",\n".join(f"  {key} = {{{value}}}" for key, value in entries.items())
    return f"@misc{{hal{citation.year},\n{lines}\n}}"
