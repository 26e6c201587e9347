"""What is measured on a network: test error and loss, logits under every superclass, auxiliary scores."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hal.model import HAL
from hal.train.batches import DeviceData
from hal.train.graph import captured

# Activations of a small batch stay in a CPU's cache (four times as fast as 1,000 images); a GPU wants many.
BATCH = {"cpu": 128, "cuda": 2000}


class Evaluation:
    """Error and loss over all test images, each fed its true superclass, as in the paper.

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
        for images, labels in _batches(self.data.test_images, self.data.test_labels):
            with self.autocast:
                logits = self.net(self.data.normalise(images), self.data.superclass(labels)).float()
            self.wrong += (logits.argmax(dim=1) != labels).sum()
            self.loss += F.cross_entropy(logits, labels, reduction="sum").double()


@torch.inference_mode()
def hypothesised_logits(
    net: HAL, data: DeviceData, superclasses: int, autocast: torch.autocast
) -> np.ndarray:
    """Test logits (N, S, K) float32: entry s is what the network says when told superclass s.

    The baseline, which is told none, has S = 1.
    """
    net.eval()
    logits = []
    for images, _ in _batches(data.test_images, data.test_labels):
        with autocast:
            y = net.features(data.normalise(images))
            told = torch.eye(superclasses, device=data.device)[:, None, :].expand(-1, len(y), -1)
            each = [net.classify(y, x_star)[0] for x_star in told] or [net.classify(y, None)[0]]
        logits.append(torch.stack(each, dim=1).float().cpu())
    return torch.cat(logits).numpy()


@torch.inference_mode()
def auxiliary_scores(net: HAL, data: DeviceData, autocast: torch.autocast) -> np.ndarray:
    """Equation 3 for every training image, without augmentation, given its true superclass: (N,) float32."""
    net.eval()
    scores = []
    for images, labels in _batches(data.train_images, data.train_labels):
        with autocast:
            a = net.auxiliary(net.features(data.normalise(images)), data.superclass(labels))
        scores.append(a[:, 0].float().cpu())
    return torch.cat(scores).numpy()


def round_mantissa(values: np.ndarray, bits: int = 11) -> np.ndarray:
    """Round float32 to `bits` significant bits, so that it compresses: relative error at most 2**-bits.

    Infinities and NaN stay what they are.
    """
    mantissa, exponent = np.frexp(values.astype(np.float64))
    return np.ldexp(np.round(mantissa * 2**bits), exponent - bits).astype(np.float32)


def _batches(images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    size = BATCH[images.device.type]
    return zip(images.split(size), labels.split(size), strict=True)
