"""How far a run has come, for a person who waits for it."""

import datetime
import statistics
from collections.abc import Sequence

from hal.study.grid import CellResult

_SIGNS = {"ok": "●", "diverged": "✕", "unfinished": "◐", "missing": "○", "stale": "s", "broken": "!"}


def report(results: Sequence[CellResult]) -> str:
    """A line a case with a sign for each seed, what needs a person's eye, and the training time left."""
    width = max(len(f"{r.cell.dataset}/{r.cell.case}") for r in results)
    cases = dict.fromkeys(f"{r.cell.dataset}/{r.cell.case}" for r in results)
    signs = {
        case: "".join(_SIGNS[r.state] for r in results if f"{r.cell.dataset}/{r.cell.case}" == case)
        for case in cases
    }
    lines = [f"{case:{width}}  {signs[case]}" for case in cases]
    lines.append("  ".join(f"{sign} {state}" for state, sign in _SIGNS.items()))
    lines += [f"{r.cell.name}: {r.state} {r.reason}" for r in results if r.state not in ("ok", "missing")]
    done = sum(r.state in ("ok", "diverged") for r in results)
    return "\n".join([*lines, f"{done} of {len(results)} cells done{_left(results)}"])


def _left(results: Sequence[CellResult]) -> str:
    """The training time of the cells to come, if a finished cell of each data set tells how long one takes."""
    to_come = [r for r in results if r.state not in ("ok", "diverged")]
    if not to_come:
        return ""
    seconds = 0.0
    for r in to_come:
        took = [s.record["time"]["wall_s"] for s in results if s.ok and s.cell.dataset == r.cell.dataset]
        if not took:
            return ""
        seconds += statistics.mean(took)
    at_once = sum(r.state == "unfinished" for r in to_come) or 1
    left = datetime.timedelta(seconds=round(seconds / at_once))
    return f"; at most {left} left, {at_once} at once"
