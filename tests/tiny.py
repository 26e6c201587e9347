"""A tiny data set and its parameters, so that a whole cell trains in a second."""

from pathlib import Path

import numpy as np

from hal.data import store
from hal.files import sha256_of
from hal.params import Params, load

ROOT = Path(__file__).parent.parent

OVERLAY = """
root: {root}
grid: {{datasets: [tiny], seeds: [0, 1]}}
datasets:
  tiny:
    source: npz
    path: {root}/tiny-source.npz
    sha256: {sha256}
    title: Tiny
    layers: 10
    classes: [a, b, c, d]
    cases:
      pairs: {{title: pairs, superclasses: [[0, 1], [2, 3]], names: [first, second]}}
      threes: {{title: threes, superclasses: [[0], [1, 2], [3]]}}
model: {{batch_norm_momentum: 0.1}}
train: {{{train}}}
augment: {{pad: 1}}
runtime: {{device: cpu}}
"""


def tiny_images(train: int = 70, test: int = 33) -> store.Images:
    """Four classes of 8x8 images that a flip keeps: rows, columns, a chessboard and nothing, with noise."""
    rng = np.random.default_rng(0)
    row, column = np.indices((8, 8)) % 2
    patterns = np.stack([row, column, row ^ column, 0 * row]).astype(np.uint8)[..., None]

    def split(n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = (np.arange(n) % 4).astype(np.uint8)
        images = rng.integers(0, 120, (n, 8, 8, 1), dtype=np.uint8)
        return images + 100 * patterns[labels], labels

    return store.Images(*split(train), *split(test))


def save_npz(path: Path) -> None:
    """The tiny images as a user's own file."""
    np.savez(path, **vars(tiny_images()))


def tiny_params(root: Path, **train: object) -> Params:
    """Parameters whose only data set is the tiny one, which lies prepared below `root`; `train` changes settings."""
    images = tiny_images()
    pixels = images.train_images / 255
    root.mkdir(parents=True, exist_ok=True)
    save_npz(root / "tiny-source.npz")
    source = sha256_of(root / "tiny-source.npz")
    files = {"tiny-source.npz": {"sha256": source, "from": str(root)}}
    description = {"source": "npz", "files": files, "arrays_sha256": images.sha256(), "shape": [8, 8, 1]}
    for split, labels in (("train", images.train_labels), ("test", images.test_labels)):
        description[split] = {"images": len(labels), "per_class": np.bincount(labels).tolist()}
    description |= {"mean": [pixels.mean()], "std": [pixels.std()]}
    store.save(images, root / "data" / "tiny.npz", description)
    overlay = root / "overlay.yaml"
    settings = {"epochs": 3, "batch_size": 16, "max_lr": 0.1} | train
    written = ", ".join(f"{key}: {value}" for key, value in settings.items())
    overlay.write_text(OVERLAY.format(root=root, sha256=source, train=written), encoding="utf-8")
    return load(ROOT / "params.yaml", [overlay])
