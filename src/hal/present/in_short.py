"""The report's first lines: what HAL, its baseline and the mask err in, and who listens, in words that the numbers choose."""

from collections import Counter

import pandas as pd

from hal.outputs import families
from hal.params import Params
from hal.present import findings
from hal.present.numbers import NAMED, difference, extent, named, number
from hal.settings import BASELINE
from hal.study.comparisons import pooled
from hal.study.grid import select
from hal.study.sensitivity import variant_title
from hal.titles import dataset_title


def in_short(
    params: Params,
    cells: pd.DataFrame,
    table2: pd.DataFrame,
    statistics: pd.DataFrame,
    table2b: pd.DataFrame,
    hint: pd.DataFrame,
) -> list[tuple[str, list[str]]]:
    """A few findings for each data set, of all its cases alike, with its title.

    No case is picked by its error, but for the lowest here and the paper's lowest, which are said to be that.
    """
    found = []
    for dataset in params.own_datasets:
        cases = params.groupings(dataset)
        if not cases:
            continue  # of ablations alone the sections on them speak
        rows = select(table2, dataset=dataset).set_index("case").reindex([BASELINE, *cases])
        counted = rows.loc[cases].dropna(subset=["difference"])
        compared = select(statistics, dataset=dataset, against=BASELINE)
        told = select(hint, dataset=dataset)
        told = told[told["case"].isin(cases)].dropna(subset=["flips"])
        sentences = [
            _beside_baseline(rows, counted, compared[compared["case"].isin(cases)]),
            _beside_mask(
                select(table2b, dataset=dataset).dropna(subset=["difference"]),
                select(pooled(statistics, "oracle_mask"), dataset=dataset),
            ),
            findings.flips(told) if len(told) else "",
            _lowest(rows.loc[cases], counted),
            _without_networks(select(cells, dataset=dataset), [BASELINE, *cases]),
            _variants(params, hint, dataset),
        ]
        found.append((dataset_title(params, dataset), list(filter(None, sentences))))
    return found


def _beside_baseline(rows: pd.DataFrame, counted: pd.DataFrame, compared: pd.DataFrame) -> str:
    """What HAL and its baseline err in, here and in the paper, and in which cases that can be told."""
    if counted.empty:
        return "No network of HAL can be compared with a baseline."
    several = counted["n"].max() > 1
    text = (
        f"HAL, told the true superclass of every test image, errs in {extent(counted['mean'])} %{' in the mean' if several else ''}; "
        f"the baseline, told nothing, in {number(rows['mean'][BASELINE])} %. HAL errs {_less(counted['difference'])}; {_apart(compared, len(counted))}."
    )
    printed = rows.drop(BASELINE)["paper_mean"].dropna()
    if len(printed):
        text += (
            f" In the paper HAL errs in {extent(printed)} %, the baseline in {number(rows['paper_mean'][BASELINE])} %: "
            f"{_less(rows['paper_difference'].dropna())}."
        )
    return text


def _beside_mask(rows: pd.DataFrame, together: pd.DataFrame) -> str:
    """What the masked baseline errs in, and whether HAL errs less, case by case and all together."""
    if rows.empty:
        return ""
    text = (
        f"The same baseline, masked with the same hint, errs in {extent(rows['masked'])} %. HAL errs {_less(rows['difference'])} than that; "
        f"{_apart(rows, len(rows))}."
    )
    for r in together.dropna(subset=["difference_low"]).itertuples():
        text += f" All cases together: {difference(r, 'difference')} points (uncorrected; +: more errors than the mask)."
    return text


def _less(differences: pd.Series) -> str:
    """In how many cases HAL errs less."""
    below = int((differences < 0).sum())
    if len(differences) == 1:
        return "less" if below else "no less"
    return f"less in {below or 'none'} of {len(differences)} cases"


def _apart(compared: pd.DataFrame, of: int) -> str:
    """In which cases, of so many, a test tells HAL apart, and to which side; `compared` has difference and p_holm."""
    tested = compared.dropna(subset=["p_holm"])
    if tested.empty:
        return f"nothing can be tested ({findings.UNTESTED})"
    less, more, _ = findings.compared(tested)
    sides = [
        f"{side} in {named(cases, len(tested))}" for side, cases in (("less", less), ("more", more)) if cases
    ]
    told = (
        f"distinguishably (Welch, Holm) {', '.join(sides)}"
        if sides
        else "distinguishably (Welch, Holm) in none"
    )
    return told if len(tested) == of else f"{told}, of {len(tested)} that can be tested"


def _lowest(rows: pd.DataFrame, counted: pd.DataFrame) -> str:
    """The case with the lowest error here, and the one with the paper's, whether it counts here or not."""
    printed = rows["paper_mean"].dropna()
    if len(counted) < 2 or len(printed) < 2:
        return ""
    ours, theirs = _least(counted["mean"]), _least(printed)
    lowest = f"The lowest error is that of {named(ours, len(rows))} ({number(counted['mean'].min())} %"
    if ours == theirs:
        return f"{lowest}), as in the paper ({number(printed.min())} %)."
    of_paper = f"; in the paper {number(printed[ours[0]])} %" if len(ours) == 1 and ours[0] in printed else ""
    known = len(theirs) == 1 and theirs[0] in counted.index
    here = f"; here {number(counted['mean'][theirs[0]])} %" if known else ""
    return f"{lowest}{of_paper}), in the paper that of {named(theirs, len(rows))} ({number(printed.min())} %{here})."


def _least(means: pd.Series) -> list[str]:
    """The case with the lowest mean, or all that print the same number."""
    return [str(case) for case, mean in means.items() if number(mean) == number(means.min())]


def _without_networks(cells: pd.DataFrame, cases: list[str]) -> str:
    """The cases, or the baseline, of which no network counts, with what became of them."""
    states = {case: Counter(select(cells, case=case)["state"]) for case in cases}
    lacking = {case: counts for case, counts in states.items() if not counts["ok"]}
    if len(lacking) > NAMED:
        return f"No network counts of {len(lacking)} of {len(cases)} kinds, the baseline being one."
    why = [
        f"{case} ({', '.join(f'{n} {state}' for state, n in counts.items())})"
        for case, counts in lacking.items()
    ]
    return f"No network of {', '.join(why)} counts." if why else ""


def _variants(params: Params, hint: pd.DataFrame, base: str) -> str:
    """How many networks are deaf to their hint under each variant's settings; empty where there is no variant."""
    counts = []
    for dataset in families(params).get(base, []):
        rows = select(hint, dataset=dataset)
        rows = rows[rows["case"].isin(params.groupings(dataset))].dropna(subset=["flips"])
        if networks := int(rows["n"].sum()):
            counts.append(f"{int(rows['deaf'].sum())} of {networks} ({variant_title(params, dataset)})")
    return f"Networks deaf to their hint, by settings: {'; '.join(counts)}." if counts else ""
