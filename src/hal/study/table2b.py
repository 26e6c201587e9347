"""Table 2b: beside each error of Table 2, what the hint alone is worth, and what is left without it."""

import dataclasses
from collections.abc import Sequence

import pandas as pd

from hal.departures import Run
from hal.params import Params
from hal.present.latex import escape
from hal.present.numbers import (
    PARTIAL,
    counted,
    interval,
    markdown_cell,
    number,
    signed,
    with_deviation,
)
from hal.settings import BASELINE
from hal.study.comparisons import control, errors
from hal.study.grid import CellResult, select
from hal.study.resampling import LEVEL, Interval, moments
from hal.study.table2 import notes
from hal.titles import dataset_title

HEADINGS = (
    *("Data set", "Case", "n", "Baseline", "Masked", "HAL", "HAL − masked"),
    *("HAL, no hint", "HAL, wrong hint", "Worst"),
)
ACCURACIES = ("Data set", "Case", "Baseline", "HAL", "HAL, no hint", "HAL, wrong hint")

# column of the table: whose control it is, and which
_CONTROLS = {
    "baseline": (BASELINE, "as_tested"),
    "masked": (BASELINE, "oracle_mask"),
    "hal": ("", "as_tested"),
    "no_hint": ("", "no_oracle"),
    "wrong_hint": ("", "wrong_hint_mean"),
    "wrong_hint_worst": ("", "wrong_hint_worst"),
}


def table2b(
    params: Params, results: Sequence[CellResult], controls: pd.DataFrame, comparisons: pd.DataFrame
) -> pd.DataFrame:
    """One row for every data set and grouping. Errors and accuracies in percent, differences in points.

    Columns: dataset, case, planned, n (cells that have every number of the row); for each of baseline, masked (the
    baseline's logits restricted to the classes of the true superclass), hal, no_hint, wrong_hint and wrong_hint_worst
    (see `controls`) its mean, `_sd` and `_superclass` (mean superclass accuracy); difference (hal minus masked), low and
    high (Welch), p_holm; notes (what is missing). The errors of baseline and hal are those of cell.json.
    """
    rows = []
    of_mask = comparisons[comparisons["against"] == "oracle_mask"].set_index(["dataset", "case"])
    for dataset in params.grid.datasets:
        for case in params.groupings(dataset):
            row = {"dataset": dataset, "case": case, "planned": len(select(results, dataset, case))}
            sizes = []
            for name, (owner, which) in _CONTROLS.items():
                owner = owner or case
                sample = control(controls, dataset, owner, case, which)
                sizes.append(len(sample))
                found = moments(errors(results, dataset, owner) if which == "as_tested" else sample)
                accuracy = control(controls, dataset, owner, case, which, "superclass_accuracy")
                row |= {
                    name: found.mean,
                    f"{name}_sd": found.sd,
                    f"{name}_superclass": moments(accuracy).mean,
                }
            compared = of_mask.loc[(dataset, case)]
            row |= {"n": min(sizes), "difference": compared["difference"]}
            row |= {
                "low": compared["welch_low"],
                "high": compared["welch_high"],
                "p_holm": compared["p_holm"],
            }
            rows.append(row | {"notes": _missing(controls, dataset, case)})
    columns = ["dataset", "case", "planned", "n"]
    columns += [f"{name}{suffix}" for name in _CONTROLS for suffix in ("", "_sd", "_superclass")]
    return pd.DataFrame(rows, columns=[*columns, "difference", "low", "high", "p_holm", "notes"])


@dataclasses.dataclass(frozen=True)
class Row:
    """A row as printed."""

    dataset: str
    case: str
    errors: tuple[str, ...]
    accuracies: tuple[str, ...]
    partial: bool
    first: bool


