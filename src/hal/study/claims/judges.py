"""The rules: each says in words what it asks, and judges a source's numbers.

A rule asks whether some numbers, each with a 95 % interval over the seeds (Welch's for differences, Student's for means,
Bonferroni-widened so that the intervals of one claim hold together), lie in a range:

- `reproduced`: every interval lies wholly inside;
- `not reproduced`: at least one lies wholly outside;
- `inconclusive`: neither, or there is no interval (one seed).

A tolerance is granted to a repetition, not to the paper's own table, which has its rounding instead. Claims are not corrected
for being many.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from hal.decimals import significant
from hal.paper import Claim, load_paper
from hal.settings import BASELINE
from hal.study.claims.evidence import NotYet, Quantity, Source
from hal.study.resampling import NO_INTERVAL, Interval, mean_interval, moments

REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE = "reproduced", "not reproduced", "inconclusive"

SPLIT, MIXED = (
    0.1,
    0.25,
)  # scores that overlap by no more are split, by no less are mixed; between them, neither

_ROUNDING = 1e-9
_LISTED = 5  # a data set has five errors


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a rule found."""

    verdict: str
    why: str


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule in words, and the function that judges by it.

    Attributes:
        words: what it asks of a claim.
        judge: the function.
        baseline: whether it needs the baseline's networks.
        networks: whether it needs networks at all.
        beside: whether it compares the claim's cases with all others of the data set.
    """

    words: Callable[[Claim], str]
    judge: Callable[[Claim, Source], Outcome]
    baseline: bool = True
    networks: bool = True
    beside: bool = False


def cases_of(claim: Claim, dataset: str) -> list[str]:
    """The cases that a claim is about."""
    return list(claim.cases or load_paper().datasets[dataset].cases)


def in_range(
    what: str,
    quantities: Sequence[Quantity],
    low: float = -math.inf,
    high: float = math.inf,
    slack: float = 0.0,
) -> Outcome:
    """Whether all quantities lie in low..high; the sentence lists the most decisive ones.

    What lies beyond the range by less than `slack` does not count against it.
    """
    low, high = round(low, 9), round(high, 9)  # 1.2 - 0.1 is meant to be 1.1
    inside = [
        q for q in quantities if low - _ROUNDING <= q.interval.low and q.interval.high <= high + _ROUNDING
    ]
    beyond = slack + _ROUNDING
    outside = [q for q in quantities if q.interval.high < low - beyond or q.interval.low > high + beyond]
    undecided = [q for q in quantities if q not in inside and q not in outside]
    decisive = [*outside, *undecided, *sorted(inside, key=lambda q: min(q.value - low, high - q.value))]
    shown = f"{what}: {', '.join(map(str, decisive[:_LISTED]))}"
    if len(decisive) > _LISTED:
        shown += f" and {len(decisive) - _LISTED} more"
    if outside:
        return Outcome(NOT_REPRODUCED, f"{shown}; not {_range(low, high)}: {_names(outside)}.")
    if not undecided:
        return Outcome(REPRODUCED, f"{shown}; {'all ' if len(inside) > 1 else ''}{_range(low, high)}.")
    if not any(q.interval.known for q in undecided):
        return Outcome(INCONCLUSIVE, f"{shown}; one seed, or seeds that do not vary, give no interval.")
    are = "is" if len(undecided) == 1 else "are"
    return Outcome(INCONCLUSIVE, f"{shown}; open whether {_names(undecided)} {are} {_range(low, high)}.")


def _range(low: float, high: float) -> str:
    if low == high:
        return f"{low:g}"
    if math.isinf(high):
        return "above 0" if low == 0 else f"at least {low:g}"
    return f"at most {high:g}" if math.isinf(low) else f"within {low:g} to {high:g}".replace("-", "−")


def _names(quantities: Sequence[Quantity]) -> str:
    names = [q.name for q in quantities]
    return ", ".join(names) if len(names) <= _LISTED else f"{len(names)} of them"


def _points(value: float) -> str:
    return f"{value:g} point{'' if value == 1 else 's'}"


def _rounding(value: float) -> float:
    """Half of the last decimal that a value is printed with; 0 for a whole number."""
    _, _, decimals = f"{value:g}".partition(".")
    return 0.5 * 10 ** -len(decimals) if decimals else 0.0


def _allowance(claim: Claim, source: Source) -> float:
    """What a number may differ from the claim's by and still agree."""
    return claim.tolerance if source.tolerant else _rounding(claim.value)


