"""NVIDIA's Multi-Process Service: cells of several processes compute side by side on one GPU.

Without it the processes take turns on the GPU, each leaving most of it idle. A program joins the service by an
environment variable, and runs as ever where no service answers.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

CONTROL = "nvidia-cuda-mps-control"
PIPES = "CUDA_MPS_PIPE_DIRECTORY"

# Takes a GPU as any CUDA program does, and nothing else; PyTorch would need seconds for it.
PROBE = """
import ctypes
cuda, device, context = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(), ctypes.c_void_p()
raise SystemExit(
    cuda.cuInit(0) != 0
    or cuda.cuDeviceGet(ctypes.byref(device), 0) != 0
    or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device) != 0
)
"""


def start(folder: Path) -> str | None:
    """Start the service for this process's children, unless they have one already; `stop` ends it.

    Args:
        folder: of its pipes and logs, on a local disk. A service that a killed run left there is taken over.

    Returns:
        None, or why there is no service; then the children run without, and nothing is left behind.
    """
    if PIPES in os.environ:
        return None  # of the user's own or of the cluster's
    if shutil.which(CONTROL) is None:
        return f"{CONTROL} is not installed"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ |= {PIPES: str(folder), "CUDA_MPS_LOG_DIRECTORY": str(folder)}
    # The service numbers the GPUs that it sees anew, and its clients choose among those numbers: it must see all.
    everything = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    _run(CONTROL, "-d", environment=everything)
    if _answers() and _run(sys.executable, "-c", PROBE):
        return None
    stop(folder)
    return f"a CUDA program cannot use it here (its log is in {folder})"


def stop(folder: Path) -> None:
    """End the service that `start` started in that folder, if it did."""
    if os.environ.get(PIPES) == str(folder):
        _run(CONTROL, said="quit\n")
        del os.environ[PIPES], os.environ["CUDA_MPS_LOG_DIRECTORY"]


def _answers() -> bool:
    """Whether the service answers within five seconds of its start."""
    for _ in range(10):
        if _run(CONTROL, said="get_server_list\n"):
            return True
        time.sleep(0.5)
    return False


def _run(*command: str, said: str = "", environment: dict[str, str] | None = None) -> bool:
    """Whether the command succeeds within a minute; `said` is its standard input."""
    try:
        done = subprocess.run(
            command, input=said, text=True, capture_output=True, timeout=60, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
