"""Networks and test images are both samples: intervals that know of both, by a bootstrap that crosses them.

Other seeds would have given other networks, and another test set other errors: of 43 wrong images in 10,000 the next 10,000 may
have 30 or 56. A resample draws the networks of every case anew, each case by itself, and the test images anew, the same ones
for all networks, for they are the same in truth. Between the 2.5 % and 97.5 % quantiles of the resampled quantity lies its
interval. So few networks make it somewhat too short.

The quantities of a case, of which the errors are in percent and the differences in points:

- `baseline`, `masked`: the baseline's error, and with its logits restricted to the classes of the true superclass.
- `hal`, `hal_masked`, `flips`: HAL's error, the same restricted, and the share of predictions that change with the superclass told.
- `hal - baseline`, `hal - masked`: what hint and network achieve together, and beyond what the hint alone is worth.
- `hal - hal_masked`, `hal_masked - masked`: the unused part of the hint, and what lies within the superclass (see `hint`).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hal.errors import UserError
from hal.params import Params
from hal.remeasured import is_remeasured
from hal.settings import BASELINE
from hal.study import measures
from hal.study.controls import predictions
from hal.study.grid import load_cells, select
from hal.study.kept import KeptTable, grouping_text, identity
from hal.study.resampling import LEVEL, NO_INTERVAL, RESAMPLES, Interval

COLUMNS = (
    *("dataset", "case", "quantity", "n", "reference_n", "images", "value", "low", "high"),
    *("networks", "missing"),
)

# A quantity is a weighted sum of means. Each is of the networks of a case, the row's own ("") or the baseline, and of what is
# counted of them: "error", "masked", "flips", or "unused" (error minus masked, network by network).
QUANTITIES: dict[str, dict[tuple[str, str], int]] = {
    "baseline": {(BASELINE, "error"): 1},
    "masked": {(BASELINE, "masked"): 1},
    "hal": {("", "error"): 1},
    "hal_masked": {("", "masked"): 1},
    "flips": {("", "flips"): 1},
    "hal - baseline": {("", "error"): 1, (BASELINE, "error"): -1},
    "hal - masked": {("", "error"): 1, (BASELINE, "masked"): -1},
    "hal - hal_masked": {("", "unused"): 1},
    "hal_masked - masked": {("", "masked"): 1, (BASELINE, "masked"): -1},
}

Sample = tuple[str, str, str]  # a case, the grouping by which it is looked at, and what is counted

_SEED = 0  # the same networks always give the same intervals
_CHUNK = RESAMPLES // 11  # of the 9,999 resamples at a time: their weights fit in memory

TABLE = KeptTable(
    folder="crossed",
    columns=COLUMNS,
    key=("case", "quantity", "networks"),
    numbers=("images", "value", "low", "high"),
    whole=("images",),
)


def crossed(
    samples: Mapping[Sample, np.ndarray], quantities: Sequence[Mapping[Sample, int]]
) -> list[Interval]:
    """The intervals of weighted sums of means, in percent of the images, by resampling networks and images.

    Args:
        samples: (n, N) whole numbers: what is counted of each of n networks on each of N images.
        quantities: each the samples that it is made of with their weights.

    Returns:
        For each quantity its 95 % interval; none where one of its samples has fewer than two networks.
    """
    of_images = np.random.default_rng(_SEED)
    of_networks = {  # a generator each, so that an interval does not depend on what else is resampled
        name: np.random.default_rng([_SEED, *"/".join(name).encode()]) for name in samples
    }
    counts = np.concatenate(list(samples.values())).T.astype(np.float32)  # sums of whole numbers: all exact
    means: dict[Sample, list[np.ndarray]] = {name: [] for name in samples}
    for _ in range(RESAMPLES // _CHUNK):
        by_network = _image_weights(of_images, len(counts), _CHUNK) @ counts
        start = 0
        for name, sample in samples.items():
            drawn = start + of_networks[name].integers(len(sample), size=(_CHUNK, len(sample)))
            means[name].append(np.take_along_axis(by_network, drawn, axis=1).mean(axis=1, dtype=float))
            start += len(sample)
    resampled = {name: 100 / len(counts) * np.concatenate(chunks) for name, chunks in means.items()}
    intervals = []
    for quantity in quantities:
        total = np.sum([weight * resampled[name] for name, weight in quantity.items()], axis=0)
        low, high = np.quantile(total, [LEVEL / 2, 1 - LEVEL / 2])
        alone = min(len(samples[name]) for name in quantity) < 2
        intervals.append(NO_INTERVAL if alone else Interval(float(low), float(high)))
    return intervals


def write(params: Params, dataset: str) -> Path:
    """Compute a data set's intervals, write results/crossed/<dataset>.csv and return its path.

    Where a network's predictions are not here (a clone without checkpoints), are damaged, or were measured again on another machine,
    what the file already says of the very same networks stays.
    """
    cells = select(load_cells(params), dataset=dataset)
    stored = TABLE.read(params, dataset)
    again = {
        r.cell.case
        for r in select(cells, state="ok")["result"]
        if is_remeasured(r.paths.predictions, r.record)
    }
    samples: dict[Sample, np.ndarray] = {}
    absent: dict[tuple[str, str], str] = {}  # of networks whose predictions cannot be read, why
    rows, computed = [], []
    for entry, quantity in _entries(params, dataset, cells):
        if (
            any(case in again for case, _, _ in quantity)
            and (old := TABLE.or_stored(entry, stored)) is not entry
        ):
            rows.append(old)
            continue
        for case, grouping, what in quantity:
            if (case, grouping, what) not in samples and (case, grouping) not in absent:
                try:
                    samples |= _samples(params, cells, case, grouping)
                except UserError as error:
                    absent[case, grouping] = str(error)
        if reasons := [absent[name[:2]] for name in quantity if name[:2] in absent]:
            rows.append(TABLE.or_stored(entry | {"missing": reasons[0]}, stored))
            continue
        means = {name: 100 * float(samples[name].mean()) for name in quantity}
        value = sum(weight * means[name] for name, weight in quantity.items())
        rows.append(entry | {"images": samples[next(iter(quantity))].shape[1], "value": value})
        computed.append((rows[-1], quantity))
    if computed:
        named = {name for _, quantity in computed for name in quantity}
        intervals = crossed(
            {name: sample for name, sample in samples.items() if name in named},
            [quantity for _, quantity in computed],
        )
        for (row, _), interval in zip(computed, intervals, strict=True):
            row |= {"low": interval.low, "high": interval.high}
    return TABLE.write(params, dataset, rows)


def read(params: Params, cells: pd.DataFrame) -> pd.DataFrame:
    """The intervals of all data sets of the grid, from results/crossed/: columns `COLUMNS`.

    A row that is not of the networks as they are now, or is not computed yet, has no numbers and says so under `missing`.
    """
    rows = []
    for dataset, mine in cells.groupby("dataset", sort=False):
        stored, absent = TABLE.read(params, dataset), TABLE.absent(params, dataset)
        rows += [TABLE.kept(entry, stored, absent) for entry, _ in _entries(params, dataset, mine)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table if table["images"].isna().any() else table.astype({"images": int})


def _entries(
    params: Params, dataset: str, cells: pd.DataFrame
) -> Iterator[tuple[dict[str, Any], dict[Sample, int]]]:
    """The rows of a data set without numbers, each with its samples; none of a quantity of which there is no network."""
    networks = {case: select(mine, state="ok")["result"] for case, mine in cells.groupby("case")}
    for case in params.cases(dataset):
        of_baseline = case == BASELINE
        for name, parts in QUANTITIES.items():
            untold = of_baseline or not params.cell(dataset, case, 0).is_told
            if of_baseline != (name == "baseline") or (untold and name == "flips"):
                continue
            quantity = {(who or case, case, what): weight for (who, what), weight in parts.items()}
            sizes = [len(networks[who]) for who, _, _ in quantity]
            if not all(sizes):
                continue
            superclasses = () if of_baseline else params.datasets[dataset].cases[case].superclasses
            counted = f"{name} {grouping_text(superclasses)}"
            identified = identity(counted, (r for who, _, _ in quantity for r in networks[who]))
            row = {"dataset": dataset, "case": case, "quantity": name, "n": sizes[0]}
            row |= {"reference_n": sizes[1] if len(sizes) > 1 else 0, "networks": identified, "missing": ""}
            yield row | dict.fromkeys(TABLE.numbers, np.nan), quantity


def _samples(params: Params, cells: pd.DataFrame, case: str, grouping: str) -> dict[Sample, np.ndarray]:
    """All that is counted of each network of a case on each test image (n, N), from one look at its predictions.

    Raises:
        UserError: the predictions of one of them are missing or damaged.
    """
    counted: dict[str, list[np.ndarray]] = {}
    for result in select(cells, case=case, state="ok")["result"]:
        cell = result.cell
        logits, label, told = predictions(params, result)
        if case == BASELINE == grouping:
            of_network = {"error": logits[:, 0].argmax(axis=1) != label}
        else:
            owner = measures.owners(params.datasets[cell.dataset].cases[grouping].superclasses, cell.classes)
            masked = measures.masked(logits, label, told, owner) != label
            error = measures.as_tested(logits, label, told, owner, cell.loss) != label
            of_network = {
                "error": error,
                "masked": masked,
                "flips": measures.flips(measures.under_every_hint(logits, label, owner, cell.loss)),
                "unused": error.astype(np.int8) - masked,
            }
        for what, of_images in of_network.items():
            counted.setdefault(what, []).append(of_images)
    if len({len(of_images) for of_images in counted["error"]}) > 1:
        raise UserError(f"{case}: its networks were tested on different numbers of images")
    return {(case, grouping, what): np.stack(each).astype(np.int8) for what, each in counted.items()}


def _image_weights(random: np.random.Generator, images: int, resamples: int) -> np.ndarray:
    """How often each image is drawn in each resample (resamples, N)."""
    drawn = random.integers(images, size=(resamples, images))
    return np.stack([np.bincount(row, minlength=images) for row in drawn]).astype(np.float32)
