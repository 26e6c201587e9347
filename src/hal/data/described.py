"""What a prepared data set is, by the description beside its arrays (data/NAME.json, docs/files.md)."""

import dataclasses

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
    """The content by its sum, its size, the training images of each class, and the mirrors that its files came from."""

    arrays_sha256: str
    size: Size
    train_per_class: tuple[int, ...]
    origins: tuple[str, ...]


def described(params: Params, dataset: str) -> Described | None:
    """What lies prepared; None where nothing does.

    Raises:
        UserError: the description is damaged.
    """
    path = params.data_paths(dataset).description
    try:
        told = read_json(path)
        return Described(
            arrays_sha256=str(told["arrays_sha256"]),
            size=Size(int(told["train"]["images"]), int(told["test"]["images"]), tuple(told["shape"])),
            train_per_class=tuple(map(int, told["train"]["per_class"])),
            origins=tuple(sorted({str(file["from"]) for file in told["files"].values()})),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: cannot be read; `hal data {dataset}` makes it again") from None
