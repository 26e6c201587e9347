"""From raw files to arrays: pure functions, one a source, that refuse what is broken.

Each returns images (N, H, W, C) and labels (N,), both uint8, in the order of the files, and raises
`hal.errors.UserError` with the file, what is wrong in it and what to do.
"""

import gzip
import math
import pickle
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np

from hal.arrays import read_arrays
from hal.data.store import Images
from hal.errors import UserError

_CIFAR10_TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
_CIFAR10_TEST = ("test_batch",)
_CIFAR10_SHAPE = (3, 32, 32)  # the planes of red, green and blue, row by row
_BROKEN_ARCHIVE = (
    *(tarfile.TarError, OSError, EOFError, zlib.error),
    # a broken pickle, or a pickle of something else
    *(pickle.UnpicklingError, AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError),
)
_AGAIN = "delete it and run `hal data` again"


def mnist(folder: Path) -> Images:
    """The four gzipped IDX files; images (N, H, W, 1)."""
    return Images(
        train_images=_idx(folder / "train-images-idx3-ubyte.gz", dimensions=3)[..., None],
        train_labels=_idx(folder / "train-labels-idx1-ubyte.gz", dimensions=1),
        test_images=_idx(folder / "t10k-images-idx3-ubyte.gz", dimensions=3)[..., None],
        test_labels=_idx(folder / "t10k-labels-idx1-ubyte.gz", dimensions=1),
    )


def _idx(path: Path, dimensions: int) -> np.ndarray:
    """A gzipped IDX file: bytes 0, 0, 8 (uint8), the number of dimensions; each size; the content."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be decompressed ({error}); {_AGAIN}") from None
    start = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) < start:
        raise UserError(f"{path}: not an IDX file of bytes with {dimensions} dimensions; {_AGAIN}")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise UserError(f"{path}: holds {len(content) - start} bytes, its head says {shape}; {_AGAIN}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def cifar10(folder: Path) -> Images:
    """The Python archive if it is there, else the six binary batches; the arrays are the same."""
    archive = folder / "cifar-10-python.tar.gz"
    if archive.exists():
        batches = _cifar10_archive(archive)
    else:
        batches = {name: _cifar10_binary(folder / f"{name}.bin") for name in _CIFAR10_TRAIN + _CIFAR10_TEST}
    train_images, train_labels = _joined([batches[name] for name in _CIFAR10_TRAIN])
    test_images, test_labels = _joined([batches[name] for name in _CIFAR10_TEST])
    return Images(train_images, train_labels, test_images, test_labels)


def _joined(batches: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Planar rows (N, 3072) of several batches -> (N, 32, 32, 3), and their labels."""
    rows, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return np.ascontiguousarray(rows.reshape(-1, *_CIFAR10_SHAPE).transpose(0, 2, 3, 1)), labels


