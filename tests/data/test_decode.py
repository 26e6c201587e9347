import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
from raw_files import (
    RAW_NAMES,
    archive,
    idx,
    mat,
    put,
    small_cifar10,
    small_cifar100,
    small_mnist,
    small_svhn,
)

from hal.data import decode
from hal.data.store import Images, statistics
from hal.errors import UserError
from hal.params import load
from hal.settings import superclass_of

BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def test_mnist_pixels_keep_their_place(tmp_path):
    image = np.arange(30).reshape(1, 6, 5)
    put(tmp_path, small_mnist() | {RAW_NAMES["train_images"]: idx(image)})
    images = decode.mnist(tmp_path)
    assert images.train_images.shape == (1, 6, 5, 1)
    assert images.train_images[0, 2, 3, 0] == 13
    assert images.test_images.shape == (20, 6, 5, 1)
    assert images.test_labels.tolist() == [*range(10), *range(10)]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "IDX"),
        (b"<html>not found</html>", "decompressed"),
        (idx(np.zeros((4, 6, 5)))[:-9], "decompressed"),
        (gzip.compress(b""), "IDX"),
        (idx(np.zeros(4)), "IDX file of bytes with 3 dimensions"),
        (gzip.compress(bytes([0, 0, 13, 3]) + bytes(12)), "IDX"),
        (gzip.compress(gzip.decompress(idx(np.zeros((4, 6, 5))))[:-1]), "119 bytes"),
        (gzip.compress(gzip.decompress(idx(np.zeros((4, 6, 5)))) + b"\0"), "121 bytes"),
    ],
    ids=range(8),  # compressed bytes carry the time, and all processes that test must give them one name
)
def test_a_broken_mnist_file_is_named(tmp_path, content, complaint):
    put(tmp_path, small_mnist() | {RAW_NAMES["test_images"]: content})
    with pytest.raises(UserError, match=rf"t10k-images-idx3-ubyte\.gz: .*{complaint}.*`hal data`"):
        decode.mnist(tmp_path)


def test_both_forms_of_cifar10_give_the_same_arrays(tmp_path):
    tar, binary = small_cifar10()
    put(tmp_path / "tar", tar)
    put(tmp_path / "binary", binary)
    from_tar, from_binary = decode.cifar10(tmp_path / "tar"), decode.cifar10(tmp_path / "binary")
    assert from_tar.sha256() == from_binary.sha256()
    assert from_tar.train_images.shape == (50, 32, 32, 3)
    assert from_tar.test_labels.tolist() == list(range(10))


def test_cifar10_planes_become_channels_in_the_order_of_the_batches(tmp_path):
    _, binary = small_cifar10()
    put(tmp_path, binary)
    images = decode.cifar10(tmp_path)
    record = binary["data_batch_2.bin"][3073 * 4 : 3073 * 5]  # the fifth image of the second batch
    row, column = 7, 30
    expected = [record[1 + channel * 1024 + row * 32 + column] for channel in range(3)]
    assert images.train_images[14, row, column].tolist() == expected
    assert images.train_labels[14] == record[0] == 4


def test_a_broken_cifar10_archive_is_named(tmp_path):
    tar, _ = small_cifar10()
    whole = tar["cifar-10-python.tar.gz"]
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    one = {"data_batch_1": pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1]})}
    for content, complaint in [
        (b"", "not whole"),
        (whole[:-1], "not whole"),
        (whole[:-100], "not whole"),
        (whole[: len(whole) // 2], "not whole"),
        (bytes(flipped), "not whole"),
        (archive(one), "holds no data_batch_2, "),
        *(
            (archive(dict.fromkeys(BATCHES, batch)), complaint)
            for batch, complaint in [
                (b"no pickle", "data_batch_1: not a batch"),
                (pickle.dumps([1, 2]), "not a batch"),
                (pickle.dumps({b"data": 1}), "not a batch"),
                (pickle.dumps({b"data": 1, b"labels": [300]}), "data_batch_1: labels holds 300 to 300"),
                (pickle.dumps({b"data": "x", b"labels": [0]}), "3072 bytes"),
                (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]}), "one row"),
            ]
        ),
    ]:
        put(tmp_path, {"cifar-10-python.tar.gz": content})
        with pytest.raises(UserError, match=rf"cifar-10-python\.tar\.gz: .*{complaint}"):
            decode.cifar10(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 3072, 30729])
