"""The files of a cell: what each holds, how it is written, and how it is read by whoever believes no byte of it.

`cell.json` vouches for the others by their SHA-256, and for itself by a seal; for what was measured again on the weights see `hal.remeasured`.
"""

import csv
import hashlib
import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hal.arrays import read_arrays
from hal.errors import UserError, first_line
from hal.files import read_json, sha256_of
from hal.params import Cell
from hal.remeasured import sums_in

if TYPE_CHECKING:
    import pandas as pd  # imported where a table is read: a machine that only trains may lack it

CURVES = ("epoch", "lr", "train_loss", "train_error", "test_loss", "test_error")
FINAL = ("test_error", "test_loss", "train_error", "train_loss")  # of the last epoch, in cell.json
AGREES = 0.1  # percentage points by which arithmetic on another machine may move an error

# Every array with its kind (NumPy's letter) and its number of dimensions.
SCORES = {"score": ("f", 1), "label": ("u", 1), "superclass": ("u", 1)}
PREDICTIONS = {"logits": ("f", 3), "label": ("u", 1)}
TOLD = {"told": ("u", 1)}  # of a network that is told something, in the file of its predictions
AUXILIARY = {"u_test": ("f", 2), "u_train": ("f", 2)}


def record_bytes(record: dict[str, Any]) -> bytes:
    """cell.json, sealed with the SHA-256 of its own content, so that no changed number in it is believed."""
    return f"{json.dumps(record | {'sha256': _seal(record)}, indent=2)}\n".encode()


def read_record(path: Path) -> dict[str, Any]:
    """The content of a cell.json.

    Raises:
        OSError: it is not there, or the system does not let it be read.
        UserError: it is no JSON mapping, its content is not what was sealed, or not what a cell.json has to say.
    """
    try:
        record = read_json(path)
        if record.get("sha256") != _seal(record):
            raise ValueError("its content is not what was written: the sum that it carries is another's")
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {first_line(error)}") from None
    if wrong := _faults(record):
        raise UserError(f"{path}: {wrong}")
    return record


def _faults(record: dict[str, Any]) -> str:
    """What is wrong with the content of a cell.json, or nothing."""
    kinds = {"hash": str, "settings": dict, "status": str, "provenance": dict, "time": dict, "epochs": int}
    kinds |= {"files": dict}
    for key, kind in kinds.items():
        if not isinstance(record.get(key), kind):
            return f"{key} is missing or no {kind.__name__}"
    if not isinstance(record["time"].get("wall_s"), int | float):
        return "time.wall_s is missing or no number"
    if record["status"] == "diverged":
        at_step = record.get("diverged_at_step")
        return "" if isinstance(at_step, int) else "diverged_at_step is missing or no int"
    if record["status"] != "ok":
        return f"status is {record['status']!s:.60}, neither ok nor diverged"
    for key in FINAL:
        value = record.get(key)
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
        if not math.isfinite(number) or number < 0:
            return f"{key} is {json.dumps(value)}, not a finite number"
        if key.endswith("_error") and number > 100:
            return f"{key} is {value}, more than 100 percent"
    return ""


def curves_bytes(curves: list[dict[str, float]]) -> bytes:
    """curves.csv: one row an epoch, losses in nats, errors in percent."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CURVES, lineterminator="\n")
    writer.writeheader()
    writer.writerows(curves)
    return text.getvalue().encode()


def read_curves(path: Path, record: dict[str, Any]) -> "pd.DataFrame":
    """What `curves_bytes` wrote, columns `CURVES`.

    Raises:
        UserError: the file is missing, broken, or not the one that cell.json, `record`, speaks of.
    """
    import pandas as pd

    check_sum(path, record)
    try:
        frame = pd.read_csv(path, usecols=list(CURVES), dtype=float)
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: broken ({first_line(error)})") from None
    epochs, ok = record.get("epochs"), record.get("status") == "ok"
    if list(frame["epoch"]) != list(range(1, len(frame) + 1)) or len(frame) != epochs:
        raise UserError(f"{path}: holds {len(frame)} rows where epochs 1 to {epochs} should stand")
    if ok and not np.isfinite(frame.to_numpy()).all():
        raise UserError(f"{path}: holds a value that is not a finite number")
    final = [record.get(name, math.nan) for name in FINAL]
    if ok and not np.allclose(frame[list(FINAL)].iloc[-1], final, rtol=1e-6, atol=0):
        raise UserError(
            f"{path}: its last epoch is not the one that cell.json reports; one of them is another cell's"
        )
    return frame.astype({"epoch": int})


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """Arrays by name, compressed."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy has an option beside the names
    return file.getvalue()


