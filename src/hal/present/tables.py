"""The report's tables beyond Table 2, as text: every number is ready to be set."""

import dataclasses
from collections.abc import Iterable, Sequence

import pandas as pd

from hal.departures import Run
from hal.params import Params
from hal.present.numbers import NONE, counted, interval, number, probability, signed, with_deviation
from hal.settings import BASELINE
from hal.study import table2, table2b
from hal.study.grid import CellResult
from hal.study.resampling import Interval, moments
from hal.study.sensitivity import entry, families, variant_title
from hal.study.sensitivity import sensitivity as sensitivities
from hal.study.write_study import Analyses
from hal.titles import case_title, dataset_title, superclass_names


@dataclasses.dataclass(frozen=True)
class Table:
    """A table whose rows are grouped by data set.

    Attributes:
        id: its name in links.
        title: its number or name.
        caption: what it shows.
        headings: of all columns; the first column names the row.
        groups: data sets with their rows.
        notes: remarks below it.
    """

    id: str
    title: str
    caption: str
    headings: tuple[str, ...]
    groups: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
    notes: tuple[str, ...] = ()


def controls(params: Params, found: Analyses, run: Run) -> list[Table]:
    """Table 2b: errors, and superclass accuracies."""
    rows = table2b.printed_rows(params, found.table2b)
    return [
        Table(
            id="controls-errors",
            title="Table 2b",
            caption=table2b.caption(run),
            headings=table2b.HEADINGS[1:],
            groups=grouped((row.dataset, (row.case, *row.errors)) for row in rows),
            notes=tuple(table2.notes(params, found.table2b)),
        ),
        Table(
            id="controls-accuracies",
            title="Superclass accuracy",
            caption=table2b.ACCURACY_CAPTION,
            headings=table2b.ACCURACIES[1:],
            groups=grouped((row.dataset, (row.case, *row.accuracies)) for row in rows),
        ),
    ]


def statistics(params: Params, found: Analyses) -> Table:
    """How sure each difference from the baseline is."""
    table = found.comparisons[found.comparisons["against"] != "oracle_mask"]
    planned = int(table["comparisons"].max())
    rows = []
    for r in table.itertuples():
        pooled = r.case == "all cases"
        name = r.case if pooled else case_title(params, r.dataset, r.case)
        difference = f"{signed(r.difference)} {interval(Interval(r.low, r.high), sign=True)}"
        cells = (
            str(r.n),
            f"{number(r.mean)} {interval(Interval(r.mean_low, r.mean_high))}",
            NONE if r.case == BASELINE else difference,
            interval(Interval(r.welch_low, r.welch_high), sign=True),
            probability(r.p_holm),
            number(r.detectable),
        )
        rows.append((dataset_title(params, r.dataset), (name, *cells)))
    caption = (
        "Test error in percent and its difference from the baseline's in points, each with the bootstrap 95 % interval "
        "over seeds (9,999 resamples; pooled rows stratified by case). With five seeds the bootstrap's intervals are too "
        "short: of a difference they cover about 88 %. Welch's intervals keep their 95 %, and the verdicts use those. "
        f"p: Welch's test, corrected by Holm for the run's {planned} comparisons. Resolvable: the smallest true difference "
        "that so many seeds would show in 80 % of runs (two-sided, 5 %, one test; "
        "(t(0.975) + t(0.8)) s √(1/n + 1/m), s pooled)."
    )
    if (table["n"] == 1).any():
        caption += " A single seed gives no interval and no test, so none is printed there."
    headings = ("Case", "n", "Error", "Difference", "Welch 95 %", "p", "Resolvable")
    return Table("statistics-table", "Errors and differences", caption, headings, grouped(rows))


