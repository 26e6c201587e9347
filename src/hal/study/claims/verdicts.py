"""A verdict for each of the paper's claims, computed from the cells; and what the paper's own Table 2 says of it.

Beside what a rule of `judges` finds: `inconclusive` where a number is lacking, or some networks diverged and the others
alone would be a selection; `not yet run` where this run is not the paper's experiment, or not finished. What it shows all
the same is an indication. The same rules on the printed errors, without tolerance but with their rounding, say whether
Table 2 `agrees` with a claim, `contradicts` it, or whether the claim `does not follow` from it.
"""

import dataclasses
from collections.abc import Sequence

import pandas as pd

from hal.departures import departures
from hal.paper import Claim, load_paper
from hal.params import Params
from hal.settings import BASELINE
from hal.study.claims.evidence import Measured, NotYet, Printed, Untestable, pending
from hal.study.claims.judges import (
    INCONCLUSIVE,
    NOT_REPRODUCED,
    REPRODUCED,
    RULES,
    Outcome,
    cases_of,
)
from hal.study.grid import select

NOT_RUN = "not yet run"
_TABLE = {REPRODUCED: "agrees", NOT_REPRODUCED: "contradicts", INCONCLUSIVE: "does not follow"}
_INDICATION = {REPRODUCED: "for", NOT_REPRODUCED: "against", INCONCLUSIVE: "open"}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes:
        claim: the claim.
        in_run: how many of its data sets are in this run: `all`, `some` or `none`; a claim about no certain one is about each.
        rule: its operational test in words, with the reason of its limit.
        verdict: `reproduced`, `not reproduced`, `inconclusive` or `not yet run`.
        why: one sentence, with the numbers.
        indication: where the claim is not yet run, whether what this run shows speaks `for` it, `against` it, or leaves
            it `open`; else empty.
        table: whether Table 2 as printed `agrees` or `contradicts`, or the claim `does not follow` from it; empty where it
            says nothing of the claim.
        table_why: one sentence, with the numbers; empty where the table says nothing.
    """

    claim: Claim
    in_run: str
    rule: str
    verdict: str
    why: str
    indication: str
    table: str
    table_why: str


def verdicts(
    params: Params, cells: pd.DataFrame, scores: pd.DataFrame, curves: pd.DataFrame
) -> list[Verdict]:
    """The verdicts on all claims of paper.yaml, in its order; see `Measured` for the arguments."""
    measured = Measured(params, cells, scores, curves)
    return [verdict(claim, measured) for claim in load_paper().claims]


def verdict(claim: Claim, measured: Measured) -> Verdict:
    """The verdict on one claim."""
    outcome: Outcome | None = None
    cells = _cells(claim, measured.cells)
    lacking, not_yet = "", _why_not_yet(claim, measured.params, cells)
    try:
        outcome = RULES[claim.test].judge(_in_run(claim, measured.params), measured)
    except NotYet as error:
        not_yet = not_yet or str(error)
    except Untestable as error:
        lacking = str(error)
    verdict, why, indication = INCONCLUSIVE, _sentence(lacking), ""
    if outcome:
        verdict, why = outcome.verdict, outcome.why
        if selected := _selected(select(cells, state="diverged")):
            verdict, why = INCONCLUSIVE, f"{selected} {why}"
    if not_yet:
        here = f" Here: {why}" if outcome else ""
        indication = _INDICATION[verdict] if outcome else ""
        verdict, why = NOT_RUN, _sentence(not_yet) + here
    there = [_is_papers(measured.params, name) for name in claim.datasets or load_paper().datasets]
    in_run = "all" if all(there) else "some" if any(there) else "none"
    return Verdict(claim, in_run, rule(claim), verdict, why, indication, *_of_table(claim))


def rule(claim: Claim) -> str:
    """The claim's rule in words, with the reason of its limit or tolerance."""
    words = RULES[claim.test].words(claim)
    return f"{words} {_sentence(claim.because)}" if claim.because else words


def table(judged: Sequence[Verdict], powers: pd.DataFrame) -> pd.DataFrame:
    """One row for each claim: id, place, says, test, tolerance, in_run, rule, verdict, why, indication, table, table_why, power.

    The last is `power.power`'s share of `reproduced` at the printed deviation, and `power_twice` that at twice it.
    """
    shares = powers.pivot(index="id", columns="scale", values="reproduced")
    rows = pd.DataFrame(
        {
            **{key: getattr(v.claim, key) for key in ("id", "place", "says", "test", "tolerance")},
            **{key: value for key, value in vars(v).items() if key != "claim"},
        }
        for v in judged
    )
    return rows.assign(power=rows["id"].map(shares[1.0]), power_twice=rows["id"].map(shares[2.0]))


def _in_run(claim: Claim, params: Params) -> Claim:
    """The claim as far as this run's data sets go."""
    names = tuple(name for name in claim.datasets if _is_papers(params, name))
    if claim.datasets and not names:
        raise Untestable("none of its data sets is in this run")
    return dataclasses.replace(claim, datasets=names)


def _is_papers(params: Params, dataset: str) -> bool:
    return dataset in params.grid.datasets and load_paper().dataset(params, dataset) is not None


def _why_not_yet(claim: Claim, params: Params, cells: pd.DataFrame) -> str:
    """Why there can be no verdict from the claim's cells yet, or nothing."""
    absent = [name for name in claim.datasets if not _is_papers(params, name)]
    if absent:
        titles = [load_paper().datasets[name].title for name in absent]
        return f"{' and '.join(titles)} {'is' if len(absent) == 1 else 'are'} not in this run"
    if not claim.datasets or not RULES[claim.test].networks:
        return ""
    differences = dict.fromkeys(text for name in claim.datasets for text in departures(params, name))
    if differences:
        more = ", and more" if len(differences) > 1 else ""
        return f"this run is not the paper's experiment ({next(iter(differences))}{more})"
    return pending(cells["state"])


def _cells(claim: Claim, cells: pd.DataFrame) -> pd.DataFrame:
    """The cells that a claim is about."""
    of, parts = RULES[claim.test], [cells[:0]]
    for dataset in claim.datasets if of.networks else ():
        cases = [*cases_of(claim, dataset), claim.against, BASELINE if of.baseline else ""]
        if of.beside:
            cases += load_paper().datasets[dataset].cases
        mine = select(cells, dataset=dataset)
        parts.append(mine[mine["case"].isin(cases)])
    return pd.concat(parts)


def _selected(diverged: pd.DataFrame) -> str:
    """Why the networks that are left say nothing of a claim; empty where none of its networks diverged."""
    if diverged.empty:
        return ""
    networks = f"{len(diverged)} networks" if len(diverged) > 1 else "1 network"
    named = diverged["result"].iloc[0].cell.name + (", …" if len(diverged) > 1 else "")
    return f"{networks} diverged ({named}), and the others alone would be a selection."


def _of_table(claim: Claim) -> tuple[str, str]:
    try:
        outcome = RULES[claim.test].judge(claim, Printed())
    except Untestable:
        return "", ""
    return _TABLE[outcome.verdict], outcome.why


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
