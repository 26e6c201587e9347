"""What the tables say, in words that the numbers choose."""

from collections.abc import Callable

import pandas as pd

from hal.decimals import significant
from hal.params import Params
from hal.present.numbers import difference, number, signed
from hal.settings import BASELINE
from hal.study.comparisons import pooled
from hal.study.hint import DEAF, SPLIT
from hal.study.resampling import LEVEL
from hal.titles import dataset_title

NAMED = 8  # cases that a sentence names
_NO_MASK = "there is no masked baseline to compare with: none is finished, or its predictions are not here"
_UNTESTED = "a test takes two networks of each, whose errors are not all the same"


def in_short(
    params: Params, table2: pd.DataFrame, statistics: pd.DataFrame, table2b: pd.DataFrame
) -> list[str]:
    """A paragraph for each data set, before any table: HAL beside the baseline, the paper, and the mask, of all cases alike.

    No case is picked by its error, but for the lowest here and the paper's lowest, which are said to be that.
    """
    paragraphs = []
    for dataset in params.own_datasets:
        cases = params.groupings(dataset)
        if not cases:
            continue  # of ablations alone the sections on them speak
        rows = table2[table2["dataset"] == dataset].set_index("case").reindex([BASELINE, *cases])
        counted = rows.loc[cases].dropna(subset=["difference"])
        if counted.empty:
            paragraphs.append(
                f"{dataset_title(params, dataset)}: no network of this run can be compared yet."
            )
            continue
        compared = statistics[(statistics["dataset"] == dataset) & (statistics["against"] == BASELINE)]
        beside = table2b[table2b["dataset"] == dataset].dropna(subset=["difference"])
        sentences = [
            _beside_baseline(rows, counted, compared[compared["case"].isin(cases)]),
            _lowest(rows.loc[cases], counted),
            f"By the means, the baseline masked with the same hint errs less than HAL in {(beside['difference'] > 0).sum()} of {len(beside)}."
            if len(beside)
            else "",
            f"No network of {_named(lacking, rows.loc[cases])} counts."
            if (lacking := [c for c in cases if c not in counted.index])
            else "",
        ]
        paragraphs.append(f"{dataset_title(params, dataset)}: {' '.join(filter(None, sentences))}")
    return paragraphs


def _beside_baseline(rows: pd.DataFrame, counted: pd.DataFrame, compared: pd.DataFrame) -> str:
    """How far HAL lies from its baseline, here and in the paper, and in which cases that can be told."""

    def below(differences: pd.Series, points: str, cases: str) -> str:
        return f"{_extent(differences, signed)}{points} in {(differences < 0).sum()} of {len(differences)}{cases}"

    printed = rows["paper_difference"].dropna()
    of_paper = f" (in the paper {below(printed, ',', '')})" if len(printed) else ""
    tested = compared.dropna(subset=["p_holm"])
    apart = list(tested[tested["p_holm"] < LEVEL]["case"])
    told = (
        f"; a test tells them apart (Welch, Holm) in {_named(apart, tested) if apart else 'none'}"
        if len(tested)
        else f"; nothing can be tested ({_UNTESTED})"
    )
    of_mean = "mean test error" if counted["n"].max() > 1 else "test error"
    return f"HAL's {of_mean} minus the baseline's {number(rows['mean'][BASELINE])} % is {below(counted['difference'], ' points, below 0', ' cases')}{of_paper}{told}."


def _lowest(rows: pd.DataFrame, counted: pd.DataFrame) -> str:
    """The case with the lowest error here, and the one with the paper's, whether it counts here or not."""
    printed = rows["paper_mean"].dropna()
    if len(counted) < 2 or len(printed) < 2:
        return ""
    ours, theirs = _least(counted["mean"]), _least(printed)
    lowest = f"The lowest error is that of {_named(ours, rows)} ({number(counted['mean'].min())} %"
    if ours == theirs:
        return f"{lowest}), as in the paper ({number(printed.min())} %)."
    of_paper = f"; in the paper {number(printed[ours[0]])} %" if len(ours) == 1 and ours[0] in printed else ""
    known = len(theirs) == 1 and theirs[0] in counted.index
    here = f"; here {number(counted['mean'][theirs[0]])} %" if known else ""
    return (
        f"{lowest}{of_paper}), in the paper that of {_named(theirs, rows)} ({number(printed.min())} %{here})."
    )


