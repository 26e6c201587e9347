"""What a grid will cost on this machine, which cells to train first, and which claims become decidable with them."""

import dataclasses
import datetime
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch

from hal.data import store
from hal.data.sources import SOURCES
from hal.departures import departures
from hal.errors import UserError
from hal.paper import load_paper
from hal.params import Cell, Params
from hal.study.claims.power import power
from hal.study.grid import CellResult
from hal.train import cell as training
from hal.train.batches import DeviceData, draw_epoch
from hal.train.device import claimed_device, configure
from hal.train.evaluate import Evaluation
from hal.train.loop import Trainer

STEPS = 8  # timed; as many before them are not
DECIDABLE = 0.8  # the power from which a claim counts as decidable
_TESTED = 1_000  # images


@dataclasses.dataclass(frozen=True)
class Size:
    """Training and test images of a data set, and the shape of one (H, W, C)."""

    train: int
    test: int
    shape: tuple[int, ...]


def size_of(params: Params, dataset: str) -> Size:
    """From the prepared data set, else from what is known of its source.

    Raises:
        UserError: it is one of the user's own and not prepared yet.
    """
    path = params.path("data", f"{dataset}.json")
    if path.exists():
        described = json.loads(path.read_text(encoding="utf-8"))
        return Size(described["train"]["images"], described["test"]["images"], tuple(described["shape"]))
    source = SOURCES.get(params.datasets[dataset].source)
    if source is None:
        raise UserError(f"data set {dataset}: its size is not known yet; `hal data {dataset}` prepares it")
    return Size(*source.images, source.shape)


