"""One line that stays at the bottom of a terminal while Snakemake is at work, below all that Snakemake says."""

import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable

_DRAW_EVERY_S = 0.5
_CLEAR = "\r\x1b[K"


class StayingLine:
    """Draws a text anew from time to time, and makes way for what Snakemake logs; nothing where stderr is no terminal.

    Args:
        text: what to show; nothing, if it is empty.
        every_s: seconds from one asking for it to the next, or more where asking takes long.
    """

    def __init__(self, text: Callable[[], str], every_s: float = 5.0) -> None:
        self.text, self.every_s = text, every_s
        self._lock = threading.Lock()
        self._drawn = ""
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Show the line until `stop`."""
        if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            return
        logging.getLogger("snakemake.logging").addFilter(self._make_way)
        self._thread = threading.Thread(target=self._stay, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Clear the line for good."""
        if self._thread is not None:
            self._ended.set()
            self._thread.join()
            self._thread = None
            self._draw("")
            logging.getLogger("snakemake.logging").removeFilter(self._make_way)

    def _stay(self) -> None:
        text, due = "", 0.0
        while not self._ended.wait(_DRAW_EVERY_S):
            if time.monotonic() >= due:
                began = time.monotonic()
                text = self._asked(text)
                took = time.monotonic() - began
                due = began + max(self.every_s, 20 * took)
            if not self._ended.is_set():
                self._draw(text)

    def _asked(self, before: str) -> str:
        try:
            return self.text()
        except OSError:  # a file that went while it was looked at
            return before

    def _draw(self, text: str) -> None:
        columns = shutil.get_terminal_size().columns
        shown = text if len(text) < columns else f"{text[: columns - 2]}…"
        with self._lock:
            if shown != self._drawn:
                sys.stderr.write(_CLEAR + shown)
                sys.stderr.flush()
                self._drawn = shown

    def _make_way(self, record: logging.LogRecord) -> bool:
        self._draw("")
        return True
