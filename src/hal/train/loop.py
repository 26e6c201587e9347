"""One epoch of training, section 4 of the paper."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from hal.model import HAL
from hal.train.batches import DeviceData, EpochDraw


def build_optimizer(net: HAL, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """Stochastic gradient descent; the learning rate is set before every step."""
    return torch.optim.SGD(net.parameters(), lr=0.0, momentum=momentum, weight_decay=weight_decay, fused=True)


def train_epoch(
    net: HAL,
    optimizer: torch.optim.Optimizer,
    data: DeviceData,
    draw: EpochDraw,
    rates: Sequence[float],
    autocast: torch.autocast,
    on_step: Callable[[], object],
) -> tuple[Tensor, Tensor]:
    """Train for one epoch without ever waiting for the device.

    Args:
        net: the network, changed in place.
        optimizer: of `build_optimizer`.
        data: the data set on the device.
        draw: the epoch's order and augmentation, (steps, B).
        rates: the learning rate of each step.
        autocast: the precision of forward pass and loss.
        on_step: called after each step was issued.

    Returns:
        The loss of each step and the number of its images misclassified, (steps,) each, on the device.
    """
    net.train()
    losses = torch.empty(len(rates), device=data.device)
    wrong = torch.empty(len(rates), device=data.device)
    for step, rate in enumerate(rates):
        images, labels, x_star = data.training_batch(draw, step)
        with autocast:
            logits = net(images, x_star).float()
            loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        losses[step] = loss.detach()
        wrong[step] = (logits.detach().argmax(dim=1) != labels).sum()
        on_step()
    return losses, wrong
