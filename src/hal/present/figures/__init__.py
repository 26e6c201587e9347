"""Figures 2 to 7, the like for every other data set of params, and section 5's claim."""

from pathlib import Path

from hal.errors import UserError
from hal.paper import load_paper
from hal.params import Params
from hal.study.grid import load_grid, select
from hal.study.sensitivity import families

KINDS = ("loss", "scores")
FORMATS = ("svg", "pdf", "png")


def figure_names(params: Params) -> dict[str, tuple[str, str | None]]:
    """Every figure's name with its kind and data set: `fig2_mnist_loss`, or `digits_loss` beyond the paper.

    The figure `separability` is of all data sets together. A variant has no figures of its own: all variants of a
    data set are in one, such as `digits_sensitivity`.
    """
    names: dict[str, tuple[str, str | None]] = {}
    for dataset in params.grid.datasets:
        if params.datasets[dataset].variant_of is not None:
            continue
        printed = load_paper().dataset(params, dataset)
        for kind in KINDS:
            number = f"fig{printed.figures[kind]}_" if printed else ""
            names[f"{number}{dataset}_{kind}"] = (kind, dataset)
    names |= {f"{dataset}_sensitivity": ("sensitivity", dataset) for dataset in families(params)}
    return names | {name: (name, None) for name in ("listens", "borders", "separability")}


def figure_paths(params: Params, name: str) -> list[Path]:
    """The files of a figure."""
    return [params.path("figures", f"{name}.{suffix}") for suffix in FORMATS]


def draw(params: Params, name: str) -> list[Path]:
    """Draw the figure of that name and write it as SVG, PDF and PNG.

    Raises:
        UserError: params have no figure of that name.
    """
    names = figure_names(params)
    if name not in names:
        raise UserError(f"figure {name!r}: there are {', '.join(names)}")
    kind, dataset = names[name]
    # Only drawing needs matplotlib, which is slow to import.
    from hal.present.figures import borders, listens, loss, scores, sensitivity, separability, style
    from hal.study.write_study import read_csv

    results = load_grid(params)
    with style.applied():
        if kind == "listens":
            figure = listens.draw(params, read_csv(params, "hint"))
        elif kind == "borders":
            figure = borders.draw(params, read_csv(params, "borders"))
        elif dataset is None:
            figure = separability.draw(params, results)
        elif kind == "sensitivity":
            figure = sensitivity.draw(params, dataset, results)
        else:
            draw_one = {"loss": loss.draw, "scores": scores.draw}[kind]
            figure = draw_one(params, dataset, select(results, dataset))
        return style.save(figure, figure_paths(params, name))
