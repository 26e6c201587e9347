"""Whether the files of finished cells are still those that were written."""

from hal.cell_files import read_record
from hal.errors import UserError
from hal.files import sha256_of
from hal.params import Params


def verify(params: Params) -> int:
    """Compare every file of the grid's cells that is there with the SHA-256 in its cell.json.

    Returns:
        How many files were compared. A file that is missing is for training or `dvc pull` to bring back.

    Raises:
        UserError: names the files that are damaged or of another run, and what to do.
    """
    compared, wrong = 0, []
    for cell in params.cells():
        paths = params.cell_paths(cell)
        try:
            files = read_record(paths.results / "cell.json")["files"]
            wanted = {
                folder / name: sha256
                for name, sha256 in files.items()
                for folder in (paths.results, paths.checkpoints)
            }
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            continue  # not finished, or broken: the table and `hal status` say so
        for path in filter(lambda path: path.is_file(), wanted):
            compared += 1
            if sha256_of(path) != wanted[path]:
                wrong.append(str(path))
    if wrong:
        raise UserError(
            f"{', '.join(wrong)}: not what was written with cell.json (its SHA-256 is another); delete the folder and "
            "`dvc pull`, or check out the version that belongs to results/, or train the cell again"
        )
    return compared
