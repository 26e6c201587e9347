"""What Snakemake would find of a cell, and which cells it is about to train."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from hal import snakemake_internals
from hal.cell_files import is_of, read_record
from hal.errors import UserError
from hal.params import Cell, Params
from hal.study.grid import data_identity


def standing(params: Params, cell: Cell) -> str:
    """What Snakemake would find of a cell: `none`, one of other settings or data (`stale`), `damaged`, or `finished`, if maybe without some files."""
    paths, (data_sha256, _) = params.cell_paths(cell), data_identity(params, cell.dataset)
    if not paths.record.exists():
        return "none"
    try:
        if not is_of(read_record(paths.record), cell, data_sha256):
            return "stale"
        if paths.weights.exists():
            with safe_open(paths.weights, "numpy") as opened:
                if opened.metadata()["cell"] != cell.hash:
                    return "damaged"
    except (OSError, UserError, KeyError, TypeError, SafetensorError):
        return "damaged"
    return "finished"


def to_train(workflow: Any, params: Params) -> list[tuple[Cell, bool]]:
    """The cells that are about to be trained in the grid's order, each with whether that was asked for."""
    cells = []
    for rule, wildcards, asked in snakemake_internals.to_run(workflow):
        if rule.startswith("cell_"):
            dataset, case = Path(wildcards["network"]).parts
            cells.append((params.cell(dataset, case, int(wildcards["seed"])), asked))
    order = {cell.name: i for i, cell in enumerate(params.cells())}
    return sorted(cells, key=lambda entry: order.get(entry[0].name, len(order)))  # one may be beyond the grid
