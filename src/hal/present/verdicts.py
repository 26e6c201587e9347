"""What became of the paper's claims: the verdicts as the report and the tables show them."""

import math
from collections import Counter
from typing import Any

import pandas as pd

from hal.departures import Run
from hal.paper import load_paper
from hal.present.blocks import Block, Column, Fold, Heading, Items, Mark, Prose, Table, Text, plain

VERDICTS = (
    "Computed, not judged: the tests, their tolerances and the numbers stand below. “As far as this run goes”: what a run that is not the "
    "paper's experiment, or lacks some of a claim's data sets, shows nevertheless. “The paper's Table 2”: whether the claim agrees with it as printed, where it "
    "says anything of it. Power: how often a repetition with as many seeds would be called reproduced if the table's means were "
    "the truth and networks scattered as printed, and twice as much, known to 6 points (docs/claims.md has more draws); without power "
    "no verdict can be expected."
)
RULES = (
    "Every test asks whether numbers lie in a range, each with a 95 % interval over the seeds (Welch's or Student's, widened so "
    "that the intervals of one claim hold together). Reproduced: every interval lies inside. Not reproduced: at least one lies "
    "wholly outside. Inconclusive: neither. Not yet run: this run is not the paper's experiment or not finished; what it shows "
    "instead is an indication. The claims are not corrected for being many: of that many tests some would fail by chance."
)
_MARKS: dict[str, Mark] = {
    "reproduced": "good",
    "not reproduced": "bad",
    "inconclusive": "strong",
    "not yet run": "quiet",
}
WITHOUT_NETWORKS = (
    "images",
    "no_rule",
)  # the rules that say so in `judges.RULES`, which takes a second to import
NAMED = 3  # claims of a side that are quoted
_OF_DATA = {"reproduced": "true", "not reproduced": "false"}  # of what is printed about the data
_INDICATIONS = {"for": "for it", "against": "against it", "open": "neither for nor against it"}


def blocks(verdicts: pd.DataFrame) -> list[Block]:
    """The claims that networks decide, first; facts on which the paper can be read alone, apart; how each was reached, folded."""
    of_data = verdicts["test"].isin(WITHOUT_NETWORKS)
    tested, facts = verdicts[~of_data], verdicts[of_data]
    own = Counter(tested[tested["place"] != "Table 2"]["table"])
    summary = (
        f"{_tally(tested)} Of the claims in the paper's text its own Table 2 agrees with {own['agrees']} and contradicts "
        f"{own['contradicts'] or 'none'}; {own['does not follow']} do not follow from it, and on the rest it is silent."
    )
    absent = verdicts["in_run"] == "none"
    here = verdicts if absent[tested.index].all() else verdicts[~absent]
    tested = tested[tested.index.isin(here.index)]
    facts = facts[facts.index.isin(here.index)]
    if len(here) < len(verdicts):
        summary += " Those about data sets that are not in this run stand in `results/verdicts.md`."
    shown: tuple[Block, ...] = (_verdict_table("verdicts-table", VERDICTS, tested),)
    if set(tested["verdict"]) == {"not yet run"}:
        shown = (Fold("All claims, and what this run indicates of each", shown),)
    section: list[Block] = [
        Heading("verdicts", "What became of the paper's claims"),
        Prose(summary),
        *_quotes(tested),
        *shown,
        Fold("How each verdict was reached", (Prose(RULES), _reasons(here))),
        Heading("contradictions", "Where the paper disagrees with itself", 3),
        Items(tuple(f"{x.says} {x.but}" for x in load_paper().contradictions)),
    ]
    if len(facts):
        caption = (
            "Statements about the data, which need no network, and those that no run of these networks can decide. They are not "
            "in the count above."
        )
        section.append(_verdict_table("facts-table", caption, facts))
    return section


