"""One data set, from its source to data/NAME.npz: fetch, verify, decode, measure, save."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hal.data import decode, store
from hal.data.download import say
from hal.data.fetch import fetch
from hal.data.sources import SOURCES, Source
from hal.data.store import Images, statistics
from hal.data.wanted import not_as_pinned, trouble
from hal.errors import UserError, without_secrets
from hal.files import read_json, sha256_of
from hal.params import Params
from hal.settings import Dataset

_DECODERS: dict[str, Callable[[Path], Images]] = {
    "mnist": decode.mnist,
    "svhn": decode.svhn,
    "cifar10": decode.cifar10,
    "cifar100": decode.cifar100,
    "digits": lambda _: decode.digits(),
}


def prepare(params: Params, name: str, sources: Mapping[str, Source] = SOURCES) -> Path:
    """Make `data/<name>.npz` and its JSON below `params.root`; leave them untouched where they are right.

    Args:
        params: the data set's entry, the mirrors, the root.
        name: of the data set, as in `params.datasets`.
        sources: what each source but npz consists of.

    Returns:
        The path of the .npz.

    Raises:
        UserError: an unknown name, files that cannot be had, or content that is not what was pinned.
    """
    entry = params.dataset(name)
    source = None if entry.source == "npz" else sources[entry.source]
    path = params.data_paths(name).arrays
    if path.exists() and _is_right(path, name, entry, sources):
        gone = source is None and not Path(str(entry.path)).exists()
        say(f"{path}: up to date" + gone * f"; {entry.path}, from which it was made, is not there")
        return path
    if source is None:
        where = str(entry.path)
        files = _checked_file(name, where, entry.sha256)
        images = decode.npz(Path(where))
    else:
        folder = params.path("data", "raw", source.name)
        where, files = str(folder), _fetched_files(source, folder, params.data.mirrors)
        images = _DECODERS[entry.source](folder)
    decode.check(images, len(entry.classes), where, entry.channels)
    description = _describe(name, entry, images, images.sha256(), files)
    if wrong := not_as_pinned(name, entry, source, description["arrays_sha256"]):
        raise UserError(wrong)
    store.save(images, path, _as_first_told(path.with_suffix(".json"), description))
    say(
        f"{path}: {len(images.train_images):,} training and {len(images.test_images):,} test images of "
        + "x".join(str(size) for size in description["shape"])
    )
    counts = description["test"]["per_class"]
    if absent := [entry.classes[k] for k, n in enumerate(counts) if n == 0]:
        say(
            f"{path}: no test image of {', '.join(absent)}: no error says anything of {'it' if len(absent) == 1 else 'them'}"
        )
    return path


def _checked_file(name: str, path: str, sha256: str | None) -> dict[str, dict[str, str]]:
    try:
        actual = sha256_of(Path(path))
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}; correct datasets.{name}.path (from the working directory)"
        ) from None
    if actual != sha256:
        raise UserError(
            f"{path}: has SHA-256 {actual}, but datasets.{name}.sha256 = {sha256}; "
            "if the file is the one you mean, correct the sum"
        )
    return {Path(path).name: {"sha256": actual, "from": path}}


def _fetched_files(source: Source, folder: Path, mirrors: tuple[str, ...]) -> dict[str, dict[str, str]]:
    if not source.forms:
        return {}
    raw = {name: file for form in source.forms for name, file in form.items()}
    return {
        file: {"sha256": raw[file].sha256, "from": mirror}
        for file, mirror in fetch(source, folder, mirrors).items()
    }


def _describe(
    name: str, entry: Dataset, images: Images, arrays_sha256: str, files: Mapping[str, Any]
) -> dict[str, Any]:
    """The JSON beside the arrays; see docs/files.md."""
    mean, std = statistics(images.train_images)
    return {
        "dataset": name,
        "source": entry.source,
        "arrays_sha256": arrays_sha256,
        **{
            split: {
                "images": len(labels),
                "per_class": np.bincount(labels, minlength=len(entry.classes)).tolist(),
            }
            for split, labels in (("train", images.train_labels), ("test", images.test_labels))
        },
        "shape": list(images.train_images.shape[1:]),
        "mean": mean,
        "std": std,
        "files": files,
    }


def _as_first_told(path: Path, description: dict[str, Any]) -> dict[str, Any]:
    """What the JSON there says, where it is the same but for the mirrors: a committed one stays as it is, and names nobody else's folders."""
    try:
        told = read_json(path)
        files = {
            name: {**description["files"][name], "from": file["from"]} for name, file in told["files"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none there, or no such description
        return description
    text = json.dumps(told)
    return told if told == description | {"files": files} and text == without_secrets(text) else description


def _is_right(path: Path, name: str, entry: Dataset, sources: Mapping[str, Source]) -> bool:
    """Whether what is there is whole, and is what params.yaml asks for; says why not."""
    try:
        images, description = store.load(path)
        decode.check(images, len(entry.classes), str(path), entry.channels)
    except UserError as error:
        say(
            f"has to be made anew: {str(error).partition('; ')[0]}"
        )  # without the advice, which is followed just now
        return False
    files, text = description.get("files", {}), json.dumps(description)
    if wrong := trouble(name, entry, description, sources):
        wrong = f"{path}: {wrong.partition('; ')[0]}"
    elif description != _describe(name, entry, images, description["arrays_sha256"], files):
        wrong = f"{path.with_suffix('.json')} does not describe datasets.{name}"
    elif text != without_secrets(text):
        wrong = f"{path.with_suffix('.json')} holds the credentials of a mirror"
    if wrong:
        say(f"has to be made anew: {wrong}")
    return not wrong