def test_a_cifar10_batch_of_a_wrong_size_is_named(tmp_path, size):
    _, binary = small_cifar10()
    put(tmp_path, binary | {"data_batch_3.bin": bytes(size)})
    with pytest.raises(UserError, match=rf"data_batch_3\.bin: {size} bytes"):
        decode.cifar10(tmp_path)


def test_all_forms_of_cifar100_give_the_same_arrays_and_the_fine_labels(tmp_path):
    for name, files in zip(("python", "archive", "loose"), small_cifar100(), strict=True):
        put(tmp_path / name, files)
    decoded = [decode.cifar100(tmp_path / name) for name in ("python", "archive", "loose")]
    assert len({images.sha256() for images in decoded}) == 1
    images = decoded[0]
    assert images.train_images.shape == (200, 32, 32, 3)
    assert images.train_labels.tolist() == [*range(100), *range(100)]
    assert images.test_labels.tolist() == list(range(100))
    record = small_cifar100()[2]["test.bin"][3074 * 7 : 3074 * 8]  # coarse label, fine label, planes
    row, column = 7, 30
    expected = [record[2 + channel * 1024 + row * 32 + column] for channel in range(3)]
    assert images.test_images[7, row, column].tolist() == expected
    assert (record[0], record[1]) == (7 // 5, 7)
    for name in ("python", "archive", "loose"):
        assert coarse(tmp_path / name) == tuple(label // 5 for label in range(100))


def coarse(folder: Path) -> tuple[int, ...]:
    """The coarse class that the files of CIFAR-100 give each of the 100 fine ones."""
    _, ((fine, of_fine), _) = decode._cifar100(folder)
    return tuple(int(of_fine[fine == label][0]) for label in range(100))


def test_a_broken_file_of_cifar100_is_named(tmp_path):
    python, _, loose = small_cifar100()
    put(tmp_path, python)
    (tmp_path / "cifar-100-python.tar.gz").write_bytes(python["cifar-100-python.tar.gz"][:-50])
    with pytest.raises(UserError, match=r"cifar-100-python\.tar\.gz: not whole"):
        decode.cifar100(tmp_path)
    (tmp_path / "cifar-100-python.tar.gz").unlink()
    with pytest.raises(UserError, match=r"train\.bin: cannot be read"):
        decode.cifar100(tmp_path)
    put(tmp_path, loose | {"test.bin": bytes(3073)})
    with pytest.raises(UserError, match=r"test\.bin: 3073 bytes are no whole number of 3074-byte records"):
        decode.cifar100(tmp_path)
    two = bytes([0, 5]) + bytes(3072) + bytes([1, 5]) + bytes(3072)
    put(tmp_path, {"test.bin": two})
    with pytest.raises(UserError, match=r"test\.bin: a fine class is in two coarse ones"):
        decode.cifar100(tmp_path)


def test_svhn_label_10_is_digit_0_and_the_last_axis_counts_images(tmp_path):
    x = np.zeros((32, 32, 3, 2), np.uint8)
    x[5, 6, 1, 1] = 77
    put(tmp_path, small_svhn() | {"train_32x32.mat": mat(x, [[10], [9]])})
    images = decode.svhn(tmp_path)
    assert images.train_labels.tolist() == [0, 9]
    assert images.train_images.shape == (2, 32, 32, 3)
    assert images.train_images[1, 5, 6, 1] == 77
    assert images.train_images.sum() == 77


def test_a_broken_svhn_file_is_named(tmp_path):
    whole = small_svhn()["test_32x32.mat"]
    pixels = np.zeros((32, 32, 3, 2), np.uint8)
    broken = [whole[:size] for size in (0, 3, 100, 127, 130, 140, 1000, len(whole) // 2, len(whole) - 1)]
    broken += [b"<html>" * 100, whole[:500] + b"\xff" * 50 + whole[550:]]
    for content in broken:
        put(tmp_path, small_svhn() | {"test_32x32.mat": content})
        with pytest.raises(UserError, match=r"test_32x32\.mat: (not a whole \.mat file|holds no array)"):
            decode.svhn(tmp_path)
    for x, y, complaint in [
        (pixels, [[0], [1]], "labels 0 to 1"),
        (pixels, [[11], [1]], "labels 1 to 11"),
        (pixels, [[1.5], [2.0]], "must be integers"),
        (pixels.astype(float), [[1], [2]], "X is float64"),
        (pixels[0], [[1], [2]], r"X is uint8 \(32, 3, 2\)"),
    ]:
        put(tmp_path, {"test_32x32.mat": mat(x, y)})
        with pytest.raises(UserError, match=rf"test_32x32\.mat: .*{complaint}"):
            decode.svhn(tmp_path)


def test_digits_are_scaled_and_split_as_documented():
    from sklearn.datasets import load_digits

    images = decode.digits()
    assert images.train_images.shape == (1437, 8, 8, 1)
    assert images.test_images.shape == (360, 8, 8, 1)
    decode.check(images, 10, "digits")
    assert set(images.test_labels.tolist()) == set(range(10))
    original = load_digits().images[1437]
    assert original.max() == 16
    halves_up = np.floor(
        original * 255 / 16 + 0.5
    )  # no value lies half way: 255 k / 16 is a half for k = 8 alone
    halves_up[original == 8] = 128
    assert images.test_images[0, :, :, 0].tolist() == halves_up.tolist()


def test_an_npz_may_leave_out_the_channel_and_have_any_integers(tmp_path):
    arrays = user_arrays()
    np.savez(tmp_path / "mine.npz", **arrays)
    images = decode.npz(tmp_path / "mine.npz")
    assert images.train_images.shape == (6, 4, 4, 1)
    assert images.train_labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert images.train_labels.dtype == np.uint8
    decode.check(images, 3, "mine.npz")


def user_arrays(**changed) -> dict[str, np.ndarray]:
    arrays = {
        "train_images": np.arange(96, dtype=np.uint8).reshape(6, 4, 4),
        "train_labels": np.array([0, 1, 2, 0, 1, 2]),
        "test_images": np.zeros((3, 4, 4), np.uint8),
        "test_labels": np.array([0, 1, 2]),
    }
    return arrays | changed


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"test_labels": np.array([0, 1, -1])}, "test_labels holds -1 to 1"),
        ({"test_labels": np.array([0, 1, 258])}, "test_labels holds 0 to 258"),
        ({"test_labels": np.array([0, 1, 3])}, "test_labels holds 3, but params.yaml names 3 classes"),
        ({"test_labels": np.array([0.0, 1.0, 2.0])}, "test_labels is float64"),
        ({"test_labels": np.array([[0], [1], [2]])}, r"test_labels is int64 \(3, 1\)"),
        ({"test_labels": np.array([0, 1])}, "3 test images have 2 labels"),
        ({"test_labels": np.array([{}, 1, 2], object)}, "not an .npz file of plain arrays"),
        ({"train_labels": np.array([0, 1, 1, 0, 1, 1])}, "no training image has label 2"),
        ({"train_images": np.full((6, 4, 4), 9, np.uint8)}, "channel 0 is 9 in every training image"),
        ({"train_images": np.zeros((6, 4, 4), np.float32)}, "train_images is float32"),
        ({"train_images": np.zeros((6, 16), np.uint8)}, "train_images is uint8"),
        ({"train_images": np.zeros((6, 4, 0), np.uint8)}, "train_images is uint8"),
        ({"train_images": np.zeros((6, 4, 4, 3), np.uint8)}, "must have one shape"),
        (
            {"train_images": np.zeros((6, 3, 32, 32), np.uint8)},
            r"train_images is \(6, 3, 32, 32\), which would be images of 3 x 32 pixels with 32 channels\. "
            r"If it is \(N, C, H, W\), store images\.transpose\(0, 2, 3, 1\); .*`channels: 32`",
        ),
        ({"test_images": np.zeros((0, 4, 4), np.uint8), "test_labels": np.zeros(0, int)}, "no test image"),
        ({"train_images": np.zeros((0, 4, 4), np.uint8), "train_labels": np.zeros(0, int)}, "no train image"),
    ],
)
def test_an_npz_with_a_wrong_array_is_refused(tmp_path, changed, complaint):
    path = tmp_path / "mine.npz"
    np.savez(path, **user_arrays(**changed))
    with pytest.raises(UserError, match=rf"mine\.npz: .*{complaint}"):
        decode.check(decode.npz(path), 3, str(path))


