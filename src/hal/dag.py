"""Which file of a run needs which, and what a cluster is asked for: all that the rules of the Snakefile declare."""

import re
from collections.abc import Sequence
from pathlib import Path

from hal.outputs import drawn_cells, figure_files, figure_names, printed_files, study_files
from hal.params import CellPaths, Params
from hal.titles import dataset_title


def prefix(params: Params) -> str:
    """What every path of the DAG begins with: nothing for the paper's run, else `runs/<name>/`."""
    return "" if params.root == "." else f"{params.root}/"


def networks(params: Params, scored: bool) -> str:
    """A pattern of the `<data set>/<case>` that have an auxiliary block, and so scores, or of those that have none."""
    names = [
        f"{dataset}/{case}"
        for dataset in params.datasets
        for case in params.cases(dataset)
        if params.cell(dataset, case, 0).scored is scored
    ]
    return "|".join(map(re.escape, names)) or "none"


def cell_outputs(params: Params, scored: bool) -> list[str]:
    """The files of a cell that has scores or has none, its name in the rules' wildcards."""
    name = "{network}/seed{seed}"
    paths = CellPaths(
        results=params.path("results", name),
        checkpoints=params.path("checkpoints", name),
        resume=params.path(".resume"),
        lock=params.path(".lock"),
        scored=scored,
    )
    return [str(file) for file in (paths.record, *paths.files)]


def cell_records(params: Params) -> list[str]:
    """The cell.json of every cell of the grid."""
    return [str(paths.record) for paths in _paths(params)]


def all_cell_files(params: Params, dataset: str) -> list[str]:
    """Every file of every cell of one data set."""
    return [str(file) for paths in _paths(params, dataset) for file in (paths.record, *paths.files)]


def descriptions(params: Params) -> list[str]:
    """What the data sets are: every step looks whether the cells are of these, whatever it makes of them."""
    return [str(params.data_paths(dataset).description) for dataset in params.grid.datasets]


def control_inputs(params: Params, dataset: str) -> list[str]:
    """What a data set's controls are computed from."""
    files: list[Path] = []
    for paths in _paths(params, dataset):
        files += [paths.record, paths.predictions]
        files += [paths.scores, paths.auxiliary] if paths.scored else []
    return list(map(str, files))


def study_inputs(params: Params) -> list[str]:
    """What all tables of results/ are computed from."""
    files: list[Path] = []
    for paths in _paths(params):
        files += [paths.record, paths.curves, *([paths.scores] if paths.scored else [])]
    controls = (file for dataset in params.grid.datasets for file in drawn_by(params, f"controls/{dataset}"))
    return [*map(str, files), *controls]


def figure_inputs(params: Params, figure: str) -> list[str]:
    """What a figure is drawn from."""
    drawing = figure_names(params)[figure]
    if not drawing.dataset:
        shown = cell_records(params) if drawing.kind in ("overview", "ablations") else []
        return shown + drawn_by(params, "study")
    files: list[Path] = []
    for paths in map(params.cell_paths, drawn_cells(params, drawing)):
        files.append(paths.record)
        files += [paths.curves] if drawing.kind == "loss" else []
        files += [paths.scores] if drawing.kind == "scores" and paths.scored else []
    return list(map(str, files))


def report_inputs(params: Params) -> list[str]:
    """What the report is written from."""
    figures = [file for name in figure_names(params) for file in drawn_by(params, f"figure/{name}")]
    pages = [file for file in figures if file.endswith((".svg", ".pdf", ".sha256"))]
    return [*cell_records(params), *drawn_by(params, "study"), *pages]


def control_files(params: Params, dataset: str) -> list[str]:
    """The tables of a data set's controls, with their sums."""
    return [
        str(params.path("results", folder, f"{dataset}{kind}"))
        for folder in ("controls", "crossed")
        for kind in (".csv", ".sha256")
    ]


def drawn_files(params: Params) -> list[str]:
    """Every table, figure and page that is drawn from the cells, in the order of the rules that draw them."""
    return [file for files in _drawn(params).values() for file in files]


def drawn_by(params: Params, rule: str) -> list[str]:
    """The files that a rule draws: `controls/<data set>`, `study`, `tables`, `figure/<name>`, `report` or `pdf`."""
    return _drawn(params)[rule]


def _drawn(params: Params) -> dict[str, list[str]]:
    def paths(files: Sequence[Path]) -> list[str]:
        return [str(file) for file in files]

    return {
        **{f"controls/{dataset}": control_files(params, dataset) for dataset in params.grid.datasets},
        "study": paths(study_files(params)),
        "tables": paths(printed_files(params)),
        **{f"figure/{name}": paths(figure_files(params, name)) for name in figure_names(params)},
        "report": paths([params.path("report", name) for name in ("report.html", "report.tex")]),
        "pdf": paths([params.path("report", "pdf.txt")]),
    }


def figure_labels(params: Params, figure: str) -> dict[str, str]:
    """By what Snakemake's report lists a figure."""
    from hal.present import captions  # pandas, which only this needs

    drawing = figure_names(params)[figure]
    of = dataset_title(params, drawing.dataset) if drawing.dataset else "all data sets"
    return {"Figure": captions.numbers(params)[figure], "Shows": drawing.kind, "Of": of}


def figure_caption(params: Params, figure: str) -> str:
    """What stands under a figure in Snakemake's report, as reStructuredText."""
    from hal.present import captions

    return re.sub(r"([\\*`|_<>])", r"\\\1", captions.caption(params, figure_names(params)[figure]))


def minutes(params: Params, network: str) -> int:
    """The time that a cluster is asked for to train a network `<data set>/<case>`.

    Of the paper's 250 epochs four hours for ten layers and twelve for 28, for cards some forty times slower than an H100 (docs/speed.md);
    of fewer epochs as much less, but half an hour. A cell that is cut off goes on where it was when it is tried again.
    """
    dataset, case = Path(network).parts
    cell = params.cell(dataset, case, 0)
    return max(30, round(720 * cell.layers / 28 * cell.train.epochs / 250))


def _paths(params: Params, dataset: str | None = None) -> list[CellPaths]:
    return [params.cell_paths(cell) for cell in params.cells() if dataset in (None, cell.dataset)]
