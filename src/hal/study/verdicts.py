"""A verdict for each of the paper's claims, computed from the cells; and what the paper's own Table 2 says of it.

Every test asks whether some numbers, each with a 95 % interval over the seeds (Welch's for differences, Student's for
means, Bonferroni-widened so that the intervals of one claim hold together), lie in a range:

- `reproduced`: every interval lies wholly inside;
- `not reproduced`: at least one lies wholly outside;
- `inconclusive`: neither, or there is no interval (one seed), or some networks diverged, or a file is broken;
- `not yet run`: this run is not the paper's experiment, or not finished. What it shows all the same is an indication.

The bootstrap is not used here: with five seeds its intervals are too short. The same tests run on the paper's printed
errors, taken as exact and without tolerance, say whether a claim agrees with the paper's own table.
"""

import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd

from hal.departures import departures
from hal.paper import Claim, load_paper
from hal.params import Params
from hal.settings import BASELINE
from hal.study import separability
from hal.study.comparisons import errors
from hal.study.grid import CellResult, select
from hal.study.resampling import (
    LEVEL,
    Interval,
    Moments,
    holm,
    mean_interval,
    moments,
    welch_interval,
    welch_p,
)
from hal.titles import dataset_title

REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE, NOT_RUN = VERDICTS = (
    "reproduced",
    "not reproduced",
    "inconclusive",
    "not yet run",
)
AGREES, CONTRADICTS = "agrees", "contradicts"
_TABLE = {REPRODUCED: AGREES, NOT_REPRODUCED: CONTRADICTS}
_INDICATION = {REPRODUCED: "for", NOT_REPRODUCED: "against", INCONCLUSIVE: "open"}

_ROUNDING = 1e-9
_LISTED = 4


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes:
        claim: the claim.
        rule: its operational test in words, tolerance included.
        verdict: one of `VERDICTS`.
        why: one sentence, with the numbers.
        indication: where the claim is not yet run, whether what this run shows speaks `for` it, `against` it, or leaves
            it `open`; else empty.
        table: whether Table 2 as printed `agrees` or `contradicts`; empty where it says nothing of the claim.
        table_why: one sentence, with the numbers; empty where the table says nothing.
    """

    claim: Claim
    rule: str
    verdict: str
    why: str
    indication: str
    table: str
    table_why: str


class Untestable(Exception):
    """What is lacking for a test, as a phrase."""


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A number with its interval."""

    name: str
    value: float
    interval: Interval

    def __str__(self) -> str:
        value = f"{self.name} {_number(self.value)}"
        exact = self.interval.low == self.interval.high
        if exact or not self.interval.known:
            return value
        return f"{value} [{_number(self.interval.low)}, {_number(self.interval.high)}]"


class Source(Protocol):
    """Where a test takes its numbers from."""

    tolerant: bool

    def moments(self, dataset: str, case: str, measure: str = "test_error") -> Moments:
        """Mean, deviation and number of a final measure of one case."""

    def difference(self, name: str, a: Moments, b: Moments, comparisons: int) -> Quantity:
        """Mean of a minus mean of b."""

    def relative(self, name: str, a: Moments, printed: float, comparisons: int) -> Quantity:
        """By how many percent the mean of a lies above a printed value."""

    def log_loss(self, dataset: str, case: str, loss: str) -> Moments:
        """The mean of ln(loss) over training, see `convergence`."""

    def overlaps(self, dataset: str, case: str, pair: Sequence[int]) -> np.ndarray:
        """Overlap coefficient per seed, averaged over pairs of superclasses or of one pair."""

    def correlation(self, datasets: Sequence[str]) -> tuple[Quantity, str]:
        """Section 5's rank correlation, and a remark."""

    def images(self, dataset: str) -> dict[str, int]:
        """Numbers of images."""


