"""CUDA graphs: all kernels of a function launched at once, so that the pace of Python no longer matters."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM_UP = 3  # calls before the capture, in which libraries allocate what they need and choose their kernels


def captured(
    function: Callable[[], None], device: torch.device, changes: Sequence[Tensor]
) -> Callable[[], None]:
    """The function itself on a CPU; on a GPU a replay of its kernels, which gives the same.

    Args:
        function: works on tensors that stay where they are, and never waits for the device.
        device: where they are.
        changes: every tensor that the function changes; the calls that a capture needs are undone.
    """
    if device.type != "cuda":
        return function
    before = [tensor.clone() for tensor in changes]
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            function()
            for tensor, value in zip(changes, before, strict=True):
                tensor.copy_(value)
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):  # records the function's kernels and runs none
        function()
    return graph.replay
