"""Arrays from an .npz file, of which no byte is believed: a damaged or made-up one is refused, whatever is in it."""

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# What NumPy, `ast.literal_eval` and `zipfile` raise over bytes that somebody changed; fuzzing found them.
_BROKEN = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError),
    *(SyntaxError, tokenize.TokenError, struct.error, EOFError),
    *(
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,
    ),  # RuntimeError: encrypted; NotImplementedError: compression
)


def read_arrays(path: Path, names: Collection[str]) -> dict[str, np.ndarray]:
    """The arrays of those names, without unpickling anything and without taking more memory than the file fills.

    Raises:
        OSError: the file cannot be opened.
        KeyError: it holds no array of a name.
        ValueError: it is no .npz file, it is damaged, or an array is not of plain numbers.
    """
    try:
        archive = zipfile.ZipFile(path)
    except _BROKEN as error:
        raise ValueError(_line(error)) from None
    with archive:
        lacking = [name for name in names if f"{name}.npy" not in archive.namelist()]
        if lacking:
            raise KeyError(lacking[0])
        try:
            return {name: _read(archive, f"{name}.npy") for name in names}
        except (OSError, *_BROKEN) as error:
            raise ValueError(_line(error)) from None


def _read(archive: zipfile.ZipFile, member: str) -> np.ndarray:
    with archive.open(member) as stream:
        _check_size(stream, archive.getinfo(member))
    with archive.open(member) as stream:  # at its end zipfile compares its sum
        return npy.read_array(stream, allow_pickle=False)


def _check_size(stream: IO[bytes], member: zipfile.ZipInfo) -> None:
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"{member.filename} is of version {version} of its format")
    shape, _, dtype = _HEADERS[version](stream)
    promised, holds = math.prod(shape) * dtype.itemsize, member.file_size - stream.tell()
    if not dtype.hasobject and promised != holds:
        raise ValueError(f"the header of {member.filename} promises {promised} bytes, but {holds} are there")


def _line(error: BaseException) -> str:
    """The error in one line, with its kind where it says nothing."""
    text = (str(error).splitlines() or [""])[0]
    return text if text and not isinstance(error, LookupError) else f"{type(error).__name__} {text}".strip()