class Measured:
    """The cells of this run.

    Args:
        params: the experiment.
        results: its cells.
        scores: what `separability.separability` says of them.
        curves: what `convergence.per_cell` says of them.
    """

    tolerant = True

    def __init__(
        self, params: Params, results: Sequence[CellResult], scores: pd.DataFrame, curves: pd.DataFrame
    ):
        self.params, self.results, self.scores, self.curves = params, results, scores, curves

    def moments(self, dataset: str, case: str, measure: str = "test_error") -> Moments:
        """Of the cells that count."""
        found = moments(errors(self.results, dataset, case, measure))
        if not found.n:
            raise Untestable(f"no finished network of {dataset_title(self.params, dataset)} {case}")
        return found

    def difference(self, name: str, a: Moments, b: Moments, comparisons: int) -> Quantity:
        """With Welch's interval."""
        return Quantity(name, a.mean - b.mean, welch_interval(a, b, comparisons))

    def relative(self, name: str, a: Moments, printed: float, comparisons: int) -> Quantity:
        """With Student's interval."""
        found = mean_interval(a, comparisons)
        value, low, high = (100 * (x / printed - 1) for x in (a.mean, found.low, found.high))
        return Quantity(name, value, Interval(low, high))

    def log_loss(self, dataset: str, case: str, loss: str) -> Moments:
        """Of the cells that count."""
        rows = self.curves[(self.curves["dataset"] == dataset) & (self.curves["case"] == case)]
        return moments(self._whole(dataset, case, rows[rows["loss"] == loss], "log_loss"))

    def overlaps(self, dataset: str, case: str, pair: Sequence[int]) -> np.ndarray:
        """Of the cells that count."""
        rows = self.scores[(self.scores["dataset"] == dataset) & (self.scores["case"] == case)]
        whole = rows[rows["level"] == "all"]
        values = self._whole(dataset, case, whole, "overlap")
        if not pair:
            return values
        of_pair = (rows["level"] == "pair") & (rows["first"] == pair[0]) & (rows["second"] == pair[1])
        return rows[of_pair]["overlap"].to_numpy(dtype=float)

    def correlation(self, datasets: Sequence[str]) -> tuple[Quantity, str]:
        """Of the AUC with the error reduction in percent of the baseline's."""
        table = separability.pairs(self.params, self.results, self.scores)
        table = table[table["dataset"].isin(datasets)]
        if len(table) < 4:
            raise Untestable(f"only {len(table)} pairs of a data set and a case; a rank correlation needs 4")
        found = separability.predicts(table).set_index(["separability", "reduction"])
        rho = found.loc[("auc", "percent")]
        remark = f"over {len(table)} pairs; {found.loc[('split', 'percent'), 'rho']:.2f} by the overlap"
        return Quantity("ρ", rho["rho"], Interval(rho["low"], rho["high"])), remark

    def images(self, dataset: str) -> dict[str, int]:
        """From the data set's description."""
        path = self.params.path("data", f"{dataset}.json")
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            train, test = (int(stored[split]["images"]) for split in ("train", "test"))
            per_class = {int(n) for n in stored["train"]["per_class"]}
        except (OSError, ValueError, KeyError, TypeError):
            raise Untestable(f"{path} is not here or cannot be read") from None
        found = {"train": train, "test": test, "all": train + test}
        return found | ({"per_class": per_class.pop()} if len(per_class) == 1 else {})

    def _whole(self, dataset: str, case: str, rows: pd.DataFrame, column: str) -> np.ndarray:
        """A column's values, one for each cell that counts."""
        counted = rows[rows["seed"].isin([r.cell.seed for r in select(self.results, dataset, case) if r.ok])]
        lacking = counted[counted[column].isna()]
        if len(lacking):
            seed, note = lacking.iloc[0][["seed", "note"]]
            raise Untestable(f"{dataset_title(self.params, dataset)} {case} seed {seed}: {note}")
        if counted.empty:
            raise Untestable(f"no finished network of {dataset_title(self.params, dataset)} {case}")
        return counted[column].to_numpy(dtype=float)


