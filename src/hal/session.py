"""One Snakemake at work: the overlays in force, its commands, what it must do again, its lock and its GPUs."""

import contextlib
import hashlib
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import BaseFileLock

from hal import dag, gpu, locks, nvidia_mps, snakemake_internals
from hal.cell_files import is_complete
from hal.data.wanted import fault
from hal.errors import UserError
from hal.params import Cell, Params
from hal.present import pdf
from hal.standing import standing


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


def same_command() -> str:
    """The command that this Snakemake was started with, ready to be pasted."""
    return shlex.join(["snakemake", *sys.argv[1:]])


def lock(params: Params) -> BaseFileLock:
    """Hold the root for as long as this process lives.

    Snakemake's own lock outlives a killed process and then has to be removed by hand, so the profiles switch it off.

    Raises:
        UserError: another Snakemake is at work there, or a `hal merge`; or nothing can be written there.
    """
    held = locks.acquire(params.lock)
    if held is None:
        raise UserError(
            f"{params.lock}: another snakemake, or a merge, is at work in {params.root}; wait for it or stop it"
        )
    return held


def mend_times(params: Params) -> None:
    """Give files that are dated in the future the present as their time.

    A clock that went wrong, or another machine's, dated them. What they are is known from their sums; Snakemake would hold
    whatever is made from them for older than them, and throw it away.
    """
    now = time.time()
    files: list[Path | str] = [*dag.drawn_files(params)]
    for dataset in params.grid.datasets:
        data = params.data_paths(dataset)
        files += [data.arrays, data.description, *dag.all_cell_files(params, dataset)]
    for file in files:
        with contextlib.suppress(OSError):  # not there, or not ours to change
            if os.stat(file).st_mtime > now:
                # All the same, so that nothing drawn becomes older than its cells.
                os.utime(file, (now, now))


def force_if_stale(workflow: Any, params: Params, cell: Cell, found: str) -> list[str]:
    """Have a cell trained again, if its files are of other settings or other data.

    What Snakemake remembers of settings lies in .snakemake/, which a fresh clone lacks, and which is wrong
    after `git checkout && dvc checkout`. The cell's own files are right in both: `found` is their `standing`.

    Returns:
        No file: this is an input function, because Snakemake calls those for just the cells that it plans with.
    """
    if found in ("stale", "damaged"):
        snakemake_internals.force(workflow, str(params.cell_paths(cell).record))
    return []


def force_if_other_data(workflow: Any, params: Params, dataset: str) -> list[str]:
    """Have a data set prepared again, if the one that is here is not what params.yaml means; no file, as in `force_if_stale`."""
    if fault(params, dataset):
        snakemake_internals.force(workflow, str(params.data_paths(dataset).arrays))
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
    """Delete what `hal train` left, beside a Snakemake, of cells that are finished under the settings in force.

    At a run's end, and at the next one's beginning, as a run that was killed has no end: a cell that is to be trained again
    would else go on after its last epoch. Not of one that is being trained again, or was until it was stopped; and not of a
    cell that finished unseen, while Snakemake was being stopped: it will start that cell again, having deleted its files, and
    the state then saves the training.
    """
    complete = {
        str(params.cell_paths(cell).record): cell
        for cell in [*params.cells(), *_beyond(params)]
        if is_complete(params.cell_paths(cell).resume) and not locks.is_held(params.cell_paths(cell).lock)
    }
    unseen = snakemake_internals.marked_incomplete(workflow, complete)
    for record, cell in complete.items():
        if record not in unseen and standing(params, cell) == "finished":
            shutil.rmtree(params.cell_paths(cell).resume, ignore_errors=True)


def _beyond(params: Params) -> list[Cell]:
    """Cells that lie in results/ beside those of the grid, such as a seed that somebody asked for."""
    there = {
        path.parent.relative_to(params.path("results"))
        for path in params.path("results").glob("*/*/seed*/cell.json")
    }
    cells = []
    for name in sorted(there - {Path(cell.name) for cell in params.cells()}):
        dataset, case, seed = name.parts
        with contextlib.suppress(UserError, ValueError):  # of settings given up
            cells.append(params.cell(dataset, case, int(seed.removeprefix("seed"))))
    return cells


def gpus(workflow: Any, params: Params) -> int:
    """How many GPUs a cell takes of Snakemake's `gpu` resource: none where it will be trained on this machine's CPU."""
    device = params.runtime.device
    on_cpu = device == "cpu" or (device == "auto" and workflow.local_exec and gpu.absent())
    return 0 if on_cpu else 1


def share_gpus(workflow: Any, params: Params) -> None:
    """Let Snakemake start `cells_per_gpu` cells on this machine for each GPU of `--resources gpu=N`.

    A cell takes one of the resource, so that a cluster gives it a GPU; what is multiplied is how many there are here. On a
    cluster nothing is: each job has a GPU of its own.
    """
    if workflow.local_exec:
        snakemake_internals.multiply_resource(workflow, "gpu", params.runtime.cells_per_gpu)


def say_limit(workflow: Any, params: Params) -> None:
    """Say that a cluster trains one network at a time, where the limit of the default profile holds there."""
    one = snakemake_internals.limit_of(workflow, "gpu") == 1
    if one and gpus(workflow, params) and not workflow.local_exec:
        print(
            "One network at a time: profiles/default allows one GPU, and holds beside a profile that --profile or SNAKEMAKE_PROFILE "
            "names. `--resources gpu=N` allows N; --workflow-profile takes the place of profiles/default"
        )


def say_full_disk(params: Params) -> None:
    """Say that the disk is full, where not even a job's log has room to say so."""
    if shutil.disk_usage(params.path()).free < 2**20:
        print(f"{params.path()}: No space left on device; make room and run the same command again")


def start_mps(workflow: Any, params: Params) -> None:
    """Have the cells that share a GPU compute there side by side, if this machine can."""
    shared = params.runtime.cells_per_gpu
    if gpus(workflow, params) and shared > 1 and shutil.which("nvidia-smi"):
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
