"""What Snakemake would find of a cell, and whose cells those of a root are."""

from collections.abc import Collection, Sequence

from safetensors import SafetensorError, safe_open

from hal.cell_files import is_of, read_record
from hal.current import check_root, other_experiment
from hal.errors import UserError
from hal.params import Cell, Params
from hal.study.grid import data_identity, load_grid


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


def check_own(params: Params, overlays: Sequence[str], datasets: Collection[str]) -> None:
    """Refuse to write tables of these data sets where the root was drawn last as another experiment's, and networks of it are left.

    What was counted of those would be gone, and where their predictions are not here it cannot be counted again.

    Raises:
        UserError: names that other experiment, or one of whose networks here this has none.
    """
    other = other_experiment(params, overlays)
    if other and any(r.state == "stale" and r.cell.dataset in datasets for r in load_grid(params)):
        raise UserError(
            f"{params.root} is the run of {other}, whose finished networks are of other settings; give this experiment a root of "
            "its own (`root: runs/NAME`)"
        )
    check_root(params, overlays)
