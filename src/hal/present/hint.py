"""Does the network listen? The tables of `study.hint`."""

import math
from typing import Any

import pandas as pd

from hal.params import Params
from hal.present.blocks import Fold, Items, Prose, Sketch, Table, columns, grouped
from hal.present.numbers import (
    NONE,
    counted,
    difference,
    number,
    probability,
    with_range,
)
from hal.titles import case_title, dataset_title

LISTENS = (
    "What the superclass told changes, of the test images, in percent: mean over n networks (lowest to highest network). "
    "Flips: some superclass changes the predicted class; a case with more superclasses has more chances. Deaf: how many of the n networks flip less than 1 %. Blind: the "
    "score is the same under every superclass, and so are the logits. Best and worst hint: the error if each image were told the "
    "superclass (true or not) that helps, or hurts, it most. Score change: "
    "how far the score moves with the superclass told (at most 2). AUC: how well the training images' scores split by "
    "superclass, each image told its own (an ablation with a random hint: one at random), and all told the same: where the second is as large, the split shows the features "
    "and not the hint. A case marked * is an ablation; where it is told zeros, there is no score under another superclass."
)
SPLIT = (
    "Where a case's error comes from, in percent and points. Unused hint: HAL minus HAL masked, what a mask still mends in "
    "HAL's own logits [95 %, Student, cut at 0: a mask cannot hurt]. Within: HAL masked minus the masked baseline, two networks that err within the "
    "true superclass alone [95 %, Welch; p: corrected by Holm for the run's comparisons of this kind]; negative means that HAL tells its classes apart better, by features, output layer "
    "or what the score still changes there. Their sum is HAL minus the "
    "masked baseline. No hint: three readings of it (docs/files.md): the most probable pair of a superclass and "
    "a class in it, which favours the superclass with the larger score; the mixture over all superclasses; the superclass "
    "that the baseline predicts. A case marked * is an ablation."
)

DERIVATION = (
    "By equations 1 to 3 alone, for any weights: y are an image's features, u = W y the block's numbers, one a superclass, "
    "V and b the output layer. Told superclass s, the score is a(s) = Σ |uⱼ − δⱼₛ| and the logits are a(s) v + b with v = V y."
)
STATEMENTS = (
    "One line: the hint moves the logits along a v + b and nowhere else. It is one number, the same for all classes.",
    "How far: a(s) = Σ |uⱼ| + h(uₛ) with h(u) = |u − 1| − |u|, which falls from 1 (u ≤ 0) to −1 (u ≥ 1). So two hints differ by at "
    "most 2, and at most one superclass has a small score: a(s) + a(s′) ≥ 2.",
    "Blind: where uₛ and uₛ′ are both ≤ 0, both ≥ 1, or equal, both hints give the same logits; strictly inside the first two regions "
    "they give the same gradients too, so no step is ever taken in order to make the hint help.",
    "The bias listens: without b the logits are v times a positive number, and the class is the same whatever is told. With it the class "
    "can change, but only to one that is largest somewhere on the line.",
    "A mask is never worse on the same logits: it cannot make a right prediction wrong. What it still takes off HAL's error is the unused "
    "hint; what is then left against the masked baseline lies within the superclass: features, output layer, and what the score still changes there.",
    "Scores that split need not show a used hint: a score depends on the superclass told even if the features say nothing. Only where all "
    "images are told the same do the features alone split them.",
)
PICTURE = "Left: h. Right: the logits of an image under two hints; where the line crosses a border between classes, the prediction flips."


def derivation() -> Fold:
    """What a scalar hint can do, in half a page; docs/hint.md has more words, and says which test proves each statement."""
    return Fold("What a scalar hint can do", (Prose(DERIVATION), Items(STATEMENTS), Sketch("hint", PICTURE)))


def tables(params: Params, hint: pd.DataFrame) -> list[Table]:
    """The two tables; none where no case is told anything."""
    return [] if hint.empty else [_listens(params, hint), _gain(params, hint)]


def _listens(params: Params, hint: pd.DataFrame) -> Table:
    """What the hint changes."""
    rows = []
    for r in hint.itertuples():
        auc = f"{number(r.own_hint_auc)} / {number(r.same_hint_auc)}"
        numbers = (
            counted(r.n, r.planned),
            with_range(r.flips, r.flips_least, r.flips_most),
            NONE if math.isnan(r.flips) else str(r.deaf),
            with_range(r.blind, r.blind_least, r.blind_most),
            number(r.best_hint),
            number(r.hal),
            number(r.worst_hint),
            number(r.score_change),
            NONE if math.isnan(r.own_hint_auc) else auc,
        )
        rows.append((dataset_title(params, r.dataset), (_name(params, r), *numbers)))
    headings = columns(
        *("Case", "n", "Flips (%)", "Deaf", "Blind (%)", "Best hint (%)", "HAL (%)", "Worst hint (%)"),
        *("Score change", "AUC own / same"),
    )
    return Table("listens-table", "What the hint changes", LISTENS, headings, grouped(rows), wide=True)


def _gain(params: Params, hint: pd.DataFrame) -> Table:
    """Where a case's error comes from."""
    rows = []
    for r in hint.itertuples():
        numbers = (
            number(r.masked),
            number(r.hal_masked),
            number(r.hal),
            difference(r, "unused"),
            difference(r, "within"),
            probability(r.within_p_holm),
            number(r.no_oracle),
            number(r.no_oracle_mixture),
            number(r.no_oracle_baseline),
        )
        rows.append((dataset_title(params, r.dataset), (_name(params, r), *numbers)))
    headings = columns(
        *("Case", "Baseline masked", "HAL masked", "HAL", "Unused hint", "Within", "p"),
        *("No hint: pair", "No hint: mixture", "No hint: baseline's"),
    )
    return Table("gain-split", "What a gain is made of", SPLIT, headings, grouped(rows), wide=True)


def _name(params: Params, row: Any) -> str:
    return f"{case_title(params, row.dataset, row.case)}{' *' * row.ablation}"
