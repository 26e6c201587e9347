"""Whether the files of finished cells are still those that were written."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hal import current
from hal.cell_files import read_record, recorded_files, vouched_for
from hal.departures import Run
from hal.errors import UserError, first_few
from hal.params import Params
from hal.remeasured import FILES, is_remeasured


class Verified(NamedTuple):
    """How many files were compared, and how many of them were measured again on the stored weights."""

    compared: int
    remeasured: int


def verify(params: Params) -> Verified:
    """Compare every file of the grid's cells that is there with the SHA-256 in its cell.json or remeasured.json, and cell.json with its own.

    A file that is missing is for training or `dvc pull` to bring back.

    Raises:
        UserError: names the files that are damaged or of another run, and what to do.
    """
    compared = remeasured = 0
    wrong: list[str] = []
    for cell in params.cells():
        paths = params.cell_paths(cell)
        path = paths.record
        try:
            record = read_record(path)
        except FileNotFoundError:
            continue  # not finished: the table and `hal status` say so
        except (OSError, UserError):
            wrong.append(str(path))
            continue
        compared += 1
        for path in filter(Path.exists, recorded_files(record, paths.results, paths.checkpoints)):
            compared += 1
            remeasured += is_remeasured(path, record)
            if not vouched_for(path, record):
                wrong.append(str(path))
    if wrong:
        raise UserError(
            f"{first_few(wrong)}: not what was written, by the SHA-256 in cell.json. After `git switch` or "
            f"`git checkout`: `dvc checkout`. Else move {'it' if len(wrong) == 1 else 'them'} away: git or `dvc pull` may bring it back, and "
            f"`hal evaluate` measures {' and '.join(FILES)} on whole weights; or train the cell again"
        )
    return Verified(compared, remeasured)


def verify_drawn(params: Params, run: Run, files: Iterable[Path]) -> int:
    """Compare every table, figure and page that was drawn with the sum that report/drawn.json has of it.

    Returns:
        How many files were compared: none before the first whole drawing.

    Raises:
        UserError: names those that are damaged, missing or of other cells or settings, and what draws them.
    """
    files = list(files)
    if not current.stamp_path(params).exists():
        return 0
    wrong = current.outdated(params, run, files)
    if wrong:
        raise UserError(
            f"{first_few(sorted(map(str, wrong)))}: not drawn from the cells and settings there are, or damaged since; "
            "`hal draw` draws them again"
        )
    return len(files)
