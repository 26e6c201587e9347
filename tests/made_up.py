"""A grid of made-up cells, of the size and format that docs/files.md promises."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from hal.cell_files import record_bytes
from hal.departures import Run, describe
from hal.params import Cell, Params, load
from hal.settings import BASELINE

ROOT = Path(__file__).parent.parent
TRAIN_IMAGES = {
    "mnist": 60_000,
    "svhn": 73_257,
    "cifar10": 50_000,
    "cifar100": 50_000,
    "digits": 1_437,
    "npz": 1_000,
}
TEST_IMAGES = {
    "mnist": 10_000,
    "svhn": 26_032,
    "cifar10": 10_000,
    "cifar100": 10_000,
    "digits": 360,
    "npz": 200,
}
DATA_SHA256 = "da7a" * 16


def made_up_params(root: Path, overlay: str = "") -> Params:
    """The paper's experiment below `root`, with YAML text laid over it; the overlay lies at `root`/overlay.yaml."""
    path = root / "overlay.yaml"
    path.write_text(f"root: {root}\n{overlay}", encoding="utf-8")
    return load(ROOT / "params.yaml", [path])


def described(params: Params) -> Run:
    """What kind of run it is, as if nothing were laid over params.yaml: nothing of it is called a change."""
    return describe(params, path=ROOT / "params.yaml")


def change_record(params: Params, name: str, **changes: object) -> None:
    """Change entries of the cell.json of the cell of that name."""
    path = params.path("results", name, "cell.json")
    path.write_bytes(record_bytes(json.loads(path.read_text()) | changes))


def change_curves(params: Params, name: str, table: pd.DataFrame) -> None:
    """Replace the curves of the cell of that name, and in its cell.json what they end with."""
    table.to_csv(params.path("results", name, "curves.csv"), index=False)
    final = ("train_loss", "train_error", "test_loss", "test_error")
    change_record(params, name, **{key: float(table[key].iloc[-1]) for key in final})


def make_up_grid(
    params: Params, states: Mapping[str, str] | None = None, images: int | None = None, data: bool = True
) -> None:
    """Write every cell of the grid below the root of params.

    Args:
        params: the experiment.
        states: for some cells' names (`mnist/case1/seed0`) one of `ok`, `diverged`, `missing`, `unfinished`, `stale`
            and `broken`; all others are ok.
        images: training images, and test images, a data set has; by default the real numbers.
        data: whether to write the data sets' descriptions too.
    """
    states = states or {}
    if data:
        for dataset in params.grid.datasets:
            make_up_data(params, dataset)
    for cell in params.cells():
        make_up_cell(params, cell, states.get(cell.name, "ok"), images)


