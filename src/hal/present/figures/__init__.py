"""Figures 2 to 7, the like for every other data set of params, and what the paper has no figure for."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hal import sums
from hal.departures import Run, note
from hal.errors import UserError
from hal.outputs import FORMATS, Drawing, drawn_cells, figure_files, figure_names
from hal.params import Params
from hal.present.results import read_results
from hal.study.grid import load_cells

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(params: Params, run: Run, name: str) -> list[Path]:
    """Draw the figure of that name, wide and for one column, and write its files.

    Args:
        params: the experiment.
        run: what kind of run it is, said in the figure.
        name: one of `outputs.figure_names`.

    Raises:
        UserError: params have no figure of that name, or a table that it is drawn from is missing or damaged.
    """
    names = figure_names(params)
    if name not in names:
        raise UserError(f"figure {name!r}: there are {', '.join(names)}")
    *files, sums_file = figure_files(params, name)
    remark = note(params, run, names[name].dataset or None)
    return sums.note(_draw(params, remark, names[name], files), sums_file)


def _draw(params: Params, remark: str, drawing: Drawing, files: list[Path]) -> list[Path]:
    # Only drawing needs matplotlib, which is slow to import.
    from hal.present.figures import style

    with style.applied(params):
        figure = _figure(params, remark, drawing)
        wide, column = (figure(columns=columns) for columns in (2, 1))
        return style.save(wide, files[: len(FORMATS)]) + style.save(column, files[len(FORMATS) :])


def _figure(params: Params, remark: str, drawing: Drawing) -> Callable[..., "Figure"]:
    """What draws it in a number of columns, with all that it is drawn from."""
    from hal.present.figures import (
        ablations,
        borders,
        listens,
        loss,
        networks,
        overview,
        scores,
        sensitivity,
        separability,
    )

    match drawing.kind:
        case "overview":
            of_tables = read_results(params, "table2", "table2b")
            return partial(
                overview.draw, params, remark, overview.panels(params, load_cells(params), *of_tables)
            )
        case "ablations":
            return partial(
                ablations.draw, params, remark, load_cells(params), *read_results(params, "ablations")
            )
        case "listens":
            return partial(listens.draw, params, remark, drawing, *read_results(params, "hint", "networks"))
        case "networks":
            return partial(networks.draw, params, remark, *read_results(params, "networks"))
        case "borders":
            return partial(borders.draw, params, remark, *read_results(params, "borders"))
        case "separability":
            return partial(separability.draw, params, remark, *read_results(params, "pairs", "correlation"))
    of_dataset = {"loss": loss.draw, "scores": scores.draw, "sensitivity": sensitivity.draw}[drawing.kind]
    return partial(of_dataset, params, remark, drawing, load_cells(params, drawn_cells(params, drawing)))