def printed_rows(params: Params, table: pd.DataFrame) -> list[Row]:
    """The table's rows as text: `errors` are the columns of `HEADINGS` from n on, `accuracies` those of `ACCURACIES`."""
    rows: list[Row] = []
    for row in table.itertuples():
        title = params.datasets[row.dataset].cases[row.case].title
        difference = signed(row.difference)
        found = Interval(row.low, row.high)
        if found.known:
            difference += f" {interval(found, sign=True)}"
        rows.append(
            Row(
                dataset=dataset_title(params, row.dataset),
                case=f"{row.case}: {title}" if title else row.case,
                errors=(
                    counted(row.n, row.planned),
                    with_deviation(row.baseline, row.baseline_sd),
                    with_deviation(row.masked, row.masked_sd),
                    with_deviation(row.hal, row.hal_sd),
                    difference,
                    with_deviation(row.no_hint, row.no_hint_sd),
                    with_deviation(row.wrong_hint, row.wrong_hint_sd),
                    number(row.wrong_hint_worst),
                ),
                accuracies=tuple(
                    number(getattr(row, f"{name}_superclass"))
                    for name in ("baseline", "hal", "no_hint", "wrong_hint")
                ),
                partial=row.n < row.planned,
                first=not rows or rows[-1].dataset != dataset_title(params, row.dataset),
            )
        )
    return rows


def caption(run: Run) -> str:
    """What the columns are."""
    return (
        f"{run.statement} Test error in percent, mean ± sample standard deviation over n seeds. Masked: the baseline's "
        "logits restricted to the classes of the true superclass: the same hint as HAL's, with no auxiliary block. "
        "HAL − masked: the difference in points with Welch's 95 % interval; negative means that HAL makes more of the "
        "hint. No hint: every superclass is tried and the most probable pair of a superclass and a class in it is "
        "taken. Wrong hint: a wrong superclass is fed in, every wrong one with the same weight; worst: an image counts "
        "as wrong if any wrong superclass misleads the network."
    ).strip()


ACCURACY_CAPTION = "How often the class predicted is of the true superclass, in percent; masked it always is."


def findings(params: Params, table: pd.DataFrame) -> list[str]:
    """A paragraph for each data set: what the controls show, in words that the numbers choose."""
    return [
        f"{dataset_title(params, dataset)}: {_finding(table[table['dataset'] == dataset])}"
        for dataset in params.grid.datasets
        if (table["dataset"] == dataset).any()
    ]


def summary(table: pd.DataFrame) -> str:
    """What a reader of the verdicts must know: the hint, and in how many groupings HAL makes more of it than a mask."""
    told = "Every case's network is told the true superclass of each test image; the baseline is not."
    tested = table[table["p_holm"].notna()]
    if tested.empty:
        return f"{told} Whether HAL makes more of this hint than a plain network whose logits are masked with it cannot be told yet."
    better, worse, open_ = (len(cases) for cases in _compared(tested))
    return (
        f"{told} Against a plain network whose logits are masked with the same hint HAL is better in {better}, worse in "
        f"{worse} and not distinguishable in {open_} of {len(tested)} groupings."
    )


def to_markdown(params: Params, table: pd.DataFrame, run: Run) -> str:
    """Both tables in GitHub's Markdown, with findings, captions and notes."""
    rows = printed_rows(params, table)
    lines = [*(f"- {markdown_cell(text)}" for text in findings(params, table)), ""]
    lines += _markdown(HEADINGS, [(row.dataset, row.case, *row.errors) for row in rows])
    lines += ["", markdown_cell(caption(run)), ""]
    lines += _markdown(ACCURACIES, [(row.dataset, row.case, *row.accuracies) for row in rows])
    lines += ["", markdown_cell(ACCURACY_CAPTION)]
    if table["notes"].any():
        lines += ["", f"{PARTIAL} Not every network has its controls:", ""]
        lines += [f"- {markdown_cell(note)}" for note in notes(params, table)]
    return "\n".join(lines) + "\n"


def to_latex(params: Params, table: pd.DataFrame, run: Run) -> str:
    """Both tables as LaTeX `table` environments; needs the package booktabs."""
    rows = printed_rows(params, table)
    remarks = [f"{PARTIAL} Not every network has its controls.", *notes(params, table)]
    return "\n\n".join(
        [
            _latex(
                HEADINGS,
                [(row.dataset if row.first else "", row.case, *row.errors) for row in rows],
                caption(run),
                "controls",
                remarks if table["notes"].any() else [],
            ),
            _latex(
                ACCURACIES,
                [(row.dataset if row.first else "", row.case, *row.accuracies) for row in rows],
                ACCURACY_CAPTION,
                "superclass-accuracies",
                [],
            ),
        ]
    )


