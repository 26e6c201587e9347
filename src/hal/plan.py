"""What a grid will cost on this machine, which cells to train first, and which claims become decidable with them."""

import datetime
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch

from hal.data import store
from hal.data.described import Size
from hal.data.sizes import size_of
from hal.departures import departures
from hal.errors import UserError
from hal.paper import load_paper
from hal.params import Cell, Params
from hal.study.claims.power import power
from hal.study.grid import CellResult
from hal.train import cell as training
from hal.train.batches import draw_epoch
from hal.train.device import claimed_device, configure, cpu_cores
from hal.train.evaluate import Evaluation
from hal.train.loop import Trainer
from hal.train.memory import enough_memory
from hal.train.provenance import device_name

STEPS = 5  # in one go: once untimed, then timed
TIMES = 3  # of which the fastest counts, since other programs only ever slow it down
DECIDABLE = 0.8  # the power from which a claim counts as decidable
_TESTED = 1_000  # images

Network = tuple[str, str]  # data set and case


def measured(params: Params, cell: Cell, size: Size) -> float:
    """Seconds of an epoch of training and testing on this machine, by a few steps and tests on made-up images of that shape.

    A process's start and the last measurements on the trained network are not in it.

    Raises:
        UserError: a batch is larger than the data set.
    """
    batch = cell.train.batch_size
    training.check_batch_size(cell, size.train)
    steps = min(STEPS, cell.train.steps(size.train))
    random = np.random.default_rng(0)
    n_train, n_test = steps * batch, min(_TESTED, size.test)
    images = store.Images(
        random.integers(0, 256, (n_train, *size.shape), dtype=np.uint8),
        (np.arange(n_train) % cell.classes).astype(np.uint8),
        random.integers(0, 256, (n_test, *size.shape), dtype=np.uint8),
        (np.arange(n_test) % cell.classes).astype(np.uint8),
    )
    configure(params.runtime, cell.train.precision)
    with claimed_device(params.runtime) as device, enough_memory(cell.name, "its steps were not timed"):
        data, net = training.on_device(cell, images, device)
        trainer = Trainer(net, data, cell.train)
        evaluation = Evaluation(net, data, trainer.autocast)
        draw = draw_epoch(cell.seed, 0, n_train, batch, cell.augment, max(data.superclasses, 1))
        rates = np.full(steps, 1e-4)

        def epoch() -> None:
            trainer.epoch(draw, rates, lambda: None)
            trainer.losses.sum().item()  # waits for the device

        a_step = _seconds(epoch) / steps
        a_test = _seconds(evaluation.error_and_loss) / n_test
    return cell.train.steps(size.train) * a_step + size.test * a_test


def _seconds(function: Callable[[], object]) -> float:
    function()
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        function()
        taken.append(time.perf_counter() - began)
    return min(taken)


def epoch_times(params: Params, results: Sequence[CellResult]) -> dict[Network, float]:
    """Seconds of an epoch of every network that has cells to come.

    As its finished cells took where they were trained on this kind of machine; else measured, once for all networks of one shape.

    Raises:
        UserError: the size of a data set is not known.
    """
    device = device_name(torch.device("cuda" if _on_gpu(params) else "cpu"))
    shared = params.runtime.cells_per_gpu if _on_gpu(params) else None
    seconds: dict[Network, float] = {}
    by_shape: dict[str, float] = {}
    for network in dict.fromkeys(_network(r) for r in results if not r.finished):
        cells = [r for r in results if _network(r) == network]
        known = [
            r.record["time"]["wall_s"] / r.record["epochs"]
            for r in cells
            if r.ok
            and r.record["provenance"].get("device") == device
            and r.record["provenance"].get("cpu_threads") == params.runtime.cpu_threads
            and r.record["provenance"].get("cells_per_gpu") == shared
        ]
        if known:
            seconds[network] = statistics.mean(known)
            continue
        cell = cells[0].cell
        shape = _shape(cell)
        if shape not in by_shape:
            print(f"measuring a few steps of {cell.dataset}/{cell.case}", file=sys.stderr, flush=True)
            by_shape[shape] = measured(params, cell, _size_of(params, cell.dataset))
        seconds[network] = by_shape[shape]
    return seconds


def _size_of(params: Params, dataset: str) -> Size:
    size = size_of(params, dataset)
    if size is None:
        raise UserError(f"data set {dataset}: its size is not known yet; `hal data {dataset}` prepares it")
    return size


def _shape(cell: Cell) -> str:
    """What the cost of a step depends on: all settings but the seed, which classes are together, and the number of epochs."""
    settings = cell.settings | {"seed": None, "superclasses": len(cell.superclasses)}
    return json.dumps(settings | {"train": settings["train"] | {"epochs": None}}, sort_keys=True)


def _network(result: CellResult) -> Network:
    return result.cell.dataset, result.cell.case


