"""Whether the files of finished cells are still those that were written."""

from collections.abc import Iterable
from pathlib import Path

from hal import current
from hal.cell_files import read_record, recorded_files
from hal.departures import Run
from hal.errors import UserError, first_few
from hal.files import sha256_of
from hal.params import Params


def verify(params: Params) -> int:
    """Compare every file of the grid's cells that is there with the SHA-256 in its cell.json, and that with its own.

    Returns:
        How many files were compared. A file that is missing is for training or `dvc pull` to bring back.

    Raises:
        UserError: names the files that are damaged or of another run, and what to do.
    """
    compared: int = 0
    wrong: list[str] = []
    for cell in params.cells():
        paths = params.cell_paths(cell)
        path = paths.record
        try:
            wanted = recorded_files(read_record(path), paths.results, paths.checkpoints)
        except FileNotFoundError:
            continue  # not finished: the table and `hal status` say so
        except (OSError, UserError):
            wrong.append(str(path))
            continue
        compared += 1
        for path in filter(Path.exists, wanted):
            compared += 1
            if not path.is_file() or sha256_of(path) != wanted[path]:
                wrong.append(str(path))
    if wrong:
        raise UserError(
            f"{first_few(wrong)}: not what was written, by the SHA-256 in cell.json. After `git switch` or "
            "`git checkout`: `dvc checkout`. Else delete the folder and `dvc pull`, or train the cell again"
        )
    return compared


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
