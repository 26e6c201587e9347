"""One Snakemake at work: the parameters in force, its commands, what it must do again, its lock and its GPUs."""

import contextlib
import hashlib
import itertools
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import BaseFileLock
from safetensors import SafetensorError, safe_open

from hal import dag, gpu, locks, nvidia_mps, snakemake_internals
from hal.cell_files import is_of, read_record
from hal.current import other_experiment
from hal.data.sizes import size_of
from hal.data.wanted import is_another
from hal.errors import UserError
from hal.params import Cell, Params
from hal.present import pdf
from hal.study.grid import data_identity, differences


def overlays(configfiles: Sequence[Path], config: Mapping[str, Any], words: Sequence[str]) -> list[str]:
    """The files of `--configfile`, relative to the working directory where they lie below it.

    Args:
        configfiles: that Snakemake read.
        config: of `--config`.
        words: of the command line.

    Raises:
        UserError: `--config` was given, where one place of truth is a file that is there the next time; or `--configfile` twice.
    """
    if sum(word.partition("=")[0] in ("--configfile", "--configfiles") for word in words) > 1:
        raise UserError(
            "--configfile is given more than once, and Snakemake would read the last alone: name all files after one, "
            "as in `--configfile configs/demo.yaml mine.yaml`"
        )
    if config:
        raise UserError(
            f"--config {' '.join(f'{key}={value}' for key, value in config.items())}: settings come from files; "
            "write them to an overlay such as configs/mine.yaml and give it with --configfile"
        )
    relative = [os.path.relpath(path) for path in configfiles]
    return [path if not path.startswith("..") else str(Path(path).resolve()) for path in relative]


def shell_function(python: str, source: str, files: Sequence[str]) -> str:
    """Shell code that makes `hal ...` mean `python -m hal --overlay FILE ... ...`, with this very Python and source.

    Snakemake formats it, hence the doubled braces.
    """
    words = shlex.join([python, "-m", "hal", *(word for file in files for word in ("--overlay", file))])
    path = shlex.quote(source) + "${PYTHONPATH:+:$PYTHONPATH}"
    code = f'set -euo pipefail; export PYTHONPATH={path}; hal() {{ {words} "$@"; }}; '
    return code.replace("{", "{{").replace("}", "}}")


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


def same_command() -> str:
    """The command that this Snakemake was started with, ready to be pasted."""
    return shlex.join(["snakemake", *sys.argv[1:]])


def hal_command(files: Sequence[str], *words: str) -> str:
    """A command of ours with the same overlays, ready to be pasted."""
    return shlex.join(["hal", *(word for file in files for word in ("--overlay", file)), *words])


def lock(params: Params) -> BaseFileLock:
    """Hold the root for as long as this process lives.

    Snakemake's own lock outlives a killed process and then has to be removed by hand, so the profiles switch it off.

    Raises:
        UserError: another Snakemake is at work there, or nothing can be written there.
    """
    held = locks.acquire(params.path(".lock"))
    if held is None:
        raise UserError(
            f"{params.path('.lock')}: another snakemake is at work in {params.root}; wait for it or stop it"
        )
    return held


def mend_times(params: Params) -> None:
    """Give files that are dated in the future the present as their time.

    A clock that went wrong, or another machine's, dated them. What they are is known from their sums; Snakemake would hold
    whatever is made from them for older than them, and throw it away.
    """
    now = time.time()
    data = [
        str(params.path(f"data/{dataset}{kind}"))
        for dataset in params.grid.datasets
        for kind in (".npz", ".json")
    ]
    for file in [
        *data,
        *(file for dataset in params.grid.datasets for file in dag.all_cell_files(params, dataset)),
    ]:
        with contextlib.suppress(OSError):  # not there, or not ours to change
            if os.stat(file).st_mtime > now:
                os.utime(file)


def standing(params: Params, cell: Cell) -> str:
    """What Snakemake would find of a cell: `none`, one of other settings or data (`stale`), `damaged`, or `finished`, if maybe without some files."""
    paths, (data_sha256, _) = params.cell_paths(cell), data_identity(params, cell.dataset)
    try:
        if paths.record.exists() and not is_of(read_record(paths.record), cell, data_sha256):
            return "stale"
        if paths.weights.exists():
            with safe_open(paths.weights, "numpy") as opened:
                if opened.metadata()["cell"] != cell.hash:
                    return "damaged" if paths.record.exists() else "stale"
    except (OSError, UserError, KeyError, TypeError, SafetensorError):
        return "damaged"
    return "finished" if paths.record.exists() else "none"


