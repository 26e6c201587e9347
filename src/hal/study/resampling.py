"""Statistics of a few seeds: intervals, Welch's test, Holm's correction, what a number of seeds can resolve.

Samples are one number a seed. Networks of the same seed share their initial convolutions and the order of their
training images, but they are compared unpaired: what the seeds share is the experiment's doing, not the paper's.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import scipy  # whose parts come when they are asked for: `stats` takes half a second, and few need it

LEVEL = 0.05
POWER = 0.8
RESAMPLES = 9_999
LEAST_PAIRS = 8  # of which a rank correlation says anything: chance orders 4 perfectly in 2 of 24 cases
_SEED = 0  # of the bootstrap: the same cells always give the same interval


@dataclasses.dataclass(frozen=True)
class Interval:
    """An interval; NaN at both ends where there is none, as for a single seed."""

    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return not math.isnan(self.low)


NO_INTERVAL = Interval(math.nan, math.nan)


@dataclasses.dataclass(frozen=True)
class Moments:
    """A sample's mean, sample standard deviation (divided by n - 1; NaN for n = 1) and size."""

    mean: float
    sd: float
    n: int


def moments(sample: Sequence[float] | np.ndarray) -> Moments:
    """Mean, sample standard deviation and size; the mean of nothing is NaN."""
    values = np.asarray(sample, dtype=float)
    mean = float(values.mean()) if len(values) else math.nan
    if len(values) < 2:
        return Moments(mean, math.nan, len(values))
    # Equal values can have a mean that rounding moved off them: their deviation is 0, and not 1e-16.
    return Moments(mean, float(values.std(ddof=1)) if np.ptp(values) > 0 else 0.0, len(values))


def percent_interval(m: Moments) -> Interval:
    """Student's interval of a mean share or error in percent, of which nothing lies below 0 or above 100."""
    bounds = mean_interval(m)
    return Interval(max(bounds.low, 0.0), min(bounds.high, 100.0)) if bounds.known else NO_INTERVAL


def mean_interval(m: Moments, comparisons: int = 1) -> Interval:
    """Student's interval of a mean; with `comparisons` > 1 so wide that as many hold together (Bonferroni), at 95 %.

    Seeds that all agree, as where scores do not overlap at all, give a point.
    """
    if m.n < 2:
        return NO_INTERVAL
    half = scipy.special.stdtrit(m.n - 1, 1 - LEVEL / comparisons / 2) * m.sd / math.sqrt(m.n)
    return Interval(m.mean - half, m.mean + half)


def prediction_interval(m: Moments, n: int, comparisons: int = 1) -> Interval:
    """Where the mean of `n` new seeds lies in 95 % of repetitions, if seeds scatter normally as in the sample of `m`.

    With `comparisons` > 1 so wide that as many hold together (Bonferroni), at 95 %. None where no seed varies: the next one may.
    """
    if m.n < 2 or not m.sd > 0:
        return NO_INTERVAL
    half = (
        float(scipy.special.stdtrit(m.n - 1, 1 - LEVEL / comparisons / 2)) * m.sd * math.sqrt(1 / m.n + 1 / n)
    )
    return Interval(m.mean - half, m.mean + half)


def contrast_interval(samples: Sequence[Moments], weights: Sequence[float], comparisons: int = 1) -> Interval:
    """Welch's interval of `sum(weight * mean(sample))` of independent samples, by the degrees of freedom of Satterthwaite.

    With `comparisons` > 1 it is so wide that as many hold together, at 95 %. It covers 95 % where seeds scatter normally, and
    less where they are of two kinds: of five networks, each of which listens to its hint in one case of five, about three in four.

    Returns:
        The interval, or none where a sample has no deviation or none varies.
    """
    if min(m.n for m in samples) < 2 or not sum(m.sd for m in samples) > 0:
        return NO_INTERVAL
    parts = [(weight * m.sd) ** 2 / m.n for m, weight in zip(samples, weights, strict=True)]
    freedom = sum(parts) ** 2 / sum(part**2 / (m.n - 1) for part, m in zip(parts, samples, strict=True))
    half = float(scipy.special.stdtrit(freedom, 1 - LEVEL / comparisons / 2)) * math.sqrt(sum(parts))
    value = sum(weight * m.mean for m, weight in zip(samples, weights, strict=True))
    return Interval(value - half, value + half)


