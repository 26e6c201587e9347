"""The report's figures: all that there are, and those in which there is something to see."""

from pathlib import Path

import pandas as pd

from hal import sums
from hal.departures import Run
from hal.errors import UserError
from hal.outputs import FORMATS, ROWS, Drawing, families, figure_files, figure_names
from hal.params import Params
from hal.present import captions
from hal.present.blocks import Block, Figure, Prose
from hal.settings import BASELINE
from hal.study.grid import FINISHED


def all_figures(
    params: Params, run: Run, cells: pd.DataFrame, r: dict[str, pd.DataFrame]
) -> dict[str, Figure]:
    """Every figure of the run by its name, drawn or not; `r` has the computed tables by theirs.

    Raises:
        UserError: a file is not the one that was drawn.
    """
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


def with_something(
    params: Params, figures: dict[str, Figure], cells: pd.DataFrame, r: dict[str, pd.DataFrame]
) -> dict[str, Figure]:
    """Those in which there is something to see."""
    kinds = figure_names(params)
    return {
        name: figure for name, figure in figures.items() if _shows_something(params, kinds[name], cells, r)
    }


def of_kind(params: Params, figures: dict[str, Figure], kind: str) -> list[Figure]:
    """The figures of a kind, taken out of those that are left."""
    names = [name for name, drawing in figure_names(params).items() if drawing.kind == kind]
    return [figures.pop(name) for name in names if name in figures]


def left_out(params: Params, figures: dict[str, Figure]) -> list[Block]:
    """Which figures of the run are not among these, as a sentence."""
    numbers = [number for name, number in captions.numbers(params).items() if name not in figures]
    if not numbers:
        return []
    which = f"Figure{'s' * (len(numbers) > 1)} {', '.join(numbers)}"
    return [Prose(f"Left out, because there is nothing to show: {which}.")]


def _shows_something(
    params: Params, drawing: Drawing, cells: pd.DataFrame, r: dict[str, pd.DataFrame]
) -> bool:
    """Whether any network that a figure is about has finished, or what it shows is computed; the overview is always there."""
    if drawing.dataset:
        members = families(params)[drawing.dataset] if drawing.kind == "sensitivity" else [drawing.dataset]
        first = [BASELINE] * (drawing.page == 1 and drawing.kind != "scores")  # alone it is shown once
        mine = cells[cells["dataset"].isin(members) & cells["case"].isin([*first, *drawing.cases])]
        return mine["state"].isin(["ok"] if drawing.kind == "scores" else FINISHED).any()
    if drawing.kind == "listens":
        return r["hint"]["flips"][ROWS * (drawing.page - 1) : ROWS * drawing.page].notna().any()
    table = {"networks": "networks", "borders": "borders", "separability": "pairs"}.get(drawing.kind)
    return table is None or not r[table].empty
