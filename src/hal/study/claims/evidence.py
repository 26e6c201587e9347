"""Where a rule takes its numbers from: this run's cells, the paper's printed Table 2, or errors drawn as if it were true."""

import dataclasses
import math
from collections.abc import Sequence
from typing import NoReturn, Protocol

import numpy as np
import pandas as pd

from hal.data.described import described
from hal.decimals import decimals
from hal.departures import of_settings
from hal.errors import UserError
from hal.paper import load_paper, other_order, same_grouping
from hal.params import Params
from hal.settings import BASELINE
from hal.study import separability
from hal.study.comparisons import errors
from hal.study.grid import FINISHED, select
from hal.study.resampling import LEAST_PAIRS, Interval, Moments, mean_interval, moments, welch_interval
from hal.titles import dataset_title

HALF = 0.005  # Table 2 is printed to 0.01, so a number of it is known to this
_EPOCH_SD = math.sqrt(
    1 / 12
)  # a whole number is known to a half; its deviation is taken to be no less than that


class Untestable(Exception):
    """What is lacking for a test, as a phrase."""


class NotYet(Untestable):
    """What has to be run or fetched before there can be a verdict."""


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A number with its interval."""

    name: str
    value: float
    interval: Interval

    def __str__(self) -> str:
        value = f"{self.name} {decimals(self.value)}"
        exact = self.interval.low == self.interval.high
        if exact or not self.interval.known:
            return value
        if math.isinf(self.interval.high):
            return f"{value} (at least {decimals(self.interval.low)})"
        return f"{value} [{decimals(self.interval.low)}, {decimals(self.interval.high)}]"


def pending(states: pd.Series) -> str:
    """How many of the cells in these states are still to be trained, in words; empty if none is."""
    n = (~states.isin(FINISHED)).sum()
    return f"{n} of {len(states)} networks are still to be trained" if n else ""


class Source(Protocol):
    """Where a rule takes its numbers from. Each method raises `Untestable` where the source does not hold them."""

    tolerant: bool

    def moments(self, dataset: str, case: str, measure: str = "test_error") -> Moments:
        """Mean, deviation and number of a final measure of one case."""

    def difference(self, name: str, a: Moments, b: Moments, comparisons: int) -> Quantity:
        """Mean of a minus mean of b."""

    def relative(self, name: str, a: Moments, printed: float, comparisons: int) -> Quantity:
        """By how many percent the mean of a lies above a printed value."""

    def deviation(self, name: str, dataset: str, case: str) -> Quantity:
        """The sample deviation of the test error over the seeds."""

    def fall_of_best(self, name: str, dataset: str, case: str) -> Quantity:
        """By how much the best single network of a case lies below the baseline's mean."""

    def log_loss(self, dataset: str, case: str, loss: str) -> Moments:
        """The mean of ln(loss) over training, see `convergence`."""

    def epochs(self, dataset: str, case: str, loss: str) -> Moments:
        """Epochs until the loss is at the baseline's final one; one more than were trained where it never is."""

    def overlaps(self, dataset: str, case: str, pair: Sequence[int] = (), worst: bool = False) -> np.ndarray:
        """Overlap coefficient per seed: of one pair of superclasses, of the worst pair, or averaged over pairs."""

    def correlation(self, datasets: Sequence[str]) -> tuple[Quantity, str]:
        """Section 5's rank correlation, and a remark."""

    def images(self, dataset: str) -> dict[str, int]:
        """Numbers of images."""

    def groupings_beyond(self, classes: int) -> list[tuple[str, str]]:
        """(data set, case) of every grouping, ablations aside, of data sets with more classes than that."""


