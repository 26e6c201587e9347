"""Tables that are read again have their sums beside them, so that no damaged number is taken for a computed one.

A sums file is what `sha256sum -c` reads: a line for each file, named relative to the sums file's folder, and perhaps a
first line that begins with # and says from what they were made.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from hal.files import sha256_of, write_text


def write(texts: Mapping[Path, str], sums: Path, basis: str = "") -> list[Path]:
    """Write each text, and last the file of their sums, with what they were made from; return the paths of all."""
    for path, text in texts.items():
        write_text(path, text)
    lines = [
        f"{hashlib.sha256(text.encode()).hexdigest()}  {path.relative_to(sums.parent).as_posix()}\n"
        for path, text in texts.items()
    ]
    write_text(sums, "".join([f"# {basis}\n"] * bool(basis) + lines))
    return [*texts, sums]


def basis(sums: Path) -> str:
    """What the files were made from, as `write` was told; empty where that is not noted.

    Raises:
        OSError: the sums cannot be read.
    """
    first = sums.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("# ") if first.startswith("# ") else ""


def note(files: Sequence[Path], sums: Path) -> list[Path]:
    """Write the sums of files that are there already; return the paths of all."""
    lines = [f"{sha256_of(file)}  {file.relative_to(sums.parent).as_posix()}\n" for file in files]
    write_text(sums, "".join(lines))
    return [*files, sums]


def read(path: Path, sums: Path) -> str:
    """The text of a file that is what was written.

    Raises:
        FileNotFoundError: it is not there, or its sums are not.
        ValueError: it is not what was written with its sum.
    """
    check(path, sums)
    return path.read_text(encoding="utf-8")


def check(path: Path, sums: Path) -> None:
    """Compare a file with the sum that was written with it.

    Raises:
        OSError: one of the two cannot be read.
        ValueError: the file is another than was written, or `sums` does not name it.
    """
    line = f"{sha256_of(path)}  {path.relative_to(sums.parent).as_posix()}"
    if line not in sums.read_text(encoding="utf-8").splitlines():
        raise ValueError(f"{path}: not what was written (its SHA-256 is not the one in {sums})")