def force_if_stale(workflow: Any, params: Params, cell: Cell) -> list[str]:
    """Have a cell trained again, if its files are of other settings or other data.

    What Snakemake remembers of settings lies in .snakemake/, which a fresh clone lacks, and which is wrong
    after `git checkout && dvc checkout`. The cell's own files are right in both.

    Returns:
        No file: this is an input function, because Snakemake calls those for just the cells that it plans with.
    """
    if standing(params, cell) in ("stale", "damaged"):
        snakemake_internals.force(workflow, str(params.cell_paths(cell).record))
    return []


def force_if_other_data(workflow: Any, params: Params, dataset: str) -> list[str]:
    """Have a data set prepared again, if the one that is here is not what params.yaml means; no file, as in `force_if_stale`."""
    if is_another(params, dataset):
        snakemake_internals.force(workflow, str(params.path("data", f"{dataset}.npz")))
    return []


def force_if_outdated(workflow: Any, outdated: Container[str], files: Sequence[str]) -> list[str]:
    """Have files drawn again if one of them is among the outdated ones (see `hal.current`); returns no file, as above."""
    if any(file in outdated for file in files):
        snakemake_internals.force(workflow, files[0])
    return []


def pdf_outdated(params: Params) -> list[str]:
    """report/pdf.txt, if it speaks of another PDF than the one there is, or of a TeX that was missing and is here now."""
    (note,) = dag.drawn_by(params, "pdf")
    return [] if pdf.note_holds(params, Path(note)) else [note]


def forget_states(workflow: Any, params: Params) -> None:
    """Delete what `hal train --keep-state` left of cells of the grid that are finished under the settings in force.

    Not of a cell that finished unseen, while Snakemake was being stopped: it will start that cell again, having deleted
    its files, and the state then saves the training.
    """
    records = {str(params.cell_paths(cell).record): cell for cell in params.cells()}
    unseen = snakemake_internals.marked_incomplete(workflow, records)
    for record, cell in records.items():
        if record not in unseen and standing(params, cell) == "finished":
            shutil.rmtree(params.cell_paths(cell).resume, ignore_errors=True)


def share_gpus(workflow: Any, params: Params) -> None:
    """Let Snakemake start `cells_per_gpu` cells on this machine for each GPU of `--resources gpu=N`.

    A cell takes one of the resource, so that a cluster gives it a GPU; what is multiplied is how many there are here. On a
    cluster nothing is: each job has a GPU of its own.
    """
    if workflow.local_exec:
        snakemake_internals.multiply_resource(workflow, "gpu", params.runtime.cells_per_gpu)


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


def check_finished(workflow: Any, params: Params, files: Sequence[str]) -> None:
    """Refuse to train again what is finished or damaged, unless somebody asked for it.

    In a clone without checkpoints or data Snakemake would delete the results that are here before a job begins, and another
    machine's bytes would take their place. `files` are the overlays.

    Raises:
        UserError: there are such cells.
    """
    if workflow.touch:
        return
    planned = _to_train(workflow, params)
    found = {cell: standing(params, cell) for cell, asked in planned if not asked}
    _check_replaced(params, [cell for cell, how in found.items() if how == "stale"], files)
    kept = [cell for cell, how in found.items() if how in ("finished", "damaged")]
    if not kept:
        return
    gone = [file for cell in kept for file in params.cell_paths(cell).files if not file.exists()]
    data = list(
        dict.fromkeys(c.dataset for c in kept if not params.path("data", f"{c.dataset}.npz").exists())
    )
    damaged = [cell.name for cell in kept if found[cell] == "damaged"]
    advice = [f"`{hal_command(files, 'data', dataset)}` makes the data that are not here" for dataset in data]
    if gone:
        advice.append(
            f"{gone[0]}{f' and {len(gone) - 1} more' * (len(gone) > 1)}: not here: `dvc pull` or git may bring them back, and "
            f"`{hal_command(files, 'evaluate')}` what can be measured on the weights that are; `{hal_command(files, 'draw')}` draws without them"
        )
    if damaged:
        advice.append(
            f"{damaged[0]} is damaged (`{hal_command(files, 'verify')}` says how): `dvc checkout` or git may mend it"
        )
    others = [cell for cell, _ in planned if cell not in kept]
    if others:
        advice.append(f"`{_snakemake(params, others, files)}` trains what is missing, and nothing else")
    advice.append(f"`{_snakemake(params, kept, files, '--force')}` trains again what is finished")
    networks = "a finished network" if len(kept) == 1 else f"{len(kept)} finished networks"
    said = f"{networks}, such as {kept[0].name}, would be trained again, which nobody asked for:"
    raise UserError("\n- ".join([said, *advice]))


