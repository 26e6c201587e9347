"""The tables of numbers: every number is text already, ready to be set."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from hal.departures import Run
from hal.outputs import families
from hal.params import Params
from hal.present.blocks import Column, Table, Text, columns, grouped
from hal.present.numbers import (
    NONE,
    counted,
    difference,
    interval,
    number,
    probability,
    signed,
    with_deviation,
    with_interval,
    with_range,
)
from hal.settings import BASELINE
from hal.study.comparisons import POOLED, pooled
from hal.study.grid import of_seeds
from hal.study.resampling import RESAMPLES, Interval, moments
from hal.study.sensitivity import variant_title
from hal.titles import case_title, dataset_title, family_title, superclass_names


def errors(params: Params, table: pd.DataFrame, run: Run) -> Table:
    """Table 2, with what our means differ from the paper's."""
    rows = []
    for r in table.itertuples():
        name = case_title(params, r.dataset, r.case)
        href = f"../results/{r.dataset}/{r.case}/" if r.n else ""
        numbers = (
            Text(with_deviation(r.mean, r.sd), "strong"),
            with_deviation(r.paper_mean, r.paper_sd),
            interval(Interval(r.paper_low, r.paper_high)),
            signed(r.mean - r.paper_mean),
            signed(r.difference),
            signed(r.paper_difference),
        )
        rows.append(
            (dataset_title(params, r.dataset), (Text(name, href=href), _count(r.n, r.planned), *numbers))
        )
    caption = (
        "Test error in percent after the last epoch: mean ± sample standard deviation over n seeds. Change: the mean's "
        "difference from the baseline's, in percentage points; negative is better. Expected: where the mean of n networks would lie "
        "in 95 % of repetitions if the paper's networks scatter as it prints. The paper prints no deviation for its baseline."
    )
    headings = columns(
        "Case", "n", "This run (%)", "Paper (%)", "Expected", "Ours − paper", "Change", "Paper's change"
    )
    notes = tuple(said(params, table, "notes"))
    text = f"{run.statement} {caption}".strip()
    return Table("errors-table", "Table 2", text, headings, grouped(rows), notes, main=True)


def controls(params: Params, table: pd.DataFrame, statistics: pd.DataFrame, run: Run) -> Table:
    """Table 2b, case by case and pooled."""
    rows: list[tuple[str, tuple[str, ...]]] = []
    together = pooled(statistics, "oracle_mask")
    for dataset, of_dataset in table.groupby("dataset", sort=False):
        title = dataset_title(params, str(dataset))
        for r in of_dataset.itertuples():
            numbers = (
                with_deviation(r.baseline, r.baseline_sd),
                with_deviation(r.masked, r.masked_sd),
                with_deviation(r.hal, r.hal_sd),
                difference(r, "difference"),
                probability(r.p_holm),
            )
            count = _count(r.n, r.planned, r.reference_n)
            rows.append((title, (case_title(params, r.dataset, r.case), count, *numbers)))
        for r in together[together["dataset"] == dataset].itertuples():
            means = (NONE, number(r.reference_mean), number(r.mean), difference(r, "difference"), NONE)
            planned = len(params.groupings(r.dataset)) * len(params.grid.seeds)
            too_few = r.reference_n if r.reference_n < len(params.grid.seeds) else None
            rows.append((title, ("All cases", _count(r.n, planned, too_few, len(params.grid.seeds)), *means)))
    caption = (
        "Test error in percent, mean ± sample standard deviation over n seeds. Baseline masked: the baseline's "
        "logits restricted to the classes of the true superclass: the same hint as HAL's, with no auxiliary block. "
        "HAL − baseline masked: the difference in points with Welch's 95 % interval; negative means that HAL errs less than the "
        "mask, by hint, block or training. p: Welch's test, corrected by Holm for the run's comparisons with the mask. All cases: the mean of their "
        "differences, each with the same weight, and Welch's interval of it, which takes two networks of each; each plain network's masks are averaged first."
    )
    text = f"{run.statement} {caption}".strip()
    headings = columns("Case", "n", "Baseline", "Baseline masked", "HAL", "HAL − baseline masked", "p")
    notes = tuple(said(params, table, "notes"))
    return Table("controls-errors", "Table 2b", text, headings, grouped(rows), notes, wide=True, main=True)