class Errors:
    """Test errors as samples over seeds, with intervals that know the seeds."""

    tolerant = True

    def sample(self, dataset: str, case: str, measure: str = "test_error") -> np.ndarray:
        """A final measure of one case, one value a seed."""
        raise NotImplementedError

    def moments(self, dataset: str, case: str, measure: str = "test_error") -> Moments:
        """Of the sample."""
        return moments(self.sample(dataset, case, measure))

    def difference(self, name: str, a: Moments, b: Moments, comparisons: int) -> Quantity:
        """With Welch's interval."""
        return Quantity(name, a.mean - b.mean, welch_interval(a, b, comparisons))

    def relative(self, name: str, a: Moments, printed: float, comparisons: int) -> Quantity:
        """With Student's interval."""
        bounds = mean_interval(a, comparisons)
        value, low, high = (100 * (x / printed - 1) for x in (a.mean, bounds.low, bounds.high))
        return Quantity(name, value, Interval(low, high))

    def deviation(self, name: str, dataset: str, case: str) -> Quantity:
        """Of these very seeds: exact."""
        sample = self.moments(dataset, case)
        return Quantity(name, sample.sd, Interval(sample.sd, sample.sd))

    def fall_of_best(self, name: str, dataset: str, case: str) -> Quantity:
        """The best network is what it is; the interval is that of the baseline's mean."""
        baseline, best = self.moments(dataset, BASELINE), float(self.sample(dataset, case).min())
        interval = mean_interval(baseline)
        return Quantity(name, baseline.mean - best, Interval(interval.low - best, interval.high - best))


