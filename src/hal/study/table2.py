"""Table 2: the test error of every data set and case, beside what the paper printed."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from hal.departures import PARAMS, Run, describe
from hal.files import write_text
from hal.paper import load_paper
from hal.params import Params
from hal.present.latex import escape
from hal.present.numbers import PARTIAL, counted, markdown_cell, signed, with_deviation
from hal.settings import BASELINE
from hal.study.grid import CellResult, load_grid, select, summary
from hal.titles import dataset_title

HEADINGS = ("Data set", "Case", "n", "This run", "Paper", "Change", "Paper's change")


def table2(params: Params, results: Sequence[CellResult]) -> pd.DataFrame:
    """One row for every data set and case of params. Errors in percent, differences in percentage points.

    Columns: dataset, case, grouping; n (cells that count), planned; mean and sd of the final test errors (sd: sample
    standard deviation, NaN for n = 1); difference (mean minus the baseline's mean); paper_mean, paper_sd,
    paper_difference (NaN where the paper has none); notes (names every cell that does not count, and why).
    """
    rows = []
    for dataset in params.grid.datasets:
        for case in params.cases(dataset):
            cells = select(results, dataset, case)
            errors = pd.Series([r.record["test_error"] for r in cells if r.ok], dtype=float)
            printed = load_paper().error(params, dataset, case)
            rows.append(
                {
                    "dataset": dataset,
                    "case": case,
                    "grouping": "" if case == BASELINE else params.datasets[dataset].cases[case].title,
                    "n": len(errors),
                    "planned": len(cells),
                    "mean": errors.mean(),
                    "sd": errors.std(ddof=1),
                    "difference": math.nan,
                    "paper_mean": printed.mean if printed else math.nan,
                    "paper_sd": printed.sd if printed and printed.sd is not None else math.nan,
                    "paper_difference": math.nan,
                    "notes": summary(cells),
                }
            )
    table = pd.DataFrame(rows)
    for value, difference in (("mean", "difference"), ("paper_mean", "paper_difference")):
        baseline = table[table["case"] == BASELINE].set_index("dataset")[value]
        of_case = table["case"] != BASELINE
        table.loc[of_case, difference] = table[value] - table["dataset"].map(baseline)
    return table


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table as printed: every number is text already."""

    dataset: str
    case: str
    grouping: str
    n: str
    ours: str
    paper: str
    change: str
    paper_change: str
    partial: bool
    first: bool


def printed_rows(params: Params, table: pd.DataFrame) -> list[Row]:
    """The table's rows as text; `first` marks the first row of a data set."""
    return [
        Row(
            dataset=dataset_title(params, row.dataset),
            case=row.case,
            grouping=row.grouping,
            n=counted(row.n, row.planned),
            ours=with_deviation(row.mean, row.sd),
            paper=with_deviation(row.paper_mean, row.paper_sd),
            change=signed(row.difference),
            paper_change=signed(row.paper_difference),
            partial=row.n < row.planned,
            first=row.case == BASELINE,
        )
        for row in table.itertuples()
    ]


def caption(run: Run) -> str:
    """What the numbers are, and, unless this is the paper's experiment, that it is not."""
    text = (
        "Test error in percent after the last epoch: mean ± sample standard deviation over n seeds. "
        "Change is the mean's difference from the baseline's, in percentage points; negative is better. "
        "The paper prints no deviation for its baseline."
    )
    return f"{run.statement} {text}".strip()


def notes(params: Params, table: pd.DataFrame) -> list[str]:
    """What there is to say of rows, naming every cell that does not count; rows of which the same is said together."""
    lines = []
    for dataset in params.grid.datasets:
        rows = table[(table["dataset"] == dataset) & (table["notes"] != "")]
        for text, alike in rows.groupby("notes", sort=False):
            lines.append(f"{dataset_title(params, dataset)} {', '.join(alike['case'])}: {text}.")
    return lines


def write(params: Params, overlays: Sequence[Path | str] = (), path: Path = PARAMS) -> list[Path]:
    """Write results/table2.csv, .md and .tex of `params`, read from `path` with `overlays`; return their paths."""
    table = table2(params, load_grid(params))
    run = describe(params, overlays, path)
    texts = {
        ".csv": table.to_csv(index=False, float_format="%.6g"),
        ".md": to_markdown(params, table, run),
        ".tex": to_latex(params, table, run),
    }
    paths = []
    for suffix, text in texts.items():
        paths.append(params.path("results", f"table2{suffix}"))
        write_text(paths[-1], text)
    return paths


def to_markdown(params: Params, table: pd.DataFrame, run: Run) -> str:
    """The table in GitHub's Markdown, caption and notes below it."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|---|--:|--:|--:|--:|--:|"]
    for row in printed_rows(params, table):
        texts = (row.dataset, _with_grouping(row), row.n, row.ours, row.paper, row.change, row.paper_change)
        lines.append("| " + " | ".join(map(markdown_cell, texts)) + " |")
    lines += ["", markdown_cell(caption(run))]
    if table["notes"].any():
        lines += ["", f"{PARTIAL} Fewer cells than planned count:", ""]
        lines += [f"- {markdown_cell(note)}" for note in notes(params, table)]
    return "\n".join(lines) + "\n"


def to_latex(params: Params, table: pd.DataFrame, run: Run) -> str:
    """The table as a LaTeX `table` environment; needs the package booktabs."""
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{escape(caption(run))}}}", r"\label{tab:errors}"]
    lines += [r"\small", r"\begin{tabular}{lp{4.2cm}rrrrr}", r"\toprule"]
    lines += [" & ".join(map(escape, HEADINGS)) + r" \\"]
    for row in printed_rows(params, table):
        lines += [r"\midrule"] if row.first else []
        texts = (
            row.dataset if row.first else "",
            _with_grouping(row),
            row.n,
            row.ours,
            row.paper,
            row.change,
            row.paper_change,
        )
        lines.append(" & ".join(map(escape, texts)) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table["notes"].any():
        lines.append(r"\par\smallskip\begin{minipage}{\linewidth}\footnotesize")
        lines += [
            rf"{escape(note)}\par"
            for note in [f"{PARTIAL} Fewer cells than planned count.", *notes(params, table)]
        ]
        lines.append(r"\end{minipage}")
    lines += [r"\end{table}"]
    return "\n".join(lines) + "\n"


def _with_grouping(row: Row) -> str:
    return f"{row.case}: {row.grouping}" if row.grouping else row.case
