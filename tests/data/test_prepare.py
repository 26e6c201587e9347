import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from raw_files import (
    RAW_NAMES,
    idx,
    make_source,
    mat,
    put,
    sha256,
    small_cifar10,
    small_mnist,
    small_svhn,
)

from hal import params as parameters
from hal.data import decode, store
from hal.data.prepare import prepare
from hal.data.sources import SOURCES
from hal.errors import UserError
from hal.settings import Dataset, DataSettings

TEN = tuple("0123456789")
FILES = small_mnist()


@pytest.fixture
def make_params(tmp_path):
    """A function that gives parameters with one data set, `toy`, below a root of its own."""
    paper = parameters.load(Path(__file__).parents[2] / "params.yaml")

    def make(**entry):
        return dataclasses.replace(
            paper,
            root=str(tmp_path / "root"),
            data=DataSettings(mirrors=(str(tmp_path / "mirror"),)),
            datasets={"toy": Dataset(**{"layers": 10, "classes": TEN, "cases": {}} | entry)},
        )

    return make


@pytest.fixture
def mirror(tmp_path):
    put(tmp_path / "mirror" / "mnist", FILES)
    return tmp_path / "mirror"


def pinned(files=FILES, **more):
    return {"mnist": make_source("mnist", files, **more)}


def stamps(path):
    for file in (path, path.with_suffix(".json")):
        os.utime(file, (1, 1))
    return lambda: [file.stat().st_mtime for file in (path, path.with_suffix(".json"))]


def test_the_file_and_its_description_are_as_documented(make_params, mirror, capsys):
    path = prepare(make_params(source="mnist"), "toy", pinned())
    assert path == mirror.parent / "root" / "data" / "toy.npz"
    images, description = store.load(path)
    expected = decode.mnist(mirror / "mnist")
    assert images.sha256() == expected.sha256()
    pixels = expected.train_images / 255
    assert description == {
        "dataset": "toy",
        "source": "mnist",
        "arrays_sha256": expected.sha256(),
        "train": {"images": 40, "per_class": [4] * 10},
        "test": {"images": 20, "per_class": [2] * 10},
        "shape": [6, 5, 1],
        "mean": pytest.approx([pixels.mean()], rel=1e-12),
        "std": pytest.approx([pixels.std()], rel=1e-12),
        "files": {name: {"sha256": sha256(FILES[name]), "from": str(mirror)} for name in FILES},
    }
    assert "toy.npz: 40 training and 20 test images of 6x5x1\n" in capsys.readouterr().err


def test_a_good_file_is_left_as_it_is_and_needs_no_raw_files(make_params, mirror, capsys):
    params = make_params(source="mnist")
    path = prepare(params, "toy", pinned())
    now = stamps(path)
    shutil.rmtree(mirror)
    shutil.rmtree(params.path("data", "raw"))
    assert prepare(params, "toy", pinned()) == path
    assert now() == [1, 1]
    assert capsys.readouterr().err.endswith("toy.npz: up to date\n")


@pytest.mark.parametrize(
    "damage", ["truncated", "no json", "other mean", "no files", "files null", "other sums", "credentials"]
)
def test_a_damaged_file_is_made_anew(make_params, mirror, damage, capsys):
    params = make_params(source="mnist")
    path = prepare(params, "toy", pinned())
    content, description = path.read_bytes(), path.with_suffix(".json").read_text()
    now = stamps(path)
    changed = json.loads(description)
    if damage == "truncated":
        path.write_bytes(content[:-500])
    elif damage == "no json":
        path.with_suffix(".json").unlink()
    else:
        if damage == "other mean":
            changed["mean"] = [0.5]
        elif damage == "no files":
            del changed["files"]
        elif damage == "credentials":  # as older versions wrote them
            changed["files"][RAW_NAMES["test_labels"]]["from"] = "https://me:secret@example.org/mirror"
        elif damage == "files null":
            changed["files"] = None
        else:
            changed["files"][RAW_NAMES["test_labels"]]["sha256"] = "0" * 64
        path.with_suffix(".json").write_text(json.dumps(changed))
    capsys.readouterr()
    prepare(params, "toy", pinned())
    assert "made anew: " in capsys.readouterr().err
    assert path.read_bytes() == content
    images, again = store.load(path)
    assert 1 not in now()
    assert again["mean"] == json.loads(description)["mean"]
    assert images.sha256() == again["arrays_sha256"]


