"""Two runs beside each other, for people: tables in the terminal, CSVs and a page like the report's."""

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from hal.errors import UserError, first_few
from hal.files import write_text
from hal.present.blocks import Column, Document, Heading, Items, Prose, Table, columns, grouped, plain
from hal.present.numbers import interval, number, probability, signed, with_deviation
from hal.present.render import page
from hal.study import two_runs
from hal.study.resampling import LEVEL, Interval

TABLES = ("cells", "networks", "claims")
PAGE = "compare.html"


def build(a: Path, b: Path, names: tuple[str, str]) -> tuple[dict[str, pd.DataFrame], Document]:
    """The tables of `study.two_runs` by name, and the page that shows them.

    Args:
        a: the folder that holds a run's `results/`.
        b: another run's.
        names: what the user calls them.

    Raises:
        UserError: a run has no finished cell, or one that cannot be read.
    """
    cells = two_runs.cells(a, b)
    tables = dict(zip(TABLES, (cells, two_runs.networks(cells), two_runs.claims(a, b)), strict=True))
    blocks = [
        Items(tuple(summary(tables, names)), lead=True),
        Heading("networks", "Network by network"),
        _networks(tables["networks"]),
        Heading("claims", "Claim by claim"),
        *(
            [_claims(tables["claims"])]
            if len(tables["claims"])
            else [Prose("At least one of the two has no verdicts; `hal study` computes them.")]
        ),
        Heading("cells", "Cell by cell"),
        _cells(cells),
    ]
    document = Document(
        title=f"Two runs compared: A = {names[0]}, B = {names[1]}",
        authors="",
        blocks=tuple(blocks),
        footer="Written by `hal compare`.",
    )
    return tables, document


def text(tables: dict[str, pd.DataFrame], names: tuple[str, str]) -> str:
    """For a terminal: the summary, the networks, and of claims and cells those that both have and that differ."""
    claims = tables["claims"].query("verdict_differs or indication_differs")
    cells = tables["cells"].query("agreement not in ('same bytes', 'only in A', 'only in B')")
    shown = [_in_columns(_networks(tables["networks"]))]
    shown += [_in_columns(_claims(claims), 3)] if len(claims) else []  # why: in compare.html
    shown += [_in_columns(_cells(cells))] if len(cells) else []
    return "\n\n".join(["\n".join(summary(tables, names)), *shown])


def _in_columns(table: Table, most: int | None = None) -> str:
    """A table in columns of spaces, of which the first `most`, each row with its group's name before it."""
    rows = [
        [" ".join(filter(None, [group, row[0]])), *row[1:most]]
        for group, rows in table.groups
        for row in rows
    ]
    headings = [*table.headings[:most]]
    return tabulate(rows, headings, tablefmt="plain", disable_numparse=True)


def check_folder(folder: Path) -> None:
    """Refuse to write among other things.

    Raises:
        UserError: there is something else in that place.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is no folder; name another for the comparison")
    ours = {*(f"{name}.csv" for name in TABLES), PAGE}
    there = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    others = [
        name for name in there if name not in ours and not name.startswith(".")
    ]  # nobody's, or a killed writer's
    if others:
        raise UserError(f"{folder}: holds {first_few(others)}; name a folder of its own for the comparison")


def write(folder: Path, tables: dict[str, pd.DataFrame], document: Document) -> list[Path]:
    """Write a CSV a table and compare.html into the folder; return their paths."""
    paths = []
    for name, table in tables.items():
        paths.append(folder / f"{name}.csv")
        write_text(paths[-1], table.map(_no_formula).to_csv(index=False, lineterminator="\n"))
    paths.append(folder / PAGE)
    write_text(paths[-1], page(document))
    return paths


def _no_formula(value: Any) -> Any:
    """Another's cells may say what they like; a spreadsheet takes what stands behind an apostrophe for a text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def summary(tables: dict[str, pd.DataFrame], names: tuple[str, str]) -> list[str]:
    """What agrees and what does not, in a few sentences."""
    counts = Counter(tables["cells"]["agreement"])
    lines = [f"A is {names[0]}, B is {names[1]}."]
    lines.append(f"{len(tables['cells'])} cells: {', '.join(f'{n} {what}' for what, n in counts.items())}.")
    for settings in dict.fromkeys(tables["cells"].query("agreement == 'other settings'")["settings"]):
        lines.append(f"Settings of B beside A's: {settings}.")
    lines.append(_tested(tables["networks"].dropna(subset=["p"])))
    claims = tables["claims"]
    for what, column in (("verdicts", "verdict_differs"), ("indications", "indication_differs")):
        if len(claims):
            changed = claims[claims[column]]["id"]
            named = f": {', '.join(changed)}" if len(changed) else ""
            lines.append(
                f"{len(changed) or 'None'} of {len(claims)} {what} differ{'s' * (len(changed) < 2)}{named}."
            )
    return lines