def measured(params: Params, cell: Cell, size: Size) -> float:
    """Seconds of training and testing a cell on this machine, by a few steps and tests on made-up images of its data set's shape.

    A process's start and the last measurements on the trained network are not in it: seconds.
    """
    batch = cell.train.batch_size
    steps = min(STEPS, size.train // batch)
    random = np.random.default_rng(0)
    n_train, n_test = steps * batch, min(_TESTED, size.test)
    images = store.Images(
        random.integers(0, 256, (n_train, *size.shape), dtype=np.uint8),
        (np.arange(n_train) % cell.classes).astype(np.uint8),
        random.integers(0, 256, (n_test, *size.shape), dtype=np.uint8),
        (np.arange(n_test) % cell.classes).astype(np.uint8),
    )
    configure(params.runtime, cell.train.precision)
    with claimed_device(params.runtime) as device:
        data = DeviceData(images, *store.statistics(images.train_images), cell, device)
        net = training.build_network(cell, data.channels).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        trainer = Trainer(net, data, cell.train)
        evaluation = Evaluation(net, data, trainer.autocast)
        draw = draw_epoch(cell.seed, 0, n_train, batch, cell.augment, max(data.superclasses, 1))
        rates = np.full(steps, 1e-4)

        def epoch() -> None:
            trainer.epoch(draw, rates, lambda: None)
            trainer.losses.sum().item()  # waits for the device

        a_step = _seconds(epoch) / steps
        a_test = _seconds(evaluation.error_and_loss) / n_test
    return cell.train.epochs * (size.train // batch * a_step + size.test * a_test)


def _seconds(function: Callable[[], object]) -> float:
    function()
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def at_once(params: Params) -> int:
    """How many cells this machine trains at once."""
    if params.runtime.device != "cpu" and torch.cuda.is_available():
        return torch.cuda.device_count() * params.runtime.cells_per_gpu
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(cores // params.runtime.cpu_threads, 1)


def ordered(to_come: Iterable[CellResult], seconds: dict[str, float]) -> list[CellResult]:
    """The cells to come: the data set first that is done soonest, and of it seed by seed.

    A claim is about all cases of a data set and needs most seeds, so one whole data set decides more than a piece of each.
    """
    cells = list(to_come)
    left = {
        dataset: sum(_left(r, seconds) for r in cells if r.cell.dataset == dataset)
        for dataset in dict.fromkeys(r.cell.dataset for r in cells)
    }
    return sorted(cells, key=lambda r: (left[r.cell.dataset], r.cell.dataset, r.cell.seed))


def within(
    cells: Sequence[CellResult], seconds: dict[str, float], hours: float, workers: int
) -> list[CellResult]:
    """Those of the ordered cells that are done after so many hours."""
    total, done = 0.0, []
    for result in cells:
        total += _left(result, seconds)
        if total > hours * 3600 * workers:
            break
        done.append(result)
    return done


def decidable(params: Params, done: Iterable[Cell]) -> tuple[list[str], list[str]]:
    """The claims with a power of at least `DECIDABLE` once these cells are done, and the others that have one.

    A claim counts as many seeds as all networks of its data sets have.
    """
    by_network: dict[tuple[str, str], int] = {}
    for cell in done:
        by_network[cell.dataset, cell.case] = by_network.get((cell.dataset, cell.case), 0) + 1
    seeds = {
        dataset: min(by_network.get((dataset, case), 0) for case in params.cases(dataset))
        for dataset in params.grid.datasets
    }
    powers = {n: power(n).set_index(["id", "scale"])["reproduced"] for n in {*seeds.values()} if n > 0}
    yes: list[str] = []
    no: list[str] = []
    for claim in load_paper().claims:
        n = min((seeds.get(dataset, 0) for dataset in claim.datasets), default=0)
        share = powers[n][claim.id, 1.0] if n else 0.0
        if not np.isnan(power(5).set_index(["id", "scale"])["reproduced"][claim.id, 1.0]):
            (yes if share >= DECIDABLE else no).append(claim.id)
    return yes, no


def lines(params: Params, results: Sequence[CellResult], hours: float | None) -> list[str]:
    """The plan, for a person.

    Raises:
        UserError: the size of a data set is not known.
    """
    to_come = [r for r in results if r.state not in ("ok", "diverged")]
    if not to_come:
        return ["every cell of the grid is done"]
    workers, seconds, said = at_once(params), {}, []
    for dataset in dict.fromkeys(r.cell.dataset for r in to_come):
        size = size_of(params, dataset)
        cells = [r for r in to_come if r.cell.dataset == dataset]
        seconds[dataset] = measured(params, cells[-1].cell, size)
        total = sum(_left(r, seconds) for r in cells) / workers
        said.append(
            f"{dataset}: {len(cells)} cells to come, {_time(seconds[dataset])} each, {_time(total)} in all"
        )
    total = sum(_left(r, seconds) for r in to_come) / workers
    said.append(
        f"all {len(to_come)} cells: about {_time(total)} with {workers} at once, if they do not slow each other down"
    )
    if hours is None:
        return said
    first = within(ordered(to_come, seconds), seconds, hours, workers)
    said.append(f"in {hours:g} hours {len(first)} of them, in this order: {_grouped(first) or 'none'}")
    if departures(params):
        return [
            *said,
            "this run is not the paper's experiment, so none of the paper's claims is decided by it",
        ]
    finished = [r.cell for r in results if r.state == "ok"]
    yes, no = decidable(params, [*finished, *(r.cell for r in first)])
    said.append(f"decidable then (power of {100 * DECIDABLE:.0f} % or more): {', '.join(yes) or 'no claim'}")
    return [*said, f"not yet: {', '.join(no) or 'none'}"]


def _left(result: CellResult, seconds: dict[str, float]) -> float:
    epochs = result.cell.train.epochs
    return seconds[result.cell.dataset] * (1 - min(result.progress.get("epoch", 0), epochs) / epochs)


def _grouped(cells: Sequence[CellResult]) -> str:
    parts = []
    for dataset in dict.fromkeys(r.cell.dataset for r in cells):
        mine = [r.cell.seed for r in cells if r.cell.dataset == dataset]
        seeds = sorted(set(mine))
        run = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
        named = f"{seeds[0]} to {seeds[-1]}" if run else ", ".join(map(str, seeds))
        parts.append(f"{dataset} seed{'s' if len(seeds) > 1 else ''} {named} ({len(mine)} networks)")
    return "; ".join(parts)


def _time(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
