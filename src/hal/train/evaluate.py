"""What is measured on a network: test error and loss, logits under every superclass, auxiliary scores."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hal.train.batches import DeviceData
from hal.train.graph import captured
from hal.train.model import HAL

# Activations of a small batch stay in a CPU's cache (four times as fast as 1,000 images); a GPU wants many.
BATCH = {"cpu": 128, "cuda": 2000}

BITS = 11  # of a stored score or u


class Evaluation:
    """Error and loss over all test images, each fed its true superclass, as equation 1 implies (or the ablation's hint).

    Attributes:
        launch: does `measure`; on a GPU by replaying it.
    """

    def __init__(self, net: HAL, data: DeviceData, autocast: torch.autocast) -> None:
        self.net, self.data, self.autocast = net, data, autocast
        self.wrong = torch.zeros((), dtype=torch.int64, device=data.device)
        self.loss = torch.zeros((), dtype=torch.float64, device=data.device)
        self.launch = captured(self.measure, data.device, [self.wrong, self.loss])

    def error_and_loss(self) -> tuple[float, float]:
        """Measure the network as it is now: the error in percent and the mean loss."""
        self.launch()
        n = len(self.data.test_labels)
        return 100 * self.wrong.item() / n, self.loss.item() / n

    @torch.no_grad()
    def measure(self) -> None:
        """Count wrong images and add up losses, on the device."""
        self.net.eval()
        self.wrong.zero_()
        self.loss.zero_()
        for images, labels, told in _batches(
            self.data.test_images, self.data.test_labels, self.data.test_told
        ):
            with self.autocast:
                logits = self.net(self.data.normalise(images), self.data.x_star(told)).float()
            logits = self.data.restricted(logits, labels)
            self.wrong += (logits.argmax(dim=1) != labels).sum()
            self.loss += F.cross_entropy(logits, labels, reduction="sum").double()


@torch.inference_mode()
def hypothesised_logits(net: HAL, data: DeviceData, autocast: torch.autocast) -> np.ndarray:
    """Test logits (N, S, K) float32: entry s is what the network says when told superclass s, never masked.

    A network that is told nothing has S = 1.
    """
    net.eval()
    told = [None]
    if data.hint != "none":
        told = list(data.x_star(torch.arange(data.superclasses, device=data.device)))
    logits = []
    for images, *_ in _batches(data.test_images, data.test_labels, None):
        with autocast:
            y = net.features(data.normalise(images))
            each = [net.classify(y, x if x is None else x.expand(len(y), -1)) for x in told]
        logits.append(torch.stack(each, dim=1).float().cpu())
    return torch.cat(logits).numpy()


@torch.inference_mode()
def auxiliary(
    net: HAL, data: DeviceData, split: Literal["train", "test"], autocast: torch.autocast
) -> tuple[np.ndarray, np.ndarray]:
    """U = W y of equation 3 (N, S) and the score a under what is told (N,), of every image of a split, float32.

    Training images go in without augmentation.
    """
    net.eval()
    images, labels, told = {
        "train": (data.train_images, data.train_labels, data.train_told),
        "test": (data.test_images, data.test_labels, data.test_told),
    }[split]
    all_u, all_a = [], []
    for batch, _, superclass in _batches(images, labels, told):
        with autocast:
            y = net.features(data.normalise(batch))
            all_u.append(net.auxiliary.linear(y).float().cpu())
            all_a.append(net.auxiliary(y, data.x_star(superclass))[:, 0].float().cpu())
    return torch.cat(all_u).numpy(), torch.cat(all_a).numpy()


def round_mantissa(values: np.ndarray) -> np.ndarray:
    """Round float32 to `BITS` significant bits, so that it compresses: relative error at most 2**-BITS.

    Infinities and NaN stay what they are.
    """
    mantissa, exponent = np.frexp(values.astype(np.float64))
    return np.ldexp(np.round(mantissa * 2**BITS), exponent - BITS).astype(np.float32)


def _batches(
    images: Tensor, labels: Tensor, told: Tensor | None
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    size = BATCH[images.device.type]
    batches = (images.split(size), labels.split(size))
    return zip(*batches, [None] * len(batches[0]) if told is None else told.split(size), strict=True)
