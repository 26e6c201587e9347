"""One lock for all: kept from others, freed by death, and where there can be none it says so."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time

import filelock
import pytest

from hal import locks
from hal.errors import UserError


def test_a_lock_is_one_processes_until_it_lets_go(tmp_path):
    path = tmp_path / "deep" / "a.lock"
    first = locks.acquire(path)
    assert locks.acquire(path) is None
    first.release()
    second = locks.acquire(path)
    assert second is not None
    second.release()


def test_who_asks_whether_a_lock_is_held_neither_takes_nor_makes_it(tmp_path):
    path = tmp_path / "deep" / "a.lock"
    assert not locks.is_held(path)
    assert not path.parent.exists()
    lock = locks.acquire(path)
    assert locks.is_held(path)
    lock.release()
    assert not locks.is_held(path)
    again = locks.acquire(path)
    assert again is not None
    again.release()


def test_who_asks_keeps_nobody_from_taking_a_lock(tmp_path, monkeypatch):
    """Asking takes the lock for a moment; who wants it just then gets it when that is over."""
    path, asking = tmp_path / "a.lock", threading.Event()
    path.touch()
    release = filelock.FileLock.release

    def slow_release(lock, force=False):
        if threading.current_thread() is asker:
            asking.set()
            time.sleep(0.05)
        release(lock, force)

    monkeypatch.setattr(filelock.FileLock, "release", slow_release)
    asker = threading.Thread(target=locks.is_held, args=(path,))
    asker.start()
    asking.wait(5)
    assert locks.acquire(path) is not None
    asker.join()


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.EROFS, "give yourself the right to write there"),
        (errno.EACCES, "give yourself the right to write there"),
        (errno.ENOSPC, "make room"),
        (errno.EISDIR, "what lies in that place must go"),
    ],
)
def test_what_to_do_depends_on_why_no_lock_can_be_held(tmp_path, monkeypatch, code, advice):
    def refuse(*_):
        raise OSError(code, "x")

    monkeypatch.setattr(locks, "_taken", refuse)
    with pytest.raises(UserError, match=advice):
        locks.acquire(tmp_path / "a.lock")


def test_a_killed_holder_leaves_nothing_to_be_removed_by_hand(tmp_path):
    path = tmp_path / "a.lock"
    code = (
        "import os, signal; from hal import locks; from pathlib import Path\n"
        f"held = locks.acquire(Path({str(path)!r})); print(held.is_locked, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "True\n")
    lock = locks.acquire(path)
    assert lock is not None
    lock.release()


def test_the_one_that_waits_says_so(tmp_path):
    path = tmp_path / "a.lock"
    first = locks.acquire(path)
    said = []

    def say() -> None:
        said.append("waiting")
        first.release()

    with locks.held(path, say) as waited:
        assert waited
    with locks.held(path, say) as waited:
        assert not waited
    assert said == ["waiting"]


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_a_file_system_without_locks_gets_a_file_that_names_its_holder(tmp_path, monkeypatch, code):
    def refuse(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", refuse)
    path = tmp_path / "a.lock"
    lock = locks.acquire(path)
    assert lock is not None
    assert locks.acquire(path) is None
    lock.release()
    again = locks.acquire(path)
    assert again is not None
    again.release()


def test_a_folder_in_place_of_a_lock_is_named(tmp_path):
    (tmp_path / "folder.lock").mkdir()
    with pytest.raises(UserError, match=r"folder\.lock: no lock can be held there"):
        locks.acquire(tmp_path / "folder.lock")


@pytest.mark.timeout(20)
def test_a_pipe_in_place_of_a_lock_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.lock")
    lock = locks.acquire(tmp_path / "pipe.lock")
    assert lock is not None
    lock.release()