def test_a_description_in_git_stays_as_it_is_where_the_files_come_from_elsewhere(
    make_params, mirror, tmp_path, monkeypatch
):
    """A clone of a finished run has the JSON and not the arrays; nobody's own folder goes into what is in git."""
    params = make_params(source="mnist")
    path = prepare(params, "toy", pinned())
    committed = path.with_suffix(".json").read_bytes()
    path.unlink()
    shutil.rmtree(params.path("data/raw"))
    shutil.copytree(mirror, tmp_path / "of somebody else")
    monkeypatch.setenv("HAL_DATA_MIRROR", str(tmp_path / "of somebody else"))
    prepare(params, "toy", pinned())
    assert path.with_suffix(".json").read_bytes() == committed
    # of other content nothing is kept
    path.unlink()
    told = json.loads(committed)
    path.with_suffix(".json").write_text(json.dumps(told | {"mean": [0.5]}))
    prepare(params, "toy", pinned())
    again = json.loads(path.with_suffix(".json").read_text())
    assert again["mean"] == told["mean"]


def test_arrays_that_are_not_the_pinned_ones_are_refused_and_the_old_file_stays(make_params, mirror):
    good = decode.mnist(mirror / "mnist").sha256()
    path = prepare(make_params(source="mnist", sha256=good), "toy", pinned(arrays_sha256=good))
    now = stamps(path)
    prepare(make_params(source="mnist", sha256=good), "toy", pinned(arrays_sha256=good))
    with pytest.raises(UserError, match=f"toy: .*{good}, but datasets.toy.sha256 is {'0' * 64}"):
        prepare(make_params(source="mnist", sha256="0" * 64), "toy", pinned())
    with pytest.raises(UserError, match=rf"toy: .*{good} instead of {'1' * 64}.*requirements\.lock"):
        prepare(make_params(source="mnist"), "toy", pinned(arrays_sha256="1" * 64))
    assert now() == [1, 1]


def test_both_forms_of_cifar10_make_the_same_file(make_params, tmp_path):
    tar, binary = small_cifar10()
    sources = {"cifar10": make_source("cifar10", tar, binary)}
    params = make_params(source="cifar10")
    put(tmp_path / "mirror" / "cifar10", binary)
    path = prepare(params, "toy", sources)
    from_binary = path.read_bytes()
    assert json.loads(path.with_suffix(".json").read_text())["files"].keys() == binary.keys()
    for folder in (tmp_path / "mirror", tmp_path / "root"):
        shutil.rmtree(folder)
    put(tmp_path / "mirror" / "cifar10", tar)
    assert prepare(params, "toy", sources).read_bytes() == from_binary
    assert json.loads(path.with_suffix(".json").read_text())["files"].keys() == tar.keys()


def test_svhn_goes_from_mat_files_to_digits(make_params, tmp_path):
    files = small_svhn(train=30, test=10)
    put(tmp_path / "mirror" / "svhn", files)
    path = prepare(make_params(source="svhn"), "toy", {"svhn": make_source("svhn", files)})
    images, description = store.load(path)
    assert images.test_labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert description["train"] == {"images": 30, "per_class": [3] * 10}
    assert len(description["mean"]) == len(description["std"]) == 3


def test_digits_need_no_file_and_are_the_pinned_ones(make_params):
    path = prepare(make_params(source="digits"), "toy")
    _, description = store.load(path)
    assert description["files"] == {}
    assert description["arrays_sha256"] == SOURCES["digits"].arrays_sha256
    assert sorted(file.name for file in path.parent.iterdir()) == ["toy.json", "toy.npz"]


def test_right_files_with_wrong_content_write_nothing(make_params, tmp_path):
    cases = [
        (FILES | {RAW_NAMES["test_labels"]: idx(np.arange(19) % 10)}, "20 test images have 19 labels"),
        (FILES | {RAW_NAMES["train_labels"]: idx(np.arange(40) % 11)}, "train_labels holds 10, but"),
        (FILES | {RAW_NAMES["train_labels"]: idx(np.arange(40) % 9)}, "no training image has label 9"),
        (
            FILES | {RAW_NAMES["test_images"]: b"no gzip"},
            r"t10k-images-idx3-ubyte\.gz: cannot be decompressed",
        ),
    ]
    for files, complaint in cases:
        put(tmp_path / "mirror" / "mnist", files)
        with pytest.raises(UserError, match=f"root/data/raw/mnist.*{complaint}"):
            prepare(make_params(source="mnist"), "toy", pinned(files))
    assert not (tmp_path / "root" / "data" / "toy.npz").exists()
    bad = small_svhn() | {"train_32x32.mat": mat(np.zeros((32, 32, 3, 1), np.uint8), [[12]])}
    put(tmp_path / "mirror" / "svhn", bad)
    with pytest.raises(UserError, match=r"train_32x32\.mat: y holds labels 12 to 12"):
        prepare(make_params(source="svhn"), "toy", {"svhn": make_source("svhn", bad)})


def test_fewer_classes_than_labels_are_refused_even_where_the_file_exists(make_params, mirror):
    path = prepare(make_params(source="mnist"), "toy", pinned())
    now = stamps(path)
    with pytest.raises(UserError, match=r"train_labels holds 9, but params\.yaml names 9 classes"):
        prepare(make_params(source="mnist", classes=TEN[:9]), "toy", pinned())
    assert now() == [1, 1]


