"""The memory of a process that trains: kept from step to step, and how much of it a cell took."""

import contextlib
import ctypes
import platform
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from hal.errors import UserError

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """Let this process keep what it frees, where its C library is glibc.

    Of itself glibc gives large blocks, such as a step's activations, back to the system at once and takes them anew for the next step,
    and the system fills every page of them with zeros: a fifth of a step of MNIST's on a CPU (docs/speed.md).
    """
    if _has_glibc():
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


@contextlib.contextmanager
def enough_memory(cell: str, then: str) -> Iterator[None]:
    """Say for people that a GPU's memory, or this machine's, is not enough for the cell of that name, and what `then` is.

    Raises:
        UserError: it is not.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # Where the machine's is not, PyTorch has no class of error.
        lacking = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not (lacking or "can't allocate memory" in str(error)):
            raise
        of = "the GPU" if isinstance(error, torch.OutOfMemoryError) else "this machine"
        raise UserError(
            f"{cell}: the memory of {of} is not enough; {then}. Run fewer cells at once (--cores, runtime.cells_per_gpu), or one on "
            "a larger machine"
        ) from None


def forget_peak_memory(device: torch.device) -> None:
    """Let `peak_memory` count from now on, so that a cell is not charged for the one that its process trained before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    if _has_glibc():
        ctypes.CDLL(None).malloc_trim(0)  # what the cell before freed
    with contextlib.suppress(OSError):  # Linux has it; elsewhere the peak is that of the whole process
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory(device: torch.device) -> int:
    """Bytes: the GPU allocator's peak on CUDA, the process's resident peak on CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024  # in which getrusage counts
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _has_glibc() -> bool:
    return platform.libc_ver()[0] == "glibc"