def _falls(claim: Claim, source: Source, dataset: str, comparisons: int, measure: str) -> list[Quantity]:
    """By how much each case of a data set lies below the baseline."""
    baseline = source.moments(dataset, BASELINE, measure)
    return [
        source.difference(
            _name(claim, dataset, case), baseline, source.moments(dataset, case, measure), comparisons
        )
        for case in cases_of(claim, dataset)
    ]


def _all_falls(claim: Claim, source: Source) -> list[Quantity]:
    comparisons = sum(len(cases_of(claim, dataset)) for dataset in claim.datasets)
    return [
        fall
        for dataset in claim.datasets
        for fall in _falls(claim, source, dataset, comparisons, "test_error")
    ]


def _name(claim: Claim, dataset: str, case: str) -> str:
    return f"{load_paper().datasets[dataset].title} {case}" if len(claim.datasets) > 1 else case


def _largest(quantities: Sequence[Quantity]) -> Quantity:
    """The largest of several numbers, whichever it truly is: their intervals hold together, so this one holds too.

    Where one has no interval, the largest may be any higher than the others show, and no lower.
    """
    largest, intervals = max(quantities, key=lambda q: q.value), [q.interval for q in quantities]
    known = [interval for interval in intervals if interval.known]
    if not known:
        return dataclasses.replace(largest, interval=NO_INTERVAL)
    highest = max(i.high for i in known) if len(known) == len(intervals) else math.inf
    return dataclasses.replace(largest, interval=Interval(max(i.low for i in known), highest))


def _largest_reduction(claim: Claim, source: Source) -> Outcome:
    """Two readings of "up to": of means, or of the best single network."""
    (dataset,) = claim.datasets
    off = _allowance(claim, source)
    low, high = claim.value - off, claim.value + off
    by_mean = in_range(
        "Largest fall of a mean in points, whichever case truly has it",
        [_largest(_all_falls(claim, source))],
        low,
        high,
    )
    best = [source.fall_of_best(case, dataset, case) for case in cases_of(claim, dataset)]
    by_best = in_range("of the best single network", [_largest(best)], low, high)
    both = {by_mean.verdict, by_best.verdict}
    verdict = next((v for v in (REPRODUCED, INCONCLUSIVE) if v in both), NOT_REPRODUCED)
    return Outcome(verdict, f"{by_mean.why[:-1]}; {by_best.why}")


def _reduces(claim: Claim, source: Source) -> Outcome:
    return in_range("Fall in points", _all_falls(claim, source), claim.value - _allowance(claim, source))


def _can_reduce(measure: str, what: str) -> Callable[[Claim, Source], Outcome]:
    def judge(claim: Claim, source: Source) -> Outcome:
        comparisons = sum(len(cases_of(claim, dataset)) for dataset in claim.datasets)
        largest = [_largest(_falls(claim, source, d, comparisons, measure)) for d in claim.datasets]
        return in_range(f"Largest fall {what}, whichever case truly has it", largest, 0)

    return judge


def _errors(claim: Claim, source: Source) -> Outcome:
    (dataset,) = claim.datasets
    printed = load_paper().datasets[dataset].errors
    quantities = [
        source.relative(case, source.moments(dataset, case), error.mean, len(printed))
        for case, error in printed.items()
    ]
    return in_range("Percent above the printed error", quantities, -claim.tolerance, claim.tolerance)


def _extreme(lowest: bool) -> Callable[[Claim, Source], Outcome]:
    """Whether a case's error lies below, or else above, those of all others."""

    def judge(claim: Claim, source: Source) -> Outcome:
        (dataset,), (case,) = claim.datasets, claim.cases
        others = [name for name in load_paper().datasets[dataset].cases if name != case]
        quantities = []
        for other in others:
            above, below = (other, case) if lowest else (case, other)
            a, b = source.moments(dataset, above), source.moments(dataset, below)
            quantities.append(source.difference(f"{above} − {below}", a, b, len(others)))
        return in_range("Differences in points", quantities, 0)

    return judge


def _lower(claim: Claim, source: Source) -> Outcome:
    (dataset,), (case,) = claim.datasets, claim.cases
    theirs, ours = source.moments(dataset, claim.against), source.moments(dataset, case)
    quantity = source.difference(f"{claim.against} − {case}", theirs, ours, 1)
    return in_range("Difference in points", [quantity], claim.value)