def read_scores(path: Path, cell: Cell, record: dict[str, Any]) -> "pd.DataFrame":
    """scores.npz: columns score (equation 3), label and superclass, one row a training image.

    Raises:
        UserError: the file is missing, broken, or not of this cell's grouping.
    """
    import pandas as pd

    score, label, superclass = _arrays(path, record, SCORES)
    if not len(score) == len(label) == len(superclass) > 0:
        raise UserError(
            f"{path}: holds {len(score)} scores, {len(label)} labels, {len(superclass)} superclasses"
        )
    frame = pd.DataFrame({"score": score, "label": label, "superclass": superclass})
    owner = np.full(256, -1)
    owner[: cell.classes] = cell.superclass_of
    if (owner[frame["label"].to_numpy(dtype=np.uint8)] != frame["superclass"]).any():
        raise UserError(f"{path}: its superclasses are not those of {cell.case}")
    return frame


def read_predictions(
    path: Path, cell: Cell, record: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """predictions.npz: test logits (N, S, K), labels (N,) and what the network was told (N,); None if it is told nothing.

    Raises:
        UserError: the file is missing, broken, of another shape, or holds values that are not finite.
    """
    logits, label, *told = _arrays(path, record, PREDICTIONS | (TOLD if cell.is_told else {}))
    superclasses = len(cell.superclasses) if cell.is_told else 1
    expected = (len(label), superclasses, cell.classes)
    if logits.shape != expected or not len(label) or label.max() >= cell.classes:
        raise UserError(f"{path}: logits {logits.shape} and labels {label.shape} are not {cell.case}'s")
    if not np.isfinite(logits).all():
        raise UserError(f"{path}: {(~np.isfinite(logits)).sum():,} logits are not finite")
    if told and (told[0].shape != label.shape or told[0].max() >= superclasses):
        raise UserError(f"{path}: what the network was told is not {cell.case}'s")
    return logits, label, told[0] if told else None


def read_auxiliary(path: Path, cell: Cell, record: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """auxiliary.npz: u = W y of the test and of the training images, each (N, S).

    Raises:
        UserError: the file is missing, broken or of another shape.
    """
    u_test, u_train = _arrays(path, record, AUXILIARY)
    if {u_test.shape[1], u_train.shape[1]} != {len(cell.superclasses)}:
        raise UserError(f"{path}: holds u of {u_test.shape[1]} superclasses; this is another cell's")
    return u_test, u_train


def is_complete(resume: Path) -> bool:
    """Whether the state in that folder is of a cell trained to its last epoch, or until it diverged."""
    try:
        progress = read_json(resume / "progress.json")
        return bool(progress.get("diverged") or progress["epoch"] == progress["epochs"])
    except (OSError, ValueError, KeyError):
        return False


def made_with(record: dict[str, Any], key: str) -> str:
    """What the cell was made with, by cell.json's provenance: the last process's, `and` what others before an interruption had."""
    made = record["provenance"]
    return " and ".join(dict.fromkeys(str(part.get(key)) for part in (made, *made.get("before", []))))


def is_of(record: dict[str, Any], cell: Cell, data_sha256: str | None) -> bool:
    """Whether cell.json, `record`, is of the settings in force and of the data set with that sum; None where that is not known."""
    trained_on = record["provenance"].get("data_sha256")
    return record["hash"] == cell.hash and data_sha256 in (None, trained_on)


def recorded_files(record: dict[str, Any], *folders: Path) -> dict[Path, str]:
    """Where each file that cell.json, `record`, speaks of would lie in these folders, with the sum that it holds of it."""
    return {folder / name: sha256 for name, sha256 in record["files"].items() for folder in folders}


def vouched_for(path: Path, record: dict[str, Any]) -> bool:
    """Whether a file of the cell is there and passes `check_sum`."""
    try:
        check_sum(path, record)
    except UserError:
        return False
    return True


def check_sum(path: Path, record: dict[str, Any]) -> None:
    """Compare a file of the cell with the sum that cell.json, `record`, or remeasured.json holds of it.

    Raises:
        UserError: the file is missing, or neither the one that was written with cell.json nor measured again on its weights.
    """
    try:
        sha256 = sha256_of(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    recorded = record["files"].get(path.name, sha256)
    if sha256 != recorded and sha256 != sums_in(path.parent, record).get(path.name):
        raise UserError(f"{path}: not the file that cell.json speaks of (its SHA-256 is another)")


def _arrays(path: Path, record: dict[str, Any], wanted: dict[str, tuple[str, int]]) -> list[np.ndarray]:
    check_sum(path, record)
    try:
        arrays = list(read_arrays(path, wanted).values())
    except (ValueError, KeyError, OSError) as error:
        raise UserError(f"{path}: broken ({first_line(error)})") from None
    for (name, (kind, dimensions)), array in zip(wanted.items(), arrays, strict=True):
        if array.dtype.kind != kind or array.ndim != dimensions:
            raise UserError(f"{path}: {name} is {array.dtype} {array.shape}; this is another kind of file")
    return arrays


def _seal(record: dict[str, Any]) -> str:
    content = {key: value for key, value in record.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