def answer(verdicts: pd.DataFrame) -> str:
    """Does it reproduce? By the claims that networks decide."""
    tested = verdicts[~verdicts["test"].isin(WITHOUT_NETWORKS)]
    counts = Counter(tested["verdict"])
    if counts["not yet run"] == len(tested):
        return "Does it reproduce? This run does not decide it."
    return (
        f"Does it reproduce? Of the paper's {len(tested)} claims that networks can decide: {_counts(counts)}."
    )


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[name]} {name}" for name in _MARKS if counts[name])


def _tally(tested: pd.DataFrame) -> str:
    """How many claims have which verdict, and what the run indicates of those that have none."""
    counts = Counter(tested["verdict"])
    if counts["not yet run"] == len(tested):
        tally = f"None of the {len(tested)} claims has been put to its test yet."
    else:
        tally = f"{len(tested)} claims: {_counts(counts)}."
    indicated = {name: tested[tested["indication"] == name] for name in _INDICATIONS}
    said = sum(map(len, indicated.values()))
    if not said:
        return tally
    sides = [f"{name} {len(claims) or 'none'}" for name, claims in indicated.items() if name != "open"]
    rest = f"; of the other {len(tested) - said} it says nothing" if said < len(tested) else ""
    return f"{tally} As far as this run goes, it speaks {', '.join(sides)}, and neither for nor against {len(indicated['open'])}{rest}."


def _quotes(tested: pd.DataFrame) -> list[Block]:
    """The claims for and against which the run speaks, where they are few."""
    quotes = []
    for side in ("for", "against"):
        claims = tested[tested["indication"] == side]
        quotes += [
            f"{side[0].upper()}{side[1:]}: “{claim.says}”{', as far as its data sets are here' * (claim.in_run == 'some')}"
            for claim in claims.itertuples()
            if len(claims) <= NAMED
        ]
    return [Items(tuple(quotes))]


def tables(run: Run, verdicts: pd.DataFrame) -> list[Table]:
    """The verdicts in short, and how each was reached."""
    caption = f"{run.statement} {VERDICTS}".strip()
    return [_verdict_table("verdicts-table", caption, verdicts), _reasons(verdicts)]


def _verdict_table(name: str, caption: str, verdicts: pd.DataFrame) -> Table:
    columns = (
        Column("The paper says", "name"),
        Column("Place", "text"),
        Column("Verdict", "text"),
        Column("The paper's Table 2", "text"),
        Column("Power (%)", "number"),
    )
    rows = [
        (
            v.says,
            v.place,
            _verdict(v),
            Text(v.table or "–", "bad" if v.table == "contradicts" else "quiet"),
            "–" if math.isnan(v.power) else f"{100 * v.power:.0f} / {100 * v.power_twice:.0f}",
        )
        for v in verdicts.itertuples()
    ]
    return Table(name, "", caption, columns, plain(rows), main=True)


def _verdict(row: Any) -> Text:
    if row.test == "no_rule":
        return Text("cannot be told here", "quiet")
    speaks = f"; as far as this run goes, {_INDICATIONS[row.indication]}" if row.indication else ""
    said = _OF_DATA.get(row.verdict, row.verdict) if row.test == "images" else row.verdict
    return Text(f"{said}{speaks}", _MARKS[row.verdict])


def _reasons(verdicts: pd.DataFrame) -> Table:
    rows = []
    for v in verdicts.itertuples():
        table = f"{v.table[0].upper()}{v.table[1:]}. {v.table_why}" if v.table else "–"
        verdict = _verdict(v)
        result = v.why if v.test == "no_rule" else f"{verdict[0].upper()}{verdict[1:]}. {v.why}"
        rows.append((f"{v.place}: {v.says}", v.rule, result, table))
    columns = (
        Column("The paper says", "name"),
        Column("Test", "text"),
        Column("Result", "text"),
        Column("Table 2 as printed", "text"),
    )
    caption = (
        "The test of each claim with its tolerance, its result, and what the paper's own Table 2 says by the same test; its brackets "
        "know no more than what is printed, which is rounded."
    )
    return Table("reasons", "", caption, columns, plain(rows), wide=True)
