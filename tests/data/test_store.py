import json
import zipfile

import numpy as np
import pytest

from hal.data import store
from hal.errors import UserError


@pytest.fixture
def path(tmp_path):
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1)
    labels = np.array([0, 1], np.uint8)
    images = store.Images(pixels, labels, pixels[::-1], labels)
    store.save(images, tmp_path / "toy.npz", {"arrays_sha256": images.sha256(), "note": "kept"})
    return tmp_path / "toy.npz"


def test_what_is_saved_is_loaded(path):
    images, description = store.load(path)
    assert images.test_images[0, 0].ravel().tolist() == [12, 13, 14, 15]
    assert description["note"] == "kept"
    assert description["arrays_sha256"] == images.sha256()
    assert sorted(file.name for file in path.parent.iterdir()) == ["toy.json", "toy.npz"]


def test_a_missing_file_says_how_to_make_it(path):
    path.with_suffix(".json").unlink()
    with pytest.raises(UserError, match=r"toy\.json: no such file; `hal data toy` makes it"):
        store.load(path)
    path.unlink()
    with pytest.raises(UserError, match=r"toy\.npz: no such file"):
        store.load(path)


def test_no_truncated_file_is_read(path):
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"toy\.npz: broken"):
            store.load(path)


def test_no_changed_byte_changes_a_pixel(path):
    before, _ = store.load(path)
    whole = path.read_bytes()
    refused = 0
    for position in range(0, len(whole), 5):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x15]) + whole[position + 1 :])
        try:
            after, _ = store.load(path)
        except UserError:
            refused += 1
        else:
            assert after.sha256() == before.sha256()
    assert refused > 50


def test_a_changed_header_whose_sums_are_right_is_refused(path):
    """`hal data` makes anew what is refused here; a traceback would stop it too."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content.replace(b"(2, 3", b"(2, (") if "test_images" in name else content)
    with pytest.raises(UserError, match=r"toy\.npz: broken"):
        store.load(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '"text"', "\udcff"])
def test_a_broken_description_is_refused(path, text):
    path.with_suffix(".json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=r"toy\.json: broken"):
        store.load(path)


def test_a_description_of_other_arrays_is_refused(path):
    path.with_suffix(".json").write_text(json.dumps({"arrays_sha256": "0" * 64}))
    with pytest.raises(UserError, match="its arrays are not those"):
        store.load(path)
