"""Which file of a run needs which, and what a cluster is asked for: all that the rules of the Snakefile declare."""

import re
from collections.abc import Sequence
from pathlib import Path

from hal.outputs import drawn_cells, figure_files, figure_names, printed_files, study_files
from hal.params import Params
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


def cell_files(params: Params, name: str, dataset: str | None = None, scored_only: bool = False) -> list[str]:
    """The file `name` of every cell of the grid, or of one data set, or of those with an auxiliary block."""
    return [
        str(params.path(f"results/{cell.name}/{name}"))
        for cell in params.cells()
        if dataset in (None, cell.dataset) and (cell.scored or not scored_only)
    ]


def all_cell_files(params: Params, dataset: str) -> list[str]:
    """Every file of every cell of one data set."""
    cells = [cell for cell in params.cells() if cell.dataset == dataset]
    return [
        *cell_files(params, "cell.json", dataset),
        *cell_files(params, "curves.csv", dataset),
        *cell_files(params, "scores.npz", dataset, scored_only=True),
        *(str(params.path(f"checkpoints/{cell.name}/weights.safetensors")) for cell in cells),
        *(str(params.path(f"checkpoints/{cell.name}/predictions.npz")) for cell in cells),
        *(str(params.path(f"checkpoints/{cell.name}/auxiliary.npz")) for cell in cells if cell.scored),
    ]


def descriptions(params: Params) -> list[str]:
    """What the data sets are: every step looks whether the cells are of these, whatever it makes of them."""
    return [str(params.path(f"data/{dataset}.json")) for dataset in params.grid.datasets]


def control_inputs(params: Params, dataset: str) -> list[str]:
    """What a data set's controls are computed from."""
    cells = [cell for cell in params.cells() if cell.dataset == dataset]
    heavy = [str(params.path(f"checkpoints/{cell.name}/predictions.npz")) for cell in cells]
    heavy += [str(params.path(f"checkpoints/{cell.name}/auxiliary.npz")) for cell in cells if cell.scored]
    scores = cell_files(params, "scores.npz", dataset, scored_only=True)
    return heavy + scores + cell_files(params, "cell.json", dataset)


def study_inputs(params: Params) -> list[str]:
    """What all tables of results/ are computed from."""
    return [
        *cell_files(params, "cell.json"),
        *cell_files(params, "curves.csv"),
        *cell_files(params, "scores.npz", scored_only=True),
        *(file for dataset in params.grid.datasets for file in drawn_by(params, f"controls/{dataset}")),
    ]


def figure_inputs(params: Params, figure: str) -> list[str]:
    """What a figure is drawn from."""
    drawing = figure_names(params)[figure]
    if not drawing.dataset:
        shown = cell_files(params, "cell.json") if drawing.kind in ("overview", "ablations") else []
        return shown + drawn_by(params, "study")
    cells = drawn_cells(params, drawing)
    drawn = {
        "loss": [f"{cell.name}/curves.csv" for cell in cells],
        "scores": [f"{cell.name}/scores.npz" for cell in cells if cell.scored],
        "sensitivity": [],
    }[drawing.kind]
    records = [f"{cell.name}/cell.json" for cell in cells]
    return [str(params.path(f"results/{file}")) for file in drawn + records]


def report_inputs(params: Params) -> list[str]:
    """What the report is written from."""
    figures = [file for name in figure_names(params) for file in drawn_by(params, f"figure/{name}")]
    pages = [file for file in figures if file.endswith((".svg", ".pdf", ".sha256"))]
    return [*cell_files(params, "cell.json"), *drawn_by(params, "study"), *pages]


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
        **{
            f"controls/{dataset}": paths(
                [
                    params.path("results", folder, f"{dataset}{kind}")
                    for folder in ("controls", "crossed")
                    for kind in (".csv", ".sha256")
                ]
            )
            for dataset in params.grid.datasets
        },
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


def gpus(params: Params) -> int:
    """How many GPUs a cell takes of Snakemake's `gpu` resource."""
    return 0 if params.runtime.device == "cpu" else 1


def minutes(params: Params, network: str) -> int:
    """The time that a cluster is asked for to train a network `<data set>/<case>`.

    Of the paper's 250 epochs four hours for ten layers and twelve for 28, for cards some forty times slower than an H100 (docs/speed.md);
    of fewer epochs as much less, but half an hour. A cell that is cut off goes on where it was when it is tried again.
    """
    dataset, case = Path(network).parts
    cell = params.cell(dataset, case, 0)
    return max(30, round(720 * cell.layers / 28 * cell.train.epochs / 250))
