"""How far a run has come, for a person who waits for it."""

import datetime
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from hal import gpu, locks
from hal.study.grid import CellResult, Progress

_SIGNS = {"ok": "●", "diverged": "✕", "unfinished": "◐", "missing": "○", "stale": "s", "broken": "!"}
_NAMED = 8  # running cells in one line
_PAUSE_S = 60  # beyond three epochs' time: of a cell that saved nothing for so long nobody says that it runs


def report(results: Sequence[CellResult]) -> str:
    """A line a case with a sign for each seed, what needs a person's eye, and the training time left."""
    width = max(len(f"{r.cell.dataset}/{r.cell.case}") for r in results)
    signs: dict[str, str] = {}
    for r in results:
        case = f"{r.cell.dataset}/{r.cell.case}"
        signs[case] = signs.get(case, "") + _SIGNS[r.state]
    lines = [f"{case:{width}}  {of_seeds}" for case, of_seeds in signs.items()]
    lines.append("  ".join(f"{sign} {state}" for state, sign in _SIGNS.items()))
    lines += [_said(r) for r in results if r.state not in ("ok", "missing")]
    return "\n".join([*lines, in_a_line(results)])


def in_a_line(results: Sequence[CellResult]) -> str:
    """How many cells are done, the training time of those to come, and which run, with their epoch and test error."""
    done = sum(r.finished for r in results)
    running = [r for r in results if _runs(r)]
    named = [
        f"{r.cell.name} {p.epoch}/{p.epochs}{_error(p, ' ')}" for r in running[:_NAMED] if (p := r.progress)
    ]
    named += [f"{len(running) - _NAMED} more"] if len(running) > _NAMED else []
    now = f"; running: {', '.join(named)}" if named else ""
    return f"{done} of {len(results)} cells done{_left(results)}{now}"


def while_training(results: Sequence[CellResult]) -> str:
    """The same while there is something to wait for; nothing once all cells are done."""
    return "" if all(r.finished for r in results) else in_a_line(results)


def watch(load: Callable[[], Sequence[CellResult]], every_s: float = 5.0) -> None:
    """Show the report anew until every cell is done: in place on a terminal, else a line whenever it changes.

    Args:
        load: looks at every cell.
        every_s: seconds from one look to the next.
    """
    in_place = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    shown = ""
    while True:
        results = load()
        text = fitted(report(results), *shutil.get_terminal_size()) if in_place else in_a_line(results)
        if text != shown:
            above = shown.count("\n") + 1 if shown and in_place else 0
            print(f"\x1b[{above}F\x1b[J" * bool(above) + text, flush=True)
        shown = text
        if all(r.finished for r in results):
            return
        time.sleep(every_s)


def fitted(text: str, columns: int, rows: int) -> str:
    """The text within a window, from whose top a cursor could not come back: the last lines, none of them wrapped."""
    lines = text.splitlines()
    if len(lines) >= rows:
        lines = ["…", *lines[len(lines) - rows + 2 :]]
    return "\n".join(line if len(line) <= columns else f"{line[: columns - 1]}…" for line in lines)


def _runs(result: CellResult) -> bool:
    """Whether a process holds an unfinished cell, and it has saved an epoch as lately as one that trains would have.

    A process may hang, and one that was killed has saved a moment ago. Of a cell on another machine it is known only where the
    file system shows that machine's locks.
    """
    progress = result.progress
    if progress is None or not progress.epoch:
        return False
    an_epoch = None if progress.wall_s is None else progress.wall_s / progress.epoch
    lately = an_epoch is None or time.time() - progress.saved < 3 * an_epoch + _PAUSE_S
    return lately and locks.is_held(result.paths.lock)


def _said(result: CellResult) -> str:
    state: str = result.state
    if result.progress and result.progress.epoch:
        state = "running," if _runs(result) else "stopped"  # an epoch's end is all that is known of it
    return f"{result.cell.name}: {state} {result.reason}{_error(result.progress, ', test error ')}"


def _error(progress: Progress | None, before: str) -> str:
    return f"{before}{progress.test_error:.2f} %" if progress and progress.test_error is not None else ""


def _left(results: Sequence[CellResult]) -> str:
    """The training time of the cells to come, where an epoch's is known of each of their data sets.

    It is known from finished cells, else from the epochs of those under way. What a GPU took says nothing where there is none.
    """
    to_come = [r for r in results if not r.finished]
    if not to_come:
        return ""
    seconds, unknown, no_gpu = 0.0, [], gpu.absent()
    for dataset in dict.fromkeys(r.cell.dataset for r in to_come):
        mine = [r for r in results if r.cell.dataset == dataset]
        done = [r.record for r in mine if r.ok and not (no_gpu and r.record["provenance"].get("cuda"))]
        an_epoch = [record["time"]["wall_s"] / record["epochs"] for record in done] or [
            p.wall_s / p.epoch for r in mine if (p := r.progress) and p.epoch and p.wall_s is not None
        ]
        if not an_epoch:
            unknown.append(dataset)
            continue
        epochs = (
            r.cell.train.epochs - (r.progress.epoch if r.progress else 0)
            for r in to_come
            if r.cell.dataset == dataset
        )
        seconds += sum(epochs) * statistics.mean(an_epoch)
    if len(unknown) == len({r.cell.dataset for r in to_come}):
        return ""
    at_once = max(sum(map(_runs, to_come)), _lately_at_once(results), 1)
    left = datetime.timedelta(seconds=round(seconds / at_once))
    without = f", and {', '.join(unknown)}, of which no epoch is over yet" if unknown else ""
    return f"; about {left} left, {at_once} at once{without}"


def _lately_at_once(results: Sequence[CellResult]) -> int:
    """How many cells were under way when one ended a moment ago, whose successor may not have saved an epoch yet; 0 if none did."""
    times = [(*span, r.record["epochs"]) for r in results if r.finished and (span := _span(r))]
    if not times:
        return 0
    start, end, epochs = max(times, key=lambda span: span[1])
    if time.time() - end > 3 * (end - start) / max(epochs, 1) + _PAUSE_S:
        return 0
    middle = (start + end) / 2
    begun = [p.saved - (p.wall_s or 0) for r in results if (p := r.progress) and _runs(r)]
    return sum(start <= middle <= end for start, end, _ in times) + sum(start <= middle for start in begun)


def _span(result: CellResult) -> tuple[float, float] | None:
    """When a finished cell's training began and ended, in seconds since 1970, as its cell.json says."""
    try:
        start = datetime.datetime.fromisoformat(result.record["time"]["started"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None
    return start, start + result.record["time"]["wall_s"]
