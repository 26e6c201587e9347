"""The training step of section 4, and an epoch of such steps."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.sgd import sgd  # the class SGD imports the compiler: a second for every cell

from hal.model import HAL
from hal.params import TrainSettings
from hal.train.batches import DeviceData, EpochDraw
from hal.train.graph import captured

# Steps whose images are gathered at once: for each pixel a gather may hold three indices of eight bytes.
GATHERED = 32


class Trainer:
    """Trains one network by stochastic gradient descent.

    All that a step reads and writes stays where it is on the device, the learning rate and the number of the
    step too, so that a GPU can replay the step as one graph and the host waits for nothing within an epoch.

    Args:
        net: the network, on the device; changed in place.
        data: the data set there.
        settings: batch size, momentum, weight decay and precision.

    Attributes:
        losses: (steps,) float32, the loss of each step of the last epoch.
        wrong: (steps,) int64, how many images of each step's batch were misclassified.
        momentum_buffers: one for each parameter; empty where the momentum is 0.
        launch: does `step`; on a GPU by replaying it.
    """

    def __init__(self, net: HAL, data: DeviceData, settings: TrainSettings) -> None:
        self.net, self.data, self.settings = net, data, settings
        self.parameters = list(net.parameters())
        self.momentum_buffers = [torch.zeros_like(p.data) for p in self.parameters if settings.momentum]
        self.autocast = autocast(settings, data.device)

        steps = len(data.train_labels) // settings.batch_size
        on_device = {"device": data.device}
        shape = (data.height, data.width, data.channels)
        self.images = torch.zeros((steps, settings.batch_size, *shape), dtype=torch.uint8, **on_device)
        self.labels = torch.zeros((steps, settings.batch_size), dtype=torch.int64, **on_device)
        self.rates = torch.zeros(steps, **on_device)
        self.losses = torch.zeros(steps, **on_device)
        self.wrong = torch.zeros(steps, dtype=torch.int64, **on_device)
        self._steps = torch.arange(steps, **on_device)
        self._now = torch.zeros(1, dtype=torch.int64, **on_device)

        changed = [*net.state_dict().values(), *self.momentum_buffers, self.losses, self.wrong, self._now]
        self.launch = captured(self.step, data.device, changed)

    def epoch(self, draw: EpochDraw, rates: np.ndarray, on_step: Callable[[], object]) -> None:
        """Train for one epoch; on a GPU this returns when all of it was launched.

        Args:
            draw: the epoch's order and augmentation, (steps, B).
            rates: the learning rate of each step, (steps,).
            on_step: called after each step was launched.
        """
        for first in range(0, len(rates), GATHERED):
            part = draw.steps(first, first + GATHERED)
            self.images[first : first + GATHERED].copy_(self.data.training_images(part))
        self.labels.copy_(self.data.training_labels(draw))
        self.rates.copy_(torch.from_numpy(rates))
        self._now.zero_()
        for _ in range(len(rates)):
            self.launch()
            on_step()

    def step(self) -> None:
        """One batch: forward, backward, update, and what `losses` and `wrong` hold of it."""
        images = self.images.index_select(0, self._now)[0]
        labels = self.labels.index_select(0, self._now)[0]
        self.net.train()
        for parameter in self.parameters:
            parameter.grad = None
        with self.autocast:
            logits = self.net(self.data.normalise(images), self.data.superclass(labels)).float()
            loss = F.cross_entropy(logits, labels)
        loss.backward()
        with torch.no_grad():
            rate = self.rates.index_select(0, self._now)
            update(self.parameters, self.momentum_buffers, rate, self.settings)
            now = self._steps == self._now
            torch.where(now, loss, self.losses, out=self.losses)
            torch.where(now, (logits.argmax(dim=1) != labels).sum(), self.wrong, out=self.wrong)
            self._now += 1


def update(
    parameters: list[Tensor], momentum_buffers: list[Tensor], rate: Tensor, settings: TrainSettings
) -> None:
    """Move the parameters against their gradients; `rate` is (1,), on their device."""
    sgd(
        parameters,
        [parameter.grad for parameter in parameters],
        momentum_buffers or [None] * len(parameters),
        fused=True,
        lr=rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        dampening=0,
        nesterov=False,
        maximize=False,
    )


def autocast(settings: TrainSettings, device: torch.device) -> torch.autocast:
    """The precision of forward passes: bfloat16 if the settings say so, else none is changed."""
    return torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16")
