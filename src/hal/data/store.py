"""A data set on disk: one .npz of uint8 images and labels, and a JSON that says what it is."""

import dataclasses
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from hal.arrays import read_arrays
from hal.errors import UserError
from hal.files import read_json, write_atomically, write_text


@dataclasses.dataclass(frozen=True)
class Images:
    """The two splits. Images are (N, H, W, C) uint8, labels (N,) uint8."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    def sha256(self) -> str:
        """Identity of the content: SHA-256 over name, shape and bytes of each array."""
        digest = hashlib.sha256()
        for name, array in vars(self).items():
            digest.update(f"{name} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array))  # type: ignore[arg-type]  # a buffer from Python 3.12 on
        return digest.hexdigest()


def statistics(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and (population) standard deviation per channel of pixels in 0..1, from exact integer sums.

    Args:
        images: (N, H, W, C) uint8, N > 0.
    """
    total, squares = np.zeros(images.shape[3], np.int64), np.zeros(images.shape[3], np.int64)
    for start in range(
        0, len(images), 1000
    ):  # a thousand at a time: the wider integers take eight times the room
        block = images[start : start + 1000].astype(np.int64)
        total += block.sum(axis=(0, 1, 2))
        squares += (block * block).sum(axis=(0, 1, 2))
    n = math.prod(images.shape[:3])
    mean = [t / (255 * n) for t in total.tolist()]
    std = [
        math.sqrt(n * q - t * t) / (255 * n) for t, q in zip(total.tolist(), squares.tolist(), strict=True)
    ]
    return mean, std


def save(images: Images, path: Path, description: dict[str, Any]) -> None:
    """Write `path` (.npz) and the JSON beside it, each whole or not at all."""
    write_atomically(path, lambda file: np.savez(file, **vars(images)))
    write_text(path.with_suffix(".json"), json.dumps(description, indent=2) + "\n")


def load(path: Path) -> tuple[Images, dict[str, Any]]:
    """Read a data set and its description, and check that they belong together.

    Raises:
        UserError: a file is missing, broken, or not what its description says.
    """
    again, read = f"delete it and run `hal data {path.stem}` again", path
    try:
        images = Images(**read_arrays(path, [field.name for field in dataclasses.fields(Images)]))
        read = path.with_suffix(".json")
        description = read_json(read)
        described = description["arrays_sha256"]
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such file; `hal data {path.stem}` makes it") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{read}: broken ({error}); {again}") from None
    if images.sha256() != described:
        raise UserError(f"{path}: its arrays are not those that {path.stem}.json describes; {again}")
    return images, description
