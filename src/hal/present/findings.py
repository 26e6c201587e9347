"""What the tables say, in words that the numbers choose."""

import pandas as pd

from hal.params import Params
from hal.present.numbers import NAMED, difference, extent, named, number, signed
from hal.study.comparisons import pooled
from hal.study.hint import DEAF, SPLIT
from hal.study.resampling import LEVEL
from hal.titles import dataset_title

_NO_MASK = "there is no masked baseline to compare with: none is finished, or its predictions are not here"
UNTESTED = "a test needs at least two networks of each, and errors that vary"


def masked(params: Params, table: pd.DataFrame, statistics: pd.DataFrame) -> list[str]:
    """A paragraph for each data set: what the controls show, in words that the numbers choose."""
    together = pooled(statistics, "oracle_mask")
    return [
        f"{dataset_title(params, dataset)}: {_finding(table[table['dataset'] == dataset], together[together['dataset'] == dataset])}"
        for dataset in params.grid.datasets
        if (table["dataset"] == dataset).any()
    ]


def summary(params: Params, table: pd.DataFrame) -> str:
    """In how many groupings HAL errs less than a mask.

    Of the data sets themselves: a variant's groupings are the same ones again.
    """
    tested = table[table["p_holm"].notna() & table["dataset"].isin(params.own_datasets)]
    if tested.empty:
        return "Whether HAL errs less than a plain network whose logits are masked with the same hint cannot be told yet."
    better, worse, _ = (len(cases) for cases in compared(tested))
    of = "the one grouping" if len(tested) == 1 else f"{len(tested)} groupings"
    if not better and not worse:
        which = of if len(tested) == 1 else f"any of {of}"
        return f"From a plain network whose logits are masked with the same hint HAL cannot be told apart in {which} that can be tested (Welch, corrected by Holm)."
    others = "; in the others they cannot be told apart" * (better + worse < len(tested))
    counts = f"{better or 'none'} and more in {worse or 'none'} of {of} that can be tested"
    return f"Beside a plain network whose logits are masked with the same hint HAL errs less in {counts} (Welch, Holm){others}."


