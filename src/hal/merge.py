"""Cells that were trained at several sites, brought together into one grid; nothing is ever replaced."""

from collections.abc import Sequence
from pathlib import Path

from hal.cell_files import check_sum, faults, read_record
from hal.errors import UserError, first_line
from hal.files import replace_together
from hal.params import Cell, Params
from hal.study.grid import load_grid


def merge(params: Params, others: Sequence[Path]) -> list[str]:
    """Copy the cells that are missing here, are whole elsewhere, and are of the settings and data in force.

    Each cell.json keeps where it was made.

    Args:
        params: the grid that they go into.
        others: roots of other runs, which hold `results/` and `checkpoints/`.

    Returns:
        What was done, a line a cell.

    Raises:
        UserError: before anything is copied: a cell is finished in two places under the same settings, with other bytes; or one
            that would be copied is damaged.
    """
    said: list[str] = []
    contents: dict[str, dict[Path, bytes]] = {}
    chosen: dict[str, tuple[Path, dict]] = {}
    for result in load_grid(params):
        cell = result.cell
        for other in others:
            record = _record(other, cell)
            if record is None:
                continue
            if result.state in ("ok", "diverged"):
                if record.get("files") != result.record.get("files"):
                    raise _conflict(cell, params.path("results", cell.name), other)
                continue
            if cell.name in chosen:
                if record.get("files") != chosen[cell.name][1].get("files"):
                    raise _conflict(cell, chosen[cell.name][0], other)
                continue
            chosen[cell.name] = other, record
            contents[cell.name] = _files(params, cell, other, record)
            made = record["provenance"]
            said.append(f"{cell.name}: from {other} (made on {made.get('device')}, code {made.get('code')})")
    _check_data(params, {name: record for name, (_, record) in chosen.items()})
    for files in contents.values():
        replace_together(files)
    return said


def _record(root: Path, cell: Cell) -> dict | None:
    """The other run's finished cell of that name, if it is of these settings."""
    path = root / "results" / cell.name / "cell.json"
    try:
        record = read_record(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({first_line(error)}); nothing was copied") from None
    return record if not faults(record) and record["hash"] == cell.hash else None


def _files(params: Params, cell: Cell, root: Path, record: dict) -> dict[Path, bytes]:
    """The cell's files by their places here, cell.json last."""
    paths, files = params.cell_paths(cell), {}
    for name in record.get("files") or {}:
        for folder, target in (("results", paths.results), ("checkpoints", paths.checkpoints)):
            source = root / folder / cell.name / name
            if source.is_file():
                check_sum(source, record)
                files[target / name] = source.read_bytes()
    here = {path.name for path in files}
    lacking = [name for name in ("curves.csv", *(["scores.npz"] if cell.scored else [])) if name not in here]
    if lacking:
        raise UserError(f"{root / 'results' / cell.name}: {', '.join(lacking)} missing; nothing was copied")
    files[paths.results / "cell.json"] = (root / "results" / cell.name / "cell.json").read_bytes()
    return files


def _check_data(params: Params, records: dict[str, dict]) -> None:
    """Refuse cells of one data set that were trained on different data."""
    used: dict[str, dict[str, str]] = {}
    for result in load_grid(params):
        if result.state in ("ok", "diverged"):
            records = {result.cell.name: result.record} | records
    for name, record in records.items():
        sha256 = str(record["provenance"].get("data_sha256"))
        others = used.setdefault(name.split("/")[0], {sha256: name})
        if sha256 not in others:
            raise UserError(
                f"{name} and {next(iter(others.values()))} were trained on different data; nothing was copied"
            )


def _conflict(cell: Cell, here: Path, there: Path) -> UserError:
    return UserError(
        f"{cell.name}: finished in {here} and in {there} under the same settings, with other bytes; nothing was copied. "
        "`hal compare` shows both; move one of them away"
    )
