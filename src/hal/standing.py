"""What Snakemake would find of a cell."""

from safetensors import SafetensorError, safe_open

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