def listening(params: Params, hint: pd.DataFrame, networks: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """A few findings for each data set, with its title: whether its networks listen, what splits, and whose part of an error is what."""
    found = []
    for dataset, all_rows in hint.groupby("dataset", sort=False):
        rows = all_rows[~all_rows["ablation"].astype(bool)].dropna(subset="flips")
        if len(rows):
            mine = networks[(networks["dataset"] == dataset) & ~networks["ablation"].astype(bool)]
            parts = (_listening(rows), _behind(mine), _splits(rows), _parts(rows), _untold(rows))
            found.append((dataset_title(params, dataset), list(filter(None, parts))))
    return found


def flips(rows: pd.DataFrame) -> str:
    """How many predictions depend on the superclass told, and how many networks are deaf, in rows of `study.hint` that have flips."""
    changed = extent(pd.concat([rows["flips_least"], rows["flips_most"]]), _share)
    if rows["n"].sum() == 1:
        deaf = f": it is deaf to the hint (less than {DEAF:g} %)" if rows["deaf"].sum() else ""
        return f"Told another superclass, HAL's one network changes {changed} % of its predictions{deaf}."
    return f"Told another superclass, HAL's networks change {changed} % of their predictions; {_deaf(rows)}."


def _listening(rows: pd.DataFrame) -> str:
    blind = rows["blind"]
    if blind.max() < 0.5:
        return f"{flips(rows)} Their logits depend on it for practically every image."
    return f"{flips(rows)} Averaged over a case's networks, {extent(blind, _share)} % of the images get the same score under every superclass (to 0.001)."


def _deaf(rows: pd.DataFrame) -> str:
    """How many of the networks are deaf to their hint, and of which cases."""
    networks, deaf = int(rows["n"].sum()), int(rows["deaf"].sum())
    if not deaf:
        return f"none of the {networks} networks changes less than {DEAF:g} %"
    where = _by_case(rows, "deaf", "n")
    of_cases = f": {where}" if where else ""
    return f"{deaf} of {networks} networks {'is' if deaf == 1 else 'are'} deaf to the hint (less than {DEAF:g} %{of_cases})"


def _behind(networks: pd.DataFrame) -> str:
    """How far from the mask those lie that are deaf to the hint, and the others."""
    known = networks.dropna(subset=["behind"])
    deaf = known["flips"] < DEAF
    ranges = [
        extent(side, signed) if len(side) else "" for side in (known["behind"][deaf], known["behind"][~deaf])
    ]
    from_mask = "points from the mean masked baseline's (+: more errors)"
    if not all(ranges):
        errors = "Its error lies" if len(known) == 1 else "Their errors lie"
        return f"{errors} {''.join(ranges)} {from_mask}." if any(ranges) else ""
    return f"The errors of the deaf ones lie {ranges[0]} {from_mask}, those of the others {ranges[1]}."


def _splits(rows: pd.DataFrame) -> str:
    """Of how many networks the scores split better with the hint, and of how many without."""
    scored, own, same = (int(rows[name].sum()) for name in ("scored", "own_splits", "same_splits"))
    if not scored:
        return ""
    if scored == 1:
        better = "told its own superclass" if own else "told the same one" if same else ""
        return (
            f"Its scores split better where each image is {better}."
            if better
            else "Its scores split alike, each image told its own superclass or all told the same."
        )
    where = _by_case(rows, "own_splits", "scored")
    of_cases = f" ({where})" if where else ""
    told_the_same = (
        f"; in {same} they split better when all images are told the same one, so the split is the features' and not the hint's."
        if same
        else ", and in none of them where all images are told the same one."
    )
    return (
        f"Scores split better where each image is told its own superclass (by more than {SPLIT:g} of the AUC) in {own} of {scored} "
        f"networks{of_cases}{told_the_same}"
    )


def _parts(rows: pd.DataFrame) -> str:
    """What a mask still mends, which is counted, and what differs within the superclass, which is tested (Welch, Holm)."""
    unused = f"A mask laid over HAL's own logits still takes off {extent(rows['unused'])} points: that part of the hint stays unused."
    known = rows.dropna(subset=["within_p_holm"])
    if known.empty:
        cannot = UNTESTED if rows["within"].notna().any() else _NO_MASK
        return f"{unused} Whether HAL tells the classes within a superclass apart better cannot be told: {cannot}."
    apart = known[known["within_p_holm"] < LEVEL]
    better, worse = (list(apart[side]["case"]) for side in (apart["within"] < 0, apart["within"] > 0))
    parts = []
    if better:
        parts.append(
            f"in {named(better, len(known))} HAL errs less than the masked baseline even with the mask laid over both: it tells the classes within a superclass apart better"
        )
    if worse:
        parts.append(
            f"in {named(worse, len(known))} HAL errs more with the mask laid over both: it tells the classes within a superclass apart worse"
        )
    if not parts:
        parts.append(
            "with the mask laid over both, no case is distinguishable from the masked baseline: that HAL tells the classes within a superclass apart better or worse is not shown"
        )
    text = "; ".join(parts)
    return f"{unused} {text[0].upper()}{text[1:]} (Welch, Holm)."


def _untold(rows: pd.DataFrame) -> str:
    """The errors where nobody tells the superclass, by all three readings of that: one alone would flatter or slander."""
    readings = {
        "no_oracle": "taking the most probable pair of a superclass and a class in it",
        "no_oracle_mixture": "mixing what it says under all of them",
        "no_oracle_baseline": "told the superclass of what the baseline predicts",
    }
    known = {how: rows[name].dropna() for name, how in readings.items()}
    said = [f"{extent(errors)} % {how}" for how, errors in known.items() if len(errors)]
    return f"Where nobody tells the superclass, HAL errs in {', in '.join(said)}." if said else ""


def _by_case(rows: pd.DataFrame, count: str, of: str) -> str:
    """Such as `case1 2 of 5, case3 1 of 5`: where some are counted; empty where nobody would read so many names."""
    if len(rows) > NAMED:
        return ""
    counts = rows[rows[count] > 0][["case", count, of]]
    return ", ".join(f"{case} {some} of {all_}" for case, some, all_ in counts.itertuples(index=False))


def _share(value: float) -> str:
    return number(value, 1)


def _finding(all_rows: pd.DataFrame, together: pd.DataFrame) -> str:
    rows = all_rows[all_rows["difference"].notna()]
    if rows.empty:
        if all_rows["n"].max() > 0:
            return f"{_NO_MASK}."
        return "no network of HAL counts, or its controls are not computed."
    text = f"with the hint, the masked baseline errs in {extent(rows['masked'])} %, HAL in {extent(rows['hal'])} %. "
    tested = rows[rows["p_holm"].notna()]
    if tested.empty:
        lower = (rows["difference"] < 0).sum()
        text += f"By the means alone HAL lies below the mask in {lower or 'none'} of {len(rows)} grouping{'s' * (len(rows) > 1)}; nothing can be tested ({UNTESTED}). "
    else:
        better, worse, open_ = compared(tested)
        parts = [
            f"{what} in {named(cases, len(tested))}"
            for what, cases in (
                ("better than the mask", better),
                ("worse than the mask", worse),
                ("not distinguishable from it", open_),
            )
            if cases
        ]
        text += f"HAL is {'; '.join(parts)} (Welch, Holm). "
        if worse and not better:
            text += "In no grouping that can be tested does HAL err distinguishably less than the mask, which needs no superclass in training. "
        text += _together(together)
    return text.strip()


def _together(rows: pd.DataFrame) -> str:
    """All groupings of a data set together against the mask, where there is an interval: one row, or none."""
    for r in rows.dropna(subset=["difference_low"]).itertuples():
        points = difference(r, "difference")
        side = "above" if r.difference_low > 0 else "below" if r.difference_high < 0 else ""
        where = f"lies {side} the mask's" if side else "is not distinguishable from the mask's"
        return f"All cases taken together, which is one more comparison, uncorrected, HAL's mean error {where}: {points} points (Welch). "
    return ""


def compared(tested: pd.DataFrame) -> tuple[list[str], list[str], list[str]]:
    """The cases in which HAL is significantly better than the mask, worse, and neither."""
    significant = tested["p_holm"] < LEVEL
    better, worse = (significant & side for side in (tested["difference"] < 0, tested["difference"] > 0))
    cases = tested["case"]
    return list(cases[better]), list(cases[worse]), list(cases[~(better | worse)])
