"""Tables, figures and report of the networks there are, training nothing: what Snakemake's rules do, one after the other."""

from collections.abc import Iterator
from pathlib import Path

from hal import current, dag
from hal.departures import Run
from hal.outputs import figure_names
from hal.params import Params
from hal.present import figures, write_tables
from hal.present.pdf import write_pdf
from hal.present.render import render
from hal.standing import check_own
from hal.study import all_tables, controls, crossed

CHANGED = "cells have changed meanwhile; draw again for what is of all of them"


def draw(params: Params, run: Run) -> Iterator[str]:
    """Draw everything of the run that `params` describe; yields a line for each file, and `CHANGED` where not all is of the same cells.

    Raises:
        UserError: a table of results/ is damaged, or the root has finished networks of another experiment.
    """
    check_own(params, run.overlays, params.grid.datasets)
    before = current.basis(params, run)
    for dataset in params.grid.datasets:
        yield str(controls.write(params, dataset))
        yield str(crossed.write(params, dataset))
    yield from map(str, all_tables.write(params))
    yield from map(str, write_tables.write(params, run))
    for name in figure_names(params):
        yield from map(str, figures.draw(params, run, name))
    yield from map(str, render(params, run))
    yield write_pdf(params, Path(*dag.drawn_by(params, "pdf")))
    yield str(stamp(params, run)) if current.basis(params, run) == before else CHANGED


def stamp(params: Params, run: Run) -> Path:
    """Note from what everything was drawn (see `hal.current`); the file's path.

    Raises:
        UserError: the root has finished networks of another experiment.
    """
    check_own(params, run.overlays, params.grid.datasets)
    return current.write_stamp(params, run, map(Path, dag.drawn_files(params)))
