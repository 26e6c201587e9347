"""Figures 2 to 7, the like for every other data set of params, and what the paper has no figure for."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from hal import sums
from hal.errors import UserError
from hal.outputs import FORMATS, figure_files, figure_names
from hal.params import Params
from hal.present.results import read_results
from hal.study.grid import load_grid, select


def draw(params: Params, name: str) -> list[Path]:
    """Draw the figure of that name and write its files.

    Raises:
        UserError: params have no figure of that name, or a table that it is drawn from is missing or damaged.
    """
    names = figure_names(params)
    if name not in names:
        raise UserError(f"figure {name!r}: there are {', '.join(names)}")
    *files, sums_file = figure_files(params, name)
    return sums.note(_draw(params, *names[name], files), sums_file)


def _draw(params: Params, kind: str, dataset: str | None, files: list[Path]) -> list[Path]:
    # Only drawing needs matplotlib, which is slow to import.
    from hal.present.figures import borders, listens, loss, overview, scores, sensitivity, separability, style

    of_all: dict[str, tuple[Callable[..., Figure], list[str]]] = {
        "listens": (listens.draw, ["hint"]),
        "borders": (borders.draw, ["borders"]),
    }
    of_all["separability"] = (separability.draw, ["pairs", "correlation"])
    of_dataset = {"loss": loss.draw, "scores": scores.draw}
    with style.applied():
        if kind == "overview":
            panels = overview.panels(params, load_grid(params), *read_results(params, "table2", "table2b"))
            wide, column = (overview.draw(params, panels, columns) for columns in (2, 1))
            return style.save(wide, files[: len(FORMATS)]) + style.save(column, files[len(FORMATS) :])
        if dataset is None:
            draw_one, tables = of_all[kind]
            return style.save(draw_one(params, *read_results(params, *tables)), files)
        if kind == "sensitivity":
            return style.save(sensitivity.draw(params, dataset, load_grid(params)), files)
        return style.save(of_dataset[kind](params, dataset, select(load_grid(params), dataset)), files)
