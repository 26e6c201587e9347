"""The ways of training that `train_speed.py` compares, each a context that yields a function which trains an epoch.

The function returns when the device is done. All train the same network on the same random images of a real data
set's size and shape: what the images show costs nothing.
"""

import contextlib
import dataclasses
import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from hal import nvidia_mps
from hal.data.store import Images
from hal.params import Cell, Params, load
from hal.train.batches import DeviceData, EpochDraw, draw_epoch
from hal.train.device import configure
from hal.train.graph import captured
from hal.train.loop import Trainer, autocast, update
from hal.train.model import HAL

ROOT = Path(__file__).parent.parent
SHAPES = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3), "digits": (8, 8, 1)}
LOADER_WORKERS = min(4, os.cpu_count() or 1)

Epoch = Callable[[], object]


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is trained, and where.

    Attributes:
        network: the data set whose network and image size are taken.
        precision: float32, tf32 or bfloat16.
        device: cpu or cuda.
        steps: of an epoch.
    """

    network: str
    precision: str
    device: str
    steps: int

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

    def configure(self, deterministic: bool = True) -> None:
        """Set threads and arithmetic as for a cell of the pipeline, or with kernels chosen for their speed."""
        runtime = dataclasses.replace(self.params.runtime, deterministic=deterministic)
        configure(runtime, self.precision)

    def images(self, train: int | None = None, test: int = 128) -> Images:
        """Random images: as many for training as an epoch takes, or `train`; the first of them again for testing."""
        rng = np.random.default_rng(0)
        count = train or self.steps * self.cell.train.batch_size
        pixels = rng.integers(0, 256, (count, *SHAPES[self.network]), dtype=np.uint8)
        labels = rng.integers(0, self.cell.classes, count).astype(np.uint8)
        return Images(pixels, labels, pixels[:test], labels[:test])

    def data(self, images: Images | None = None) -> DeviceData:
        """The images, or those given, on the device."""
        images, cell, channels = images or self.images(), self.cell, SHAPES[self.network][-1]
        mean, std = [0.5] * channels, [0.25] * channels
        return DeviceData(images, mean, std, cell, torch.device(self.device))

    def net(self, seed: int = 0) -> HAL:
        """The network with a seed's weights, as the pipeline lays it out on the device."""
        cell, channels = self.cell, SHAPES[self.network][-1]
        structure = (channels, cell.classes, len(cell.superclasses), cell.block, cell.layers)
        net = HAL(*structure, seed=seed, **dataclasses.asdict(cell.model))
        return net.to(self.device, memory_format=torch.channels_last)

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


def nothing() -> None:
    """What there is to do after a step."""