def without_hint(params: Params, table: pd.DataFrame) -> Table:
    """What is left of HAL without the hint, or with a wrong one."""
    rows = []
    for r in table.itertuples():
        numbers = (
            with_deviation(r.no_hint, r.no_hint_sd),
            with_deviation(r.wrong_hint, r.wrong_hint_sd),
            number(r.wrong_hint_worst),
            *map(
                number,
                (r.baseline_superclass, r.hal_superclass, r.no_hint_superclass, r.wrong_hint_superclass),
            ),
        )
        name = case_title(params, r.dataset, r.case)
        baselines = None if math.isnan(r.baseline_superclass) else r.reference_n
        count = _count(r.n, r.planned, baselines)
        rows.append((dataset_title(params, r.dataset), (name, count, *numbers)))
    caption = (
        "HAL's test error in percent, mean ± sample standard deviation over n seeds. No hint: every superclass is tried and the most "
        "probable pair of a superclass and a class in it is taken. Wrong: a wrong superclass is fed in, every wrong one with the same "
        "weight; worst wrong: an image counts as wrong if any wrong superclass misleads the network. Superclass: how often "
        "the class predicted is of the true superclass, in percent; masked it always is."
    )
    headings = columns(
        *("Case", "n", "No hint", "Wrong", "Worst wrong"),
        *(f"Superclass: {which}" for which in ("baseline", "HAL", "no hint", "wrong")),
    )
    title = "Without the hint, or with a wrong one"
    return Table("controls-others", title, caption, headings, grouped(rows), wide=True)


def said(params: Params, table: pd.DataFrame, column: str) -> list[str]:
    """What a column says of the rows, a line for each data set and text, with all cases of which the same is said."""
    lines = []
    for dataset in params.grid.datasets:
        rows = table[(table["dataset"] == dataset) & (table[column] != "")]
        for text, alike in rows.groupby(column, sort=False):
            lines.append(
                f"{dataset_title(params, dataset)} {', '.join(dict.fromkeys(alike['case']))}: {text}."
            )
    return lines


def statistics(params: Params, comparisons: pd.DataFrame) -> Table:
    """How sure each difference from the baseline is."""
    table = comparisons[comparisons["against"] != "oracle_mask"]
    planned = int(table["comparisons"].max())
    rows = []
    for r in table[(table["case"] != POOLED) | table["mean"].notna()].itertuples():
        name = r.case if r.case == POOLED else case_title(params, r.dataset, r.case)
        cells = (
            str(r.n),
            with_interval(number(r.mean), Interval(r.mean_low, r.mean_high)),
            NONE if r.case == BASELINE else difference(r, "difference"),
            probability(r.p_holm),
            number(r.detectable),
        )
        rows.append((dataset_title(params, r.dataset), (name, *cells)))
    caption = (
        "Test error in percent with Student's 95 % interval, cut at 0 and 100, and its difference from the baseline's in points with Welch's, which the verdicts use, "
        "too. They know of other seeds on the same images, and cover 95 % where networks scatter normally; where few networks listen to their hint "
        "and the others do not they can cover as little as three in four. "
    )
    if table["p_holm"].notna().any():
        caption += (
            f"p: Welch's test, corrected by Holm for the run's {planned} comparisons with the baseline. "
        )
    caption += (
        "Resolvable: the smallest true difference that so many seeds would show in 80 % of runs (two-sided, 5 %, one test; "
        "(t(0.975) + t(0.8)) s √(1/n + 1/m), s pooled)."
    )
    if (table["n"] == 1).any():
        caption += " A single seed gives no interval and no test, so none is printed there."
    headings = columns("Case", "n", "Error (%)", "Error − baseline", "p", "Resolvable")
    return Table("statistics-table", "Errors and differences", caption, headings, grouped(rows), wide=True)


