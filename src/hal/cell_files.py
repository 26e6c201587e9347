"""The files of a cell: how they are written, and how `cell.json`, which vouches for the others, is sealed and read."""

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

CURVES = ("epoch", "lr", "train_loss", "train_error", "test_loss", "test_error")


def record_bytes(record: dict[str, Any]) -> bytes:
    """cell.json, sealed with the SHA-256 of its own content, so that no changed number in it is believed."""
    return f"{json.dumps(record | {'sha256': _seal(record)}, indent=2)}\n".encode()


def read_record(path: Path) -> dict[str, Any]:
    """The content of a cell.json.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON mapping, or its content is not what was sealed.
    """
    record = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(record, dict):
        raise ValueError("not a mapping")
    if record.get("sha256") != _seal(record):
        raise ValueError("its content is not what was written: the sum that it carries is another's")
    return record


def curves_bytes(curves: list[dict[str, float]]) -> bytes:
    """curves.csv: one row an epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CURVES, lineterminator="\n")
    writer.writeheader()
    writer.writerows(curves)
    return text.getvalue().encode()


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """Arrays by name, compressed."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy has an option beside the names
    return file.getvalue()


def _seal(record: dict[str, Any]) -> str:
    content = {key: value for key, value in record.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
