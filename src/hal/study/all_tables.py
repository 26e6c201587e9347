"""All that is computed from the cells, and the files that hold it."""

import json
from pathlib import Path

import pandas as pd

from hal import sums
from hal.current import study_basis
from hal.files import write_text
from hal.outputs import optional_names, sums_path
from hal.params import Params
from hal.study import controls, convergence, crossed, dvc_metrics, hint, separability, table2, table2b
from hal.study.ablations import ablations
from hal.study.claims import verdicts
from hal.study.claims.power import power
from hal.study.comparisons import comparisons
from hal.study.grid import load_cells
from hal.study.sensitivity import sensitivity


def study(params: Params, cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Every table by its name (see docs/files.md), from `load_cells`, results/controls/ and results/crossed/."""
    controlled = controls.read(params, cells)
    compared = comparisons(params, cells, controlled)
    scores = separability.separability(cells)
    pairs = separability.pairs(params, cells, scores)
    curves = convergence.per_cell(cells)
    crossing = hint.borders(params, cells, controlled)
    powers = power(len(params.grid.seeds))
    tables = {
        "table2": table2.table2(params, cells),
        "table2b": table2b.table2b(cells, controlled, compared),
        "statistics": compared,
        "crossed": crossed.read(params, cells),
        "separability": scores,
        "pairs": pairs,
        "correlation": separability.predicts(pairs, crossing),
        "convergence": convergence.convergence(curves),
        "hint": hint.hint(params, controlled),
        "networks": hint.networks(params, controlled),
        "borders": crossing,
        "verdicts": verdicts.table(verdicts.verdicts(params, cells, scores, curves), powers),
        "power": powers,
    }
    of_some_runs = {
        "ablations": lambda: ablations(params, cells, controlled),
        "sensitivity": lambda: sensitivity(params, cells),
    }
    return tables | {name: of_some_runs[name]() for name in optional_names(params)}


def write(params: Params) -> list[Path]:
    """Compute everything and write it into results/; return the files' paths."""
    cells = load_cells(params)
    tables = study(params, cells)
    texts = {params.path("results", f"{name}.csv"): _csv(table) for name, table in tables.items()}
    for_dvc = {
        "metrics.json": json.dumps(dvc_metrics.metrics(cells), indent=2) + "\n",
        "loss.csv": dvc_metrics.losses(cells).to_csv(index=False, float_format="%.5g"),
    }
    for name, text in for_dvc.items():
        write_text(params.path("results", name), text)
    return [
        *(params.path("results", name) for name in for_dvc),
        *sums.write(texts, sums_path(params), study_basis(params)),
    ]


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, lineterminator="\n")
