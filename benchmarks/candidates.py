"""Other ways of computing the same network, for a card to choose from: tests prove that the mathematics is the same."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hal.train.model import HAL, BatchNorm


class Candidate(nn.Module):
    """The pipeline's network, holding its very weights, with another layout, normalisation or way to bfloat16.

    Args:
        net: the network, in that layout.
        layout: the memory format of images and activations.
        norm, projections, weights: as in `Setting`.
    """

    def __init__(
        self, net: HAL, layout: torch.memory_format, norm: str, projections: str, weights: str
    ) -> None:
        super().__init__()
        self.net, self.layout = net, layout
        self.products = projections == "products"
        self.norm_relu = {"native": _norm_relu, "cudnn": _cudnn, "triton": _triton}[norm]
        self.copies = weights == "copies"
        self.convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]

    def forward(self, x: Tensor, x_star: Tensor | None = None) -> Tensor:
        """As `HAL.forward`."""
        return self.net.classify(self.features(x), x_star)

    def features(self, x: Tensor) -> Tensor:
        """As `HAL.features`; the sum of a residual block is left to the normalisation that follows it."""
        weights = [module.weight for module in self.convolutions]
        if self.copies:
            weights = AllAtOnce.apply(*weights)
        weight_of = dict(zip(self.convolutions, weights, strict=True))

        def convolved(module: nn.Conv2d, x: Tensor) -> Tensor:
            if self.products and module.kernel_size == (1, 1):
                return _product(x, weight_of[module], module.stride)
            return F.conv2d(x, weight_of[module], module.bias, module.stride, module.padding)

        net = self.net
        x, branch = convolved(net.stem, x.contiguous(memory_format=self.layout)), None
        for block in net.blocks:
            x, activated = self.norm_relu(block.bn1, x, branch)
            shortcut = x if block.project is None else convolved(block.project, activated)
            _, inner = self.norm_relu(block.bn2, convolved(block.conv1, activated), None)
            x, branch = shortcut, convolved(block.conv2, inner)
        return self.norm_relu(net.bn, x, branch)[1].mean(dim=(2, 3))


def _product(x: Tensor, weight: Tensor, stride: tuple[int, ...]) -> Tensor:
    """A 1x1 convolution as a product of matrices: of a pixel's channels with the weights."""
    pixels = x[:, :, :: stride[0], :: stride[1]].permute(0, 2, 3, 1)
    return F.linear(pixels, weight[:, :, 0, 0]).permute(0, 3, 1, 2)


# Each takes a normalisation, the shortcut x and the branch to be added to it (or None): the sum, and it normalised and
# through the ReLU.


def _norm_relu(bn: BatchNorm, x: Tensor, branch: Tensor | None) -> tuple[Tensor, Tensor]:
    x = x if branch is None else x + branch
    return x, F.relu(bn(x))


def _cudnn(bn: BatchNorm, x: Tensor, branch: Tensor | None) -> tuple[Tensor, Tensor]:
    """As F.batch_norm chooses: cuDNN's kernels in channels_last, whose grid must be on the GPU all at once."""
    x = x if branch is None else x + branch
    statistics = (bn.running_mean, bn.running_var)
    return x, F.relu(F.batch_norm(x, *statistics, bn.weight, bn.bias, bn.training, bn.momentum, bn.eps))


def _triton(bn: BatchNorm, x: Tensor, branch: Tensor | None) -> tuple[Tensor, Tensor]:
    if not bn.training:
        return _norm_relu(bn, x, branch)
    from fused import batch_norm_relu  # a CPU may lack Triton

    return batch_norm_relu(bn, x, branch)


class AllAtOnce(torch.autograd.Function):
    """Weights to bfloat16, and their gradients back to float32, by one call for all of them."""

    @staticmethod
    def forward(ctx: Any, *weights: Tensor) -> tuple[Tensor, ...]:
        """The copies, in the weights' layouts."""
        copies = [torch.empty_like(weight, dtype=torch.bfloat16) for weight in weights]
        torch._foreach_copy_(copies, weights)
        return tuple(copies)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        """The copies' gradients in float32."""
        wide = [torch.empty_like(gradient, dtype=torch.float32) for gradient in gradients]
        torch._foreach_copy_(wide, gradients)
        return tuple(wide)
