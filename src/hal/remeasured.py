"""Files that another processor measured again on a cell's stored weights: their last digits are others, and remeasured.json vouches for them.

It lies in checkpoints/ beside the weights. cell.json vouches for these, and so for whatever is measured on them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hal.files import read_json, sha256_of

NOTE = "remeasured.json"
FILES = ("predictions.npz", "auxiliary.npz")  # those that it can vouch for
WEIGHTS = "weights.safetensors"


def note_bytes(record: Mapping[str, Any], sums: Mapping[str, str]) -> bytes:
    """remeasured.json: the SHA-256 of files that were measured again on the weights of cell.json, `record`."""
    note = {
        "weights": record["files"][WEIGHTS],
        "files": {name: sums[name] for name in FILES if name in sums},
    }
    return f"{json.dumps(note, indent=2)}\n".encode()


def sums_in(folder: Path, record: Mapping[str, Any]) -> dict[str, str]:
    """By name the sums that remeasured.json in that folder has of `FILES`; none without one of the weights of cell.json, `record`."""
    weights = record["files"].get(WEIGHTS)
    try:
        note = read_json(folder / NOTE)
    except (OSError, ValueError):
        return {}
    files = note.get("files")
    if weights is None or note.get("weights") != weights or not isinstance(files, dict):
        return {}
    return {name: files[name] for name in FILES if name in files}


def is_remeasured(path: Path, record: Mapping[str, Any]) -> bool:
    """Whether a file of the cell is here, and not the one that was written with cell.json, `record`, but measured again on its weights."""
    again = sums_in(path.parent, record).get(path.name)
    if again is None:  # as of most files, which then need no look
        return False
    try:
        return sha256_of(path) == again != record["files"].get(path.name)
    except OSError:
        return False


def among(folder: Path, record: Mapping[str, Any]) -> set[str]:
    """The names of the files in that folder, a cell's of checkpoints/, that `is_remeasured`."""
    return {name for name in FILES if is_remeasured(folder / name, record)}