def _similar(claim: Claim, source: Source) -> Outcome:
    (dataset,) = claim.datasets
    samples = {case: source.moments(dataset, case) for case in claim.cases}
    pairs = list(itertools.combinations(samples, 2))
    differences = [source.difference(f"{a} − {b}", samples[a], samples[b], len(pairs)) for a, b in pairs]
    return in_range("Differences in points", differences, -claim.tolerance, claim.tolerance)


def _deviation(claim: Claim, source: Source) -> Outcome:
    """With how probable so small a deviation is if the case scatters as the others do."""
    (dataset,), (case,) = claim.datasets, claim.cases
    outcome = in_range("Deviation in points", [source.deviation(case, dataset, case)], high=claim.value)
    others = [source.moments(dataset, c) for c in load_paper().datasets[dataset].cases if c != case]
    pooled, freedom = math.sqrt(np.mean([m.sd**2 for m in others])), source.moments(dataset, case).n - 1
    if not pooled > 0 or freedom < 1 or outcome.verdict != REPRODUCED:
        return outcome
    chance = stats.chi2.cdf(freedom * (claim.value / pooled) ** 2, freedom)
    told = f"; if it scattered as the other cases do ({pooled:.3f}), so little would come with a probability of {significant(chance, 1)}."
    return Outcome(outcome.verdict, outcome.why[:-1] + told)


def _faster(claim: Claim, source: Source) -> Outcome:
    (dataset,) = claim.datasets
    cases = cases_of(claim, dataset)
    areas: list[Quantity] = []
    epochs: list[Quantity] = []
    for loss, what in (("train_loss", "training"), ("test_loss", "test")):
        for of, measure, quantities in (("area", source.log_loss, areas), ("epochs", source.epochs, epochs)):
            baseline = measure(dataset, BASELINE, loss)
            for case in cases:
                theirs = measure(dataset, case, loss)
                quantities.append(source.difference(f"{case} {what} {of}", baseline, theirs, 4 * len(cases)))
    return in_range("Area between logarithmic curves, and epochs saved", [*areas, *epochs], 0)


def _mean(name: str, values: np.ndarray, comparisons: int) -> Quantity:
    sample = moments(values)
    return Quantity(name, sample.mean, mean_interval(sample, comparisons))


def _separated(claim: Claim, source: Source) -> Outcome:
    (dataset,) = claim.datasets
    cases = cases_of(claim, dataset)
    overlaps = [_mean(case, source.overlaps(dataset, case, worst=True), len(cases)) for case in cases]
    return in_range("Overlap of the worst pair", overlaps, high=SPLIT, slack=MIXED - SPLIT)


def _mixed(claim: Claim, source: Source) -> Outcome:
    (dataset,) = claim.datasets
    cases = cases_of(claim, dataset)
    overlaps = [_mean(case, source.overlaps(dataset, case, claim.pair), len(cases)) for case in cases]
    return in_range("Overlap", overlaps, low=MIXED, slack=MIXED - SPLIT)


def _better_split(claim: Claim, source: Source) -> Outcome:
    (dataset,), (case,) = claim.datasets, claim.cases
    ours, theirs = (moments(source.overlaps(dataset, name)) for name in (case, claim.against))
    difference = source.difference(f"{claim.against} − {case}", theirs, ours, 1)
    return in_range("Difference of overlaps", [difference], claim.value)


def _predicts(claim: Claim, source: Source) -> Outcome:
    """By the coefficient found, not by its interval: over 12 pairs with a correlation of 0.9 that seldom lies above 0.7 (docs/claims.md)."""
    rho, remark = source.correlation(claim.datasets)
    shown = f"Rank correlation: {rho} ({remark})"
    perfect = math.isclose(
        abs(rho.value), 1
    )  # has no interval, and needs none: chance orders 8 pairs so once in 20,000 times
    if rho.value >= claim.value and (perfect or rho.interval.low > 0):
        above = "and perfect" if perfect else "and its interval above 0"
        return Outcome(REPRODUCED, f"{shown}; at least {claim.value:g}, {above}.")
    if rho.interval.high < claim.value or (perfect and rho.value < claim.value):
        return Outcome(NOT_REPRODUCED, f"{shown}; not at least {claim.value:g}.")
    return Outcome(INCONCLUSIVE, f"{shown}; open whether it is at least {claim.value:g}.")


_KINDS = {
    "train": "training images",
    "test": "test images",
    "all": "images",
    "per_class": "training images of each class",
}