def crossed(params: Params, table: pd.DataFrame, table2: pd.DataFrame) -> Table:
    """Every case in one row, with intervals that know of networks and of images."""
    values = table.set_index(["dataset", "case", "quantity"])
    printed = table2.set_index(["dataset", "case"])
    rows = []
    for dataset in params.grid.datasets:
        for case in params.cases(dataset):
            own = "baseline" if case == BASELINE else "hal"
            names = (own, "hal - baseline", "hal - masked", "hal_masked", "masked", "flips")
            cells = [_crossed(values, (dataset, case, name), sign="-" in name) for name in names]
            n = int(values.loc[(dataset, case, own), "n"]) if (dataset, case, own) in values.index else 0
            paper = printed.loc[(dataset, case)]
            title, count = case_title(params, dataset, case), _count(n, len(params.grid.seeds))
            error = with_deviation(paper["paper_mean"], paper["paper_sd"])
            rows.append((dataset_title(params, dataset), (title, count, *cells, error)))
    caption = (
        "Test error in percent, and differences in points, with 95 % intervals over networks and test images: both are drawn "
        f"anew, {RESAMPLES:,} times, the same images for all networks; too short while networks are few. Own masked: the network's own logits without the classes outside the true "
        "superclass; baseline masked: the baseline's, which is the same hint with no auxiliary block. Flips: the share of "
        "predictions that change with the superclass told. A single network gives no interval."
    )
    headings = columns(
        *("Case", "n", "Error", "Error − baseline", "Error − baseline masked"),
        *("Own masked", "Baseline masked", "Flips", "Paper"),
    )
    return Table(
        "crossed-table",
        "Networks and images",
        caption,
        headings,
        grouped(rows),
        tuple(said(params, table, "missing")),
        wide=True,
    )


def separability(params: Params, table: pd.DataFrame) -> Table:
    """How well scores split."""
    rows = []
    of_case = dict(iter(table.groupby(["dataset", "case"])))
    for dataset in params.grid.datasets:
        for case in params.cases(dataset)[1:]:
            mine = of_case.get((dataset, case), table[:0])
            whole = mine[mine["level"] == "all"]
            auc, overlap = (moments(whole[name].dropna()) for name in ("auc", "overlap"))
            pairs = mine[mine["level"] == "pair"].groupby(["first", "second"])["overlap"].mean()
            classes = mine[mine["level"] == "class"].groupby("first")["overlap"].mean()
            cells = (
                counted(auc.n, len(params.grid.seeds)),
                with_deviation(auc.mean, auc.sd),
                with_deviation(overlap.mean, overlap.sd),
                _most_mixed(pairs, superclass_names(params, dataset, case)),
                _most_mixed(classes, params.datasets[dataset].classes),
            )
            title = dataset_title(params, dataset)
            rows.append((title, (case_title(params, dataset, case), *cells)))
    caption = (
        "How well the auxiliary scores of the training images split by superclass; mean ± sample standard deviation over n "
        "seeds. AUC: 0.5 is chance, 1 a perfect split by one threshold; averaged over pairs of superclasses. Overlap: the "
        "share that the distributions have in common, 0 where they are apart, 1 where they are the same. Most mixed: the "
        "pair of superclasses, and the class, whose scores overlap most with (those of) other superclasses."
    )
    headings = (
        *columns("Case", "n", "AUC", "Overlap"),
        Column("Most mixed pair", "text"),
        Column("Most mixed class", "text"),
    )
    of_each = table[["dataset", "case", "seed", "note"]].drop_duplicates()
    notes = pd.DataFrame(
        [
            {
                "dataset": dataset,
                "case": case,
                "notes": of_seeds(mine[["seed", "note"]].itertuples(index=False)),
            }
            for (dataset, case), mine in of_each.groupby(["dataset", "case"], sort=False)
        ],
        columns=["dataset", "case", "notes"],
    )
    remarks = tuple(said(params, notes, "notes"))
    return Table("separability-table", "Separability", caption, headings, grouped(rows), remarks)


