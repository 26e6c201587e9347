"""What a result was made with: code, libraries, driver, device."""

import functools
import platform
from pathlib import Path

import torch

from hal.commands import output


def describe(device: torch.device) -> dict[str, str | None]:
    """Versions and the device's name; None where something does not apply."""
    cuda = device.type == "cuda"
    return {
        "code": code_of_process(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if cuda else None,
        "driver": output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
        if cuda
        else None,
        "device": device_name(device),
    }


def device_name(device: torch.device) -> str:
    """The GPU's model, or the processor's with the instructions that PyTorch uses of it: by them the last digits can differ."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()} ({torch.backends.cpu.get_cpu_capability()})"


@functools.cache
def code_of_process() -> str:
    """`code_version` when this process first asked: what computes is what was imported then, whatever is committed in the hours since."""
    return code_version()


def code_version() -> str:
    """The git commit of this source tree, with `-dirty` where the code differs from it.

    `unknown` without git, in somebody else's repository, and where git cannot tell.
    """
    package = Path(__file__).resolve().parents[1]  # git names no links
    git = ("git", "-c", "status.showUntrackedFiles=normal", "-C", str(package))
    top = output(*git, "rev-parse", "--show-toplevel")
    tracked = output(*git, "ls-files", "--error-unmatch", "cli.py")
    commit = output(*git, "rev-parse", "HEAD")
    changes = output(*git, "status", "--porcelain", "--", str(package))
    if top is None or tracked is None or commit is None or changes is None:
        return "unknown"
    if Path(top) != package.parents[1]:
        return "unknown"
    return commit[:12] + ("-dirty" if changes else "")


def _processor() -> str:
    """The CPU's model name, which Linux keeps in /proc/cpuinfo."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
