"""The assumptions of params.yaml: its end-of-line comments that begin with `Assumed:`."""

import dataclasses
from pathlib import Path
from typing import Any

from hal.departures import settings
from hal.params import Params, load
from hal.yaml12 import read_comments

_MARK = "Assumed:"


@dataclasses.dataclass(frozen=True)
class Assumption:
    """A setting on which the paper is silent.

    Attributes:
        key: its path, such as `train.momentum`.
        value: the value in force, overlays applied.
        assumed: the value of params.yaml.
        reason: why that value.
    """

    key: str
    value: Any
    assumed: Any
    reason: str

    @property
    def changed(self) -> bool:
        """Whether an overlay replaced the assumed value."""
        return self.value != self.assumed


def read_assumptions(params: Params, path: Path) -> list[Assumption]:
    """The assumptions that `path` (params.yaml) states, with the values that `params` puts in force."""
    ours, base = settings(params), settings(load(path))
    return [
        Assumption(key, ours.get(key), base[key], reason)
        for key, reason in reasons(path).items()
        if key in base
    ]


def reasons(path: Path) -> dict[str, str]:
    """By key path: why `path` (params.yaml) takes the value that it does, where the paper is silent."""
    return {
        key: reason[:1].upper() + reason[1:]
        for key, comment in read_comments(path).items()
        if (reason := comment.removeprefix(_MARK).strip()) and comment.startswith(_MARK)
    }