def test_an_npz_of_the_user_is_checked_against_its_sum_and_followed_when_it_changes(
    make_params, tmp_path, capsys
):
    mine = tmp_path / "mine.npz"
    arrays = {
        "train_images": np.arange(36, dtype=np.uint8).reshape(4, 3, 3),
        "train_labels": np.array([0, 1, 0, 1]),
    }
    arrays |= {"test_images": np.zeros((2, 3, 3), np.uint8), "test_labels": np.array([1, 0])}
    np.savez(mine, **arrays)
    entry = {"source": "npz", "path": str(mine), "classes": ("no", "yes")}
    first = sha256(mine.read_bytes())
    path = prepare(make_params(**entry, sha256=first), "toy")
    _, description = store.load(path)
    assert description["files"] == {"mine.npz": {"sha256": first, "from": str(mine)}}
    assert description["test"] == {"images": 2, "per_class": [1, 1]}
    assert "no test image" not in capsys.readouterr().err
    now = stamps(path)
    prepare(make_params(**entry, sha256=first), "toy")
    prepare(make_params(**entry | {"path": "nowhere.npz"}, sha256=first), "toy")
    assert "up to date; nowhere.npz, from which it was made, is not there" in capsys.readouterr().err
    assert now() == [1, 1]

    np.savez(mine, **arrays | {"test_labels": np.array([1, 1])})
    second = sha256(mine.read_bytes())
    with pytest.raises(
        UserError, match=rf"mine\.npz: has SHA-256 {second}, but datasets.toy.sha256 = {'0' * 64}"
    ):
        prepare(make_params(**entry, sha256="0" * 64), "toy")
    assert now() == [1, 1]
    prepare(make_params(**entry, sha256=second), "toy")
    assert store.load(path)[1]["test"]["per_class"] == [0, 2]

    mine.unlink()
    with pytest.raises(UserError, match=r"mine\.npz: No such file.*datasets\.toy\.path"):
        prepare(make_params(**entry, sha256=first), "toy")


def test_a_class_without_test_images_is_named(make_params, tmp_path, capsys):
    arrays = {"train_images": np.arange(27, dtype=np.uint8).reshape(3, 3, 3), "train_labels": np.arange(3)}
    arrays |= {"test_images": np.zeros((2, 3, 3), np.uint8), "test_labels": np.array([1, 1])}
    np.savez(tmp_path / "mine.npz", **arrays)
    digest = sha256((tmp_path / "mine.npz").read_bytes())
    entry = {"source": "npz", "path": str(tmp_path / "mine.npz"), "classes": ("no", "yes", "perhaps")}
    prepare(make_params(**entry, sha256=digest), "toy")
    assert "no test image of no, perhaps: no error says anything of them" in capsys.readouterr().err


def test_an_unknown_data_set_and_a_place_that_cannot_be_written_are_named(make_params, mirror, tmp_path):
    params = make_params(source="mnist")
    with pytest.raises(UserError, match=r"data set 'cats': params\.yaml has toy"):
        prepare(params, "cats")
    (tmp_path / "root" / "data" / "toy.json").mkdir(parents=True)
    with pytest.raises(OSError, match=r"toy\.json'"):
        prepare(params, "toy", pinned())


@pytest.mark.real_data
@pytest.mark.parametrize("through", ["folder", "server"])
def test_the_real_mnist_arrives_by_folder_and_by_server(
    make_params, real_mirror, server, through, monkeypatch
):
    folder = real_mirror / "mnist"
    if through == "server":
        server.files = {f"/mnist/{file.name}": file.read_bytes() for file in folder.iterdir()}
        server.cuts["/mnist/train-images-idx3-ubyte.gz"] = 1
        monkeypatch.setenv("HAL_DATA_MIRROR", server.url)
    path = prepare(make_params(source="mnist"), "toy")
    _, description = store.load(path)
    assert description["arrays_sha256"] == SOURCES["mnist"].arrays_sha256
    assert description["train"]["images"] == 60_000
    assert description["test"]["images"] == 10_000
    assert {file["from"] for file in description["files"].values()} == {os.environ["HAL_DATA_MIRROR"]}
    if through == "server":
        assert len(server.asked) == 5


@pytest.mark.real_data
def test_the_real_cifar10_is_the_pinned_one(make_params, real_mirror):
    if not (real_mirror / "cifar10" / "data_batch_1.bin").exists():
        pytest.skip("HAL_DATA_MIRROR has no cifar10/data_batch_1.bin")
    _, description = store.load(prepare(make_params(source="cifar10"), "toy"))
    assert description["arrays_sha256"] == SOURCES["cifar10"].arrays_sha256
    assert description["train"] == {"images": 50_000, "per_class": [5000] * 10}