# --- one cell ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def plain(setting: Setting) -> Iterator[Epoch]:
    """What a tutorial shows: torchvision's transforms in a DataLoader's processes, eager PyTorch, `loss.item()`."""
    from PIL import Image
    from torchvision import transforms

    cell, device, channels = setting.cell, setting.device, SHAPES[setting.network][-1]
    images = setting.images()
    augmented = [
        transforms.RandomCrop(SHAPES[setting.network][0], padding=cell.augment.pad),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize([0.5] * channels, [0.25] * channels),
    ]

    class DataSet(torch.utils.data.Dataset):
        transform = transforms.Compose(augmented)

        def __len__(self) -> int:
            return len(images.train_labels)

        def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
            pixels = images.train_images[i]
            image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
            return self.transform(image), int(images.train_labels[i])

    setting.configure(deterministic=False)
    data = setting.data()
    one_hot = data.x_star(data.superclass_of)
    net = setting.net().to(memory_format=torch.contiguous_format)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 250 * setting.steps)
    precision = autocast(cell.train, torch.device(device))
    loader = torch.utils.data.DataLoader(
        DataSet(),
        cell.train.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=LOADER_WORKERS,
        persistent_workers=True,
        pin_memory=device == "cuda",
    )

    def epoch() -> float:
        net.train()
        total = 0.0
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            with precision:
                loss = F.cross_entropy(net(x, one_hot[y]), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item()
        return total

    yield epoch


@contextlib.contextmanager
def bare(setting: Setting) -> Iterator[Epoch]:
    """Forward, backward and update of one fixed batch: what no loop can be faster than without a graph."""
    setting.configure()
    cell, data, net = setting.cell, setting.data(), setting.net()
    draw = setting.draw()
    images, labels = data.training_images(draw)[0], data.training_labels(draw)[0]
    x, x_star = data.normalise(images), data.x_star(data.superclass_of[labels])
    rate = torch.full((1,), 1e-3, device=setting.device)
    precision, parameters = autocast(cell.train, data.device), list(net.parameters())

    def epoch() -> None:
        net.train()
        for _ in range(setting.steps):
            for parameter in parameters:
                parameter.grad = None
            with precision:
                loss = F.cross_entropy(net(x, x_star), labels)
            loss.backward()
            with torch.no_grad():
                update(parameters, [], rate, cell.train)
        setting.finish()

    yield epoch


@contextlib.contextmanager
def resident(setting: Setting) -> Iterator[Epoch]:
    """Our step with the data on the device, but every kernel launched by Python."""
    setting.configure(deterministic=False)
    trainer = Trainer(setting.net(), setting.data(), setting.cell.train)
    trainer.launch = trainer.step
    yield _epochs_of(trainer, setting)


@contextlib.contextmanager
def engine(setting: Setting) -> Iterator[Epoch]:
    """What the pipeline runs."""
    setting.configure()
    yield _epochs_of(Trainer(setting.net(), setting.data(), setting.cell.train), setting)


@contextlib.contextmanager
def not_deterministic(setting: Setting) -> Iterator[Epoch]:
    """The same with `runtime.deterministic: false`: what determinism costs."""
    setting.configure(deterministic=False)
    yield _epochs_of(Trainer(setting.net(), setting.data(), setting.cell.train), setting)


@contextlib.contextmanager
def compiled(setting: Setting) -> Iterator[Epoch]:
    """The engine around a network that torch.compile has fused."""
    setting.configure(deterministic=False)
    yield _epochs_of(Trainer(torch.compile(setting.net()), setting.data(), setting.cell.train), setting)


def _epochs_of(trainer: Trainer, setting: Setting) -> Epoch:
    draw, rates = setting.draw(), setting.rates

    def epoch() -> None:
        trainer.epoch(draw, rates, nothing)
        setting.finish()

    return epoch


# --- k cells at once -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def streams(setting: Setting, k: int) -> Iterator[Epoch]:
    """In one process k cells: a thread, a stream and a graph each."""
    setting.configure()
    cuda = setting.device == "cuda"
    lanes = [torch.cuda.Stream() if cuda else None for _ in range(k)]
    draws, data, trainers = [setting.draw(seed) for seed in range(k)], setting.data(), []
    setting.finish()
    for seed, lane in enumerate(lanes):
        with torch.cuda.stream(lane):
            trainers.append(Trainer(setting.net(seed), data, setting.cell.train))
    setting.finish()

    def one(i: int) -> None:
        with torch.cuda.stream(lanes[i]):
            trainers[i].epoch(draws[i], setting.rates, nothing)
            if cuda:
                lanes[i].synchronize()

    with ThreadPoolExecutor(k) as pool:
        yield lambda: list(pool.map(one, range(k)))


class Fused:
    """The k seeds of a case as one network: every convolution becomes one of k groups, every product a batched one.

    Args:
        setting: of each seed.
        k: how many.

    Attributes:
        parameters, buffers: by name, with a first dimension of k.
        losses: (k,), of the last step.
    """

    def __init__(self, setting: Setting, k: int) -> None:
        self.settings, self.data = setting.cell.train, setting.data()
        nets = [setting.net(seed).train() for seed in range(k)]
        self.parameters, self.buffers = torch.func.stack_module_state(nets)
        self._forward = torch.vmap(self._logits, randomness="error")
        self._net, self._autocast = nets[0], autocast(self.settings, self.data.device)
        draws = [setting.draw(seed) for seed in range(k)]
        self.images = torch.stack([self.data.training_images(draw) for draw in draws], dim=1)
        self.labels = torch.stack([self.data.training_labels(draw) for draw in draws], dim=1)
        self.rate = torch.full((1,), 1e-3, device=self.data.device)
        self.losses = torch.zeros(k, device=self.data.device)
        self.now = torch.zeros(1, dtype=torch.int64, device=self.data.device)
        changed = [*(p.detach() for p in self.parameters.values()), *self.buffers.values(), self.now]
        self.launch = captured(self.step, self.data.device, changed)

    def _logits(self, parameters: dict, buffers: dict, x: torch.Tensor, x_star: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(self._net, (parameters, buffers), (x, x_star))

    def step(self) -> None:
        """One batch of every seed."""
        images = self.images.index_select(0, self.now)[0]
        labels = self.labels.index_select(0, self.now)[0]
        for parameter in self.parameters.values():
            parameter.grad = None
        x = torch.vmap(self.data.normalise)(images)
        with self._autocast:
            logits = self._forward(
                self.parameters,
                self.buffers,
                x,
                self.data.x_star(self.data.superclass_of[labels.flatten()]).unflatten(0, labels.shape),
            ).float()
            losses = F.cross_entropy(logits.movedim(-1, 1), labels, reduction="none").mean(dim=1)
        losses.sum().backward()  # no seed's loss knows another seed's weights
        with torch.no_grad():
            update(list(self.parameters.values()), [], self.rate, self.settings)
            self.losses.copy_(losses)
            self.now += 1


@contextlib.contextmanager
def vmap(setting: Setting, k: int) -> Iterator[Epoch]:
    """The k seeds of one case fused by torch.vmap, which also copies activations around every normalisation."""
    setting.configure(deterministic=False)
    together = Fused(setting, k)

    def epoch() -> None:
        together.now.zero_()
        for _ in range(setting.steps):
            together.launch()
        setting.finish()

    yield epoch


@contextlib.contextmanager
def processes(setting: Setting, most: int) -> Iterator[Callable[[int], None]]:
    """Up to `most` processes of one cell each; the function takes how many of them train their epoch."""
    command = [sys.executable, __file__, json.dumps(dataclasses.asdict(setting))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, **pipes) for _ in range(most)]
    try:
        for worker in workers:
            _expect(worker, "ready")

        def epoch(k: int) -> None:
            for worker in workers[:k]:
                print("epoch", file=worker.stdin, flush=True)
            for worker in workers[:k]:
                _expect(worker, "done")

        yield epoch
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def _expect(worker: subprocess.Popen, word: str) -> None:
    said = worker.stdout.readline()
    if said != f"{word}\n":
        raise RuntimeError(f"a process of the benchmark ended instead of saying {word!r}")


def _work(setting: Setting) -> None:
    """The life of one of `processes`."""
    with engine(setting) as epoch:
        print("ready", flush=True)
        for _ in sys.stdin:
            epoch()
            print("done", flush=True)


@contextlib.contextmanager
def served() -> Iterator[str | None]:
    """MPS for the processes started meanwhile; yields why there is none."""
    with tempfile.TemporaryDirectory(prefix="hal-mps-", ignore_cleanup_errors=True) as folder:
        reason = nvidia_mps.start(Path(folder))
        try:
            yield reason
        finally:
            nvidia_mps.stop(Path(folder))


if __name__ == "__main__":
    _work(Setting(**json.loads(sys.argv[1])))
