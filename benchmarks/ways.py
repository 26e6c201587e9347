"""The ways of training that `train_speed.py` compares, each a context that yields a function which trains an epoch.

The function returns the epoch's mean loss when the device is done. All train the same network on the same random
images of a real data set's size and shape: what the images show costs nothing.
"""

import contextlib
import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from setting import SHAPES, Setting
from torch.nn import functional as F

from hal.train.device import cpu_cores
from hal.train.loop import Trainer, autocast

Epoch = Callable[[], float]


def nothing() -> None:
    """What there is to do after a step."""


@contextlib.contextmanager
def plain(setting: Setting, k: int) -> Iterator[Epoch]:
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

    dataclasses.replace(setting, memory="returned").configure()  # as of any script
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
        num_workers=min(4, cpu_cores()),
        persistent_workers=True,
        pin_memory=device == "cuda",
        multiprocessing_context="fork",  # the data set is a class of this function
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
        return total / setting.steps

    yield epoch


@contextlib.contextmanager
def resident(setting: Setting, k: int) -> Iterator[Epoch]:
    """Our step with the data on the device, but every kernel launched by Python."""
    setting.configure()
    trainer = _trainer(setting)
    trainer.launch = trainer.step
    yield _epochs_of(trainer, setting)


@contextlib.contextmanager
def engine(setting: Setting, k: int) -> Iterator[Epoch]:
    """What the pipeline runs."""
    setting.configure()
    yield _epochs_of(_trainer(setting), setting)


def _trainer(setting: Setting, seed: int = 0) -> Trainer:
    return Trainer(setting.net(seed), setting.data(), setting.cell.train)


def _epochs_of(trainer: Trainer, setting: Setting, seed: int = 0) -> Epoch:
    draw, rates = setting.draw(seed), setting.rates

    def epoch() -> float:
        trainer.epoch(draw, rates, nothing)
        return trainer.losses.mean().item()

    return epoch


@contextlib.contextmanager
def streams(setting: Setting, k: int) -> Iterator[Epoch]:
    """In one process k cells: a thread, a stream and a graph each."""
    setting.configure()
    cuda = setting.device == "cuda"
    lanes = [torch.cuda.Stream() if cuda else None for _ in range(k)]
    epochs = []
    for seed, lane in enumerate(lanes):
        with torch.cuda.stream(lane):
            epochs.append(_epochs_of(_trainer(setting, seed), setting, seed))
    setting.finish()

    def one(i: int) -> float:
        with torch.cuda.stream(lanes[i]):
            return epochs[i]()  # reading its loss waits for this stream alone

    with ThreadPoolExecutor(k) as pool:

        def epoch() -> float:
            first, *_ = pool.map(one, range(k))
            return first

        yield epoch


@contextlib.contextmanager
def processes(setting: Setting, k: int) -> Iterator[Epoch]:
    """A process for each of k cells, as the pipeline has it."""
    command = [sys.executable, __file__, json.dumps(dataclasses.asdict(setting))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen([*command, str(seed)], **pipes) for seed in range(k)]
    try:
        for worker in workers:
            _told(worker)

        def epoch() -> float:
            for worker in workers:
                print("epoch", file=worker.stdin, flush=True)
            first, *_ = map(_told, workers)
            return first

        yield epoch
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def _told(worker: subprocess.Popen) -> float:
    """The number that a worker says next."""
    said = worker.stdout.readline()
    if not said:
        raise RuntimeError("a process of the benchmark ended before its time")
    return float(said)


def _work(setting: Setting, seed: int) -> None:
    """The life of one of `processes`: a number when it is ready, and the loss after each epoch."""
    setting.configure()
    epoch = _epochs_of(_trainer(setting, seed), setting, seed)
    print(0.0, flush=True)
    for _ in sys.stdin:
        print(epoch(), flush=True)


if __name__ == "__main__":
    _work(Setting(**json.loads(sys.argv[1])), int(sys.argv[2]))
