"""Ctrl-C while Snakemake is at work: one line at the end says what is kept and how to go on, and nothing drowns it."""

import logging
import os
import signal
import sys
from types import FrameType


class Interruption:
    """Takes note of Ctrl-C, silences what Snakemake says of the jobs that it ended, and makes the second one final.

    Attributes:
        happened: whether the user interrupted this process.
    """

    def __init__(self) -> None:
        self.happened = False
        if (
            signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):  # as in a process that a person can interrupt
            signal.signal(signal.SIGINT, self._interrupt)
            logging.getLogger("snakemake.logging").addFilter(lambda record: not self.happened)

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        if self.happened:
            os.write(sys.stderr.fileno(), b"\nstopped; what was finished is kept\n")
            os._exit(130)
        self.happened = True
        os.write(sys.stderr.fileno(), b"\nending the running jobs; Ctrl-C again stops at once\n")
        raise KeyboardInterrupt
