"""All that is computed from the cells beyond Table 2, and the files that hold it."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from hal.departures import PARAMS, Run, describe
from hal.errors import UserError
from hal.files import write_text
from hal.params import Params
from hal.present.numbers import markdown_cell
from hal.study import controls, convergence, hint, separability, table2b, verdicts
from hal.study.comparisons import comparisons
from hal.study.grid import CellResult, load_grid
from hal.study.verdicts import Verdict


@dataclasses.dataclass(frozen=True)
class Analyses:
    """The analyses of a run; each table is described where it is made.

    Attributes:
        comparisons: `comparisons.comparisons`.
        table2b: `table2b.table2b`.
        separability: `separability.separability`.
        pairs: `separability.pairs`.
        correlation: `separability.predicts`.
        hint: `hint.hint`.
        borders: `hint.borders`.
        convergence: `convergence.convergence`.
        verdicts: `verdicts.verdicts`.
    """

    comparisons: pd.DataFrame
    table2b: pd.DataFrame
    separability: pd.DataFrame
    pairs: pd.DataFrame
    correlation: pd.DataFrame
    hint: pd.DataFrame
    borders: pd.DataFrame
    convergence: pd.DataFrame
    verdicts: list[Verdict]


def analyse(params: Params, results: Sequence[CellResult]) -> Analyses:
    """Compute everything from the cells `results` and from results/controls/."""
    controlled = controls.read(params, results)
    compared = comparisons(params, results, controlled)
    scores = separability.separability(params, results)
    pairs = separability.pairs(params, results, scores)
    curves = convergence.per_cell(params, results)
    crossing = hint.borders(params, results, controlled)
    return Analyses(
        comparisons=compared,
        table2b=table2b.table2b(params, results, controlled, compared),
        separability=scores,
        pairs=pairs,
        correlation=separability.predicts(pairs, crossing),
        hint=hint.hint(params, results, controlled),
        borders=crossing,
        convergence=convergence.convergence(params, curves),
        verdicts=verdicts.verdicts(params, results, scores, curves),
    )


def write(params: Params, overlays: Sequence[Path | str] = (), path: Path = PARAMS) -> list[Path]:
    """Write the analyses of `params`, read from `path` with `overlays`, into results/; return the files' paths."""
    found = analyse(params, load_grid(params))
    run = describe(params, overlays, path)
    texts = {
        "table2b.csv": _csv(found.table2b),
        "table2b.md": table2b.to_markdown(params, found.table2b, run),
        "table2b.tex": table2b.to_latex(params, found.table2b, run),
        "statistics.csv": _csv(found.comparisons),
        "separability.csv": _csv(found.separability),
        "correlation.csv": _csv(found.correlation),
        "hint.csv": _csv(found.hint),
        "borders.csv": _csv(found.borders),
        "convergence.csv": _csv(found.convergence),
        "verdicts.csv": verdicts.to_csv(found.verdicts),
        "verdicts.md": _verdicts_markdown(found.verdicts, run),
    }
    paths = [params.path("results", name) for name in texts]
    for target, text in zip(paths, texts.values(), strict=True):
        write_text(target, text)
    return paths


def read_csv(params: Params, name: str) -> pd.DataFrame:
    """One of the tables that `write` wrote.

    Raises:
        UserError: it is not there or cannot be read.
    """
    path = params.path("results", f"{name}.csv")
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `hal analyse` makes it") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def _verdicts_markdown(found: Sequence[Verdict], run: Run) -> str:
    lines = [markdown_cell(f"{run.statement} {verdicts.tally(found)}.".strip()), ""]
    lines += ["| Place | The paper says | Verdict | Why | Table 2 itself |", "|---|---|---|---|---|"]
    for v in found:
        table = f"{v.table}: {v.table_why}" if v.table else ""
        row = (v.claim.place, v.claim.says, v.verdict, f"{v.why} Test: {v.rule}", table)
        lines.append("| " + " | ".join(map(markdown_cell, row)) + " |")
    return "\n".join(lines) + "\n"
