"""What a benchmark trains, where, and which of the candidates computes it."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import torch
from candidates import Candidate
from torch import nn

from hal.data.store import Images
from hal.params import Cell, Params, load
from hal.train.batches import DeviceData, EpochDraw, draw_epoch
from hal.train.cell import build_network
from hal.train.device import configure
from hal.train.memory import keep_freed_memory

ROOT = Path(__file__).parent.parent
SHAPES = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3), "digits": (8, 8, 1)}


@dataclasses.dataclass(frozen=True)
class Setting:
    """One way of computing a training step; with its defaults the pipeline's.

    Attributes:
        network: the data set whose network and image size are taken.
        precision: float32, tf32 or bfloat16.
        device: cpu or cuda.
        steps: of an epoch.
        deterministic: as `runtime.deterministic`.
        layout: of images and weights in memory: channels_last or nchw.
        norm: whose kernels normalise: PyTorch's own (`native`), `cudnn`'s, or `triton` (fused.py: with the ReLU behind
            it and the residual sum before it).
        projections: the 1x1 convolutions of the shortcuts as what they are, `convolutions`, or as matrix `products`.
        weights: `cast` by autocast, a kernel each, or `copies`, all convolutions' at once; a difference in bfloat16.
        compiled: whether torch.compile fuses the network.
        memory: of a CPU: what a step frees is `kept` for the next one, or `returned` to the system.
    """

    network: str
    precision: str
    device: str
    steps: int
    deterministic: bool = True
    layout: str = "channels_last"
    norm: str = "native"
    projections: str = "convolutions"
    weights: str = "cast"
    compiled: bool = False
    memory: str = "kept"

    @functools.cached_property
    def params(self) -> Params:
        """The paper's settings; the demo's for its own data set."""
        overlays = [ROOT / "configs/demo.yaml"] if self.network == "digits" else []
        return load(ROOT / "params.yaml", overlays)

    @functools.cached_property
    def cell(self) -> Cell:
        """The network with the most superclasses."""
        cell = self.params.cell(self.network, "case4", 0)
        return dataclasses.replace(cell, train=dataclasses.replace(cell.train, precision=self.precision))

    def configure(self) -> None:
        """Set threads and arithmetic as for a cell of the pipeline."""
        configure(dataclasses.replace(self.params.runtime, deterministic=self.deterministic), self.precision)
        if (self.device, self.memory) == ("cpu", "kept"):
            keep_freed_memory()
        if self.compiled:
            # The compiler asks for the precision by its older name, which PyTorch refuses once the newer ones were used.
            torch.set_float32_matmul_precision("high" if self.precision == "tf32" else "highest")
            torch._inductor.config.deterministic = self.deterministic  # or it chooses kernels by their times

    def images(self, train: int | None = None, test: int = 128) -> Images:
        """Random images: as many for training as an epoch takes, or `train`; the first of them again for testing."""
        rng = np.random.default_rng(0)
        count = train or self.steps * self.cell.train.batch_size
        pixels = rng.integers(0, 256, (count, *SHAPES[self.network]), dtype=np.uint8)
        labels = rng.integers(0, self.cell.classes, count).astype(np.uint8)
        return Images(pixels, labels, pixels[:test], labels[:test])

    def data(self, images: Images | None = None) -> DeviceData:
        """The images, or those given, on the device."""
        images, channels = images or self.images(), SHAPES[self.network][-1]
        return DeviceData(images, [0.5] * channels, [0.25] * channels, self.cell, torch.device(self.device))

    def net(self, seed: int = 0) -> nn.Module:
        """The network with a seed's weights, on the device, as the candidate computes it."""
        net = build_network(dataclasses.replace(self.cell, seed=seed), SHAPES[self.network][-1])
        layout = torch.channels_last if self.layout == "channels_last" else torch.contiguous_format
        net = net.to(self.device, memory_format=layout)
        usual = ("channels_last", "native", "convolutions", "cast")
        if (self.layout, self.norm, self.projections, self.weights) != usual:
            net = Candidate(net, layout, self.norm, self.projections, self.weights)
        return torch.compile(net) if self.compiled else net

    def draw(self, seed: int = 0) -> EpochDraw:
        """The order and augmentation of an epoch."""
        cell = self.cell
        count = self.steps * cell.train.batch_size
        return draw_epoch(seed, 0, count, cell.train.batch_size, cell.augment)

    @property
    def rates(self) -> np.ndarray:
        """A learning rate for each step, too small to make random labels diverge."""
        return np.full(self.steps, 1e-3, np.float32)

    def finish(self) -> None:
        """Wait for the device."""
        if self.device == "cuda":
            torch.cuda.synchronize()
