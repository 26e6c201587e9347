"""A run as it was at a git revision."""

import contextlib
import io
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from hal.errors import UserError


@contextlib.contextmanager
def run_folder(name: str) -> Iterator[Path]:
    """The folder that holds a run's results/: the one named, or that of REV or REV:FOLDER, taken out of git for as long as needed.

    Raises:
        UserError: there is neither.
    """
    if Path(name, "results").is_dir():
        yield Path(name)
        return
    revision, _, folder = name.partition(":")
    results = str(Path(folder, "results"))
    try:
        done = subprocess.run(
            ["git", "archive", "--format=zip", revision, results], capture_output=True, check=False
        )
    except OSError as error:
        raise UserError(
            f"{name}: no such folder with results/, and git cannot be asked ({error.strerror})"
        ) from None
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(
            f"{name}: no folder with results/, and no git revision with {results} ({message[-1] if message else 'git failed'}); "
            "REV:FOLDER names a run's folder as it was at a revision, such as HEAD~1:runs/cpu-mnist"
        )
    with tempfile.TemporaryDirectory() as temporary:
        with zipfile.ZipFile(io.BytesIO(done.stdout)) as archive:
            archive.extractall(temporary)
        yield Path(temporary, folder)
