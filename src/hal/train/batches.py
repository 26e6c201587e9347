"""A data set on the device as uint8, and the batches drawn from it: crop, flip, normalise (section 4).

Keeping raw bytes on the device and cropping and flipping a whole epoch in one gather leaves nothing for the
host to do within it. All randomness of an epoch is drawn on the CPU from (seed, epoch), so that every device
sees the same batches and a resumed run the same as an uninterrupted one.
"""

import dataclasses

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hal.data.store import Images
from hal.params import AugmentSettings


@dataclasses.dataclass(frozen=True)
class EpochDraw:
    """The random choices of one epoch, each (steps, B): image, top and left of its crop, flipped or not."""

    image: Tensor
    top: Tensor
    left: Tensor
    flip: Tensor

    def steps(self, first: int, last: int) -> "EpochDraw":
        """The choices of steps `first` to `last` - 1."""
        return EpochDraw(*(choice[first:last] for choice in (self.image, self.top, self.left, self.flip)))


def draw_epoch(seed: int, epoch: int, images: int, batch_size: int, augment: AugmentSettings) -> EpochDraw:
    """Draw the order and the augmentation of epoch `epoch`; the last incomplete batch is dropped."""
    rng = np.random.default_rng([seed, epoch])
    shape = (images // batch_size, batch_size)
    offsets = shape if augment.crop == "image" else (shape[0], 1)
    drawn = {
        "image": rng.permutation(images)[: shape[0] * batch_size].reshape(shape),
        "top": np.broadcast_to(rng.integers(0, 2 * augment.pad + 1, offsets), shape),
        "left": np.broadcast_to(rng.integers(0, 2 * augment.pad + 1, offsets), shape),
        "flip": rng.integers(0, 2, shape).astype(bool) if augment.flip else np.zeros(shape, bool),
    }
    return EpochDraw(**{name: torch.tensor(array) for name, array in drawn.items()})


class DeviceData:
    """Both splits on the device, and the way from stored bytes to the network's input.

    Args:
        images: the two splits, (N, H, W, C) uint8.
        mean, std: per channel, of training pixels in 0..1.
        pad: black pixels added on each side of a training image before it is cropped.
        superclasses: the classes of each superclass; empty for the baseline.
    """

    def __init__(
        self,
        images: Images,
        mean: list[float],
        std: list[float],
        pad: int,
        superclasses: tuple[tuple[int, ...], ...],
        device: torch.device,
    ) -> None:
        self.device, self.pad = device, pad
        self.height, self.width, self.channels = images.train_images.shape[1:]
        self.padded = F.pad(torch.from_numpy(images.train_images), (0, 0, pad, pad, pad, pad)).to(device)
        self.test_images = torch.from_numpy(images.test_images).to(device)
        self.train_labels = torch.from_numpy(images.train_labels).long().to(device)
        self.test_labels = torch.from_numpy(images.test_labels).long().to(device)
        self.scale = (1 / (255 * torch.tensor(std, dtype=torch.float64))).float().to(device)
        self.shift = (
            (-torch.tensor(mean, dtype=torch.float64) / torch.tensor(std, dtype=torch.float64))
            .float()
            .to(device)
        )
        self._rows = torch.arange(self.height, device=device)
        self._columns = torch.arange(self.width, device=device)
        self._one_hot = superclass_one_hot(superclasses).to(device) if superclasses else None

    @property
    def train_images(self) -> Tensor:
        """The training images without padding, (N, H, W, C) uint8."""
        return self.padded[:, self.pad : self.pad + self.height, self.pad : self.pad + self.width]

    def normalise(self, images: Tensor) -> Tensor:
        """(B, H, W, C) uint8 to (B, C, H, W) float32, channels last in memory."""
        return (images * self.scale + self.shift).permute(0, 3, 1, 2)

    def superclass(self, labels: Tensor) -> Tensor | None:
        """Labels (B,) to the one-hot vectors of their superclasses (B, S); None for the baseline."""
        return None if self._one_hot is None else self._one_hot[labels]

    def training_images(self, draw: EpochDraw) -> Tensor:
        """The batches of the draw, cropped and flipped: (steps, B, H, W, C) uint8."""
        image, top, left, flip = (
            choice[..., None].to(self.device) for choice in (draw.image, draw.top, draw.left, draw.flip)
        )
        rows = top + self._rows
        columns = left + torch.where(flip, self.width - 1 - self._columns, self._columns)
        return self.padded[image[..., None], rows[..., None], columns[..., None, :]]

    def training_labels(self, draw: EpochDraw) -> Tensor:
        """The labels of the same images, (steps, B)."""
        return self.train_labels[draw.image.to(self.device)]


def superclass_one_hot(superclasses: tuple[tuple[int, ...], ...]) -> Tensor:
    """(K, S) float32: row k holds the one-hot vector of class k's superclass (section 4)."""
    one_hot = torch.zeros(sum(map(len, superclasses)), len(superclasses))
    for j, classes in enumerate(superclasses):
        one_hot[list(classes), j] = 1
    return one_hot