def _cifar10_archive(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    # Unpickling can run code. `fetch` has compared this very file with its pinned SHA-256 before.
    batches = {}
    try:
        with gzip.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if name in _CIFAR10_TRAIN + _CIFAR10_TEST and (file := archive.extractfile(member)):
                    batch = pickle.load(file, encoding="bytes")
                    batches[name] = batch[b"data"], _labels(batch[b"labels"], f"{path}: {name}: labels")
            stream.read()  # to the end, where gzip compares its own sum
    except _BROKEN_ARCHIVE as error:
        raise UserError(f"{path}: not the archive of CIFAR-10, or not whole ({error!r}); {_AGAIN}") from None
    if missing := sorted({*_CIFAR10_TRAIN, *_CIFAR10_TEST} - batches.keys()):
        raise UserError(f"{path}: holds no {', '.join(missing)}; {_AGAIN}")
    for name, (rows, _) in batches.items():
        if getattr(rows, "dtype", None) != np.uint8 or rows.shape[1:] != (math.prod(_CIFAR10_SHAPE),):
            raise UserError(f"{path}: the data of {name} are not rows of 3072 bytes; {_AGAIN}")
    return batches


def _cifar10_binary(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Records of one label byte and 3072 planar bytes."""
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); run `hal data` again") from None
    record = 1 + math.prod(_CIFAR10_SHAPE)
    if len(content) == 0 or len(content) % record:
        raise UserError(
            f"{path}: {len(content)} bytes are no whole number of {record}-byte records; {_AGAIN}"
        )
    records = content.reshape(-1, record)
    return records[:, 1:], records[:, 0]


def svhn(folder: Path) -> Images:
    """The two cropped-digit .mat files: X (32, 32, 3, N) and y (N, 1), where label 10 means digit 0."""
    train_images, train_labels = _mat(folder / "train_32x32.mat")
    test_images, test_labels = _mat(folder / "test_32x32.mat")
    return Images(train_images, train_labels, test_images, test_labels)


def _mat(path: Path) -> tuple[np.ndarray, np.ndarray]:
    from scipy.io import loadmat  # not above: it is slow to import, and SVHN alone needs it
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(path, variable_names=("X", "y"))
    except (
        MatReadError,
        OSError,
        EOFError,
        LookupError,
        TypeError,
        ValueError,
        RuntimeError,
        zlib.error,
    ) as error:
        raise UserError(f"{path}: not a whole .mat file ({error}); {_AGAIN}") from None
    if missing := {"X", "y"} - content.keys():
        raise UserError(f"{path}: holds no array {', '.join(sorted(missing))}; {_AGAIN}")
    x, y = content["X"], content["y"]
    if x.dtype != np.uint8 or x.ndim != 4:
        raise UserError(
            f"{path}: X is {x.dtype} {x.shape}, must be uint8 (height, width, channels, N); {_AGAIN}"
        )
    labels = _labels(y.reshape(-1), f"{path}: y")
    if len(labels) and not 1 <= labels.min() <= labels.max() <= 10:
        raise UserError(f"{path}: y holds labels {labels.min()} to {labels.max()}, must be 1 to 10; {_AGAIN}")
    return np.ascontiguousarray(x.transpose(3, 0, 1, 2)), labels % 10


def digits() -> Images:
    """scikit-learn's embedded 1,797 handwritten digits of 8x8 pixels; its values 0..16 become 0..255.

    The split is fixed: the first 1,437 images train, the last 360 test.
    """
    from sklearn.datasets import load_digits

    content = load_digits()
    images = np.rint(content.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = content.target.astype(np.uint8)
    return Images(images[:-360], labels[:-360], images[-360:], labels[-360:])


def npz(path: Path) -> Images:
    """A file of the user's: train_images, train_labels, test_images, test_labels.

    Images are uint8 (N, H, W, C) or (N, H, W), labels are integers.
    """
    try:
        arrays = read_arrays(path, ("train_images", "train_labels", "test_images", "test_labels"))
    except KeyError as error:
        raise UserError(f"{path}: holds no array {error}; add it") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"{path}: not an .npz file of plain arrays ({error}); make it anew") from None
    for name in ("train_images", "test_images"):
        if arrays[name].ndim == 3:
            arrays[name] = arrays[name][..., None]
    for name in ("train_labels", "test_labels"):
        arrays[name] = _labels(arrays[name], f"{path}: {name}")
    return Images(**arrays)


def _check_layout(shape: tuple[int, ...], where: str, split: str, channels: int | None) -> None:
    """Channels come last; what is there may be (N, C, H, W), and would train, as images of C x H pixels."""
    _, height, width, last = shape
    if channels is not None and last != channels:
        raise UserError(
            f"{where}: {split}_images has {last} channels, but params.yaml says {channels}; correct one"
        )
    if channels is None and last > 4:
        raise UserError(
            f"{where}: {split}_images is {shape}, which would be images of {height} x {width} pixels with {last} "
            "channels. If it is (N, C, H, W), store images.transpose(0, 2, 3, 1); if there are that many channels, "
            f"say so with `channels: {last}` beside the data set's `path`"
        )


def _labels(values: object, where: str) -> np.ndarray:
    """Integers as uint8; what does not fit is refused, never wrapped around."""
    labels = np.asarray(values)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"{where} is {labels.dtype} {labels.shape}, must be integers of shape (N,)")
    if len(labels) and not 0 <= labels.min() <= labels.max() <= 255:
        raise UserError(f"{where} holds {labels.min()} to {labels.max()}; labels count from 0 and end at 255")
    return labels.astype(np.uint8)


def check(images: Images, classes: int, where: str, channels: int | None = None) -> None:
    """What holds for every data set, whatever it was made from.

    Args:
        images: both splits.
        classes: how many params.yaml names.
        where: the files that they are from, for messages.
        channels: how many there must be; None for any number up to 4, beyond which an array is probably of
            another layout.

    Raises:
        UserError: `where`, the split, and what is wrong: shapes, types, labels outside 0..classes-1, an empty
            split, or a class without a training image.
    """
    for split in ("train", "test"):
        pixels, labels = getattr(images, f"{split}_images"), getattr(images, f"{split}_labels")
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or 0 in pixels.shape[1:]:
            raise UserError(
                f"{where}: {split}_images is {pixels.dtype} {pixels.shape}, must be uint8 (N, H, W, C)"
            )
        _check_layout(pixels.shape, where, split, channels)
        if len(pixels) != len(labels):
            raise UserError(
                f"{where}: {len(pixels)} {split} images have {len(labels)} labels; give one an image"
            )
        if len(pixels) == 0:
            raise UserError(f"{where}: there is no {split} image; a data set needs at least one")
        if labels.max() >= classes:
            raise UserError(
                f"{where}: {split}_labels holds {labels.max()}, but params.yaml names {classes} classes "
                f"(0 to {classes - 1}); correct the labels or `classes`"
            )
    if images.train_images.shape[1:] != images.test_images.shape[1:]:
        raise UserError(
            f"{where}: training images are {images.train_images.shape[1:]}, test images "
            f"{images.test_images.shape[1:]}; they must have one shape"
        )
    for channel in range(images.train_images.shape[3]):
        plane = images.train_images[..., channel]
        if plane.min() == plane.max():
            raise UserError(
                f"{where}: channel {channel} is {plane.min()} in every training image and cannot be normalised; "
                "leave it out"
            )
    if missing := sorted(set(range(classes)) - set(images.train_labels.tolist())):
        raise UserError(
            f"{where}: no training image has label {missing[0]} (missing: {missing}); correct `classes`"
        )
