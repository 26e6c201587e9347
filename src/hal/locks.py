"""Locks between processes: one work at a time on a root, a cell, a download; and places on a GPU.

The kernel lets go of a lock however its process ends. On file systems without such locks (some clusters') a lock is a
file that says which process holds it, and is taken over where that process is gone.
"""

import contextlib
import errno
import socket
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from hal.errors import NO_ROOM, UserError

_ASKED_S = 0.2  # `is_held` of another process takes a lock for a moment in order to ask; filelock tries again after 0.05 s
_NO_FLOCK = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)


def acquire(path: Path, patient: bool = False) -> BaseFileLock | None:
    """Take the lock of that name and return it, for its `release`; None if another process holds it.

    Args:
        path: the lock file; its folder is made if it is missing.
        patient: wait for as long as another process holds it.

    Raises:
        UserError: there can be no lock file in that place.
    """
    return _acquire(path, wait_s=-1 if patient else _ASKED_S)


def _acquire(path: Path, wait_s: float) -> BaseFileLock | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # filelock says there that it goes over to the other kind
            try:
                return _taken(FileLock(path), wait_s)
            except OSError as error:
                if error.errno not in _NO_FLOCK:
                    raise
                return _taken(SoftFileLock(path.with_name(f"{path.name}.held")), wait_s)
    except OSError as error:
        advice = "what lies in that place must go, and its folder be one that can be written"
        if error.errno in NO_ROOM:
            advice = "make room"
        elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            advice = "give yourself the right to write there, or work on a copy"
        raise UserError(f"{path}: no lock can be held there ({error.strerror}); {advice}") from None


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of that name now; also where that cannot be asked."""
    if not any(path.with_name(f"{path.name}{kind}").exists() for kind in ("", ".held")):
        return False
    try:
        lock = _acquire(path, wait_s=0)  # takes it for a moment: there is no other way to ask
    except UserError:
        return True
    if lock is not None:
        lock.release()
    return lock is None


@contextlib.contextmanager
def held(path: Path, when_waiting: Callable[[], object]) -> Iterator[bool]:
    """Hold the lock of that name inside; yields whether another process held it first, of which `when_waiting` tells.

    Raises:
        UserError: there can be no lock file in that place.
    """
    lock = acquire(path)
    waited = lock is None
    if lock is None:
        when_waiting()
        lock = acquire(path, patient=True)
    try:
        yield waited
    finally:
        if lock is not None:
            lock.release()


def take_place(name: str) -> socket.socket | None:
    """Take a place that all processes of this machine share, whoever's they are and whatever their folder for temporary files.

    A name in Linux's abstract sockets: no file that another user may not open or a cleaner deletes, and free when the
    process ends, however that happens.

    Returns:
        What holds the place until it is closed; None if another process has it.
    """
    place = socket.socket(socket.AF_UNIX)
    try:
        place.bind(f"\0{name}")
    except OSError as error:
        place.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return place


def _taken(lock: BaseFileLock, wait_s: float) -> BaseFileLock | None:
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        return None
    return lock
