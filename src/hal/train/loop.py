"""Training as in section 4, from the outside in: the epochs, the steps of an epoch, one step."""

import datetime
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.sgd import sgd  # the class SGD imports the compiler: a second for every cell

from hal.cell_files import CURVES
from hal.params import Cell
from hal.settings import TrainSettings
from hal.train.batches import DeviceData, EpochDraw, draw_epoch
from hal.train.evaluate import Evaluation
from hal.train.graph import captured
from hal.train.model import HAL
from hal.train.progress import ProgressReport
from hal.train.schedule import learning_rates
from hal.train.state import Progress, load_state, save_state

SAVE_EVERY_S = 5.0

# Steps whose images are gathered at once: for each pixel a gather may hold three indices of eight bytes.
GATHERED = 32


def train(cell: Cell, trainer: "Trainer", resume: Path, made_with: dict[str, Any]) -> Progress:
    """Train from the saved state, or from the start, to the last epoch or to the first loss that is not finite.

    `made_with` is what this process trains with, which the state keeps beside what others before it trained with.
    """
    settings, net, data = cell.train, trainer.net, trainer.data
    n_images = len(data.train_labels)
    rates = learning_rates(settings, settings.steps(n_images))
    steps = rates.shape[1]
    evaluation = Evaluation(net, data, trainer.autocast)
    progress = load_state(resume, cell.hash, net, trainer.momentum_buffers, settings.epochs)
    progress.started = progress.started or datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    if made_with not in progress.made_with:
        progress.made_with.append(made_with)
    saved_at = time.monotonic()

    def draw(epoch: int) -> EpochDraw:
        return draw_epoch(
            cell.seed, epoch, n_images, settings.batch_size, cell.augment, max(data.superclasses, 1)
        )

    drawn = draw(progress.epoch)
    with ProgressReport(cell.name, settings.epochs, steps * settings.batch_size, progress.epoch) as report:
        while progress.epoch < settings.epochs and progress.diverged_at_step is None:
            epoch, began = progress.epoch, time.monotonic()
            trainer.epoch(drawn, rates[epoch], lambda: report.images(settings.batch_size))
            drawn = draw(epoch + 1)  # while a GPU is still at work
            train_loss = trainer.losses.double().mean().item()
            train_error = 100 * trainer.wrong.sum().item() / (steps * settings.batch_size)
            trained = time.monotonic()
            test_error, test_loss = evaluation.error_and_loss()

            progress.epoch += 1
            progress.train_s += trained - began
            progress.wall_s += time.monotonic() - began
            if not (math.isfinite(train_loss) and math.isfinite(test_loss)):
                progress.diverged_at_step = epoch * steps + first_not_finite(trainer.losses)
            values = (progress.epoch, float(rates[epoch, -1]), train_loss, train_error, test_loss, test_error)
            progress.curves.append(dict(zip(CURVES, values, strict=True)))
            report.epoch(progress.curves[-1])
            if time.monotonic() - saved_at > SAVE_EVERY_S:
                save_state(resume, cell.hash, net, trainer.momentum_buffers, progress, settings.epochs)
                saved_at = time.monotonic()
    if progress.diverged_at_step is not None:
        print(
            f"{cell.name}: the loss is not finite at step {progress.diverged_at_step}: diverged, stopped",
            flush=True,
        )
    return progress


def first_not_finite(losses: Tensor) -> int:
    """The step, counted from 1, of the first loss (steps,) that is not finite; the last step if all are."""
    bad = (~losses.isfinite()).nonzero()
    return int(bad[0]) + 1 if len(bad) else len(losses)


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
        self.parameters: list[Tensor] = list(net.parameters())
        self.momentum_buffers = [torch.zeros_like(p.data) for p in self.parameters if settings.momentum]
        self.autocast = autocast(settings, data.device)

        steps = settings.steps(len(data.train_labels))
        on_device: dict[str, Any] = {"device": data.device}
        shape = (data.height, data.width, data.channels)
        self.images = torch.zeros((steps, settings.batch_size, *shape), dtype=torch.uint8, **on_device)
        self.labels = torch.zeros((steps, settings.batch_size), dtype=torch.int64, **on_device)
        self.told = None if data.hint == "none" else torch.zeros_like(self.labels)
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
        if self.told is not None:
            self.told.copy_(self.data.training_told(draw))
        self.rates.copy_(torch.from_numpy(rates))
        self._now.zero_()
        for _ in range(len(rates)):
            self.launch()
            on_step()

    def step(self) -> None:
        """One batch: forward, backward, update, and what `losses` and `wrong` hold of it."""
        images = self.images.index_select(0, self._now)[0]
        labels = self.labels.index_select(0, self._now)[0]
        told = None if self.told is None else self.told.index_select(0, self._now)[0]
        self.net.train()
        for parameter in self.parameters:
            parameter.grad = None
        with self.autocast:
            logits = self.net(self.data.normalise(images), self.data.x_star(told)).float()
            logits = self.data.restricted(logits, labels)
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
        lr=rate,  # type: ignore[arg-type]  # the stub knows no rate on the device
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        dampening=0,
        nesterov=False,
        maximize=False,
    )


def autocast(settings: TrainSettings, device: torch.device) -> torch.autocast:
    """The precision of forward passes: bfloat16 if the settings say so, else none is changed."""
    return torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16")