def convergence(params: Params, convergence: pd.DataFrame) -> Table:
    """How fast losses fall."""
    rows = []
    table = convergence.set_index(["dataset", "case", "loss"])
    for dataset in params.grid.datasets:
        for case in params.cases(dataset):
            title = dataset_title(params, dataset)
            cells: list[str] = []
            for loss in ("test_loss", "train_loss"):
                r = table.loc[(dataset, case, loss)]
                cells += [_epochs(r), NONE if case == BASELINE else difference(r, "area")]
            rows.append((title, (case_title(params, dataset, case), *cells)))
    caption = (
        "Epochs: after how many the loss first is at or below the baseline's final one, the mean of its seeds after the "
        "last epoch; the mean (earliest to latest network), and how many of n networks ever get there (of the "
        "baseline's own often only some do). Area: the area between the logarithmic loss curves of the baseline and the "
        "case, divided by the number of epochs, with Welch's 95 % interval; 0.1 means a loss about 10 % below the "
        "baseline's, epoch for epoch. A case's loss profits from the hint as its error does."
    )
    headings = columns(
        "Case", "Test loss: epochs", "Test loss: area", "Training loss: epochs", "Training loss: area"
    )
    notes = tuple(said(params, convergence, "notes"))
    return Table("convergence-table", "Convergence", caption, headings, grouped(rows), notes)


def sensitivity(params: Params, all_rows: pd.DataFrame) -> list[Table]:
    """What each assumption is worth; a table for every data set that has variants."""
    tables = []
    for dataset, members in families(params).items():
        table = all_rows[all_rows["dataset"] == dataset]
        rows = [
            (
                family_title(params, dataset),
                (variant, *(_entry(row) for row in table[table["variant"] == variant].itertuples())),
            )
            for variant in (variant_title(params, member) for member in members)
        ]
        caption = (
            "Test error in percent after the last epoch with what each row names and all else as set: mean ± sample "
            "standard deviation (n seeds that count), and how many diverged."
        )
        headings = columns("Variant", *params.cases(dataset))
        tables.append(Table(f"{dataset}-sensitivity-table", "Sensitivity", caption, headings, grouped(rows)))
    return tables


def _count(n: int, planned: int, of_baseline: int | None = None, baselines: int | None = None) -> Text:
    """How many of the planned networks a row is of, and of how many its baseline, where that is another number."""
    baselines = planned if baselines is None else baselines
    if of_baseline is None or (of_baseline, baselines) == (n, planned):
        return Text(counted(n, planned), "partial" if n < planned else "")
    text = f"{counted(n, planned)}, baseline {counted(of_baseline, baselines)}"
    return Text(text, "partial" if n < planned or of_baseline < baselines else "")


def _entry(row: Any) -> str:
    """Such as `2.61 ± 0.85 (4), 1 diverged`."""
    text = NONE if row.n == 0 else with_deviation(row.mean, row.sd)
    others = row.planned - row.n - row.diverged
    remarks = [f"{row.diverged} diverged"] * bool(row.diverged) + [f"{others} without a result"] * bool(
        others
    )
    return ", ".join([f"{text} ({row.n})", *remarks])


def _crossed(values: pd.DataFrame, key: tuple[str, str, str], sign: bool) -> str:
    if key not in values.index:
        return NONE
    row = values.loc[key]
    text = signed(row["value"]) if sign else number(row["value"])
    return with_interval(text, Interval(row["low"], row["high"]), sign)


def _most_mixed(overlaps: pd.Series, names: Sequence[str]) -> str:
    if overlaps.empty:
        return NONE
    at = overlaps.idxmax()
    who = " / ".join(names[i] for i in at) if isinstance(at, tuple) else names[at]
    return f"{who}: {number(overlaps.max())}"


def _epochs(row: pd.Series) -> str:
    if not row["reached"] > 0:
        return "never" if row["reached"] == 0 and row["n"] else NONE
    mean = with_range(row["epochs"], row["epochs_least"], row["epochs_most"])
    return f"{mean}, {row['reached']:.0f} of {row['n']}"
