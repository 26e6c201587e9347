"""How far a run has come, for a person who waits for it."""

import datetime
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from hal.study.grid import CellResult

_SIGNS = {"ok": "●", "diverged": "✕", "unfinished": "◐", "missing": "○", "stale": "s", "broken": "!"}
_DONE = ("ok", "diverged")


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
    lines += [_said(r) for r in results if r.state not in ("ok", "missing")]
    return "\n".join([*lines, in_a_line(results)])


def in_a_line(results: Sequence[CellResult]) -> str:
    """How many cells are done, and the training time of those to come."""
    done = sum(r.state in _DONE for r in results)
    return f"{done} of {len(results)} cells done{_left(results)}"


def watch(load: Callable[[], Sequence[CellResult]], every_s: float = 5.0) -> None:
    """Show the report anew until every cell is done: in place on a terminal, else a line whenever it changes.

    Args:
        load: looks at every cell.
        every_s: seconds from one look to the next.
    """
    shown = ""
    while True:
        results = load()
        text = report(results) if sys.stdout.isatty() else in_a_line(results)
        if sys.stdout.isatty():
            above = shown.count("\n") + 1 if shown else 0
            print(f"\x1b[{above}F\x1b[J" * bool(above) + text, flush=True)
        elif text != shown:
            print(text, flush=True)
        shown = text
        if all(r.state in _DONE for r in results):
            return
        time.sleep(every_s)


def _said(result: CellResult) -> str:
    error = result.progress.get("test_error")
    latest = f", test error {error:.2f} %" if isinstance(error, int | float) else ""
    return f"{result.cell.name}: {result.state} {result.reason}{latest}"


def _left(results: Sequence[CellResult]) -> str:
    """The training time of the cells to come, where an epoch's is known of each of their data sets.

    It is known from finished cells, else from the epochs of those under way.
    """
    to_come = [r for r in results if r.state not in _DONE]
    if not to_come:
        return ""
    seconds, unknown = 0.0, []
    for dataset in dict.fromkeys(r.cell.dataset for r in to_come):
        mine = [r for r in results if r.cell.dataset == dataset]
        an_epoch = [r.record["time"]["wall_s"] / r.record["epochs"] for r in mine if r.ok] or [
            r.progress["wall_s"] / r.progress["epoch"]
            for r in mine
            if r.progress.get("epoch") and isinstance(r.progress.get("wall_s"), int | float)
        ]
        if not an_epoch:
            unknown.append(dataset)
            continue
        epochs = (
            r.cell.train.epochs - r.progress.get("epoch", 0) for r in to_come if r.cell.dataset == dataset
        )
        seconds += sum(epochs) * statistics.mean(an_epoch)
    if len(unknown) == len({r.cell.dataset for r in to_come}):
        return ""
    at_once = sum(r.state == "unfinished" for r in to_come) or 1
    left = datetime.timedelta(seconds=round(seconds / at_once))
    without = f", and {', '.join(unknown)}, of which no epoch is over yet" if unknown else ""
    return f"; about {left} left, {at_once} at once{without}"
