"""Whether to train on a CPU where no GPU is found: what can be said without PyTorch, which takes seconds to import."""

import os
import sys
from pathlib import Path

from hal.errors import UserError
from hal.settings import RuntimeSettings

# More steps than anybody wants to wait for on a CPU without having said so: an hour of a core for MNIST's network.
LONG = 30_000
_DEVICES = (
    "nvidia*",
    "nvhost*",
    "nvgpu*",
    "dxg",
    "kfd",
)  # NVIDIA's, also in boards and in Windows, and AMD's
_NO_GPU = ("", "-1", "NoDevFiles")  # in CUDA_VISIBLE_DEVICES


def hidden() -> bool:
    """Whether the environment hides all GPUs from this process."""
    return os.environ.get("CUDA_VISIBLE_DEVICES") in _NO_GPU


def absent() -> bool:
    """Whether it is certain that PyTorch will find no GPU: the environment hides all, or Linux has no device of that kind."""
    if hidden():
        return True
    return sys.platform == "linux" and not any(path for kind in _DEVICES for path in Path("/dev").glob(kind))


def check_without(runtime: RuntimeSettings, name: str, steps: int) -> None:
    """Where there is no GPU, refuse to train for very long on a CPU that nobody asked for.

    Args:
        runtime: `device` says what was asked for.
        name: of what is trained.
        steps: of its training.

    Raises:
        UserError: `auto`, and the training is long or a GPU was named for this process.
    """
    if runtime.device != "auto":
        return
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if named not in _NO_GPU:
        raise UserError(
            f"CUDA_VISIBLE_DEVICES = {named!r} names a GPU for {name}, but PyTorch finds none: another driver or another build "
            "of PyTorch; or set runtime.device to cpu"
        )
    if steps > LONG:
        raise UserError(
            f"{name}: {steps:,} steps, and PyTorch finds no GPU. If you do want to train them on the CPU (`hal plan` says for how "
            "long), set runtime.device to cpu in params.yaml or an overlay"
        )
