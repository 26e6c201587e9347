"""The line at the bottom of the terminal: it makes way for what is logged, and leaves nothing behind."""

import io
import logging
import time
from types import SimpleNamespace

import pytest

from hal import staying_line
from hal.staying_line import StayingLine

CLEAR = "\r\x1b[K"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Stderr, and Snakemake's logger writing there as its own handler does."""
    stream = (
        Terminal()
    )  # in the module's own sys: pytest puts its stream in place of sys.stderr's at every phase of a test
    monkeypatch.setattr(staying_line, "sys", SimpleNamespace(stderr=stream))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(staying_line, "_DRAW_EVERY_S", 0.01)
    logger, handler = logging.getLogger("snakemake.logging"), logging.StreamHandler(stream)
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def wait_for(stream, end):
    """Until what was written ends so."""
    until = time.monotonic() + 20
    while not stream.getvalue().endswith(end):
        assert time.monotonic() < until, stream.getvalue()
        time.sleep(0.005)


def test_it_makes_way_for_what_is_logged_comes_back_and_goes(terminal):
    line = StayingLine(lambda: "1 of 2 cells done")
    line.start()
    wait_for(terminal, f"{CLEAR}1 of 2 cells done")
    logging.getLogger("snakemake.logging").warning("job 3 is done")
    wait_for(terminal, f"{CLEAR}job 3 is done\n{CLEAR}1 of 2 cells done")
    line.stop()
    assert terminal.getvalue().endswith(f"1 of 2 cells done{CLEAR}")
    logging.getLogger("snakemake.logging").warning("the end")
    assert terminal.getvalue().endswith(f"{CLEAR}the end\n")


def test_a_text_is_asked_for_anew_cut_to_the_window_and_drawn_once(terminal):
    texts = iter(["a", "b" * 60])
    line = StayingLine(lambda: next(texts, "b" * 60), every_s=0)
    line.start()
    wait_for(terminal, f"{CLEAR}{'b' * 38}…")
    time.sleep(0.1)
    line.stop()
    assert terminal.getvalue() == f"{CLEAR}a{CLEAR}{'b' * 38}…{CLEAR}"


def test_a_file_that_goes_while_it_is_looked_at_ends_nothing(terminal):
    texts = iter(["a", None, "c"])

    def text():
        found = next(texts, "c")
        if found is None:
            raise FileNotFoundError
        return found

    line = StayingLine(text, every_s=0)
    line.start()
    wait_for(terminal, f"{CLEAR}a{CLEAR}c")
    line.stop()


@pytest.mark.parametrize(("stream", "term"), [(io.StringIO, "xterm"), (Terminal, "dumb")])
def test_in_a_log_there_is_no_line(stream, term, monkeypatch):
    written = stream()
    monkeypatch.setattr(staying_line, "sys", SimpleNamespace(stderr=written))
    monkeypatch.setenv("TERM", term)
    line = StayingLine(lambda: pytest.fail("asked"), every_s=0)
    line.start()
    assert line._thread is None
    line.stop()
    assert written.getvalue() == ""