class Printed:
    """Table 2 as the paper printed it, every mean taken as exact."""

    tolerant = False

    def moments(self, dataset: str, case: str, measure: str = "test_error") -> Moments:
        """Of the errors; the table has nothing else."""
        if measure != "test_error":
            raise Untestable(f"Table 2 has no {measure}")
        printed = load_paper().datasets[dataset].errors[case]
        return Moments(printed.mean, math.nan if printed.sd is None else printed.sd, load_paper().runs)

    def difference(self, name: str, a: Moments, b: Moments, comparisons: int) -> Quantity:
        """As exact as the means."""
        return Quantity(name, a.mean - b.mean, Interval(a.mean - b.mean, a.mean - b.mean))

    def __getattr__(self, name: str) -> Callable:
        """Whatever else a test asks for: the table does not hold it."""
        raise Untestable("Table 2 says nothing of this")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a test found."""

    verdict: str
    why: str


@dataclasses.dataclass(frozen=True)
class Test:
    """A test: what it asks, in words, and the program that answers; whether it needs the baseline's cells."""

    rule: Callable[[Claim], str]
    judge: Callable[[Claim, Source], Outcome]
    baseline: bool = True


def verdicts(
    params: Params, results: Sequence[CellResult], scores: pd.DataFrame, curves: pd.DataFrame
) -> list[Verdict]:
    """The verdicts on all claims of paper.yaml, in its order; see `Measured` for the arguments."""
    measured = Measured(params, results, scores, curves)
    return [verdict(claim, measured) for claim in load_paper().claims]


def verdict(claim: Claim, measured: Measured) -> Verdict:
    """The verdict on one claim."""
    test = TESTS[claim.test]
    try:
        outcome, lacking = test.judge(_present(claim, measured.params), measured), ""
    except Untestable as error:
        outcome, lacking = None, str(error)
    hindrance = _hindrance(claim, measured.params, measured.results)
    diverged = [r for r in _cells(claim, measured.results) if r.state == "diverged"]
    table, table_why = _of_table(claim)
    found: dict[str, Any] = {"claim": claim, "rule": test.rule(claim), "table": table, "table_why": table_why}
    if hindrance or (claim.test in ("images", "many_classes") and outcome is None):
        why = f"{_sentence(hindrance or lacking)}" + (f" Here: {outcome.why}" if outcome else "")
        return Verdict(
            verdict=NOT_RUN, why=why, indication=_INDICATION[outcome.verdict] if outcome else "", **found
        )
    if outcome is None:
        return Verdict(verdict=INCONCLUSIVE, why=_sentence(lacking), indication="", **found)
    if diverged:
        networks = (
            f"{len(diverged)} network{'s' if len(diverged) > 1 else ''} diverged ({diverged[0].cell.name}"
        )
        networks += ", …)" if len(diverged) > 1 else ")"
        why = f"{networks}, and the others alone would be a selection. {outcome.why}"
        return Verdict(verdict=INCONCLUSIVE, why=why, indication="", **found)
    return Verdict(verdict=outcome.verdict, why=outcome.why, indication="", **found)


def table(found: Sequence[Verdict]) -> pd.DataFrame:
    """One row for each claim: id, place, says, test, tolerance, rule, verdict, why, indication, table, table_why."""
    return pd.DataFrame(
        {
            **{key: getattr(v.claim, key) for key in ("id", "place", "says", "test", "tolerance")},
            **{key: value for key, value in vars(v).items() if key != "claim"},
        }
        for v in found
    )


def _present(claim: Claim, params: Params) -> Claim:
    """The claim as far as this run's data sets go."""
    names = tuple(name for name in claim.datasets if _is_papers(params, name))
    if claim.datasets and not names:
        raise Untestable("none of its data sets is in this run")
    return dataclasses.replace(claim, datasets=names)


def _is_papers(params: Params, dataset: str) -> bool:
    return dataset in params.grid.datasets and load_paper().dataset(params, dataset) is not None


