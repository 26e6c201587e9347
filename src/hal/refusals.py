"""What one Snakemake refuses to begin, and the commands that help instead."""

import itertools
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hal import dag, gpu, snakemake_internals
from hal.cell_files import read_record
from hal.current import check_root, other_experiment
from hal.data.sizes import size_of
from hal.errors import UserError, first_few, with_overlays
from hal.params import Cell, Params
from hal.standing import standing
from hal.study.grid import differences


def check_targets(words: Iterable[str], params: Params) -> None:
    """Refuse what the command line asks for and the run has not: Snakemake would say that no rule makes it, and not why.

    Raises:
        UserError: a cell of another run's, or a data set, a case or a seed that there is not.
    """
    for before, word in itertools.pairwise(["", *words]):
        if asked := re.fullmatch(r"(?P<run>.*?)results/([^/]+)/([^/]+)/seed(\d+)/?", word):
            if asked["run"].removeprefix("./") != dag.prefix(params):
                raise UserError(f"{word}: this run's cells lie below {dag.prefix(params)}results/")
            name = params.cell(asked[2], asked[3], int(asked[4])).name
            if not word.rstrip("/").endswith(name):
                raise UserError(f"{word}: that cell is called {name}")
        asked = None if before.startswith("--") else re.fullmatch(r"train_([\w-]+)", word)
        if asked and asked[1] not in params.grid.datasets:
            raise UserError(f"{word}: the grid has {', '.join(params.grid.datasets)}")


def check_finished(workflow: Any, params: Params, files: Sequence[str]) -> None:
    """Refuse to train again what is finished or damaged, unless somebody asked for it.

    In a clone without checkpoints or data Snakemake would delete the results that are here before a job begins, and another
    machine's bytes would take their place. `files` are the overlays.

    Raises:
        UserError: there are such cells.
    """
    if workflow.touch:
        return
    check_root(params, files)
    other = other_experiment(params, files)
    planned = _to_train(workflow, params)
    found = {cell: standing(params, cell) for cell, asked in planned if not asked}
    stale = [cell for cell, how in found.items() if how == "stale"]
    replaced = _replaced(params, stale)
    if stale and other:
        raise UserError(
            f"{replaced}, would be replaced: {params.root} is the run of {other}. Give this experiment a root of its own "
            f"(`root: runs/NAME`); if it is the same, `{_snakemake(params, stale, '--force')}` trains them again"
        )
    if planned and other:
        print(f"{params.root} was drawn last as the run of {other}", flush=True)
    kept = [cell for cell, how in found.items() if how in ("finished", "damaged")]
    if not kept:
        if stale:
            print(f"{replaced}, trained again", flush=True)
        return
    others = [cell for cell, _ in planned if cell not in kept]
    networks = "a finished network" if len(kept) == 1 else f"{len(kept)} finished networks"
    said = f"{networks}, such as {kept[0].name}, would be trained again, which nobody asked for:"
    advice = _what_brings_back(params, kept, [cell.name for cell in kept if found[cell] == "damaged"])
    if others:
        advice.append(
            f"`{_snakemake(params, others)}` trains what is missing{' or of other settings' if stale else ''}, and nothing else"
        )
    advice.append(f"`{_snakemake(params, kept, '--force')}` trains again what is finished")
    raise UserError("\n- ".join([said, *advice]))


def _what_brings_back(params: Params, kept: Sequence[Cell], damaged: Sequence[str]) -> list[str]:
    """What of finished cells and their data is not here or damaged, and which command helps; a line each."""
    gone = [str(file) for cell in kept for file in params.cell_paths(cell).files if not file.exists()]
    datasets = dict.fromkeys(cell.dataset for cell in kept)
    advice = [
        f"`hal data {dataset}` makes the data that are not here"
        for dataset in datasets
        if not params.data_paths(dataset).arrays.exists()
    ]
    if gone:
        advice.append(
            f"{first_few(gone, 1)}: not here: `dvc pull` or git may bring them back, and `hal evaluate` what can be measured on the "
            "weights that are; `hal draw` draws without them"
        )
    if damaged:
        advice.append(f"{damaged[0]} is damaged (`hal verify` says how): `dvc checkout` or git may mend it")
    return advice


def say_what_is_refused(workflow: Any, params: Params, files: Sequence[str]) -> None:
    """After a dry run, what a real one would refuse."""
    try:
        if workflow.dryrun and snakemake_internals.is_planned(workflow):
            check_finished(workflow, params, files)
            check_gpu(workflow, params)
    except UserError as error:
        print(f"hal: without -n this is refused: {with_overlays(str(error), files)}", flush=True)


def check_gpu(workflow: Any, params: Params) -> None:
    """Refuse once, before the first job, what every cell would refuse here: long training on a CPU that nobody asked for.

    Raises:
        UserError: this machine has no GPU, and cells of a known data set are to be trained here for long.
    """
    if not workflow.local_exec or workflow.touch or not gpu.absent():
        return
    for cell, _ in _to_train(workflow, params):
        try:
            size = size_of(params, cell.dataset)
        except UserError:  # a damaged description is made again before the cell asks
            continue
        if size:
            steps = cell.train.epochs * cell.train.steps(size.train)
            gpu.check_without(params.runtime, cell.name, steps)


def _replaced(params: Params, stale: Sequence[Cell]) -> str:
    """The finished networks of other settings, for a sentence; empty where there is none."""
    if not stale:
        return ""
    record = read_record(params.cell_paths(stale[0]).record)
    changed = "; ".join(differences(record["settings"], stale[0].settings)) or "other data"
    networks = "a finished network" if len(stale) == 1 else f"{len(stale)} finished networks"
    return f"{networks} of other settings, such as {stale[0].name} ({changed})"


def _snakemake(params: Params, cells: Sequence[Cell], *options: str) -> str:
    """The command that trains some cells, to which `with_overlays` adds the overlays; of many the first three."""
    targets = [str(params.path("results", cell.name)) for cell in cells[:3]]
    return shlex.join(["snakemake", *options, *targets]) + " ..." * (len(cells) > 3)


def _to_train(workflow: Any, params: Params) -> list[tuple[Cell, bool]]:
    """The cells that are about to be trained in the grid's order, each with whether that was asked for."""
    cells = []
    for rule, wildcards, asked in snakemake_internals.to_run(workflow):
        if rule.startswith("cell_"):
            dataset, case = Path(wildcards["network"]).parts
            cells.append((params.cell(dataset, case, int(wildcards["seed"])), asked))
    order = {cell.name: i for i, cell in enumerate(params.cells())}
    return sorted(cells, key=lambda entry: order.get(entry[0].name, len(order)))  # one may be beyond the grid