class Measured(Errors):
    """The cells of this run.

    Args:
        params: the experiment.
        cells: its cells, as `load_cells` gives them.
        scores: what `separability.separability` says of them.
        curves: what `convergence.per_cell` says of them.
    """

    def __init__(self, params: Params, cells: pd.DataFrame, scores: pd.DataFrame, curves: pd.DataFrame):
        self.params, self.cells, self.scores, self.curves = params, cells, scores, curves

    def sample(self, dataset: str, case: str, measure: str = "test_error") -> np.ndarray:
        """Of the cells that count."""
        self._check_grouping(dataset, case)
        sample = errors(self.cells, dataset, case, measure)
        if not len(sample):
            raise Untestable(f"no finished network of {dataset_title(self.params, dataset)} {case}")
        return sample

    def log_loss(self, dataset: str, case: str, loss: str) -> Moments:
        """Of the cells that count."""
        return moments(self._whole(dataset, case, self._curves(dataset, case, loss), "log_loss"))

    def epochs(self, dataset: str, case: str, loss: str) -> Moments:
        """Of the cells that count."""
        rows = self._curves(dataset, case, loss)
        self._whole(dataset, case, rows, "log_loss")  # whole curves
        never = self.params.epochs(dataset) + 1
        sample = moments(rows.dropna(subset=["log_loss"])["epoch"].fillna(never))
        return dataclasses.replace(sample, sd=max(sample.sd, _EPOCH_SD) if sample.n > 1 else sample.sd)

    def overlaps(self, dataset: str, case: str, pair: Sequence[int] = (), worst: bool = False) -> np.ndarray:
        """Of the cells that count."""
        self._check_grouping(dataset, case, numbered=bool(pair))
        rows = select(self.scores, dataset=dataset, case=case)
        values = self._whole(dataset, case, select(rows, level="all"), "overlap")
        of_pairs = select(rows, level="pair")
        if pair:
            return select(of_pairs, first=pair[0], second=pair[1])["overlap"].to_numpy(dtype=float)
        if worst:
            return of_pairs.groupby("seed")["overlap"].max().to_numpy(dtype=float)
        return values

    def correlation(self, datasets: Sequence[str]) -> tuple[Quantity, str]:
        """Of the AUC with the error reduction in percent of the baseline's, over Table 1's groupings."""
        table = separability.pairs(self.params, self.cells, self.scores)
        printed = [
            dataset in datasets and load_paper().error(self.params, dataset, case) is not None
            for dataset, case in zip(table["dataset"], table["case"], strict=True)
        ]
        table = table[printed]
        if len(table) < LEAST_PAIRS:
            raise Untestable(
                f"only {len(table)} pairs of a data set and a case; a rank correlation needs {LEAST_PAIRS}"
            )
        correlations = separability.predicts(table).set_index(["separability", "reduction"])
        rho = correlations.loc[("auc", "percent")]
        remark = f"over {len(table)} pairs; {decimals(correlations.loc[('split', 'percent'), 'rho'])} by the overlap"
        return Quantity("ρ", rho["rho"], Interval(rho["low"], rho["high"])), remark

    def images(self, dataset: str) -> dict[str, int]:
        """From the data set's description."""
        try:
            prepared = described(self.params, dataset)
        except UserError as error:
            raise NotYet(str(error)) from None
        if prepared is None:
            raise NotYet(f"{self.params.data_paths(dataset).description} is not here")
        train, test, per_class = prepared.size.train, prepared.size.test, set(prepared.train_per_class)
        numbers = {"train": train, "test": test, "all": train + test}
        return numbers | ({"per_class": per_class.pop()} if len(per_class) == 1 else {})

    def groupings_beyond(self, classes: int) -> list[tuple[str, str]]:
        """Of whole runs at the paper's settings."""
        pairs = []
        for name in self.params.grid.datasets:
            dataset = self.params.datasets[name]
            if len(dataset.classes) <= classes or dataset.variant_of is not None:
                continue
            if departed := of_settings(self.params, name):
                raise NotYet(f"{dataset_title(self.params, name)}: {departed[0]}")
            cases = self.params.groupings(name)
            mine = select(self.cells, dataset=name)
            states = mine[mine["case"].isin([BASELINE, *cases])]["state"]
            if text := pending(states):
                raise NotYet(text)
            if (states == "diverged").any():
                raise Untestable("some networks diverged, and the others alone would be a selection")
            pairs += [(name, case) for case in cases]
        if not pairs:
            raise NotYet(f"no data set of more than {classes} classes is in this run")
        return pairs

    def _check_grouping(self, dataset: str, case: str, numbered: bool = False) -> None:
        """Refuse what has a name of the paper's and is another grouping, or, if it matters, has its superclasses in another order."""
        paper = load_paper()
        if dataset not in paper.datasets:
            return
        printed, entry = paper.dataset(self.params, dataset), self.params.datasets[dataset]
        title = dataset_title(self.params, dataset)
        if printed is None:
            raise Untestable(f"{title} is no data set of the paper")
        if case not in printed.cases or case not in entry.cases or same_grouping(printed, entry, case):
            return
        if not other_order(printed, entry, case):
            raise Untestable(f"{title} {case} is not Table 1's grouping")
        if numbered:
            raise Untestable(f"{title} {case} has Table 1's superclasses in another order")

    def _curves(self, dataset: str, case: str, loss: str) -> pd.DataFrame:
        self._check_grouping(dataset, case)
        return select(self.curves, dataset=dataset, case=case, loss=loss)

    def _whole(self, dataset: str, case: str, rows: pd.DataFrame, column: str) -> np.ndarray:
        """A column's values, one for each cell that counts."""
        seeds = select(self.cells, dataset=dataset, case=case, state="ok")["seed"]
        counted = rows[rows["seed"].isin(seeds)]
        lacking = counted[counted[column].isna()]
        if len(lacking):
            seed, note = lacking.iloc[0][["seed", "note"]]
            raise Untestable(f"{dataset_title(self.params, dataset)} {case} seed {seed}: {note}")
        if counted.empty:
            raise Untestable(f"no finished network of {dataset_title(self.params, dataset)} {case}")
        return counted[column].to_numpy(dtype=float)


