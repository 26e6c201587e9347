"""Two runs beside each other: cell by cell, network by network, claim by claim. From their files alone, whatever their settings."""

from pathlib import Path
from typing import Any

import pandas as pd

from hal import sums
from hal.cell_files import made_with, read_record
from hal.errors import UserError
from hal.study.comparisons import difference
from hal.study.grid import differences
from hal.study.resampling import holm, moments, welch_p

# What two machines must have in common for the same bytes, if the kernels are deterministic.
SAME = ("device", "torch", "cuda", "driver", "cpu_threads", "deterministic")
MADE_WITH = (*SAME, "code", "data_sha256")
_KEY = ["dataset", "case", "seed"]
_JUDGED = ["verdict", "indication", "why"]


def cells(a: Path, b: Path) -> pd.DataFrame:
    """A row for every cell that either run has finished.

    Args:
        a: the folder that holds a run's `results/`.
        b: another run's.

    Columns: dataset, case, seed; a_error, b_error (percent; NaN where it diverged or is not there), difference (b minus a);
    agreement: `same bytes`, `other bytes` (under the same settings), `other settings`, `only in A` or `only in B`; settings
    (which differ); notes (what diverged, and what it was made with where only bytes differ).

    Raises:
        UserError: a run has no finished cell, or a cell.json cannot be read.
    """
    first, second = _records(a), _records(b)
    rows = []
    for key in first | second:
        one, other = first.get(key), second.get(key)
        row: dict[str, Any] = dict(zip(_KEY, key, strict=True))
        row |= {"a_error": _error(one), "b_error": _error(other)}
        row["difference"] = row["b_error"] - row["a_error"]
        rows.append(row | _agreement(one, other))
    return pd.DataFrame(rows)


def networks(cells: pd.DataFrame) -> pd.DataFrame:
    """A row for every data set and case: n, mean and sample deviation in either run, and their difference.

    Columns: dataset, case; a_n, a_mean, a_sd, b_n, b_mean, b_sd; difference (b minus a, points) with difference_low and difference_high (Welch, 95 %), p and
    p_holm (corrected for all rows).
    """
    rows = []
    for (dataset, case), mine in cells.groupby(["dataset", "case"], sort=False):
        a, b = (moments(mine[f"{side}_error"].dropna()) for side in "ab")
        rows.append(
            {"dataset": dataset, "case": case, "a_n": a.n, "a_mean": a.mean, "a_sd": a.sd}
            | {"b_n": b.n, "b_mean": b.mean, "b_sd": b.sd}
            | difference("difference", b, a)
            | {"p": welch_p(b, a)}
        )
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table["p"].to_numpy()))


def claims(a: Path, b: Path) -> pd.DataFrame:
    """A row for every claim that both runs judge, as `verdicts.csv` has it.

    Columns: id, says; a_verdict, a_indication (what speaks for or against it where the run is not the paper's), a_why (a sentence
    with the numbers and their intervals), and the same of b; verdict_differs, indication_differs.

    No row where a run has no verdicts, or damaged ones.
    """
    one, other = _verdicts(a), _verdicts(b)
    if one is None or other is None:
        one = other = pd.DataFrame(columns=["id", "says", *_JUDGED], dtype=str)
    one = one.rename(columns={name: f"a_{name}" for name in _JUDGED})
    other = other.rename(columns={name: f"b_{name}" for name in _JUDGED})
    both = one.merge(other.drop(columns="says"), on="id")
    differ = {f"{name}_differs": both[f"a_{name}"] != both[f"b_{name}"] for name in ("verdict", "indication")}
    return both.assign(**differ)


def _records(run: Path) -> dict[tuple[str, str, int], dict[str, Any]]:
    records = {}
    for path in sorted(run.glob("results/*/*/seed*/cell.json")):
        record = read_record(path)
        dataset, case, seed = path.parent.parts[
            -3:
        ]  # what is planned by that name, whatever its cell.json calls itself
        if seed.removeprefix("seed").isdecimal():
            records[dataset, case, int(seed.removeprefix("seed"))] = record
    if not records:
        raise UserError(f"{run}: no finished cell in its results/; name a run's folder, or a git revision")
    return records


def _error(record: dict[str, Any] | None) -> float:
    return float("nan") if record is None or record["status"] != "ok" else record["test_error"]


def _agreement(a: dict[str, Any] | None, b: dict[str, Any] | None) -> dict[str, str]:
    if a is None or b is None:
        return {"agreement": "only in B" if a is None else "only in A", "settings": "", "notes": ""}
    diverged = [f"diverged in {side}" for side, record in (("A", a), ("B", b)) if record["status"] != "ok"]
    if a["hash"] != b["hash"]:
        changed = differences(b["settings"], a["settings"]) or ["the hash"]
        return {"agreement": "other settings", "settings": "; ".join(changed), "notes": "; ".join(diverged)}
    if a["files"] and a["files"] == b["files"]:
        return {"agreement": "same bytes", "settings": "", "notes": "; ".join(diverged)}
    made = [
        f"{key} {made_with(b, key)}, not {made_with(a, key)}"
        for key in MADE_WITH
        if made_with(a, key) != made_with(b, key)
    ]
    return {"agreement": "other bytes", "settings": "", "notes": "; ".join(diverged + made)}


def _verdicts(run: Path) -> pd.DataFrame | None:
    try:
        sums.check(run / "results/verdicts.csv", run / "results/study.sha256")
        return pd.read_csv(run / "results/verdicts.csv", keep_default_na=False)[["id", "says", *_JUDGED]]
    except (OSError, ValueError, KeyError):
        return None
