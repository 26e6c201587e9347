"""What the hint is worth to one network, measured on its stored logits: told the true superclass, a wrong one, or none.

Everything here is computed from what a cell keeps: the test logits (N, S, K), entry s being what the network says when
it is told superclass s (S = 1 for a network that is told none), and u = W y of equation 3. Images are counted, so that
every number is exact. The measures, which the tables call controls:

- `as_tested`: as the paper tests. A case is told the true superclass (an ablation: what its hint is), the baseline nothing;
  a network with the masked loss is masked here too. Must agree with cell.json.
- `oracle_mask`: the logits restricted to the classes of the true superclass. Of the baseline, for every grouping: the same
  hint, used without an auxiliary block. Of a case: its own logits as it was tested, masked too; what masking still
  mends is a hint that the network does not use.
- `no_oracle`: nobody tells. Of all (s, k) with class k in superclass s the one with the largest log-probability of k given
  s (log-softmax over all K classes). A larger score sharpens that softmax, so this favours the superclass under which the
  score is larger. Two other readings of "no hint" stand beside it: `no_oracle_mixture`, the class of the largest
  probability when those given each s are mixed by the share of the classes that s holds; and `no_oracle_baseline`, where
  the network is told the superclass of what the baseline of the same seed predicts.
- `wrong_hint_mean`, `wrong_hint_worst`: told a wrong superclass. The mean gives every wrong superclass of an image the same
  weight; in the worst case an image counts as wrong if any wrong superclass misleads the network.
- `best_hint`, `worst_hint`: wrong under every superclass, and under at least one.
- `flips`: the images whose predicted class changes with the superclass told. Of a network with the masked loss this, the
  best, the worst and the wrong hints are of what it predicts masked, as it is tested. `blind`: those whose score, and so whose
  logits, is the same under all (to 0.001).
- `score_change`: the mean over test images of the largest minus the smallest score under any superclass (no count: `value`).
- `own_hint_auc`, `same_hint_auc`: how well the scores of the training images split by superclass (AUC, averaged over pairs
  of superclasses), each told its own (an ablation: what its hint is), and all told the same one (averaged over which). If the second is as large, the
  split shows the features and not the hint.

Beside each error stands how many predicted classes are of the true superclass.
"""

import functools
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax

from hal.settings import superclass_of
from hal.study.separability import auc

Superclasses = Sequence[Sequence[int]]

MEASURES = 1  # raised when one counts otherwise: what was kept of the same networks is then counted anew
UNTOLD = ("as_tested", "oracle_mask")
TOLD = (
    *("as_tested", "oracle_mask", "no_oracle", "no_oracle_mixture", "no_oracle_baseline"),
    *("wrong_hint_mean", "wrong_hint_worst", "best_hint", "worst_hint", "flips"),
)
SCORED = ("blind", "score_change", "own_hint_auc", "same_hint_auc")

_BLIND = 1e-3


class Counts(NamedTuple):
    """One control: counted images of so many, and how many predictions are of the true superclass; or a value."""

    count: float = np.nan  # type: ignore[assignment]  # in place of tuple's method, which nobody calls
    images: float = np.nan
    right_superclass: float = np.nan
    value: float = np.nan


def owners(superclasses: Superclasses, classes: int) -> np.ndarray:
    """The superclass of each class (K,).

    Raises:
        UserError: a class is in no superclass, in two, or out of range.
    """
    return np.array(superclass_of(superclasses, classes))