def _tested(compared: pd.DataFrame) -> str:
    """In how many of the networks that could be tested the errors differ."""
    if compared.empty:
        return "No difference can be tested: no network has several seeds in both whose errors vary."
    apart = compared[compared["p_holm"] < LEVEL]
    named = ", ".join(f"{r.dataset}/{r.case} by {signed(r.difference)} points" for r in apart.itertuples())
    return (
        f"Test errors differ in {len(apart)} of {len(compared)} networks that have several seeds in both (Welch's test, Holm, 5\u00a0%)"
        + (f": {named}." if named else ".")
    )


def _networks(networks: pd.DataFrame) -> Table:
    rows = []
    for r in networks.itertuples():
        cells = (
            *(str(r.a_n), with_deviation(r.a_mean, r.a_sd), str(r.b_n), with_deviation(r.b_mean, r.b_sd)),
            *(
                signed(r.difference),
                interval(Interval(r.difference_low, r.difference_high), sign=True),
                probability(r.p_holm),
            ),
        )
        rows.append((r.dataset, (r.case, *cells)))
    headings = columns("Case", "n of A", "A (%)", "n of B", "B (%)", "B − A", "Welch 95 %", "p (Holm)")
    caption = (
        "Test error in percent: mean ± sample standard deviation over n seeds, and the difference in points."
    )
    return Table("networks-table", "Networks", caption, headings, grouped(rows), wide=True)


def _claims(claims: pd.DataFrame) -> Table:
    head = (
        Column("The paper says", "name"),
        *(Column("A", "text"), Column("B", "text")),
        *(Column("Why A says so", "text"), Column("Why B does", "text")),
    )
    rows = [
        (
            r.says,
            *(_judged(r.a_verdict, r.a_indication), _judged(r.b_verdict, r.b_indication)),
            *(r.a_why, "the same" if r.b_why == r.a_why else r.b_why),
        )
        for r in claims.itertuples()
    ]
    caption = "Each run's own verdict with its numbers and 95 % intervals; of a run that is not the paper's, what it indicates."
    return Table("claims-table", "Verdicts", caption, head, plain(rows), wide=True, long=True)


def _judged(verdict: str, indication: str) -> str:
    return f"{verdict} ({indication})" if indication else verdict


def _cells(cells: pd.DataFrame) -> Table:
    head = (
        Column("Cell", "name"),
        *(Column(name) for name in ("A (%)", "B (%)", "B − A")),
        Column("Agreement", "text"),
        Column("Notes", "text"),
    )
    rows = [
        (
            f"{r.dataset}/{r.case}/seed{r.seed}",
            *(number(r.a_error), number(r.b_error), signed(r.difference), r.agreement),
            "; ".join(filter(None, [r.settings, r.notes])),
        )
        for r in cells.itertuples()
    ]
    caption = "Test errors after the last epoch. Same bytes: all files of the cell are equal."
    return Table("cells-table", "Cells", caption, head, plain(rows), wide=True, long=True)
