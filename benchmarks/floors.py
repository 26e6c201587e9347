"""What the hardware allows: no step can be faster than its bytes through the memory, or its kernels' launches."""

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from setting import Setting
from torch import nn

from hal.train.graph import captured
from hal.train.model import BatchNorm

BYTES = {"float32": 4, "tf32": 4, "bfloat16": 2}


def copy_bandwidth(setting: Setting, mib: int) -> float:
    """Bytes a second that a large copy on the device reads and writes."""
    source = torch.ones(mib * 2**18, device=setting.device)  # a stride of four bytes each
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(5):
        target.copy_(source)
        setting.finish()
        began = time.perf_counter()
        for _ in range(10):
            target.copy_(source)
        setting.finish()
        best = min(best, (time.perf_counter() - began) / 10)
    return 2 * source.nbytes / best


def bytes_per_step(setting: Setting) -> int:
    """The fewest bytes that a step moves if every convolution and every normalisation with its ReLU works alone.

    Forward each reads its input and writes its output; backward it reads its input and its output's gradient and
    writes its input's gradient. Weights (under 1.5 MB), the pooled features and what an implementation reads twice
    are left out. What stays in a cache between two layers costs less than this floor says.
    """
    numbers = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal numbers
        read, written = inputs[0].numel(), output.numel()
        numbers += (read + written) + (read + written + read)

    one_batch = dataclasses.replace(setting, device="cpu", steps=1)
    net, data = one_batch.net(), one_batch.data()
    for module in net.modules():
        if isinstance(module, nn.Conv2d | BatchNorm):
            module.register_forward_hook(count)
    with torch.no_grad():
        net(data.normalise(data.train_images), data.x_star(data.train_told))
    return numbers * BYTES[setting.precision]


def kernels_per_step(setting: Setting) -> int | None:
    """How many kernels, copies and fills a step launches on the GPU; None where the profiler sees no GPU.

    Counted in a process of its own: a profiler may slow all that its process does later.
    """
    script = str(Path(__file__).with_name("profile_step.py"))
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, script, setting.network, setting.precision, "--json", file.name]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            return None
        seen = json.load(file)
    return round(seen["count"]) if seen["device"] == "cuda" else None


def launch_floor(setting: Setting, kernels: int) -> float:
    """Seconds that a graph of so many kernels takes if each has next to nothing to do."""
    number = torch.zeros(1, device=setting.device)

    def nothing_much() -> None:
        for _ in range(kernels):
            number.add_(1)

    launch = captured(nothing_much, number.device, [number])
    launch()
    setting.finish()
    began = time.perf_counter()
    for _ in range(50):
        launch()
    setting.finish()
    return (time.perf_counter() - began) / 50