def _images(claim: Claim, source: Source) -> Outcome:
    numbers = {name: source.images(name) for name in claim.datasets}
    wrong = [
        f"{load_paper().datasets[name].title} has {_count(numbers[name].get(kind))} {_KINDS[kind]}, not {n:,}"
        for name in claim.datasets
        for kind, n in claim.images[name].items()
        if numbers[name].get(kind) != n
    ]
    if wrong:
        return Outcome(NOT_REPRODUCED, f"{'; '.join(wrong)}.")
    return Outcome(REPRODUCED, "The decoded data sets have these numbers of images.")


def _count(n: int | None) -> str:
    return "no single number of" if n is None else f"{n:,}"


def _many_classes(claim: Claim, source: Source) -> Outcome:
    groupings = source.groupings_beyond(int(claim.value))
    falls = [
        source.difference(
            f"{dataset} {case}",
            source.moments(dataset, BASELINE),
            source.moments(dataset, case),
            len(groupings),
        )
        for dataset, case in groupings
    ]
    return in_range("Fall in points", falls, 0)


def _no_rule(claim: Claim, source: Source) -> Outcome:
    raise NotYet(f"cannot be told here: {claim.lacks}")


def _below(claim: Claim) -> str:
    return f"lies at least {_points(claim.value)} below" if claim.value else "lies below"


RULES = {
    "largest_reduction": Rule(
        lambda c: (
            f"The largest fall of the error is {c.value:g} ± {c.tolerance:g} points, of a case's mean or of its best network."
        ),
        _largest_reduction,
    ),
    "reduces": Rule(
        lambda c: (
            f"Each mean error {_below(c)} the baseline's"
            + (f", give or take {c.tolerance:g}." if c.tolerance else ".")
        ),
        _reduces,
    ),
    "can_reduce": Rule(
        lambda c: "On each data set the mean error of one case at least lies below the baseline's.",
        _can_reduce("test_error", "in points"),
    ),
    "can_reduce_loss": Rule(
        lambda c: "On each data set the mean final test loss of one case at least lies below the baseline's.",
        _can_reduce("test_loss", "of the test loss in nats"),
    ),
    "errors": Rule(lambda c: f"Each mean error is the printed one ± {c.tolerance:g} %.", _errors),
    "lowest": Rule(
        lambda c: f"The mean error of {c.cases[0]} lies below that of every other case.",
        _extreme(lowest=True),
        baseline=False,
        beside=True,
    ),
    "highest": Rule(
        lambda c: f"The mean error of {c.cases[0]} lies above that of every other case.",
        _extreme(lowest=False),
        baseline=False,
        beside=True,
    ),
    "lower": Rule(
        lambda c: f"The mean error of {c.cases[0]} {_below(c)} {c.against}'s.", _lower, baseline=False
    ),
    "similar": Rule(
        lambda c: f"The mean errors of {', '.join(c.cases)} differ by no more than {c.tolerance:g} points.",
        _similar,
        baseline=False,
    ),
    "deviation": Rule(
        lambda c: f"The deviation of {c.cases[0]} over the seeds of the run is at most {c.value:g} points.",
        _deviation,
        baseline=False,
        beside=True,
    ),
    "faster": Rule(
        lambda c: (
            "The area between the logarithmic loss curves of the baseline and of each case is positive, and each case is "
            "sooner at the baseline's final loss than the baseline."
        ),
        _faster,
    ),
    "separated": Rule(
        lambda c: (
            f"The scores of no two superclasses overlap by more than {SPLIT:g}; against it counts {MIXED:g} or more."
        ),
        _separated,
        baseline=False,
    ),
    "mixed": Rule(
        lambda c: (
            f"The scores of superclasses overlap by at least {MIXED:g} (mean over pairs); against it counts {SPLIT:g} or less."
        ),
        _mixed,
        baseline=False,
    ),
    "better_split": Rule(
        lambda c: f"Scores overlap by at least {c.value:g} less in {c.cases[0]} than in {c.against}.",
        _better_split,
        baseline=False,
    ),
    "predicts": Rule(
        lambda c: (
            f"Spearman's ρ of the scores' AUC with the error reduction in percent is at least {c.value:g}, and its interval "
            "lies above 0."
        ),
        _predicts,
    ),
    "images": Rule(lambda c: "The data set as published has this many images.", _images, networks=False),
    "many_classes": Rule(
        lambda c: f"On data sets of more than {c.value:g} classes each mean error lies below the baseline's.",
        _many_classes,
    ),
    "no_rule": Rule(lambda c: f"None: {c.lacks}.", _no_rule, networks=False),
}