def _hindrance(claim: Claim, params: Params, results: Sequence[CellResult]) -> str:
    """Why there can be no verdict yet, or nothing."""
    absent = [name for name in claim.datasets if not _is_papers(params, name)]
    if absent:
        titles = [load_paper().datasets[name].title for name in absent]
        return f"{' and '.join(titles)} {'is' if len(absent) == 1 else 'are'} not in this run"
    if claim.test in ("images", "many_classes"):
        return ""
    found = dict.fromkeys(text for name in claim.datasets for text in departures(params, name))
    if found:
        more = ", and more" if len(found) > 1 else ""
        return f"this run is not the paper's experiment ({next(iter(found))}{more})"
    cells = _cells(claim, results)
    pending = [r for r in cells if r.state not in ("ok", "diverged")]
    return f"{len(pending)} of {len(cells)} networks are still to be trained" if pending else ""


def _cells(claim: Claim, results: Sequence[CellResult]) -> list[CellResult]:
    """The cells that a claim is about."""
    found = []
    for dataset in claim.datasets:
        cases = [*_cases(claim, dataset), claim.against, BASELINE if TESTS[claim.test].baseline else ""]
        found += [r for r in select(results, dataset) if r.cell.case in cases]
    return found


def _of_table(claim: Claim) -> tuple[str, str]:
    try:
        outcome = TESTS[claim.test].judge(claim, Printed())
    except Untestable:
        return "", ""
    return _TABLE[outcome.verdict], outcome.why


def _cases(claim: Claim, dataset: str) -> list[str]:
    return list(claim.cases or load_paper().datasets[dataset].cases)


def _in_range(
    what: str, quantities: Sequence[Quantity], low: float = -math.inf, high: float = math.inf
) -> Outcome:
    """Whether all quantities lie in low..high; the sentence lists the most decisive ones."""
    low, high = round(low, 9), round(high, 9)  # 1.2 - 0.1 is meant to be 1.1
    inside = [
        q for q in quantities if low - _ROUNDING <= q.interval.low and q.interval.high <= high + _ROUNDING
    ]
    outside = [
        q for q in quantities if q.interval.high < low - _ROUNDING or q.interval.low > high + _ROUNDING
    ]
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


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _points(value: float) -> str:
    return f"{value:g} point{'' if value == 1 else 's'}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _mean(name: str, values: Sequence[float] | np.ndarray, comparisons: int) -> Quantity:
    found = moments(values)
    return Quantity(name, found.mean, mean_interval(found, comparisons))


def _falls(claim: Claim, source: Source, measure: str = "test_error") -> list[Quantity]:
    """By how much each case lies below the baseline."""
    pairs = [(dataset, case) for dataset in claim.datasets for case in _cases(claim, dataset)]
    return [
        source.difference(
            _name(claim, dataset, case),
            source.moments(dataset, BASELINE, measure),
            source.moments(dataset, case, measure),
            len(pairs),
        )
        for dataset, case in pairs
    ]


def _name(claim: Claim, dataset: str, case: str) -> str:
    return f"{load_paper().datasets[dataset].title} {case}" if len(claim.datasets) > 1 else case


def _largest_reduction(claim: Claim, source: Source) -> Outcome:
    largest = max(_falls(claim, source), key=lambda q: q.value)
    off = claim.tolerance if source.tolerant else 0
    return _in_range("Largest fall in points", [largest], claim.value - off, claim.value + off)


def _reduces(claim: Claim, source: Source) -> Outcome:
    limit = claim.value - (claim.tolerance if source.tolerant else 0)
    return _in_range("Fall in points", _falls(claim, source), limit)


def _reduces_loss(claim: Claim, source: Source) -> Outcome:
    return _in_range("Fall of the test loss in nats", _falls(claim, source, "test_loss"), claim.value)


def _errors(claim: Claim, source: Source) -> Outcome:
    (dataset,) = claim.datasets
    printed = load_paper().datasets[dataset].errors
    quantities = [
        source.relative(case, source.moments(dataset, case), error.mean, len(printed))
        for case, error in printed.items()
    ]
    return _in_range("Percent above the printed error", quantities, -claim.tolerance, claim.tolerance)


