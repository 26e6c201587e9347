"""The network of section 3: a pre-activation ResNet and, before its output layer, the auxiliary block.

Convolutions have no bias: behind each of them stands a batch norm (that of the next block, or the last one), which
takes the mean away again, so that a bias changes no output and has no gradient but rounding.

Shapes: B images a batch, C channels, H x W pixels, L = 64 pooled features, S superclasses, K classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class AuxiliaryBlock(nn.Module):
    """The auxiliary score of equation 3: how far W y lies from the one-hot superclass, in the L1 norm.

    Args:
        features: L, the length of y.
        superclasses: S, the length of the one-hot superclass vector.
    """

    def __init__(self, features: int, superclasses: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, superclasses, bias=False)

    def forward(self, y: Tensor, x_star: Tensor) -> Tensor:
        """Equation 3, a = sum_j | sum_i w_ij y_i - x*_j |: y (B, L) and x_star (B, S) give a (B, 1)."""
        return (self.linear(y) - x_star).abs().sum(dim=1, keepdim=True)


class BatchNorm(nn.Module):
    """Batch normalisation of images (B, width, H, W), per channel.

    `nn.BatchNorm2d` without its count of batches, which a fixed momentum never reads: on a GPU it would cost one more
    kernel a layer and step.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int, momentum: float, eps: float) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise by the batch in training, by the running statistics in evaluation."""
        # PyTorch's own kernels, where F.batch_norm takes cuDNN's: their grid must be on the GPU all at once, which holds
        # up the cells beside it (docs/speed.md).
        return torch.native_batch_norm(
            x,
            self.weight,
            self.bias,
            self.running_mean,
            self.running_var,
            self.training,
            self.momentum,
            self.eps,
        )[0]


class ResidualBlock(nn.Module):
    """BN, ReLU, 3x3, BN, ReLU, 3x3 beside a shortcut (He et al., 2016: Identity mappings, figure 4e).

    The first block of a stage (`project`) sends its pre-activated input through a 1x1 projection instead.
    """

    def __init__(self, width_in: int, width: int, stride: int, project: bool, bn: dict) -> None:
        super().__init__()
        self.bn1 = BatchNorm(width_in, **bn)
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False)
        self.bn2 = BatchNorm(width, **bn)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.project = nn.Conv2d(width_in, width, 1, stride, bias=False) if project else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, width_in, H, W) to (B, width, H / stride, W / stride)."""
        activated = F.relu(self.bn1(x))
        shortcut = x if self.project is None else self.project(activated)
        return shortcut + self.conv2(F.relu(self.bn2(self.conv1(activated))))


class HAL(nn.Module):
    """Figure 1: ResNet, auxiliary block, output layer. Without a block it is the paper's baseline.

    Args:
        channels: C of the images.
        classes: K.
        superclasses: S, or 0 for the baseline.
        block: what the superclass goes into: `auxiliary`, the paper's; `concat`, an ablation that feeds it to the output
            layer beside the features; `none`, the baseline.
        layers: convolutions, projections included: 6 n + 4 for n blocks a stage (10 for MNIST, else 28).
        widths: channels of the three stages.
        batch_norm_momentum: weight of a new batch in the running statistics.
        batch_norm_eps: added to the variance.
        linear_init: `he` or `uniform` (PyTorch's default) for the output layer and the auxiliary block.
        output_bias: whether the output layer has a bias.
        seed: of the initial weights.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        superclasses: int,
        block: str,
        layers: int,
        widths: tuple[int, ...],
        batch_norm_momentum: float,
        batch_norm_eps: float,
        linear_init: str,
        output_bias: bool,
        seed: int,
    ) -> None:
        super().__init__()
        bn = {"momentum": batch_norm_momentum, "eps": batch_norm_eps}
        self.stem = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        blocks, width_in = [], widths[0]
        for stage, width in enumerate(widths):
            for i in range((layers - 4) // 6):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(ResidualBlock(width_in, width, stride, project=i == 0, bn=bn))
                width_in = width
        self.blocks = nn.Sequential(*blocks)
        self.bn = BatchNorm(width_in, **bn)
        beside = superclasses if block == "concat" else 0
        self.output = nn.Linear(width_in + beside, classes, bias=output_bias)
        self.auxiliary = AuxiliaryBlock(width_in, superclasses) if block == "auxiliary" else None
        self.block = block
        self._initialise(linear_init, torch.Generator().manual_seed(seed))

    def features(self, x: Tensor) -> Tensor:
        """The output of the last residual block, pooled: images (B, C, H, W) to y (B, L)."""
        return F.relu(self.bn(self.blocks(self.stem(x)))).mean(dim=(2, 3))

    def classify(self, y: Tensor, x_star: Tensor | None) -> Tensor:
        """Features y (B, L) and one-hot superclasses (B, S) to logits (B, K); the baseline takes None for the superclass."""
        if self.block == "concat":
            return self.output(torch.cat([y, x_star], dim=1))
        if self.auxiliary is None:
            return self.output(y)
        return self.output(y * self.auxiliary(y, x_star))  # equation 2

    def forward(self, x: Tensor, x_star: Tensor | None = None) -> Tensor:
        """Equation 1: normalised images (B, C, H, W) and one-hot superclasses (B, S) to logits (B, K)."""
        return self.classify(self.features(x), x_star)

    def _initialise(self, linear_init: str, generator: torch.Generator) -> None:
        """He initialisation (section 4): normal with deviation sqrt(2 / fan_in), biases zero."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d) or (isinstance(module, nn.Linear) and linear_init == "he"):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            elif isinstance(module, nn.Linear):
                bound = module.in_features**-0.5
                nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
