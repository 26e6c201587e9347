"""Files that are whole or absent, and errors that name them."""

import errno
import os

import pytest

from hal import files
from hal.errors import sentence


def no_room(file):
    file.write(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="No space left") as caught:
        files.write_atomically(path, no_room)
    assert (
        sentence(caught.value) == f"{path}: No space left on device; make room and run the same command again"
    )
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_several_files_stay_as_they_were_on_a_full_disk(tmp_path, monkeypatch):
    old = {tmp_path / name: b"old" for name in ("a", "b", "cell.json")}
    for path, content in old.items():
        path.write_bytes(content)
    write = files._write_flushed

    def full_at_b(path, fill):
        write(path, no_room if ".b." in path.name else fill)

    monkeypatch.setattr(files, "_write_flushed", full_at_b)
    with pytest.raises(OSError, match="No space left") as caught:
        files.replace_together(dict.fromkeys(old, b"new"))
    assert caught.value.filename == str(tmp_path / "b")
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "cell.json"]
    assert {path.read_bytes() for path in old} == {b"old"}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "x"),
            "x: Permission denied; give yourself the right",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "x"),
            "x: Read-only file system; give yourself the right",
        ),
        (OSError(errno.EIO, "Input/output error", "x"), "x: Input/output error; put it right"),
        (OSError("no file in it"), "the output: no file in it; put it right"),
    ],
)
def test_what_the_system_refuses_is_a_sentence(error, said):
    assert sentence(error).startswith(said)


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    (tmp_path / "table.csv").mkdir()
    with pytest.raises(OSError, match=r"table\.csv'") as caught:
        files.write_text(tmp_path / "table.csv", "new")
    assert ".tmp" not in str(caught.value)
    assert os.listdir(tmp_path) == ["table.csv"]


def test_a_pipe_has_no_sum_and_hangs_nobody(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is a pipe"):
        files.sha256_of(tmp_path / "pipe")
