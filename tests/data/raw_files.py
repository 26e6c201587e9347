"""Small made-up raw files in the form of the official ones."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
from scipy.io import savemat

from hal.data.sources import RawFile, Source

RAW_NAMES = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def make_source(name: str, *forms: dict[str, bytes], **more: object) -> Source:
    """A source of small files, pinned to their content."""
    pins = tuple(
        {file: RawFile(sha256(content), len(content)) for file, content in form.items()} for form in forms
    )
    return Source(name, forms=pins, **more)


def put(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def idx(array: np.ndarray) -> bytes:
    """An array as a gzipped IDX file."""
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(head + array.astype(np.uint8).tobytes(), mtime=0)


def small_mnist(train: int = 40, test: int = 20) -> dict[str, bytes]:
    """Raw files of MNIST's form: the labels count 0 to 9 again and again."""
    rng = np.random.default_rng(0)
    return {
        RAW_NAMES["train_images"]: idx(rng.integers(0, 256, (train, 6, 5))),
        RAW_NAMES["train_labels"]: idx(np.arange(train) % 10),
        RAW_NAMES["test_images"]: idx(rng.integers(0, 256, (test, 6, 5))),
        RAW_NAMES["test_labels"]: idx(np.arange(test) % 10),
    }


def small_cifar10(each: int = 10) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The same batches as the Python archive and as the six binary files."""
    rng = np.random.default_rng(0)
    batches = {
        name: (rng.integers(0, 256, (each, 3072)).astype(np.uint8), np.arange(each) % 10)
        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
    }
    # As in the real archive: other files lie between the batches, and these are in no particular order.
    members = {"batches.meta": b"not read", "readme.html": b"not read"}
    for name in (
        "data_batch_4",
        "test_batch",
        "data_batch_3",
        "data_batch_2",
        "data_batch_5",
        "data_batch_1",
    ):
        members[name] = python2_pickle(*batches[name])
    binary = {
        f"{name}.bin": np.column_stack([labels.astype(np.uint8), rows]).tobytes()
        for name, (rows, labels) in batches.items()
    }
    return {"cifar-10-python.tar.gz": archive(members)}, binary


def small_cifar100() -> tuple[dict[str, bytes], dict[str, bytes], dict[str, bytes]]:
    """The same images as the Python archive, as the binary archive and as the two files of the latter.

    Fine class k is in coarse class k // 5; two training images and one test image a class.
    """
    rng = np.random.default_rng(0)
    members, loose = {"meta": b"not read", "file.txt~": b"not read"}, {}
    for name, each in (("test", 1), ("train", 2)):
        fine = np.tile(np.arange(100, dtype=np.uint8), each)
        rows = rng.integers(0, 256, (len(fine), 3072)).astype(np.uint8)
        batch = {
            b"filenames": [b"a.png"] * len(fine),
            b"batch_label": b"training batch 1 of 1",
            b"data": rows,
        }
        labels = {b"fine_labels": fine.tolist(), b"coarse_labels": (fine // 5).tolist()}
        members[name] = pickle.dumps(batch | labels, protocol=2)
        loose[f"{name}.bin"] = np.column_stack([fine // 5, fine, rows]).astype(np.uint8).tobytes()
    binary = {"fine_label_names.txt": b"not read"} | loose
    return (
        {"cifar-100-python.tar.gz": archive(members, "cifar-100-python")},
        {"cifar-100-binary.tar.gz": archive(binary, "cifar-100-binary")},
        loose,
    )


def archive(members: dict[str, bytes], folder: str = "cifar-10-batches-py") -> bytes:
    """A .tar.gz of the real one's layout."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, blob in members.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(blob)
            tar.addfile(member, io.BytesIO(blob))
    return content.getvalue()


def python2_pickle(rows: np.ndarray, labels: np.ndarray) -> bytes:
    """{"data": rows, "labels": [...]} as Python 2 and its NumPy wrote it, which Python 3 cannot write."""
    n, width = rows.shape
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        + (b"(K\x01J" + struct.pack("<i", n) + b"J" + struct.pack("<i", width) + b"\x86" + dtype + b"\x89")
        + (b"T" + struct.pack("<i", rows.size) + rows.tobytes() + b"tb")
    )
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(U\x04data" + array + b"U\x06labels" + numbers + b"u."


def mat(x: object, y: object) -> bytes:
    """A .mat file like SVHN's: X and y, compressed."""
    content = io.BytesIO()
    savemat(content, {"X": x, "y": y}, do_compression=True)
    return content.getvalue()


def small_svhn(train: int = 20, test: int = 10) -> dict[str, bytes]:
    """The two files of SVHN's layout; labels run from 1 to 10."""
    rng = np.random.default_rng(0)
    return {
        f"{split}_32x32.mat": mat(
            rng.integers(0, 256, (32, 32, 3, n)).astype(np.uint8), (np.arange(n) % 10 + 1).reshape(n, 1)
        )
        for split, n in (("train", train), ("test", test))
    }
