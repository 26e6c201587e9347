"""Whether a prepared data set is the one that params.yaml asks for now."""

from collections.abc import Mapping
from typing import Any

from hal.data.described import described
from hal.data.sources import SOURCES, Source
from hal.errors import UserError
from hal.params import Params
from hal.settings import Dataset


def trouble(
    name: str, entry: Dataset, description: Mapping[str, Any], sources: Mapping[str, Source] = SOURCES
) -> str:
    """Why the data set so described is not the one of `entry`, and what to do; empty where it is."""
    source = None if entry.source == "npz" else sources[entry.source]
    if description.get("source") != entry.source or not _same_files(description, entry, source):
        return f"was made from other files than datasets.{name} names; `hal data {name}` makes it anew"
    return not_as_pinned(name, entry, source, str(description.get("arrays_sha256")))


def not_as_pinned(name: str, entry: Dataset, source: Source | None, arrays_sha256: str) -> str:
    """What is wrong with the arrays' sum, if anything. For npz the file's sum says it all."""
    if source is None:
        return ""
    if source.arrays_sha256 not in (None, arrays_sha256):
        return (
            f"{name}: the arrays decoded from {source.name} have SHA-256 {arrays_sha256} instead of "
            f"{source.arrays_sha256}; a library decodes differently: install requirements.lock"
        )
    if entry.sha256 not in (None, arrays_sha256):
        return (
            f"{name}: the decoded arrays have SHA-256 {arrays_sha256}, but datasets.{name}.sha256 is "
            f"{entry.sha256}; correct it or set it to null"
        )
    return ""


def check(params: Params, name: str, description: Mapping[str, Any]) -> None:
    """Refuse a prepared data set, so described, that params.yaml no longer means.

    Raises:
        UserError: it was made from other files, or has other arrays.
    """
    if wrong := trouble(name, params.datasets[name], description):
        raise UserError(f"{params.data_paths(name).arrays}: {wrong}")


def fault(params: Params, name: str) -> str:
    """Why what is prepared here is not the data set that params.yaml means; empty where it is, or nothing is prepared."""
    try:
        prepared = described(params, name)
    except UserError as damaged:
        return str(damaged)
    return trouble(name, params.datasets[name], prepared.told) if prepared else ""


def _same_files(description: Mapping[str, Any], entry: Dataset, source: Source | None) -> bool:
    try:
        sums = {name: file["sha256"] for name, file in description["files"].items()}
    except (AttributeError, KeyError, TypeError):  # somebody changed the JSON
        return False
    if source is None:
        return list(sums.values()) == [entry.sha256]
    return sums in [{name: file.sha256 for name, file in form.items()} for form in source.forms or ({},)]