def _lowest(claim: Claim, source: Source) -> Outcome:
    (dataset,), (case,) = claim.datasets, claim.cases
    others = [name for name in load_paper().datasets[dataset].cases if name != case]
    ours = source.moments(dataset, case)
    quantities = [
        source.difference(f"{name} − {case}", source.moments(dataset, name), ours, len(others))
        for name in others
    ]
    return _in_range("Differences in points", quantities, 0)


def _lower(claim: Claim, source: Source) -> Outcome:
    (dataset,), (case,) = claim.datasets, claim.cases
    theirs, ours = source.moments(dataset, claim.against), source.moments(dataset, case)
    quantity = source.difference(f"{claim.against} − {case}", theirs, ours, 1)
    return _in_range("Difference in points", [quantity], claim.value)


def _nearest(a: Moments, b: Moments) -> tuple[Moments, Moments]:
    """The two samples that differ least of all that round to these at two decimals."""
    half = 0.005
    towards = math.copysign(min(half, abs(a.mean - b.mean) / 2), b.mean - a.mean)
    wider = (dataclasses.replace(m, sd=m.sd + half) for m in (a, b))
    first, second = wider
    return dataclasses.replace(first, mean=a.mean + towards), dataclasses.replace(
        second, mean=b.mean - towards
    )


def _similar(claim: Claim, source: Source) -> Outcome:
    (dataset,) = claim.datasets
    samples = {case: source.moments(dataset, case) for case in claim.cases}
    pairs = list(itertools.combinations(samples, 2))
    differences = [
        Quantity(
            f"{a} − {b}",
            samples[a].mean - samples[b].mean,
            welch_interval(samples[a], samples[b], len(pairs)),
        )
        for a, b in pairs
    ]
    p = holm([welch_p(samples[a], samples[b]) for a, b in pairs])
    shown = ", ".join(f"{q}, p = {value:.3f}" for q, value in zip(differences, p, strict=True))
    differing = [q for q, value in zip(differences, p, strict=True) if value < LEVEL]
    if differing and not source.tolerant:
        rounded = holm([welch_p(*_nearest(samples[a], samples[b])) for a, b in pairs])
        if min(rounded) >= LEVEL:
            raise Untestable(f"{shown} (Welch, Holm): as printed, too coarsely rounded to tell")
    if differing:
        return Outcome(NOT_REPRODUCED, f"{shown} (Welch, Holm): significant for {_names(differing)}.")
    within = [max(abs(q.interval.low), abs(q.interval.high)) <= claim.tolerance for q in differences]
    if all(within) or not source.tolerant:
        same = f", and all within {claim.tolerance:g} points" if source.tolerant else ""
        return Outcome(REPRODUCED, f"{shown} (Welch, Holm): none significant{same}.")
    return Outcome(
        INCONCLUSIVE,
        f"{shown} (Welch, Holm): none significant, but differences of more than {claim.tolerance:g} points "
        "cannot be ruled out with so few seeds.",
    )


def _faster(claim: Claim, source: Source) -> Outcome:
    (dataset,) = claim.datasets
    quantities = []
    for loss, what in (("train_loss", "training"), ("test_loss", "test")):
        baseline = source.log_loss(dataset, BASELINE, loss)
        for case in _cases(claim, dataset):
            theirs, comparisons = source.log_loss(dataset, case, loss), 2 * len(_cases(claim, dataset))
            quantities.append(source.difference(f"{case} {what}", baseline, theirs, comparisons))
    return _in_range("Area between logarithmic curves, an epoch", quantities, claim.value)


def _separated(claim: Claim, source: Source) -> Outcome:
    return _in_range("Overlap", _overlaps(claim, source), high=claim.value)


def _mixed(claim: Claim, source: Source) -> Outcome:
    return _in_range("Overlap", _overlaps(claim, source), low=claim.value)


