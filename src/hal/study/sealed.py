"""Tables that are read again carry the sum of their own text, so that no damaged number is taken for a measured one."""

import hashlib
from pathlib import Path

_MARK = "# sha256 "


def seal(text: str) -> str:
    """The text with a last line that holds the SHA-256 of all lines before it."""
    return f"{text}{_MARK}{hashlib.sha256(text.encode()).hexdigest()}\n"


def read(path: Path) -> str:
    """A sealed file's text, without its last line.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: its text is not what was sealed.
    """
    text, mark, sha256 = path.read_text(encoding="utf-8").rpartition(_MARK)
    if not mark or sha256 != f"{hashlib.sha256(text.encode()).hexdigest()}\n":
        raise ValueError(f"{path}: not what was written: the sum in its last line is another's")
    return text
