"""How many images a data set has, and of which shape, before they are read."""

from hal.data.described import Size, described
from hal.data.sources import SOURCES
from hal.params import Params


def size_of(params: Params, dataset: str) -> Size | None:
    """From the prepared data set, else from what is known of its source; None of a data set of one's own that is not prepared.

    Raises:
        UserError: its description is damaged.
    """
    if prepared := described(params, dataset):
        return prepared.size
    source = SOURCES.get(params.datasets[dataset].source)
    return None if source is None else Size(*source.images, source.shape)
