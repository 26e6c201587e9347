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
from hal.params import Cell
from hal.settings import AugmentSettings

# What a random hint is drawn for beside the epochs, as the third number of its seed.
TEST, TRAIN = 1, 2


@dataclasses.dataclass(frozen=True)
class EpochDraw:
    """The random choices of one epoch, each (steps, B).

    Attributes:
        image: which one.
        top, left: where its crop begins.
        flip: whether it is flipped.
        superclass: what is told of it where the hint is random, else 0.
    """

    image: Tensor
    top: Tensor
    left: Tensor
    flip: Tensor
    superclass: Tensor

    def steps(self, first: int, last: int) -> "EpochDraw":
        """The choices of steps `first` to `last` - 1."""
        choices = (self.image, self.top, self.left, self.flip, self.superclass)
        return EpochDraw(*(choice[first:last] for choice in choices))


def draw_epoch(
    seed: int, epoch: int, images: int, batch_size: int, augment: AugmentSettings, superclasses: int = 1
) -> EpochDraw:
    """Draw the order, the augmentation and the random hints of epoch `epoch`; the last incomplete batch is dropped."""
    rng = np.random.default_rng([seed, epoch])
    shape = (images // batch_size, batch_size)
    offsets = shape if augment.crop == "image" else (shape[0], 1)
    drawn = {
        "image": rng.permutation(images)[: shape[0] * batch_size].reshape(shape),
        "top": np.broadcast_to(rng.integers(0, 2 * augment.pad + 1, offsets), shape),
        "left": np.broadcast_to(rng.integers(0, 2 * augment.pad + 1, offsets), shape),
        "flip": rng.integers(0, 2, shape).astype(bool) if augment.flip else np.zeros(shape, bool),
        "superclass": rng.integers(
            0, superclasses, shape
        ),  # last: the other choices are those of any other hint
    }
    return EpochDraw(**{name: torch.tensor(array) for name, array in drawn.items()})


class DeviceData:
    """Both splits on the device, the way from stored bytes to the network's input, and what it is told of an image.

    Args:
        images: the two splits, (N, H, W, C) uint8.
        mean, std: per channel, of training pixels in 0..1.
        cell: its superclasses, hint, loss, seed and padding.

    Attributes:
        superclass_of: (K,) int64, the superclass of each class; None for the baseline.
        test_told, train_told: (N,) int64, the superclass told of each image when the network is measured: the true one,
            unless the hint is random. None where nothing is told.
    """

    def __init__(
        self, images: Images, mean: list[float], std: list[float], cell: Cell, device: torch.device
    ) -> None:
        self.device, self.pad, self.hint = device, cell.augment.pad, cell.hint
        self.masked = cell.loss == "masked"
        self.superclasses = len(cell.superclasses)
        self.height, self.width, self.channels = images.train_images.shape[1:]
        pad = self.pad
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
        self.superclass_of = torch.tensor(cell.superclass_of, device=device) if cell.superclasses else None
        if cell.superclasses:
            self._hints = (torch.zeros if cell.hint == "zero" else torch.eye)(
                self.superclasses, self.superclasses, device=device
            )
            self._allowed = (
                self.superclass_of[:, None] == self.superclass_of
            )  # (K, K): classes beside each label
        self.test_told = self._told(self.test_labels, cell.seed, TEST)
        self.train_told = self._told(self.train_labels, cell.seed, TRAIN)

    def _told(self, labels: Tensor, seed: int, use: int) -> Tensor | None:
        if self.hint == "random":
            drawn = np.random.default_rng([seed, 0, use]).integers(0, self.superclasses, len(labels))
            return torch.from_numpy(drawn).to(self.device)
        return None if self.hint == "none" else self.superclass_of[labels]

    @property
    def train_images(self) -> Tensor:
        """The training images without padding, (N, H, W, C) uint8."""
        return self.padded[:, self.pad : self.pad + self.height, self.pad : self.pad + self.width]

    def normalise(self, images: Tensor) -> Tensor:
        """(B, H, W, C) uint8 to (B, C, H, W) float32, channels last in memory."""
        return (images * self.scale + self.shift).permute(0, 3, 1, 2)

    def x_star(self, superclass: Tensor | None) -> Tensor | None:
        """Superclasses (B,) to what the network is told of them (B, S): one-hot vectors, or zeros for the hint `zero`.

        None for None, where the network is told nothing.
        """
        return None if superclass is None else self._hints.index_select(0, superclass)

    def restricted(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Logits (B, K), and under the masked loss minus infinity for the classes outside the labels' superclass."""
        return logits.masked_fill(~self._allowed[labels], -torch.inf) if self.masked else logits

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

    def training_told(self, draw: EpochDraw) -> Tensor | None:
        """The superclasses that are told of the same images, (steps, B); None where nothing is told."""
        if self.hint == "random":
            return draw.superclass.to(self.device)
        return None if self.hint == "none" else self.superclass_of[self.training_labels(draw)]
