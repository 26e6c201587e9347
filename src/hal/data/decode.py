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
from collections.abc import Collection
from pathlib import Path

import numpy as np

from hal.arrays import read_arrays
from hal.data.store import Images
from hal.errors import UserError

_CIFAR10_TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
_CIFAR10_TEST = ("test_batch",)
_CIFAR_SHAPE = (3, 32, 32)  # the planes of red, green and blue, row by row
_CIFAR_PIXELS = math.prod(_CIFAR_SHAPE)
_NO_PICKLE = (
    # a broken pickle, or a pickle of something else
    *(pickle.UnpicklingError, AttributeError, ImportError, LookupError, TypeError, ValueError, EOFError),
    *(MemoryError, RecursionError),
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
    archive, names = folder / "cifar-10-python.tar.gz", (*_CIFAR10_TRAIN, *_CIFAR10_TEST)
    if archive.exists():
        batches = {
            name: _pickled(content, f"{archive}: {name}", b"labels")
            for name, content in _members(archive, names).items()
        }
    else:
        paths = {name: folder / f"{name}.bin" for name in names}
        batches = {name: _records(_content(path), str(path), labels=1) for name, path in paths.items()}
    train_images, (train_labels,) = _joined([batches[name] for name in _CIFAR10_TRAIN])
    test_images, (test_labels,) = _joined([batches[name] for name in _CIFAR10_TEST])
    return Images(train_images, train_labels, test_images, test_labels)


def cifar100(folder: Path) -> Images:
    """The Python or the binary archive, else the two files of the latter; labels are the 100 fine ones."""
    images, ((train_labels, _), (test_labels, _)) = _cifar100(folder)
    return Images(images[0], train_labels, images[1], test_labels)


def _cifar100(folder: Path) -> tuple[list[np.ndarray], list[tuple[np.ndarray, np.ndarray]]]:
    """Images of both splits, and their fine and coarse labels."""
    python, binary = folder / "cifar-100-python.tar.gz", folder / "cifar-100-binary.tar.gz"
    if python.exists():
        splits = {
            f"{python}: {name}": _pickled(content, f"{python}: {name}", b"fine_labels", b"coarse_labels")
            for name, content in _members(python, ("train", "test")).items()
        }
    else:
        names = ("train.bin", "test.bin")
        if binary.exists():
            contents = {f"{binary}: {name}": content for name, content in _members(binary, names).items()}
        else:
            contents = {str(folder / name): _content(folder / name) for name in names}
        splits = {}
        for where, content in contents.items():
            rows, (coarse, fine) = _records(content, where, labels=2)
            splits[where] = rows, (fine, coarse)
    images, labels = [], []
    for where, split in splits.items():
        pixels, (fine, coarse) = _joined([split])
        if len(np.unique(np.stack([fine, coarse]), axis=1).T) > len(np.unique(fine)):
            raise UserError(f"{where}: a fine class is in two coarse ones; {_AGAIN}")
        images.append(pixels)
        labels.append((fine, coarse))
    return images, labels


# Planar rows (N, 3072), and the one or two kinds of labels (N,) that belong to them.
_Batch = tuple[np.ndarray, tuple[np.ndarray, ...]]


def _joined(batches: list[_Batch]) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """The images (N, 32, 32, 3) of several batches, and their labels."""
    rows = np.concatenate([rows for rows, _ in batches])
    labels = zip(*(labels for _, labels in batches), strict=True)
    images = np.ascontiguousarray(rows.reshape(-1, *_CIFAR_SHAPE).transpose(0, 2, 3, 1))
    return images, tuple(np.concatenate(parts) for parts in labels)


def _members(path: Path, names: Collection[str]) -> dict[str, bytes]:
    """The files of those names in a .tar.gz, whatever folder of it they lie in, in the order of `names`."""
    contents = {}
    try:
        with gzip.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if name in names and (file := archive.extractfile(member)):
                    contents[name] = file.read()
            stream.read()  # to the end, where gzip compares its own sum
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, MemoryError) as error:
        raise UserError(f"{path}: not whole, or no archive at all ({error!r}); {_AGAIN}") from None
    if missing := [name for name in names if name not in contents]:
        raise UserError(f"{path}: holds no {', '.join(missing)}; {_AGAIN}")
    return {name: contents[name] for name in names}


def _pickled(content: bytes, where: str, *labels: bytes) -> _Batch:
    """A batch of the Python archives: a pickled mapping of `data` and of lists of labels."""
    try:
        # Unpickling can run code. `fetch` has compared the very archive with its pinned SHA-256 before.
        batch = pickle.loads(content, encoding="bytes")
        rows = batch[b"data"]
        numbers = tuple(_labels(batch[key], f"{where}: {key.decode()}") for key in labels)
    except _NO_PICKLE as error:
        raise UserError(f"{where}: not a batch of CIFAR ({error!r}); {_AGAIN}") from None
    if getattr(rows, "dtype", None) != np.uint8 or rows.shape != (len(numbers[0]), _CIFAR_PIXELS):
        raise UserError(f"{where}: its data are not one row of 3072 bytes a label; {_AGAIN}")
    return rows, numbers


def _records(content: bytes, where: str, labels: int) -> _Batch:
    """A batch of the binary form: records of one or two bytes of labels and 3072 planar bytes."""
    record = labels + _CIFAR_PIXELS
    if len(content) == 0 or len(content) % record:
        raise UserError(
            f"{where}: {len(content)} bytes are no whole number of {record}-byte records; {_AGAIN}"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, record)
    return records[:, labels:], tuple(records[:, i] for i in range(labels))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); run `hal data` again") from None


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