def _least(means: pd.Series) -> list[str]:
    """The case with the lowest mean, or all that print the same number."""
    return [str(case) for case, mean in means.items() if number(mean) == number(means.min())]


def masked(params: Params, table: pd.DataFrame, statistics: pd.DataFrame) -> list[str]:
    """A paragraph for each data set: what the controls show, in words that the numbers choose."""
    together = pooled(statistics, "oracle_mask")
    return [
        f"{dataset_title(params, dataset)}: {_finding(table[table['dataset'] == dataset], together[together['dataset'] == dataset])}"
        for dataset in params.grid.datasets
        if (table["dataset"] == dataset).any()
    ]


def summary(params: Params, table: pd.DataFrame) -> str:
    """In how many groupings HAL makes more of the hint than a mask.

    Of the data sets themselves: a variant's groupings are the same ones again.
    """
    tested = table[table["p_holm"].notna() & table["dataset"].isin(params.own_datasets)]
    if tested.empty:
        return "Whether HAL makes more of the hint than a plain network whose logits are masked with it cannot be told yet."
    better, worse, _ = (len(cases) for cases in _compared(tested))
    groupings = "grouping" if len(tested) == 1 else "groupings"
    if not better and not worse:
        return f"From a plain network whose logits are masked with the same hint HAL can be told apart in none of {len(tested)} {groupings} (Welch, corrected by Holm)."
    return (
        f"Beside a plain network whose logits are masked with the same hint HAL errs less in {better} and more in {worse} of {len(tested)} {groupings} "
        "(Welch, Holm); in the others they cannot be told apart."
    )


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


def _listening(rows: pd.DataFrame) -> str:
    changed = _extent(pd.concat([rows["flips_least"], rows["flips_most"]]), _short)
    if rows["n"].sum() == 1:
        deaf = f": it is deaf to the hint (less than {DEAF:g} %)" if rows["deaf"].sum() else ""
        flips = f"Told another superclass, HAL's one network changes {changed} % of its predictions{deaf}."
    else:
        flips = (
            f"Told another superclass, HAL's networks change {changed} % of their predictions; {_deaf(rows)}."
        )
    blind = rows["blind"]
    if blind.max() < 0.5:
        return f"{flips} Their logits depend on it for practically every image."
    return f"{flips} Averaged over a case's networks, {_extent(blind, _short)} % of the images get the same score under every superclass (to 0.001)."


def _deaf(rows: pd.DataFrame) -> str:
    """How many of the networks are deaf to their hint, and of which cases."""
    networks, deaf = int(rows["n"].sum()), int(rows["deaf"].sum())
    if not deaf:
        return f"none of the {networks} networks changes less than {DEAF:g} %"
    where = _by_case(rows, "deaf", "n")
    named = f": {where}" if where else ""
    return f"{deaf} of {networks} networks {'is' if deaf == 1 else 'are'} deaf to the hint (less than {DEAF:g} %{named})"


