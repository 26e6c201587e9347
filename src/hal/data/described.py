"""What a prepared data set is, by the description beside its arrays (data/NAME.json, docs/files.md)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from hal.errors import UserError
from hal.files import read_json
from hal.params import Params


@dataclasses.dataclass(frozen=True)
class Size:
    """Training and test images of a data set, and the shape of one (H, W, C)."""

    train: int
    test: int
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Described:
    """The content by its sum, its size, the training images of each class, the mirrors that its files came from, and all as it is told."""

    arrays_sha256: str
    size: Size
    train_per_class: tuple[int, ...]
    origins: tuple[str, ...]
    told: Mapping[str, Any]


def arrays_sha256(params: Params, dataset: str) -> str | None:
    """The content that lies prepared, by its sum, whatever else the description says; None where nothing does.

    Raises:
        UserError: the description is damaged.
    """
    told = _read(params, dataset)
    if told is None:
        return None
    if "arrays_sha256" not in told:
        raise _damaged(params, dataset)
    return str(told["arrays_sha256"])


def described(params: Params, dataset: str) -> Described | None:
    """What lies prepared; None where nothing does.

    Raises:
        UserError: the description is damaged.
    """
    told = _read(params, dataset)
    if told is None:
        return None
    try:
        return Described(
            arrays_sha256=str(told["arrays_sha256"]),
            size=Size(int(told["train"]["images"]), int(told["test"]["images"]), tuple(told["shape"])),
            train_per_class=tuple(map(int, told["train"]["per_class"])),
            origins=tuple(sorted({str(file["from"]) for file in told["files"].values()})),
            told=told,
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise _damaged(params, dataset) from None


def _read(params: Params, dataset: str) -> dict[str, Any] | None:
    try:
        return read_json(params.data_paths(dataset).description)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise _damaged(params, dataset) from None


def _damaged(params: Params, dataset: str) -> UserError:
    path = params.data_paths(dataset).description
    return UserError(f"{path}: cannot be read; `hal data {dataset}` makes it again")