class _ErrorsOnly:
    """What Table 2 does not hold."""

    def log_loss(self, dataset: str, case: str, loss: str) -> NoReturn:
        """The table has no curves."""
        raise Untestable("Table 2 has no losses")

    def epochs(self, dataset: str, case: str, loss: str) -> NoReturn:
        """The table has no curves."""
        raise Untestable("Table 2 has no losses")

    def overlaps(self, dataset: str, case: str, pair: Sequence[int] = (), worst: bool = False) -> NoReturn:
        """The table has no scores."""
        raise Untestable("Table 2 has no scores")

    def correlation(self, datasets: Sequence[str]) -> NoReturn:
        """The table has no scores."""
        raise Untestable("Table 2 has no scores")

    def images(self, dataset: str) -> NoReturn:
        """The table has no numbers of images."""
        raise Untestable("Table 2 has no numbers of images")

    def groupings_beyond(self, classes: int) -> NoReturn:
        """The table has ten classes."""
        raise Untestable("Table 2 has no such data set")


class Printed(_ErrorsOnly):
    """Table 2 as the paper printed it: every number is known to half of its last digit."""

    tolerant = False

    def moments(self, dataset: str, case: str, measure: str = "test_error") -> Moments:
        """Of the errors."""
        if measure != "test_error":
            raise Untestable(f"Table 2 has no {measure}")
        printed = load_paper().datasets[dataset].errors[case]
        return Moments(printed.mean, math.nan if printed.sd is None else printed.sd, load_paper().runs)

    def difference(self, name: str, a: Moments, b: Moments, comparisons: int) -> Quantity:
        """Known to the rounding of both means."""
        value = a.mean - b.mean
        return Quantity(name, value, Interval(value - 2 * HALF, value + 2 * HALF))

    def relative(self, name: str, a: Moments, printed: float, comparisons: int) -> NoReturn:
        """The table is what others are compared with."""
        raise Untestable("Table 2 agrees with itself")

    def deviation(self, name: str, dataset: str, case: str) -> Quantity:
        """Known to its rounding."""
        sd = self.moments(dataset, case).sd
        return Quantity(name, sd, Interval(max(0.0, sd - HALF), sd + HALF))

    def fall_of_best(self, name: str, dataset: str, case: str) -> Quantity:
        """What a mean and a deviation of n runs leave possible.

        The lowest of n numbers lies at least sd / sqrt(n) below their mean (all others equal), and at most sd sqrt(n - 1)
        if the deviation printed is the population's, the wider of both readings.
        """
        baseline, hal = self.moments(dataset, BASELINE), self.moments(dataset, case)
        fall = baseline.mean - hal.mean
        least = max(0.0, hal.sd - HALF) / math.sqrt(hal.n)
        most = (hal.sd + HALF) * math.sqrt(hal.n - 1)
        interval = Interval(fall + least - 2 * HALF, fall + most + 2 * HALF)
        return Quantity(name, (interval.low + interval.high) / 2, interval)


class Drawn(_ErrorsOnly, Errors):
    """A repetition of `n` seeds in a world where Table 2's means are true and seeds scatter normally.

    Args:
        random: of the draws.
        n: seeds.
        scale: how many times the printed deviation seeds have. The baseline, of which none is printed, has the largest of
            its data set's; a deviation printed as 0.00 is taken for 0.005.
    """

    def __init__(self, random: np.random.Generator, n: int, scale: float):
        self.random, self.n, self.scale = random, n, scale
        self._drawn: dict[tuple[str, str], np.ndarray] = {}

    def sample(self, dataset: str, case: str, measure: str = "test_error") -> np.ndarray:
        """Drawn once."""
        if measure != "test_error":
            raise Untestable(f"Table 2 has no {measure}")
        if (dataset, case) not in self._drawn:
            printed = load_paper().datasets[dataset].errors
            largest = max(error.sd for error in printed.values() if error.sd is not None)
            sd = printed[case].sd
            sd = self.scale * max(HALF, largest if sd is None else sd)
            self._drawn[dataset, case] = printed[case].mean + sd * self.random.standard_normal(self.n)
        return self._drawn[dataset, case]
