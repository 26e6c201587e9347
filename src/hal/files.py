"""Files that are either whole or absent, and the sums that identify them."""

import contextlib
import errno
import glob
import hashlib
import json
import operator
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Let `write` fill a temporary neighbour of `path`, flush it to the disk, and rename it into place.

    Raises:
        OSError: it names `path`, never the neighbour.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear(path)
    temporary = _beside(path)
    with _errors_name(path):
        try:
            _write_flushed(temporary, write)
            os.replace(temporary, path)
        finally:
            _remove(temporary)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically."""
    write_atomically(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode())


def replace_together(contents: dict[Path, bytes]) -> None:
    """Replace several files of which the last vouches for the others.

    All are written beside their places first, so that a full disk leaves the old ones as they were. Then the old last
    one goes first and the new one comes last: where it lies, all files are of one write.

    Raises:
        OSError: it names the file that could not be written.
    """
    temporary = {path: _beside(path) for path in contents}
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            _clear(path)
            with _errors_name(path):
                _write_flushed(temporary[path], operator.methodcaller("write", content))
        list(contents)[-1].unlink(missing_ok=True)
        for path in contents:
            with _errors_name(path):
                os.replace(temporary[path], path)
    finally:
        for path in temporary.values():
            _remove(path)


def read_json(path: Path) -> dict[str, Any]:
    """A file's JSON mapping, whoever wrote it.

    Raises:
        OSError: it is not there, is a pipe (which would hang), or the system does not let it be read.
        ValueError: it is no JSON, nested deeper than anybody means, or no mapping.
    """
    if path.is_fifo():
        raise OSError(errno.EINVAL, "is a pipe", str(path))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("not a mapping")
    return content


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        OSError: it is not there, is a pipe (which would hang) or a folder, or the system does not let it be read.
    """
    if path.is_fifo():
        raise OSError(errno.EINVAL, "is a pipe", str(path))
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _beside(path: Path) -> Path:
    """A temporary neighbour, this process's own."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _remove(temporary: Path) -> None:
    with contextlib.suppress(
        OSError
    ):  # where it could not be written it cannot be removed; the first error counts
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _errors_name(path: Path) -> Iterator[None]:
    """Say the file that a person knows: not its temporary neighbour, nor nothing, as a full disk does."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _clear(path: Path) -> None:
    """Remove the neighbours that killed writers of the file left: no write takes an hour."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > 3600:
                left.unlink()


def _write_flushed(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    with open(path, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