def welch_interval(a: Moments, b: Moments, comparisons: int = 1) -> Interval:
    """Welch's interval of mean(a) - mean(b): see `contrast_interval`."""
    return contrast_interval([a, b], [1, -1], comparisons)


def welch_p(a: Moments, b: Moments) -> float:
    """Two-sided p of Welch's test that two means are equal; NaN where there is no interval either."""
    if min(a.n, b.n) < 2 or not a.sd + b.sd > 0:
        return math.nan
    test = scipy.stats.ttest_ind_from_stats(a.mean, a.sd, a.n, b.mean, b.sd, b.n, equal_var=False)
    return float(test.pvalue)


def holm(p: Sequence[float], planned: int | None = None) -> np.ndarray:
    """Holm's adjusted p-values; NaN stays NaN.

    Args:
        p: p-values, NaN for a comparison that could not be made yet.
        planned: how many comparisons the run will make in all, by default `len(p)`. Those that are still to come
            count already, so that a half-finished run is held to the same standard.
    """
    values = np.asarray(p, dtype=float)
    planned = len(values) if planned is None else planned
    order = np.argsort(values)  # NaN last
    adjusted = np.minimum(1, np.maximum.accumulate((planned - np.arange(len(values))) * values[order]))
    as_given = np.empty_like(values)
    as_given[order] = adjusted
    return as_given


def detectable(a: Moments, b: Moments) -> float:
    """The smallest true difference of means that this many seeds would show in 80 % of runs, two-sided at 5 %.

    (t(0.975, f) + t(0.8, f)) s sqrt(1/n_a + 1/n_b), with s the pooled standard deviation, f = n_a + n_b - 2; for one
    test alone, no correction. NaN where there is no deviation to go by.
    """
    if min(a.n, b.n) < 2 or not a.sd + b.sd > 0:
        return math.nan
    freedom = a.n + b.n - 2
    pooled = math.sqrt(((a.n - 1) * a.sd**2 + (b.n - 1) * b.sd**2) / freedom)
    factor = scipy.stats.t.ppf(1 - LEVEL / 2, freedom) + scipy.stats.t.ppf(POWER, freedom)
    return float(factor) * pooled * math.sqrt(1 / a.n + 1 / b.n)


def spearman(x: Sequence[float], y: Sequence[float]) -> tuple[float, Interval]:
    """Spearman's rho of pairs, and its percentile bootstrap 95 % interval over the pairs.

    Returns:
        NaN for fewer than `LEAST_PAIRS`, or where one side does not vary. No interval where the order is perfect, as that of
        every resample then is. Resamples in which one side does not vary have no rho and are left out.
    """
    sides = [np.asarray(side, dtype=float) for side in (x, y)]
    if len(x) < LEAST_PAIRS or any(np.ptp(side) == 0 for side in sides):
        return math.nan, NO_INTERVAL
    found = float(scipy.stats.spearmanr(x, y).statistic)
    if math.isclose(abs(found), 1):
        return found, NO_INTERVAL
    drawn = np.random.default_rng(_SEED).integers(len(x), size=(RESAMPLES, len(x)))
    ranks = [scipy.stats.rankdata(values[drawn], axis=1) for values in sides]
    ranks = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    scale = np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))
    rho = (ranks[0] * ranks[1]).sum(axis=1)[scale > 0] / scale[scale > 0]
    low, high = np.quantile(rho, [LEVEL / 2, 1 - LEVEL / 2])
    return found, Interval(float(low), float(high))
