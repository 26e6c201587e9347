"""How many images a data set has, and of which shape, before they are read."""

import dataclasses

from hal.data.sources import SOURCES
from hal.errors import UserError
from hal.files import read_json
from hal.params import Params


@dataclasses.dataclass(frozen=True)
class Size:
    """Training and test images of a data set, and the shape of one (H, W, C)."""

    train: int
    test: int
    shape: tuple[int, ...]


def size_of(params: Params, dataset: str) -> Size | None:
    """From the prepared data set, else from what is known of its source; None of a data set of one's own that is not prepared.

    Raises:
        UserError: its description is damaged.
    """
    path = params.path("data", f"{dataset}.json")
    if path.exists():
        try:
            described = read_json(path)
            return Size(described["train"]["images"], described["test"]["images"], tuple(described["shape"]))
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(f"{path}: cannot be read; `hal data {dataset}` makes it again") from None
    source = SOURCES.get(params.datasets[dataset].source)
    return None if source is None else Size(*source.images, source.shape)
