"""What a lower error is owed to: test errors of the ablations beside the paper's network, the baseline and the mask."""

import math

import pandas as pd
from matplotlib.figure import Figure

from hal.params import Params
from hal.present.figures import colours, overview
from hal.settings import BASELINE
from hal.study.comparisons import errors
from hal.titles import case_title, dataset_title, network_title


def draw(params: Params, remark: str, cells: pd.DataFrame, ablations: pd.DataFrame, columns: int) -> Figure:
    """A panel for each data set and grouping of which an ablation has finished, with what has; all of them where none has yet.

    Args:
        params: the experiment.
        remark: on the run, for the reader.
        cells: `load_cells`.
        ablations: `study.ablations`.
        columns: 1 for a journal's column or a phone.
    """
    panels = {}
    kinds = [_kind(params, *row) for row in ablations[["dataset", "case"]].itertuples(index=False)]
    ablations = ablations.assign(kind=kinds)
    finished = ablations[(ablations["kind"] == colours.ABLATION) & (ablations["n"] > 0)]
    shown = finished if len(finished) else ablations
    for dataset, grouping in shown[["dataset", "grouping"]].drop_duplicates().itertuples(index=False):
        title = f"{dataset_title(params, dataset)}, {case_title(params, dataset, grouping)}"
        rows = ablations[(ablations["dataset"] == dataset) & (ablations["grouping"] == grouping)]
        rows = rows[(rows["n"] > 0) | (rows["kind"] != colours.ABLATION) | finished.empty]
        masked = rows[rows["case"] == BASELINE]["own_masked"].iloc[0], math.nan
        panels[title] = [
            overview.row_of(
                params, network_title(params, dataset, r.case), r.kind, errors(cells, dataset, r.case), masked
            )
            for r in rows.itertuples()
        ]
    return overview.draw(params, remark, panels, columns, "Test errors of the ablations")


def _kind(params: Params, dataset: str, case: str) -> str:
    """The colour of that kind of network."""
    if case == BASELINE:
        return colours.BASELINE
    return colours.ABLATION if params.datasets[dataset].cases[case].ablation else colours.HAL