def _check_replaced(params: Params, stale: Sequence[Cell], files: Sequence[str]) -> None:
    """Say which finished networks of other settings are about to be replaced, and refuse where they are another experiment's."""
    cells = [cell for cell in stale if params.cell_paths(cell).record.exists()]
    if not cells:
        return
    record = read_record(params.cell_paths(cells[0]).record)
    changed = "; ".join(differences(record["settings"], cells[0].settings)) or "other data"
    networks = "a finished network" if len(cells) == 1 else f"{len(cells)} finished networks"
    said = f"{networks} of other settings, such as {cells[0].name} ({changed})"
    if other := other_experiment(params, files):
        raise UserError(
            f"{said}, would be replaced: {params.root} is the run of {other}. Give this experiment a root of its own "
            f"(`root: runs/NAME`); if it is the same, `{_snakemake(params, cells, files, '--force')}` trains them again"
        )
    print(f"{said}, {'is' if len(cells) == 1 else 'are'} trained again", flush=True)


def say_what_is_refused(workflow: Any, params: Params, files: Sequence[str]) -> None:
    """After a dry run, what a real one would refuse."""
    try:
        if workflow.dryrun and snakemake_internals.is_planned(workflow):
            check_finished(workflow, params, files)
    except UserError as error:
        print(f"hal: without -n this is refused: {error}", flush=True)


def _snakemake(params: Params, cells: Sequence[Cell], files: Sequence[str], *options: str) -> str:
    """The command that trains some cells, ready to be pasted; of many the first three."""
    targets = [str(params.path("results", cell.name)) for cell in cells[:3]]
    more = ["..."] if len(cells) > 3 else []
    overlays = ["--configfile", *files] if files else []
    return " ".join(
        [shlex.join(["snakemake", *options, *targets]), *more, *([shlex.join(overlays)] if overlays else [])]
    )


def _to_train(workflow: Any, params: Params) -> list[tuple[Cell, bool]]:
    """The cells that are about to be trained in the grid's order, each with whether that was asked for."""
    cells = []
    for rule, wildcards, asked in snakemake_internals.to_run(workflow):
        if rule.startswith("cell_"):
            dataset, case = Path(wildcards["network"]).parts
            cells.append((params.cell(dataset, case, int(wildcards["seed"])), asked))
    order = {cell.name: i for i, cell in enumerate(params.cells())}
    return sorted(cells, key=lambda entry: order.get(entry[0].name, len(order)))  # one may be beyond the grid


def say_limit(workflow: Any, params: Params) -> None:
    """Say that a cluster trains one network at a time, where the limit of the default profile holds there."""
    one = snakemake_internals.limit_of(workflow, "gpu") == 1
    if one and dag.gpus(params) and not workflow.local_exec:
        print(
            "One network at a time: profiles/default allows one GPU, and holds beside a profile that --profile or SNAKEMAKE_PROFILE "
            "names. `--resources gpu=N` allows N; --workflow-profile takes the place of profiles/default"
        )


def say_full_disk(params: Params) -> None:
    """Say that the disk is full, where not even a job's log has room to say so."""
    if shutil.disk_usage(params.path()).free < 2**20:
        print(f"{params.path()}: No space left on device; make room and run the same command again")


def start_mps(params: Params) -> None:
    """Have the cells that share a GPU compute there side by side, if this machine can."""
    shared = params.runtime.cells_per_gpu
    if dag.gpus(params) and shared > 1 and shutil.which("nvidia-smi"):
        reason = nvidia_mps.start(_mps_folder(params))
        how = "side by side" if reason is None else f"in turns, without MPS: {reason}"
        print(f"Up to {shared} cells at once on each GPU, {how}")


def stop_mps(params: Params) -> None:
    """End what `start_mps` started."""
    nvidia_mps.stop(_mps_folder(params))


def _mps_folder(params: Params) -> Path:
    """One for each root, of which one Snakemake at a time has the lock; its path is short, as a socket's must be."""
    root = hashlib.sha256(str(Path(params.root).resolve()).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir(), f"hal-mps-{os.getuid()}-{root}")