def separability(params: Params, found: Analyses) -> Table:
    """How well scores split."""
    rows, notes = [], []
    for dataset in params.grid.datasets:
        for case in params.cases(dataset)[1:]:
            table = found.separability
            mine = table[(table["dataset"] == dataset) & (table["case"] == case)]
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
            said = mine[mine["note"] != ""].drop_duplicates("seed")
            notes += [f"{title} {case} seed {r.seed}: {r.note}." for r in said.itertuples()]
    caption = (
        "How well the auxiliary scores of the training images split by superclass; mean ± sample standard deviation over n "
        "seeds. AUC: 0.5 is chance, 1 a perfect split by one threshold; averaged over pairs of superclasses. Overlap: the "
        "share that the distributions have in common, 0 where they are apart, 1 where they are the same. Most mixed: the "
        "pair of superclasses, and the class, whose scores overlap most with (those of) other superclasses."
    )
    headings = ("Case", "n", "AUC", "Overlap", "Most mixed pair", "Most mixed class")
    return Table("separability-table", "Separability", caption, headings, grouped(rows), tuple(notes))


def convergence(params: Params, found: Analyses) -> Table:
    """How fast losses fall."""
    rows = []
    table = found.convergence.set_index(["dataset", "case", "loss"])
    notes = []
    for dataset in params.grid.datasets:
        for case in params.cases(dataset):
            title = dataset_title(params, dataset)
            cells: list[str] = []
            for loss in ("test_loss", "train_loss"):
                r = table.loc[(dataset, case, loss)]
                cells += [_epochs(r), NONE if case == BASELINE else signed(r["area"])]
                if case != BASELINE:
                    cells[-1] += f" {interval(Interval(r['low'], r['high']), sign=True)}"
            rows.append((title, (case_title(params, dataset, case), *cells)))
            said = table.loc[(dataset, case, "test_loss")]["notes"]
            notes += [f"{title} {case}: {said}."] if said else []
    caption = (
        "Epochs: after how many the loss first is at or below the baseline's final one, the mean of its seeds after the "
        "last epoch; the mean with its bootstrap 95 % interval, and how many of n networks ever get there (of the "
        "baseline's own often only some do). Area: the area between the logarithmic loss curves of the baseline and the "
        "case, divided by the number of epochs, with its bootstrap 95 % interval; 0.1 means a loss about 10 % below the "
        "baseline's, epoch for epoch. A case's loss profits from the hint as its error does."
    )
    headings = ("Case", "Test loss: epochs", "Area", "Training loss: epochs", "Area")
    return Table("convergence-table", "Convergence", caption, headings, grouped(rows), tuple(notes))


def sensitivity(params: Params, results: Sequence[CellResult]) -> list[Table]:
    """What each assumption is worth; a table for every data set that has variants."""
    found = []
    for dataset, members in families(params).items():
        table = sensitivities(params, results)
        rows = [
            (
                dataset_title(params, dataset),
                (variant, *(entry(row) for row in table[table["variant"] == variant].itertuples())),
            )
            for variant in (variant_title(params, member) for member in members)
        ]
        caption = (
            "Test error in percent after the last epoch when one assumption is varied and all else is as set: mean ± sample "
            "standard deviation (n seeds that count), and how many diverged."
        )
        headings = ("Variant", *params.cases(dataset))
        found.append(Table(f"{dataset}-sensitivity-table", "Sensitivity", caption, headings, grouped(rows)))
    return found


def grouped(rows: Iterable[tuple[str, tuple[str, ...]]]) -> tuple:
    """Rows (data set, cells) as a `Table` groups them."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for dataset, cells in rows:
        found.setdefault(dataset, []).append(cells)
    return tuple((dataset, tuple(cells)) for dataset, cells in found.items())


def _most_mixed(overlaps: pd.Series, names: Sequence[str]) -> str:
    if overlaps.empty:
        return NONE
    at = overlaps.idxmax()
    who = " / ".join(names[i] for i in at) if isinstance(at, tuple) else names[at]
    return f"{who}: {overlaps.max():.2f}"


def _epochs(row: pd.Series) -> str:
    if not row["reached"]:
        return "never" if row["n"] else NONE
    found = Interval(row["epochs_low"], row["epochs_high"])
    mean = f"{row['epochs']:.1f}" + (f" [{found.low:.1f}, {found.high:.1f}]" if found.known else "")
    return f"{mean} ({row['reached']} of {row['n']})"