def make_up_data(params: Params, dataset: str) -> None:
    """Write data/<dataset>.json (the arrays themselves are no business of tables and figures)."""
    source, classes = params.datasets[dataset].source, len(params.datasets[dataset].classes)
    splits = {
        split: {"images": sizes[source], "per_class": [sizes[source] // classes] * classes}
        for split, sizes in (("train", TRAIN_IMAGES), ("test", TEST_IMAGES))
    }
    description = {
        "dataset": dataset,
        "source": source,
        "arrays_sha256": DATA_SHA256,
        **splits,
        "shape": [32, 32, 3],
        "mean": [0.49, 0.48, 0.45],
        "std": [0.25, 0.24, 0.26],
        "files": {"train.gz": {"sha256": "ab" * 32, "from": "data/raw"}},
    }
    path = params.path("data", f"{dataset}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(description))


def make_up_cell(params: Params, cell: Cell, state: str = "ok", images: int | None = None) -> Path:
    """Write one cell in that state, over whatever was there, and return its folder in results/."""
    paths = params.cell_paths(cell)
    folder = paths.results
    shutil.rmtree(folder, ignore_errors=True)
    if state == "missing":
        return folder
    if state == "unfinished":
        paths.resume.mkdir(parents=True, exist_ok=True)
        (paths.resume / "progress.json").write_text(json.dumps({"epoch": 1, "epochs": cell.train.epochs}))
        return folder
    folder.mkdir(parents=True)
    random = np.random.default_rng(
        [cell.seed, len(cell.superclasses), params.cases(cell.dataset).index(cell.case)]
    )
    n_images = images or TRAIN_IMAGES[params.datasets[cell.dataset].source]
    curves = _curves(cell, random, diverged=state == "diverged")
    n_test = images or TEST_IMAGES[params.datasets[cell.dataset].source]
    wrong = 0
    if state != "diverged":  # the error of a whole number of images
        wrong = round(n_test * curves[-1, -1] / 100)
        curves[-1, -1] = 100 * wrong / n_test
    np.savetxt(
        folder / "curves.csv",
        np.column_stack([np.arange(1, len(curves) + 1), curves]),
        delimiter=",",
        header="epoch,lr,train_loss,train_error,test_loss,test_error",
        comments="",
        fmt=["%d"] + ["%.9g"] * 5,
    )
    owner = np.zeros(cell.classes, dtype=int)
    for j, classes in enumerate(cell.superclasses):
        owner[list(classes)] = j
    if cell.scored:
        label = np.arange(n_images) % cell.classes
        centre = 0.4 + 0.8 * owner + 0.06 * np.arange(cell.classes)
        score = centre[label] * random.lognormal(0, 0.12, n_images)
        np.savez_compressed(
            folder / "scores.npz",
            score=_rounded(score),
            label=label.astype(np.uint8),
            superclass=owner[label].astype(np.uint8),
        )
        if state != "diverged":
            paths.checkpoints.mkdir(parents=True, exist_ok=True)
            np.savez(paths.checkpoints / "auxiliary.npz", **_auxiliary(cell, random, owner, label, n_test))
    record = _record(cell, curves, n_images, diverged=state == "diverged")
    if state != "diverged":
        paths.checkpoints.mkdir(parents=True, exist_ok=True)
        np.savez(paths.checkpoints / "predictions.npz", **_predictions(cell, random, owner, n_test, wrong))
    if state == "stale":
        record["hash"] = "0" * 16
        record["settings"]["train"]["epochs"] += 1
    text = record_bytes(record)
    (folder / "cell.json").write_bytes(text[: len(text) // 2] if state == "broken" else text)
    return folder


def _rounded(score: np.ndarray) -> np.ndarray:
    """float32 with the lower 13 bits of the mantissa cleared, as in the real files: those are small, too."""
    return (score.astype(np.float32).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)


def _predictions(
    cell: Cell, random: np.random.Generator, owner: np.ndarray, n: int, wrong: int
) -> dict[str, np.ndarray]:
    """Test logits and labels: as tested, the network takes the first `wrong` images for the next class, with the masked loss of their superclass.

    A case pulls towards the classes of the superclass that it is told, and knows less under another.
    """
    label = np.arange(n) % cell.classes
    superclasses = 1 if cell.hint == "none" else len(cell.superclasses)
    logits = random.standard_normal((n, superclasses, cell.classes)).astype(np.float32)
    told = {"none": 0 * label, "random": np.arange(n) % superclasses}.get(cell.hint, owner[label])
    following = (np.arange(cell.classes) + 1) % cell.classes
    if cell.loss == "masked":
        for classes in cell.superclasses:
            following[list(classes)] = np.roll(classes, -1)
    seen = np.where(np.arange(n) < wrong, following[label], label)
    for j in range(logits.shape[1]):
        logits[:, j, owner == j] += 4 if cell.superclasses else 0
        logits[np.arange(n), j, seen] += np.where(told == j, 16, random.uniform(0, 16, n))
    arrays = {"logits": logits, "label": label.astype(np.uint8)}
    return arrays if cell.hint == "none" else arrays | {"told": told.astype(np.uint8)}


def _auxiliary(
    cell: Cell, random: np.random.Generator, owner: np.ndarray, label: np.ndarray, n_test: int
) -> dict[str, np.ndarray]:
    """U of the training and of the test images: near 1 at the image's superclass."""
    arrays = {}
    for name, labels in (("u_train", label), ("u_test", np.arange(n_test) % cell.classes)):
        u = random.normal(0, 0.3, (len(labels), len(cell.superclasses)))
        u[np.arange(len(labels)), owner[labels]] += 1
        arrays[name] = _rounded(u)
    return arrays


def _curves(cell: Cell, random: np.random.Generator, diverged: bool) -> np.ndarray:
    """Columns lr, train_loss, train_error, test_loss, test_error of every epoch."""
    epochs = cell.train.epochs
    t = np.arange(1, epochs + 1) / epochs
    lr = 0.5 * cell.train.max_lr * (1 + np.cos(np.pi * t))
    speed, floor = (6.0, 0.05) if cell.case == BASELINE else (9.0, 0.02)
    floor *= 1 + 0.1 * random.standard_normal()
    wobble = 1 + 0.25 * lr * random.standard_normal(epochs)
    train_loss = np.abs((2.0 * np.exp(-speed * t) + floor * (1.2 - t)) * wobble)
    test_loss = np.abs(
        (2.0 * np.exp(-speed * t) + 3 * floor) * (1 + 0.4 * lr * random.standard_normal(epochs))
    )
    train_loss[0], test_loss[0] = 9.0, 14.0
    table = np.column_stack(
        [lr, train_loss, np.minimum(90, 20 * train_loss), test_loss, np.minimum(90, 20 * test_loss)]
    )
    if diverged:
        table = table[: max(1, epochs // 4)]
        table[-1, 1:] = np.nan
    return table


def _record(cell: Cell, curves: np.ndarray, images: int, diverged: bool) -> dict:
    steps = images // cell.train.batch_size * len(curves)
    final = dict(
        zip(("train_loss", "train_error", "test_loss", "test_error"), curves[-1, 1:].tolist(), strict=True)
    )
    return {
        "dataset": cell.dataset,
        "case": cell.case,
        "seed": cell.seed,
        "hash": cell.hash,
        "settings": json.loads(json.dumps(cell.settings)),
        "status": "diverged" if diverged else "ok",
        "diverged_at_step": steps if diverged else None,
        **{name: None if diverged else value for name, value in final.items()},
        "epochs": len(curves),
        "steps": steps,
        "parameters": 369_754 + 64 * len(cell.superclasses),
        "time": {
            "started": "2025-01-02T03:04:05+00:00",
            "wall_s": 1234.5,
            "train_images_per_s": 10_000.0,
            "resumed": 0,
        },
        "peak_memory_bytes": 2**30,
        "files": {},
        "provenance": {
            "code": "0123456789abcdef0123456789abcdef01234567",
            "python": "3.11.2",
            "torch": "2.13.0",
            "cuda": None,
            "driver": None,
            "device": "made-up device",
            "cpu_threads": 1,
            "deterministic": True,
            "data_sha256": DATA_SHA256,
        },
    }