def at_once(params: Params) -> int:
    """How many cells this machine trains at once."""
    if _on_gpu(params):
        return torch.cuda.device_count() * params.runtime.cells_per_gpu
    return max(cpu_cores() // params.runtime.cpu_threads, 1)


def _on_gpu(params: Params) -> bool:
    return params.runtime.device != "cpu" and torch.cuda.is_available()


def ordered(to_come: Iterable[CellResult], epoch_s: Mapping[Network, float]) -> list[CellResult]:
    """The cells to come: the data set first that is done soonest, and of it seed by seed.

    A claim is about all cases of a data set and needs most seeds, so one whole data set decides more than a piece of each.
    """
    cells = list(to_come)
    left = {
        dataset: sum(_left(r, epoch_s) for r in cells if r.cell.dataset == dataset)
        for dataset in dict.fromkeys(r.cell.dataset for r in cells)
    }
    return sorted(cells, key=lambda r: (left[r.cell.dataset], r.cell.dataset, r.cell.seed))


def within(
    cells: Sequence[CellResult], epoch_s: Mapping[Network, float], hours: float, workers: int
) -> list[CellResult]:
    """Those of the ordered cells that are done after so many hours, each begun by the first worker that is free."""
    free, done = [0.0] * workers, []
    for result in cells:
        ends = min(free) + _left(result, epoch_s)
        if ends > hours * 3600:
            break
        free[free.index(min(free))] = ends
        done.append(result)
    return done


def powers(done: Iterable[Cell]) -> dict[str, float]:
    """The power of every claim that has one, once these cells are done; 0 where a network that it speaks of is not there.

    A claim counts as many seeds as all of Table 2's networks of its data sets have.
    """
    by_network: dict[Network, int] = {}
    for cell in done:
        by_network[cell.dataset, cell.case] = by_network.get((cell.dataset, cell.case), 0) + 1
    seeds = {
        dataset: min(by_network.get((dataset, case), 0) for case in printed.errors)
        for dataset, printed in load_paper().datasets.items()
    }
    shares = {}
    for claim in load_paper().claims:
        n = min((seeds.get(dataset, 0) for dataset in claim.datasets), default=0)
        share = float(_reproduced(n or 1)[claim.id])
        if not math.isnan(share):
            shares[claim.id] = share if n else 0.0
    return shares


def _reproduced(n: int) -> dict[str, float]:
    table = power(n, scales=(1.0,))
    return dict(zip(table["id"], table["reproduced"], strict=True))


def lines(params: Params, results: Sequence[CellResult], hours: float | None) -> Iterator[str]:
    """The plan, for a person.

    Raises:
        UserError: the size of a data set is not known, or the hours are no time.
    """
    if hours is not None and not 0 < hours < math.inf:
        raise UserError(f"--hours {hours:g}: give a number of hours above 0")
    to_come = [r for r in results if not r.finished]
    yield f"{len(results) - len(to_come)} of {len(results)} cells are done"
    if not to_come:
        return
    busy = _busy()
    if busy:
        yield busy
    workers, epoch_s = at_once(params), epoch_times(params, results)
    for dataset in dict.fromkeys(r.cell.dataset for r in to_come):
        cells = [r for r in to_come if r.cell.dataset == dataset]
        each = [r.cell.train.epochs * epoch_s[_network(r)] for r in cells]
        between = " to ".join(dict.fromkeys(map(_time, (min(each), max(each)))))
        yield f"{dataset}: {len(cells)} cells to come, {between} each, {_total(cells, epoch_s, workers)} with {workers} at once"
    yield (
        f"all {len(to_come)} cells: about {_total(to_come, epoch_s, workers)} with {workers} at once, "
        "if they do not slow each other down"
    )
    if hours is None:
        return
    first = within(ordered(to_come, epoch_s), epoch_s, hours, workers)
    yield f"in {hours:g} hours {len(first)} of them, in this order: {_grouped(first) or 'none'}"
    if departures(params):
        yield "this run is not the paper's experiment, so none of the paper's claims is decided by it"
        return
    yield from _decided([*(r.cell for r in results if r.ok), *(r.cell for r in first)])


def _decided(done: Sequence[Cell]) -> Iterator[str]:
    """The claims, those that are most surely decided first."""
    says = {claim.id: claim.says for claim in load_paper().claims}
    ranked = sorted(powers(done).items(), key=lambda item: -item[1])
    yield (
        f"then decidable, with the power of each claim's rule ({100 * DECIDABLE:.0f} % or more), if the paper's errors are the truth:"
    )
    yes = [f"  {100 * share:3.0f} %  {claim}: {says[claim]}" for claim, share in ranked if share >= DECIDABLE]
    yield from yes or ["  none"]
    no = [f"{claim} ({100 * share:.0f} %)" for claim, share in ranked if share < DECIDABLE]
    yield f"not yet: {', '.join(no) or 'none'}"


def _busy() -> str:
    """A word of warning where other programs take the cores that are measured here."""
    load, cores = os.getloadavg()[0], cpu_cores()
    if load < cores / 2:
        return ""
    return f"this machine is at work already (load {load:.1f} on {cores} cores): times are longer than on an idle one"


def _left(result: CellResult, epoch_s: Mapping[Network, float]) -> float:
    epochs = result.cell.train.epochs
    return epoch_s[_network(result)] * (epochs - min(result.progress.epoch if result.progress else 0, epochs))


def _total(cells: Sequence[CellResult], epoch_s: Mapping[Network, float], workers: int) -> str:
    return _time(sum(_left(r, epoch_s) for r in cells) / workers)


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