def test_a_setting_says_that_there_are_many_channels(tmp_path):
    rng = np.random.default_rng(0)
    arrays = user_arrays(
        train_images=rng.integers(0, 256, (6, 4, 4, 7), dtype=np.uint8),
        test_images=rng.integers(0, 256, (3, 4, 4, 7), dtype=np.uint8),
    )
    np.savez(tmp_path / "mine.npz", **arrays)
    images = decode.npz(tmp_path / "mine.npz")
    decode.check(images, 3, "mine.npz", channels=7)
    with pytest.raises(UserError, match="`channels: 7`"):
        decode.check(images, 3, "mine.npz")
    with pytest.raises(UserError, match=r"train_images has 7 channels, but params\.yaml says 3"):
        decode.check(images, 3, "mine.npz", channels=3)


def test_a_broken_npz_is_refused(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, **user_arrays())
    whole = path.read_bytes()
    np.save(tmp_path / "one.npy", np.zeros(3))
    middle = len(whole) // 2
    broken = [b"", b"text", whole[:middle], whole[:-1], (tmp_path / "one.npy").read_bytes()]
    broken += [whole[:90] + bytes([whole[90] ^ 0xFF]) + whole[91:]]
    for content in broken:
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"mine\.npz: not an \.npz file"):
            decode.npz(path)
    np.savez(path, train_images=np.zeros((1, 2, 2), np.uint8))
    with pytest.raises(UserError, match=r"mine\.npz: holds no array 'train_labels'"):
        decode.npz(path)


