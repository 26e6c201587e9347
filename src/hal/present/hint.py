"""Does the network listen? The tables of `study.hint`, and what they say in words that the numbers choose."""

import math

import pandas as pd

from hal.params import Params
from hal.present.numbers import NONE, counted, interval, number, signed
from hal.present.tables import Table, grouped
from hal.study.resampling import Interval
from hal.titles import case_title, dataset_title

LISTENS = (
    "What the superclass told changes, of the test images, in percent: mean over n networks [95 %, Student]. Flips: the "
    "predicted class depends on the superclass told. Blind: the score is the same under every superclass, and so are the "
    "logits. Best and worst: the error if every image were told the superclass that helps, or hurts, it most. Score change: "
    "how far the score moves with the superclass told (at most 2). AUC: how well the training images' scores split by "
    "superclass, each image told its own, and all told the same: where the second is as large, the split shows the features "
    "and not the hint. A case marked * is a control."
)
SPLIT = (
    "Where a case's error comes from, in percent and points. Unused hint: HAL minus HAL masked, what a mask still mends in "
    "HAL's own logits [95 %, Student]. Features: HAL masked minus the masked baseline, two networks that both make all of the "
    "hint [95 %, Welch]; negative means that training with superclasses made the features better. Their sum is HAL minus the "
    "masked baseline. Nobody tells: three readings of “no hint” (docs/files.md): the most probable pair of a superclass and "
    "a class in it, which favours the superclass with the larger score; the mixture over all superclasses; the superclass "
    "that the baseline predicts. A case marked * is a control."
)


def tables(params: Params, hint: pd.DataFrame) -> list[Table]:
    """The two tables; none where no case is told anything."""
    if hint.empty:
        return []
    listens, split = [], []
    for r in hint.itertuples():
        title = dataset_title(params, r.dataset)
        name = f"{case_title(params, r.dataset, r.case)}{' *' * r.control}"
        n = counted(r.n, r.planned)
        auc = f"{number(r.own_hint_auc)} / {number(r.same_hint_auc)}"
        changes = (
            _share(r, "flips"),
            _share(r, "blind"),
            number(r.best_hint),
            number(r.hal),
            number(r.worst_hint),
        )
        scores = (number(r.score_change), NONE if math.isnan(r.own_hint_auc) else auc)
        listens.append((title, (name, n, *changes, *scores)))
        parts = (
            number(r.masked),
            number(r.hal_masked),
            number(r.hal),
            _difference(r, "unused"),
            _difference(r, "features"),
        )
        nobody = (number(r.no_oracle), number(r.no_oracle_mixture), number(r.no_oracle_baseline))
        split.append((title, (name, *parts, *nobody)))
    headings = ("Case", "n", "Flips", "Blind", "Best", "HAL", "Worst", "Score change", "AUC own / same")
    of_split = ("Case", "Baseline masked", "HAL masked", "HAL", "Unused hint", "Features")
    return [
        Table("listens", "Does the network listen?", LISTENS, headings, grouped(listens)),
        Table(
            "gain-split",
            "What a gain is made of",
            SPLIT,
            (*of_split, "No hint: pair", "mixture", "baseline's"),
            grouped(split),
        ),
    ]


def findings(params: Params, hint: pd.DataFrame) -> list[str]:
    """A sentence or two for each data set: whether its networks listen, and which part of a gain is whose."""
    said = []
    for dataset, all_rows in hint.groupby("dataset", sort=False):
        rows = all_rows[~all_rows["control"].astype(bool)].dropna(subset=["flips", "features"])
        if len(rows):
            said.append(f"{dataset_title(params, dataset)}: {_listening(rows)} {_parts(rows)}")
    return said


def _listening(rows: pd.DataFrame) -> str:
    flips = f"told another superclass, HAL's networks change {_range(rows['flips'])} % of their predictions"
    blind = rows["blind"]
    if blind.max() < 0.5:
        return f"{flips}; their logits depend on it for practically every image."
    return f"{flips}; for {_range(blind)} % of the images the logits are the same whatever is told."


def _parts(rows: pd.DataFrame) -> str:
    known = rows.dropna(subset=["features_low", "unused_low"])
    if known.empty:
        return "With a single seed it cannot be told how much of a gain is the hint's and how much the features'; more seeds would."
    better = list(known[known["features_high"] < 0]["case"])
    worse = list(known[known["features_low"] > 0]["case"])
    unused = list(known[known["unused_low"] > 0]["case"])
    parts = []
    if better:
        parts.append(
            f"in {', '.join(better)} HAL lies below the masked baseline even with the mask laid over both: that part of the gain is the features'"
        )
    if worse:
        parts.append(f"in {', '.join(worse)} HAL's features are worse than the baseline's")
    if not better and not worse:
        parts.append(
            "with the mask laid over both, no case differs from the masked baseline by more than the seeds do: no part of a gain is shown to be the features', all of it can be the hint's"
        )
    if unused:
        parts.append(f"in {', '.join(unused)} a part of the hint stays unused, which a mask would still take")
    return f"{'; '.join(parts)[0].upper()}{'; '.join(parts)[1:]}."


def _range(values: pd.Series) -> str:
    low, high = f"{values.min():.2g}", f"{values.max():.2g}"
    return low if low == high else f"{low} to {high}"


def _share(row: tuple, name: str) -> str:
    return _with_interval(number(getattr(row, name), 1), row, name, sign=False)


def _difference(row: tuple, name: str) -> str:
    return _with_interval(signed(getattr(row, name)), row, name, sign=True)


def _with_interval(text: str, row: tuple, name: str, sign: bool) -> str:
    found = Interval(getattr(row, f"{name}_low"), getattr(row, f"{name}_high"))
    return f"{text} {interval(found, sign)}" if found.known else text
