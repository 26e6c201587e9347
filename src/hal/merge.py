"""Cells that were trained at several sites, brought together into one grid; nothing is ever replaced."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hal import locks, remeasured, session
from hal.cell_files import check_sum, read_record, recorded_files
from hal.errors import UserError
from hal.files import replace_together
from hal.params import Cell, Params
from hal.study.grid import CellResult, data_identity, differences, load_grid


def merge(params: Params, others: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Copy the cells that are missing here, are whole elsewhere, and are of the settings and data in force.

    Each cell.json keeps where it was made.

    Args:
        params: the grid that they go into.
        others: roots of other runs, which hold `results/` and `checkpoints/`.

    Returns:
        What was taken, and what was not and why; a line a cell.

    Raises:
        UserError: before anything is copied: there is no such run; a Snakemake is at work here; a cell is finished in two
            places under the same settings, with other bytes; or one that would be copied is damaged, or was trained on other data.
    """
    for other in others:
        _check_run(params, other)
    held = session.lock(params)  # a Snakemake deletes what comes in for a cell that it planned to train
    try:
        return _merge(params, others)
    finally:
        held.release()


def _merge(params: Params, others: Sequence[Path]) -> tuple[list[str], list[str]]:
    results = load_grid(params)
    chosen: dict[str, tuple[Cell, Path, dict[str, Any]]] = {}
    refused: list[str] = []
    for result in results:
        cell = result.cell
        for other in others:
            try:
                record = read_record(other / "results" / cell.name / "cell.json")
            except FileNotFoundError:
                continue
            except UserError as error:
                if not result.finished:
                    raise UserError(f"{error}; nothing was copied") from None
                refused.append(f"{error}; the cell is finished here")
                continue
            if record["hash"] != cell.hash:
                changed = "; ".join(differences(record["settings"], cell.settings)) or "its hash is another"
                refused.append(f"{cell.name}: that of {other} is of other settings ({changed})")
            elif result.finished:
                _check_same(cell, result.record, record, params.path("results", cell.name), other)
            elif result.record or result.state == "broken":  # finished under other settings, or damaged
                here = params.path("results", cell.name)
                refused.append(
                    f"{cell.name}: {here} is {result.state} {result.reason}; move it away to take that of {other}"
                )
            elif cell.name in chosen:
                _, first, known = chosen[cell.name]
                _check_same(cell, known, record, first, other)
            else:
                _check_files(cell, other, record)
                chosen[cell.name] = cell, other, record
    _check_data(params, results, {name: record for name, (_, _, record) in chosen.items()})
    taken: list[str] = []
    for cell, other, record in chosen.values():
        said = _copy(params, cell, other, record)
        (refused if said is None else taken).append(
            said or f"{cell.name}: is being trained here, or was while others were copied"
        )
    return taken, refused


def lacking_data(params: Params) -> list[str]:
    """The data sets that are not prepared here, without which Snakemake would want to train their cells again."""
    return [d for d in params.grid.datasets if not params.data_paths(d).arrays.exists()]


def _check_run(params: Params, other: Path) -> None:
    if not (other / "results").is_dir():
        raise UserError(f"{other}: no folder with results/; name the root of a run, such as runs/short")
    if other.resolve() == params.path().resolve():
        raise UserError(f"{other}: is the grid that cells shall go into; name another run's root")


def _sources(cell: Cell, root: Path, record: dict[str, Any]) -> list[tuple[str, Path]]:
    """The files that cell.json speaks of and that are there, and what vouches for those measured again, each with its folder's name."""
    files = [
        (folder, path)
        for folder in ("results", "checkpoints")
        for path in recorded_files(record, root / folder / cell.name)
        if path.is_file()
    ]
    checkpoints = root / "checkpoints" / cell.name
    if remeasured.among(checkpoints, record):
        files.append(("checkpoints", checkpoints / remeasured.NOTE))
    return files


def _check_files(cell: Cell, root: Path, record: dict[str, Any]) -> None:
    sources = _sources(cell, root, record)
    for _, path in sources:
        check_sum(path, record)
    there = {path.name for _, path in sources}
    lacking = [name for name in ("curves.csv", *(["scores.npz"] if cell.scored else [])) if name not in there]
    if lacking:
        raise UserError(f"{root / 'results' / cell.name}: {', '.join(lacking)} missing; nothing was copied")


def _check_same(cell: Cell, one: dict[str, Any], other: dict[str, Any], here: Path, there: Path) -> None:
    if one["files"] != other["files"]:
        raise UserError(
            f"{cell.name}: finished in {here} and in {there} under the same settings, with other bytes; nothing was copied. "
            "`hal compare` shows both; move one of them away"
        )


def _check_data(params: Params, results: Sequence[CellResult], chosen: dict[str, dict[str, Any]]) -> None:
    """Refuse cells of one data set that were trained on different data."""
    used: dict[str, tuple[str, str]] = {}  # of each data set: what the data are, and who says so
    for dataset in params.grid.datasets:
        sha256, _ = data_identity(params, dataset)
        if sha256 is not None:
            used[dataset] = sha256, str(params.data_paths(dataset).description)
    here = {result.cell.name: result.record for result in results if result.finished}
    for name, record in (here | chosen).items():
        sha256 = str(record["provenance"].get("data_sha256"))
        known, who = used.setdefault(name.split("/")[0], (sha256, name))
        if sha256 != known and name in chosen:
            raise UserError(f"{name}: trained on other data than {who} speaks of; nothing was copied")


def _copy(params: Params, cell: Cell, root: Path, record: dict[str, Any]) -> str | None:
    """Bring one cell here, its cell.json last, and say so; None if it is being trained here, or has just been."""
    paths = params.cell_paths(cell)
    lock = locks.acquire(paths.lock)
    if lock is None:
        return None
    try:
        if paths.record.exists():
            return None
        folders = {"results": paths.results, "checkpoints": paths.checkpoints}
        sources = _sources(cell, root, record)
        files = {folders[folder] / path.name: path.read_bytes() for folder, path in sources}
        files[paths.record] = (root / "results" / cell.name / "cell.json").read_bytes()
        replace_together(files)
    finally:
        lock.release()
    lacking = sorted(set(record["files"]) - {path.name for _, path in sources})
    without = f"; without {', '.join(lacking)}, which Snakemake will ask for" if lacking else ""
    again = ", ".join(sorted(remeasured.among(paths.checkpoints, record)))
    with_again = f"; {again} measured again on another machine" if again else ""
    made = record["provenance"]
    return f"{cell.name}: from {root} (made on {made.get('device')}, code {made.get('code')}{with_again}{without})"
