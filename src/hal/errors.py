"""What reaches a user as a sentence instead of a traceback."""

import errno
import re
import shlex
from collections.abc import Sequence

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)  # a full disk, or a person's share of it

_CREDENTIALS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s'\"]*@")
_COMMAND = re.compile(r"`(hal|snakemake)((?: [^`]*)?)`")
_QUERY = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s?]*)\?[^\s;,)'\"]*")


class UserError(Exception):
    """Something outside the program is wrong and a person can mend it.

    The message says what is wrong, where (file, key, value) and what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(message))


def without_secrets(text: str) -> str:
    """The text, its URLs without user, password and query, where a mirror's credentials stand."""
    return _QUERY.sub(r"\1", _CREDENTIALS.sub(r"\1", text))


def with_overlays(text: str, overlays: Sequence[str]) -> str:
    """The text, its commands in backticks with the overlays in force, so that they mean this run when they are typed."""

    def complete(command: re.Match[str]) -> str:
        program, words = command.groups()
        if not overlays or "--overlay " in words or "--configfile " in words:
            return command[0]
        if program == "hal":
            return f"`{hal_command(overlays)}{words}`"
        return f"`snakemake{words} --configfile {shlex.join(overlays)}`"

    return _COMMAND.sub(complete, text)


def hal_command(overlays: Sequence[str], *words: str) -> str:
    """A command of ours with the overlays in force, ready to be pasted."""
    return shlex.join(["hal", *(word for file in overlays for word in ("--overlay", file)), *words])


def first_few(names: Sequence[str], most: int = 3) -> str:
    """Names for a sentence, such as `a, b, c and 75 more`."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def sentence(error: OSError) -> str:
    """What the operating system refused, where, and what to do."""
    if error.errno in NO_ROOM:
        advice = "make room"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "give yourself the right, or name another folder (`root` of an overlay)"
    else:
        advice = "put it right"
    return f"{error.filename or 'the output'}: {error.strerror or error}; {advice} and run the same command again"


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
