"""All that is computed from the cells, and the files that hold it."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from hal import sums
from hal.files import write_text
from hal.outputs import families, sums_path
from hal.params import Params
from hal.study import controls, convergence, crossed, dvc_metrics, hint, separability, table2, table2b
from hal.study.claims import verdicts
from hal.study.claims.power import power
from hal.study.comparisons import comparisons
from hal.study.grid import CellResult, load_grid
from hal.study.sensitivity import sensitivity


def study(params: Params, results: Sequence[CellResult]) -> dict[str, pd.DataFrame]:
    """Every table by its name (see docs/files.md), from the cells `results`, results/controls/ and results/crossed/."""
    controlled = controls.read(params, results)
    compared = comparisons(params, results, controlled)
    scores = separability.separability(params, results)
    pairs = separability.pairs(params, results, scores)
    curves = convergence.per_cell(params, results)
    crossing = hint.borders(params, results, controlled)
    powers = power(len(params.grid.seeds))
    return {
        "table2": table2.table2(params, results),
        "table2b": table2b.table2b(params, results, controlled, compared),
        "statistics": compared,
        "crossed": crossed.read(params, results),
        "separability": scores,
        "pairs": pairs,
        "correlation": separability.predicts(pairs, crossing),
        "convergence": convergence.convergence(params, curves),
        "hint": hint.hint(params, results, controlled),
        "borders": crossing,
        "verdicts": verdicts.table(verdicts.verdicts(params, results, scores, curves), powers),
        "power": powers,
    } | ({"sensitivity": sensitivity(params, results)} if families(params) else {})


def write(params: Params) -> list[Path]:
    """Compute everything and write it into results/; return the files' paths."""
    results = load_grid(params)
    tables = study(params, results)
    texts = {params.path("results", f"{name}.csv"): _csv(table) for name, table in tables.items()}
    for_dvc = {
        "metrics.json": json.dumps(dvc_metrics.metrics(params, results), indent=2) + "\n",
        "loss.csv": dvc_metrics.losses(params, results).to_csv(index=False, float_format="%.5g"),
    }
    for name, text in for_dvc.items():
        write_text(params.path("results", name), text)
    return [*(params.path("results", name) for name in for_dvc), *sums.write(texts, sums_path(params))]


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, lineterminator="\n")