def test_statistics_are_exact():
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (2100, 3, 2, 2)).astype(np.uint8)
    mean, std = statistics(images)
    np.testing.assert_allclose(mean, (images / 255).mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, (images / 255).std(axis=(0, 1, 2)), rtol=1e-12)
    black_and_white = np.array([0, 255, 255, 255], np.uint8).reshape(1, 2, 2, 1)
    assert statistics(black_and_white) == ([0.75], [pytest.approx(3**0.5 / 4, rel=1e-15)])


def test_the_identity_knows_shape_and_order():
    zeros = np.zeros((2, 4, 4, 1), np.uint8)
    labels = np.array([0, 1], np.uint8)
    sums = {
        Images(zeros, labels, zeros, labels).sha256(),
        Images(zeros.reshape(2, 2, 8, 1), labels, zeros, labels).sha256(),
        Images(zeros, labels[::-1], zeros, labels).sha256(),
        Images(zeros, labels, zeros, labels[::-1]).sha256(),
    }
    assert len(sums) == 4


@pytest.mark.real_data
def test_the_real_mnist_has_its_known_counts_and_statistics(real_mirror):
    images = decode.mnist(real_mirror / "mnist")
    assert images.train_images.shape == (60_000, 28, 28, 1)
    assert images.test_images.shape == (10_000, 28, 28, 1)
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(images.train_labels).tolist() == train
    assert np.bincount(images.test_labels).tolist() == test
    mean, std = statistics(images.train_images)
    assert mean == pytest.approx([0.1307], abs=5e-5)
    assert std == pytest.approx([0.3081], abs=5e-5)


@pytest.mark.real_data
def test_the_real_cifar10_has_its_known_counts_and_statistics(real_mirror):
    if not (real_mirror / "cifar10" / "data_batch_1.bin").exists():
        pytest.skip("HAL_DATA_MIRROR has no cifar10/data_batch_1.bin")
    images = decode.cifar10(real_mirror / "cifar10")
    assert images.train_images.shape == (50_000, 32, 32, 3)
    assert np.bincount(images.train_labels).tolist() == [5000] * 10
    assert np.bincount(images.test_labels).tolist() == [1000] * 10
    mean, std = statistics(images.train_images)
    assert mean == pytest.approx([0.49139968, 0.48215841, 0.44653091], abs=5e-9)
    assert std == pytest.approx([0.24703223, 0.24348513, 0.26158784], abs=5e-9)


@pytest.mark.real_data
def test_the_real_cifar100_has_its_known_counts_and_the_groups_of_params_yaml(real_mirror):
    if not any((real_mirror / "cifar100").glob("*")):
        pytest.skip("HAL_DATA_MIRROR has no cifar100/")
    images = decode.cifar100(real_mirror / "cifar100")
    assert np.bincount(images.train_labels).tolist() == [500] * 100
    assert np.bincount(images.test_labels).tolist() == [100] * 100
    entry = load(Path(__file__).parents[2] / "params.yaml").datasets["cifar100"]
    grouping = entry.cases["coarse"].superclasses
    assert coarse(real_mirror / "cifar100") == superclass_of(grouping, 100)
