"""The assumptions of params.yaml: its end-of-line comments that begin with `Assumed:`."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from hal.departures import settings
from hal.params import Params, load

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
    document = YAML().load(path.read_text(encoding="utf-8"))
    return [
        Assumption(key, ours.get(key), base[key], reason)
        for key, reason in _comments(document)
        if key in base
    ]


def _comments(node: CommentedMap, path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        full = f"{path}.{key}" if path else str(key)
        for token in node.ca.items.get(key, ()):
            # A comment's token runs on over the lines that follow it; only the first stands beside the key.
            text = (
                token.value.splitlines()[0].lstrip("# ")
                if hasattr(token, "value") and token.value.strip()
                else ""
            )
            if text.startswith(_MARK):
                reason = text.removeprefix(_MARK).strip()
                yield full, reason[:1].upper() + reason[1:]
        if isinstance(value, CommentedMap):
            yield from _comments(value, full)