def _missing(controls: pd.DataFrame, dataset: str, case: str) -> str:
    """What the entries of a grouping lack, cell by cell."""
    rows = controls[(controls["dataset"] == dataset) & (controls["grouping"] == case)]
    said = rows[rows["missing"] != ""].groupby("missing", sort=False)
    return "; ".join(
        f"{', '.join(dict.fromkeys(f'{r.case} seed {r.seed}' for r in alike.itertuples()))}: {text}"
        for text, alike in said
    )


def _finding(rows: pd.DataFrame) -> str:
    rows = rows[rows["difference"].notna()]
    if rows.empty:
        return "the controls are not computed yet, or there is no finished network."
    said = f"with the hint, the masked baseline errs in {_extent(rows['masked'])} %, HAL in {_extent(rows['hal'])} %. "
    tested = rows[rows["p_holm"].notna()]
    if tested.empty:
        lower = (rows["difference"] < 0).sum()
        said += f"By the means alone HAL lies below the mask in {lower} of {len(rows)} groupings; with so few seeds nothing can be tested. "
    else:
        better, worse, open_ = _compared(tested)
        parts = [
            f"{what} in {', '.join(cases)}"
            for what, cases in (
                ("better than the mask", better),
                ("worse than the mask", worse),
                ("not distinguishable from it", open_),
            )
            if cases
        ]
        said += f"HAL is {'; '.join(parts)} (Welch, Holm). "
        if better and not worse and not open_:
            said += "The auxiliary block makes more of the hint than masking does. "
        elif better and worse:
            said += "The auxiliary block makes more of the hint in some groupings and less in others. "
        elif better:
            said += "The auxiliary block makes more of the hint in some groupings only. "
        elif worse:
            said += (
                "In no grouping does the auxiliary block make more of the hint than masking a plain network, "
                "which needs no superclass in training. "
            )
        else:
            said += "That the auxiliary block makes more of the hint than masking does is not shown. "
    if rows["no_hint"].notna().any():
        said += f"Without the hint HAL errs in {_extent(rows['no_hint'].dropna())} %, the baseline in {rows['baseline'].iloc[0]:.2f} %."
    return said.strip()


def _compared(tested: pd.DataFrame) -> tuple[list[str], list[str], list[str]]:
    """The cases in which HAL is significantly better than the mask, worse, and neither."""
    significant = tested["p_holm"] < LEVEL
    better, worse = (significant & side for side in (tested["difference"] < 0, tested["difference"] > 0))
    cases = tested["case"]
    return list(cases[better]), list(cases[worse]), list(cases[~(better | worse)])


def _extent(values: pd.Series) -> str:
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


def _markdown(headings: Sequence[str], rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = ["| " + " | ".join(headings) + " |", "|---|---|" + "--:|" * (len(headings) - 2)]
    return lines + ["| " + " | ".join(map(markdown_cell, row)) + " |" for row in rows]


def _latex(
    headings: Sequence[str],
    rows: Sequence[tuple[str, ...]],
    caption: str,
    label: str,
    remarks: Sequence[str],
) -> str:
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{escape(caption)}}}", rf"\label{{tab:{label}}}"]
    lines += [r"\scriptsize", rf"\begin{{tabular}}{{lp{{3cm}}{'r' * (len(headings) - 2)}}}", r"\toprule"]
    lines += [" & ".join(map(escape, headings)) + r" \\"]
    for row in rows:
        lines += [r"\midrule"] if row[0] else []
        lines.append(" & ".join(map(escape, row)) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if remarks:
        lines.append(r"\par\smallskip\begin{minipage}{\linewidth}\footnotesize")
        lines += [rf"{escape(remark)}\par" for remark in remarks]
        lines.append(r"\end{minipage}")
    return "\n".join([*lines, r"\end{table}"]) + "\n"