def _overlaps(claim: Claim, source: Source) -> list[Quantity]:
    (dataset,), cases = claim.datasets, _cases(claim, claim.datasets[0])
    return [_mean(case, source.overlaps(dataset, case, claim.pair), len(cases)) for case in cases]


def _better_split(claim: Claim, source: Source) -> Outcome:
    (dataset,), (case,) = claim.datasets, claim.cases
    ours, theirs = (moments(source.overlaps(dataset, name, ())) for name in (case, claim.against))
    return _in_range(
        "Difference of overlaps",
        [source.difference(f"{claim.against} − {case}", theirs, ours, 1)],
        claim.value,
    )


def _predicts(claim: Claim, source: Source) -> Outcome:
    rho, remark = source.correlation(claim.datasets)
    outcome = _in_range("Rank correlation", [rho], claim.value)
    return Outcome(outcome.verdict, f"{outcome.why[:-1]} ({remark}).")


def _images(claim: Claim, source: Source) -> Outcome:
    found = {name: source.images(name) for name in claim.datasets}
    wrong = [
        f"{load_paper().datasets[name].title} has {found[name].get(kind, 'no such number'):,} {_KINDS[kind]}, not {n:,}"
        for name in claim.datasets
        for kind, n in claim.images[name].items()
        if found[name].get(kind) != n
    ]
    if wrong:
        return Outcome(NOT_REPRODUCED, f"{'; '.join(wrong)}.")
    return Outcome(REPRODUCED, "The decoded data sets have these numbers of images.")


def _many_classes(claim: Claim, source: Source) -> Outcome:
    raise Untestable(f"neither the paper nor this run has a data set of more than {claim.value:g} classes")


_KINDS = {
    "train": "training images",
    "test": "test images",
    "all": "images",
    "per_class": "training images of each class",
}

TESTS = {
    "largest_reduction": Test(
        lambda c: f"The largest fall of the mean error is {c.value:g} ± {c.tolerance:g} points.",
        _largest_reduction,
    ),
    "reduces": Test(
        lambda c: (
            "Each mean error lies below the baseline's"
            + (f" by at least {_points(c.value)}" if c.value else "")
            + (f", give or take {c.tolerance:g}." if c.tolerance else ".")
        ),
        _reduces,
    ),
    "reduces_loss": Test(lambda c: "Each mean final test loss lies below the baseline's.", _reduces_loss),
    "errors": Test(lambda c: f"Each mean error is the printed one ± {c.tolerance:g} %.", _errors),
    "lowest": Test(
        lambda c: f"The mean error of {c.cases[0]} lies below that of every other case.", _lowest, False
    ),
    "lower": Test(
        lambda c: f"The mean error of {c.cases[0]} lies at least {_points(c.value)} below {c.against}'s.",
        _lower,
        False,
    ),
    "similar": Test(
        lambda c: (
            f"No difference between {', '.join(c.cases)} is significant (Welch, Holm, 5 %), and all lie "
            f"within ± {c.tolerance:g} points."
        ),
        _similar,
        False,
    ),
    "faster": Test(
        lambda c: (
            "The area between the logarithmic loss curves of the baseline and of each case is positive."
        ),
        _faster,
    ),
    "separated": Test(
        lambda c: f"The scores of superclasses overlap by at most {c.value:g}.", _separated, False
    ),
    "mixed": Test(lambda c: f"The scores of superclasses overlap by at least {c.value:g}.", _mixed, False),
    "better_split": Test(
        lambda c: f"Scores overlap by at least {c.value:g} less in {c.cases[0]} than in {c.against}.",
        _better_split,
        False,
    ),
    "predicts": Test(
        lambda c: (
            f"Spearman's ρ of the scores' AUC with the error reduction in percent is at least {c.value:g}."
        ),
        _predicts,
    ),
    "images": Test(lambda c: "The data set as published has this many images.", _images),
    "many_classes": Test(
        lambda c: f"Errors fall on a data set of more than {c.value:g} classes.", _many_classes
    ),
}
