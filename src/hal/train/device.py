"""Which device a cell runs on, and what the arithmetic there may do."""

import contextlib
import functools
import os
import time
from collections.abc import Iterator, Sequence

import torch

from hal import gpu, locks, nvidia_mps
from hal.errors import UserError
from hal.settings import RuntimeSettings
from hal.train.memory import keep_freed_memory


def check_wanted(runtime: RuntimeSettings, name: str, steps: int) -> None:
    """Refuse to train for very long on a CPU that nobody asked for; arguments and errors are those of `gpu.check_without`."""
    if not torch.cuda.is_available():
        gpu.check_without(runtime, name, steps)


@contextlib.contextmanager
def claimed_device(runtime: RuntimeSettings) -> Iterator[torch.device]:
    """The device for this process: the CPU, or a GPU on which fewer than `cells_per_gpu` other cells are at work.

    Raises:
        UserError: cuda was asked for and there is none, or MPS keeps it from this process.
    """
    if runtime.device == "cuda" and not torch.cuda.is_available():
        raise UserError("runtime.device = 'cuda': PyTorch finds no CUDA device; use auto or cpu")
    if runtime.device == "auto" and not torch.cuda.is_available() and nvidia_mps.PIPES in os.environ:
        # A service that has failed refuses every program: 250 epochs on the CPU are not what anybody wants then.
        raise UserError(
            f"PyTorch finds no CUDA device though MPS is set up in {os.environ[nvidia_mps.PIPES]}: if the service has failed, "
            f"`echo quit | {nvidia_mps.CONTROL}` with that {nvidia_mps.PIPES} ends it; or set runtime.cells_per_gpu to 1"
        )
    if runtime.device == "cpu" or not torch.cuda.is_available():
        if runtime.device == "auto":
            _say_that_there_is_no_gpu()
        keep_freed_memory()
        yield torch.device("cpu")
        return
    gpus = visible_gpus()
    # A first place on every GPU before a second one on any.
    places = [f"hal-gpu-{gpu}.{place}" for place in range(runtime.cells_per_gpu) for gpu in gpus]
    with claimed_slot(places) as i:
        device = torch.device("cuda", i % len(gpus))
        torch.cuda.set_device(device)  # where streams and graphs are made
        yield device


@functools.cache  # once for all cells of a process
def _say_that_there_is_no_gpu() -> None:
    print("no CUDA device found: computing on the CPU", flush=True)


def cpu_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """The GPUs that this process may use (CUDA_VISIBLE_DEVICES decides), by names that no other GPU has.

    Not by their numbers: under Slurm every job of a node may see its own GPU as number 0.
    """
    return [str(torch.cuda.get_device_properties(i).uuid) for i in range(torch.cuda.device_count())]


@contextlib.contextmanager
def claimed_slot(names: Sequence[str]) -> Iterator[int]:
    """Hold the first free of these places and give its index; wait while all are taken, by whomever on this machine.

    Snakemake's `gpu` resource is a count, hands out no numbers, and knows of its own cells alone. The kernel frees a place
    however its process ends, so none is ever lost.
    """
    told = False
    while True:
        for i, name in enumerate(names):
            place = locks.take_place(name)
            if place is not None:
                with place:
                    yield i
                return
        if not told:
            print(f"all {len(names)} places on GPUs are taken by other cells; waiting for one", flush=True)
            told = True
        time.sleep(0.5)


def configure(runtime: RuntimeSettings, precision: str) -> None:
    """Set threads, determinism and the precision of matrix products for the whole process."""
    torch.set_num_threads(runtime.cpu_threads)
    # cuBLAS reads this at its first call; the deterministic algorithms refuse to run without it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # The same switch as use_deterministic_algorithms, which also imports the compiler: seconds for every cell.
    torch.set_deterministic_debug_mode("error" if runtime.deterministic else "default")
    # It would also fill all memory before use, for programs that read what they never wrote.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not runtime.deterministic
    arithmetic = "tf32" if precision == "tf32" else "ieee"
    torch.backends.cuda.matmul.fp32_precision = arithmetic
    torch.backends.cudnn.conv.fp32_precision = arithmetic  # type: ignore[attr-defined]