def _behind(networks: pd.DataFrame) -> str:
    """How far from the mask those lie that are deaf to the hint, and the others."""
    known = networks.dropna(subset=["behind"])
    deaf = known["flips"] < DEAF
    ranges = [
        _extent(side, signed) if len(side) else "" for side in (known["behind"][deaf], known["behind"][~deaf])
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
    named = f" ({where})" if where else ""
    told_the_same = (
        f"; in {same} they split better when all images are told the same one, so the split is the features' and not the hint's."
        if same
        else ", and in none of them where all images are told the same one."
    )
    return (
        f"Scores split better where each image is told its own superclass (by more than {SPLIT:g} of the AUC) in {own} of {scored} "
        f"networks{named}{told_the_same}"
    )


def _parts(rows: pd.DataFrame) -> str:
    """What a mask still mends, which is counted, and what differs within the superclass, which is tested (Welch, Holm)."""
    unused = f"A mask laid over HAL's own logits still takes off {_extent(rows['unused'])} points: that part of the hint stays unused."
    known = rows.dropna(subset=["within_p_holm"])
    if known.empty:
        cannot = _UNTESTED if rows["within"].notna().any() else _NO_MASK
        return f"{unused} Whether HAL tells the classes within a superclass apart better cannot be told: {cannot}."
    apart = known[known["within_p_holm"] < LEVEL]
    better, worse = (list(apart[side]["case"]) for side in (apart["within"] < 0, apart["within"] > 0))
    parts = []
    if better:
        parts.append(
            f"in {_named(better, known)} HAL errs less than the masked baseline even with the mask laid over both: it tells the classes within a superclass apart better"
        )
    if worse:
        parts.append(
            f"in {_named(worse, known)} HAL errs more with the mask laid over both: it tells the classes within a superclass apart worse"
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
    said = [f"{_extent(errors)} % {how}" for how, errors in known.items() if len(errors)]
    return f"Where nobody tells the superclass, HAL errs in {', in '.join(said)}." if said else ""


def _named(cases: list[str], rows: pd.DataFrame) -> str:
    """Some of the cases of these rows by their names, or by their number where nobody would read so many names."""
    if len(cases) <= NAMED:
        return ", ".join(cases)
    return (
        f"all {len(cases)} groupings" if len(cases) == len(rows) else f"{len(cases)} of {len(rows)} groupings"
    )


def _by_case(rows: pd.DataFrame, count: str, of: str) -> str:
    """Such as `case1 2 of 5, case3 1 of 5`: where some are counted; empty where nobody would read so many names."""
    if len(rows) > NAMED:
        return ""
    counts = rows[rows[count] > 0][["case", count, of]]
    return ", ".join(f"{case} {some} of {all_}" for case, some, all_ in counts.itertuples(index=False))


def _extent(values: pd.Series, text: Callable[[float], str] = number) -> str:
    """From the lowest to the highest, as `text` prints them; one of them where both read alike."""
    low, high = text(values.min()), text(values.max())
    return low if low == high else f"{low} to {high}"


def _short(value: float) -> str:
    return significant(value, 2)


def _finding(all_rows: pd.DataFrame, together: pd.DataFrame) -> str:
    rows = all_rows[all_rows["difference"].notna()]
    if rows.empty:
        if all_rows["n"].max() > 0:
            return f"{_NO_MASK}."
        return "there is no finished network of HAL, or its controls are not computed yet."
    text = f"with the hint, the masked baseline errs in {_extent(rows['masked'])} %, HAL in {_extent(rows['hal'])} %. "
    tested = rows[rows["p_holm"].notna()]
    if tested.empty:
        lower = (rows["difference"] < 0).sum()
        text += f"By the means alone HAL lies below the mask in {lower} of {len(rows)} groupings; nothing can be tested ({_UNTESTED}). "
    else:
        better, worse, open_ = _compared(tested)
        parts = [
            f"{what} in {_named(cases, tested)}"
            for what, cases in (
                ("better than the mask", better),
                ("worse than the mask", worse),
                ("not distinguishable from it", open_),
            )
            if cases
        ]
        text += f"HAL is {'; '.join(parts)} (Welch, Holm). "
        if better and not worse and not open_:
            text += "The auxiliary block makes more of the hint than masking does. "
        elif better and worse:
            text += "The auxiliary block makes more of the hint in some groupings and less in others. "
        elif better:
            text += "The auxiliary block makes more of the hint in some groupings only. "
        elif worse:
            text += (
                "In no grouping does the auxiliary block make more of the hint than masking a plain network, "
                "which needs no superclass in training. "
            )
        else:
            text += "Nothing shows that the auxiliary block makes more of the hint than masking does. "
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


def _compared(tested: pd.DataFrame) -> tuple[list[str], list[str], list[str]]:
    """The cases in which HAL is significantly better than the mask, worse, and neither."""
    significant = tested["p_holm"] < LEVEL
    better, worse = (significant & side for side in (tested["difference"] < 0, tested["difference"] > 0))
    cases = tested["case"]
    return list(cases[better]), list(cases[worse]), list(cases[~(better | worse)])
