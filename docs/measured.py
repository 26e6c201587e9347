"""The tables of README.md and docs/budget.md on what real images gave, from results/ in git: `python docs/measured.py` writes them anew.

Each stands between a line `<!-- measured: NAME -->` and a line `<!-- end -->`; the sentences around it are for people to write.
"""

import functools
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from hal.params import Params, load
from hal.present.numbers import NONE, number, signed, with_deviation, with_interval
from hal.present.results import read_results
from hal.study.resampling import Interval
from hal.titles import case_title

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "docs/budget.md")
_PLACE = re.compile(r"(<!-- measured: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

_BOTH = "HAL − baseline masked, 95 % interval of networks"
_CROSSED = "of networks and images"
_ERRORS = ("n", "baseline", "baseline, masked", "HAL", "HAL, masked", _BOTH, _CROSSED, "flips")


def written(page: str, params: Params) -> str:
    """The text of a page with its tables as the results of params give them."""
    tables = {"mnist": errors, "mnist-budgets": budgets, "mnist-flips": flips}
    return _PLACE.sub(lambda place: f"{place[1]}{tables[place[2]](params)}\n{place[3]}", page)


def errors(params: Params) -> str:
    """The README's table: a row a case of MNIST, beside the paper's HAL."""
    (paper,) = read_results(params, "table2")
    theirs = paper[paper["dataset"] == "mnist"].set_index("case")
    row = _rows(params)
    rows = [
        [case_title(params, "mnist", case), *row("mnist", case), _paper(theirs.loc[case])]
        for case in _cases(params)
    ]
    return _table([f"MNIST, {params.train.epochs} epochs", *_ERRORS, "paper (250 epochs): HAL"], rows)


def budgets(params: Params) -> str:
    """The cases of MNIST, each with its numbers of epochs below each other, the fewest first."""
    datasets = sorted(params.grid.datasets, key=lambda dataset: _epochs(params, dataset))
    row = _rows(params)
    rows = [
        [case_title(params, "mnist", case), str(_epochs(params, dataset)), *row(dataset, case)]
        for case in _cases(params)
        for dataset in datasets
    ]
    return _table(["MNIST", "epochs", *_ERRORS], rows)


def flips(params: Params) -> str:
    """Seed by seed the share of predictions that change with the superclass told."""
    rows = []
    for dataset in sorted(params.grid.datasets, key=lambda dataset: _epochs(params, dataset)):
        controls = pd.read_csv(params.path("results", "controls", f"{dataset}.csv"))
        of_seeds = controls[controls["control"] == "flips"].assign(
            percent=lambda rows: 100 * rows["count"] / rows["images"]
        )
        shares = of_seeds.groupby("case")["percent"].agg(lambda each: " / ".join(number(p, 1) for p in each))
        rows.append([f"{_epochs(params, dataset)} epochs", *(shares[case] for case in _cases(params))])
    seeds = " / ".join(map(str, params.grid.seeds))
    return _table([f"flips in percent, seed {seeds}", *_cases(params)], rows)


def _rows(params: Params) -> Callable[[str, str], list[str]]:
    """What gives the entries of a data set's case."""
    return functools.partial(_row, *read_results(params, "table2b", "hint", "crossed"))


def _row(
    table2b: pd.DataFrame, hint: pd.DataFrame, crossed: pd.DataFrame, dataset: str, case: str
) -> list[str]:
    row, of_hint = (table.set_index(["dataset", "case"]).loc[(dataset, case)] for table in (table2b, hint))
    of_both = crossed.set_index(["dataset", "case", "quantity"]).loc[(dataset, case, "hal - masked")]
    difference = with_interval(signed(row["difference"]), Interval(row["low"], row["high"]), sign=True)
    images = with_interval("", Interval(of_both["low"], of_both["high"]), sign=True).strip()
    return [
        str(row["n"]),
        *(with_deviation(row[name], row[f"{name}_sd"]) for name in ("baseline", "masked", "hal")),
        number(of_hint["hal_masked"]),
        difference,
        images or NONE,
        f"{number(of_hint['flips'], 1)} %",
    ]


def _paper(row: pd.Series) -> str:
    return with_deviation(row["paper_mean"], row["paper_sd"])


def _cases(params: Params) -> list[str]:
    return params.cases("mnist")[1:]


def _epochs(params: Params, dataset: str) -> int:
    return params.cell(dataset, "baseline", 0).train.epochs


def _table(headings: list[str], rows: list[list[str]]) -> str:
    head, *lines = (f"| {' | '.join(row)} |" for row in [headings, *rows])
    return "\n".join([head, f"|---|{'--:|' * (len(headings) - 1)}", *lines])


def main() -> None:
    """Write both pages."""
    params = load(ROOT / "params.yaml", [ROOT / "configs/cpu-mnist.yaml"])
    for name in PAGES:
        path = ROOT / name
        path.write_text(written(path.read_text(encoding="utf-8"), params), encoding="utf-8")


if __name__ == "__main__":
    main()