def allowed(label: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Whether each class is of the true superclass, (N, K), from labels (N,) and the classes' superclasses (K,)."""
    return owner[None, :] == owner[label][:, None]


def when_told(logits: np.ndarray, told: np.ndarray | None) -> np.ndarray:
    """Of logits (N, S, K) those under what the network was told (N,), (N, K); None and S = 1 where that is nothing."""
    return logits[np.arange(len(logits)), 0 if told is None else told]


def oracle_mask(logits: np.ndarray, label: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Classes (N,) predicted from logits (N, K) by the best class of the true superclass."""
    return np.where(allowed(label, owner), logits, -np.inf).argmax(axis=1)


def masked(logits: np.ndarray, label: np.ndarray, told: np.ndarray | None, owner: np.ndarray) -> np.ndarray:
    """`oracle_mask` (N,) of logits (N, S, K) `when_told` what the network was."""
    return oracle_mask(when_told(logits, told), label, owner)


def under_every_hint(logits: np.ndarray, label: np.ndarray, owner: np.ndarray, loss: str) -> np.ndarray:
    """Classes (N, S) predicted from logits (N, S, K) under every hint, as a network of that loss is tested."""
    if loss == "masked":
        logits = np.where(allowed(label, owner)[:, None], logits, -np.inf)
    return logits.argmax(axis=2)


def flips(by_hint: np.ndarray) -> np.ndarray:
    """Whether (N,) the class predicted under every hint (N, S) changes with the superclass told."""
    return (by_hint != by_hint[:, :1]).any(axis=1)


def as_tested(
    logits: np.ndarray, label: np.ndarray, told: np.ndarray | None, owner: np.ndarray, loss: str
) -> np.ndarray:
    """Classes (N,) that a network predicts as it was tested, from logits (N, S, K) and what it was told (N,).

    A network with the masked loss is masked here too.
    """
    return masked(logits, label, told, owner) if loss == "masked" else when_told(logits, told).argmax(axis=1)


def no_oracle(logits: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Classes (N,) predicted from logits (N, S, K) by the most probable pair of a superclass and a class in it."""
    n, s, k = logits.shape
    joint = log_softmax(logits.astype(np.float64), axis=2)
    belongs = owner[None, :] == np.arange(s)[:, None]
    return np.where(belongs, joint, -np.inf).reshape(n, s * k).argmax(axis=1) % k


def wrong_hints(by_hint: np.ndarray, label: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Of the classes predicted under every hint (N, S) those under the wrong ones (N, S - 1)."""
    n, s = by_hint.shape
    wrong = np.arange(s)[None, :] != owner[label][:, None]
    return by_hint[wrong].reshape(n, s - 1)


def mixture(logits: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Classes (N,) predicted from logits (N, S, K) when the probabilities under every s are mixed by its share of classes."""
    prior = np.bincount(owner, minlength=logits.shape[1]) / len(owner)
    return (
        (np.exp(log_softmax(logits.astype(np.float64), axis=2)) * prior[:, None]).sum(axis=1).argmax(axis=1)
    )


def score_under_every_hint(u: np.ndarray) -> np.ndarray:
    """Equation 3 told each superclass: u = W y (N, S) to a (N, S)."""
    distance = np.abs(u)
    return distance.sum(axis=1, keepdims=True) - distance + np.abs(u - 1)


def pairwise_auc(score: np.ndarray, superclass: np.ndarray) -> float:
    """The AUC of scores (N,), averaged over the pairs of superclasses (N,)."""
    sets = [score[superclass == j] for j in range(superclass.max() + 1)]
    return float(np.mean([auc(x, y) for x, y in combinations(sets, 2)]))


def of_network(
    logits: np.ndarray,
    label: np.ndarray,
    told: np.ndarray | None,
    superclasses: Superclasses,
    loss: str,
    of_baseline: np.ndarray | None = None,
) -> dict[str, Counts]:
    """The measures `UNTOLD` or `TOLD` of a network: see `of_untold`, and `of_told` for the arguments.

    Raises:
        UserError: the grouping does not cover the classes.
    """
    owner = owners(superclasses, logits.shape[2])
    tested = counts(as_tested(logits, label, told, owner, loss), label, owner)
    if told is None:
        return {"as_tested": tested} | of_untold(logits, label, superclasses)
    return {"as_tested": tested} | of_told(logits, label, told, superclasses, loss, of_baseline)


def of_untold(logits: np.ndarray, label: np.ndarray, superclasses: Superclasses) -> dict[str, Counts]:
    """The measures `UNTOLD` of a network that is told nothing, but for `as_tested`, from logits (N, 1, K) and labels (N,).

    Raises:
        UserError: the grouping does not cover the classes.
    """
    owner = owners(superclasses, logits.shape[2])
    return {"oracle_mask": counts(masked(logits, label, None, owner), label, owner)}


def of_told(
    logits: np.ndarray,
    label: np.ndarray,
    told: np.ndarray,
    superclasses: Superclasses,
    loss: str = "softmax",
    of_baseline: np.ndarray | None = None,
) -> dict[str, Counts]:
    """The measures `TOLD` of a network that is told a superclass, but for `as_tested`.

    Args:
        logits: (N, S, K).
        label: (N,).
        told: (N,) the superclass that it was told of each image; all but a random hint tell the truth.
        superclasses: the classes of each.
        loss: what it was trained with, `softmax` or `masked`.
        of_baseline: (N,) what the baseline of the same seed predicts; without it that control is left out.

    Raises:
        UserError: the grouping does not cover the classes.
    """
    owner = owners(superclasses, logits.shape[2])
    n, s, _ = logits.shape
    measure = functools.partial(counts, label=label, owner=owner)
    by_hint = under_every_hint(logits, label, owner, loss)
    errs = by_hint != label[:, None]
    misled_to = wrong_hints(by_hint, label, owner)
    misled = misled_to != label[:, None]
    right = owner[misled_to] == owner[label][:, None]
    measures = {
        "oracle_mask": measure(masked(logits, label, told, owner)),
        "no_oracle": measure(no_oracle(logits, owner)),
        "no_oracle_mixture": measure(mixture(logits, owner)),
        "wrong_hint_mean": Counts(misled.sum(), n * (s - 1), right.sum()),
        "wrong_hint_worst": Counts(misled.any(axis=1).sum(), n, right.all(axis=1).sum()),
        "best_hint": Counts(errs.all(axis=1).sum(), n),
        "worst_hint": Counts(errs.any(axis=1).sum(), n),
        "flips": Counts(flips(by_hint).sum(), n),
    }
    if of_baseline is not None:
        measures["no_oracle_baseline"] = measure(logits[np.arange(n), owner[of_baseline]].argmax(axis=1))
    return measures


def of_scored(
    u_test: np.ndarray, u_train: np.ndarray, score: np.ndarray, superclass: np.ndarray
) -> dict[str, Counts]:
    """The measures `SCORED` of a network with an auxiliary block, from u = W y (N, S) of both splits and the training images' scores."""
    test, train = score_under_every_hint(u_test), score_under_every_hint(u_train)
    change = np.ptp(test, axis=1)
    finite = np.isfinite(score)
    measures = {
        "blind": Counts((change < _BLIND).sum(), len(change)),
        "score_change": Counts(value=change.mean()),
    }
    if finite.all():
        same = [pairwise_auc(train[:, s], superclass) for s in range(train.shape[1])]
        measures["own_hint_auc"] = Counts(value=pairwise_auc(score, superclass))
        measures["same_hint_auc"] = Counts(value=float(np.mean(same)))
    return measures


def counts(predicted: np.ndarray, label: np.ndarray, owner: np.ndarray) -> Counts:
    """Errors of predicted classes (N,), and how many are of the true superclass."""
    return Counts((predicted != label).sum(), len(label), (owner[predicted] == owner[label]).sum())
