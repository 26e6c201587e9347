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
# Where containers find the driver's programs, beside the folder that nvidia-smi really lies in.
DRIVER_FOLDERS = ("/usr/local/nvidia/bin", "/run/nvidia/driver/usr/bin")
PATIENCE_S = 10.0  # for any one answer: a service that hangs must not hold up a run

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
    control = control_program()
    if control is None:
        return f"{CONTROL} is not installed"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        return f"{folder}: {error.strerror}"
    os.environ |= {PIPES: str(folder), "CUDA_MPS_LOG_DIRECTORY": str(folder)}
    # The service numbers the GPUs that it sees anew, and its clients choose among those numbers: it must see all.
    everything = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    _run(control, "-d", environment=everything)
    if _answers(control) and _run(sys.executable, "-c", PROBE):
        return None
    stop(folder)
    return f"a CUDA program cannot use it here (its log is in {folder})"


def stop(folder: Path) -> None:
    """End the service that `start` started in that folder, if it did."""
    if os.environ.get(PIPES) == str(folder):
        _run(control_program() or CONTROL, typed="quit\n")
        del os.environ[PIPES], os.environ["CUDA_MPS_LOG_DIRECTORY"]


def control_program() -> str | None:
    """The path of the service's control program: on the PATH, or where the driver's other programs lie."""
    smi = shutil.which("nvidia-smi")
    folders = [*([str(Path(smi).resolve().parent)] if smi else []), *DRIVER_FOLDERS]
    return shutil.which(CONTROL) or shutil.which(CONTROL, path=os.pathsep.join(folders))


def _answers(control: str) -> bool:
    """Whether the service answers soon after its start."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if _run(control, typed="get_server_list\n"):
            return True
        time.sleep(0.5)
    return False


def _run(*command: str, typed: str = "", environment: dict[str, str] | None = None) -> bool:
    """Whether the command succeeds in time; `typed` is its standard input.

    What it prints goes nowhere: a daemon would inherit a pipe, and whoever reads that waits for the daemon's end.
    """
    nowhere = subprocess.DEVNULL
    try:
        done = subprocess.run(
            command,
            input=typed,
            text=True,
            stdout=nowhere,
            stderr=nowhere,
            timeout=PATIENCE_S,
            check=False,
            env=environment,
        )
    except (subprocess.TimeoutExpired, OSError):  # OSError: not a program, no rights, or gone
        return False
    return done.returncode == 0
