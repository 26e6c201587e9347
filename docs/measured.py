"""What real images gave, from results/ in git: `python docs/measured.py` writes the tables of its PAGES and docs/budget.svg anew.

Each table stands between a line `<!-- measured: NAME -->` and a line `<!-- end -->`; the sentences around it are for people to write.
What was measured on cells that are not in git carries `<!-- cells: OVERLAY SUM -->`, by which a test sees that settings have changed since.
"""

import functools
import hashlib
import math
import re
from collections.abc import Callable
from pathlib import Path

import budget
import pandas as pd

from hal.params import Params, load
from hal.present import ablations, markdown
from hal.present.numbers import NONE, difference, number, with_deviation, with_interval
from hal.present.results import read_results
from hal.study.comparisons import pooled
from hal.study.grid import load_cells, select
from hal.study.hint import DEAF
from hal.study.resampling import Interval
from hal.titles import case_title

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "docs/budget.md", "docs/ablations.md", "docs/sensitivity.md")
_PLACE = re.compile(r"(<!-- measured: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

_ERRORS = ("n", "baseline", "baseline masked", "HAL", "HAL masked", "HAL − baseline masked", "flips")


def written(
    page: str, cpu: Params, gpu: Params, cifar10: Params, ablated: Params, varied: Params, momentum: Params
) -> str:
    """The text of a page with its tables as the results of the runs on real images give them."""
    tables = {
        "mnist": lambda: errors(cpu, "mnist"),
        "mnist-gpu": lambda: errors(gpu, "mnist"),
        "cifar10": lambda: errors(cifar10, "cifar10"),
        "mnist-ablations": lambda: ablations_of(ablated, "mnist"),
        "mnist-ablations-3": lambda: ablations_of(ablated, "mnist-epochs-3"),
        "mnist-no-bias": lambda: plain(ablated, "mnist-no-bias-epochs-3"),
        "mnist-momentum": lambda: errors(momentum, "mnist"),
        "mnist-settings": lambda: settings(varied, "case1"),
        "mnist-budgets": lambda: budgets(budget_runs(cpu, gpu)),
    }
    return _PLACE.sub(lambda place: f"{place[1]}{tables[place[2]]()}\n{place[3]}", page)


def errors(params: Params, dataset: str) -> str:
    """The README's tables: a row a case of the data set, beside the paper's HAL."""
    paper, statistics = read_results(params, "table2", "statistics")
    theirs = paper[paper["dataset"] == dataset].set_index("case")
    row = _rows(params)
    rows = [
        [case_title(params, dataset, case), *row(dataset, case), _paper(theirs.loc[case])]
        for case in params.cases(dataset)[1:]
    ]
    together = select(pooled(statistics, "oracle_mask"), dataset=dataset).dropna(subset="difference_low")
    for r in together.itertuples():
        means = (NONE, number(r.reference_mean), number(r.mean), NONE, difference(r, "difference"))
        rows.append(["all cases", str(r.n), *means, *[NONE] * 2])
    momentum = f", momentum {params.train.momentum:g}" if params.train.momentum else ""
    heading = f"{params.datasets[dataset].title}, {params.epochs(dataset)} epochs{momentum}"
    return _table([heading, *_ERRORS, "paper: HAL"], rows)


def plain(params: Params, dataset: str) -> str:
    """The same of a data set that the paper has not."""
    row = _rows(params)
    cases = params.cases(dataset)[1:]
    rows = [[case_title(params, dataset, case), *row(dataset, case)] for case in cases]
    return _table([params.datasets[dataset].title, *_ERRORS], rows)


def ablations_of(params: Params, dataset: str) -> str:
    """Every ablation of a data set that has a network, as the report sets the table."""
    (table,) = read_results(params, "ablations")
    rows = select(table, dataset=dataset)
    return markdown.table(ablations.table(params, rows[rows["n"] > 0])).strip()


def settings(params: Params, case: str) -> str:
    """One case under each variant of the settings, with how many of its networks are deaf to their hint."""
    row, (networks,) = _rows(params), read_results(params, "networks")
    rows = []
    for dataset in params.grid.datasets:
        flips = select(networks, dataset=dataset, case=case)["flips"]
        entry = params.datasets[dataset]
        title = entry.variant_title or f"{params.epochs(dataset)} epochs"
        rows.append([title, *row(dataset, case), f"{(flips < DEAF).sum()} of {len(flips)}"])
    base = params.grid.datasets[0]
    heading = f"{params.datasets[base].title}, {case_title(params, base, case)}"
    return _table([heading, *_ERRORS, "deaf"], rows)


def budgets(runs: list[tuple[Params, str]]) -> str:
    """The cases of MNIST, each with its numbers of epochs below each other."""
    rows_of = [(params, dataset, _rows(params)) for params, dataset in runs]
    rows = [
        [case_title(params, "mnist", case), str(params.epochs(dataset)), *row(dataset, case)]
        for case in _cases(runs[0][0])
        for params, dataset, row in rows_of
    ]
    return _table(["MNIST", "epochs", *_ERRORS], rows)


def cells_sum(overlay: Path) -> str:
    """Twelve digits that stand for all cells of an experiment: a page that was measured with others must be measured again."""
    params = load(ROOT / "params.yaml", [overlay])
    return hashlib.sha256("".join(cell.hash for cell in params.cells()).encode()).hexdigest()[:12]


def budget_runs(*runs: Params) -> list[tuple[Params, str]]:
    """MNIST and its variants in the runs, the fewest epochs first."""
    of_mnist = [
        (params, dataset)
        for params in runs
        for dataset in params.grid.datasets
        if params.datasets[dataset].source == "mnist"
    ]
    return sorted(of_mnist, key=lambda run: run[0].epochs(run[1]))


def runs() -> list[Params]:
    """MNIST on a CPU and on a GPU, CIFAR-10, the ablations, the settings varied, and MNIST with momentum."""
    names = (
        *("cpu-mnist", "gpu-mnist", "cpu-cifar10"),
        *("cpu-mnist-ablations", "cpu-mnist-settings", "cpu-mnist-momentum"),
    )
    return [load(ROOT / "params.yaml", [ROOT / f"configs/{name}.yaml"]) for name in names]


def _rows(params: Params) -> Callable[[str, str], list[str]]:
    """What gives the entries of a data set's case."""
    table2b, hint, crossed = read_results(params, "table2b", "hint", "crossed")
    diverged = select(load_cells(params), state="diverged")
    return functools.partial(_row, table2b, hint, crossed, diverged)


def _row(
    table2b: pd.DataFrame,
    hint: pd.DataFrame,
    crossed: pd.DataFrame,
    diverged: pd.DataFrame,
    dataset: str,
    case: str,
) -> list[str]:
    row, of_hint = (table.set_index(["dataset", "case"]).loc[(dataset, case)] for table in (table2b, hint))
    # A case without a network has no row.
    of_both = (
        crossed.set_index(["dataset", "case", "quantity"]).reindex([(dataset, case, "hal - masked")]).iloc[0]
    )
    images = with_interval("", Interval(of_both["low"], of_both["high"]), sign=True)
    lost = len(select(diverged, dataset=dataset, case=case))
    n, of_baseline = row["n"], row["reference_n"]
    others = bool(min(n, of_baseline) > 0 and of_baseline != n)  # of none there are dashes
    return [
        ", ".join([str(n), *[f"{lost} diverged"] * bool(lost), *[f"baseline {of_baseline}"] * others]),
        *(with_deviation(row[name], row[f"{name}_sd"]) for name in ("baseline", "masked", "hal")),
        number(of_hint["hal_masked"]),
        f"{difference(row, 'difference')}{images}",
        NONE if math.isnan(of_hint["flips"]) else f"{number(of_hint['flips'], 1)} %",
    ]


def _paper(row: pd.Series) -> str:
    return with_deviation(row["paper_mean"], row["paper_sd"])


def _cases(params: Params) -> list[str]:
    return params.cases("mnist")[1:]


def _table(headings: list[str], rows: list[list[str]]) -> str:
    head, *lines = (f"| {' | '.join(row)} |" for row in [headings, *rows])
    return "\n".join([head, f"|---|{'--:|' * (len(headings) - 1)}", *lines])


def main() -> None:
    """Write the pages and the figure."""
    for name in PAGES:
        path = ROOT / name
        path.write_text(written(path.read_text(encoding="utf-8"), *runs()), encoding="utf-8")
    budget.draw(budget_runs(*runs()[:2]), ROOT / "docs/budget.svg")


if __name__ == "__main__":
    main()
