"""report.tex to report.pdf."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from hal.current import sums_drawn
from hal.errors import UserError
from hal.files import sha256_of, write_bytes, write_text
from hal.params import Params

_ABSENT = "latexmk is not installed"
_TEX_VARIABLE = re.compile(r"LATEXMK|TEXMF|TEXINPUTS|BIBINPUTS|TEXFORMATS|max_print_line")
_LIMIT = 300  # seconds; a TeX that waits for something would wait forever


def write_pdf(params: Params, note: Path | None = None) -> str:
    """Make report/report.pdf of report/report.tex and say so in a line, or say why there is none.

    Args:
        params: where the report lies.
        note: a file for that line. With it, a PDF that cannot be made is no error: the HTML says the same. One that is here and
            was made of this very report stays then, with its line.

    Raises:
        UserError: there is no report.tex; or, without a note, no PDF could be made.
    """
    try:
        line = _made(_build(params))
    except _NoPDFError as error:
        pdf = params.path("report", "report.pdf")
        line, stays = f"{pdf}: not made: {error}", _of_this_report(params, pdf)
        if not stays:
            pdf.unlink(missing_ok=True)  # it would be of an older report
        if note is None:
            raise UserError(line) from None
        line = _made(pdf) if stays else line
    if note is not None:
        write_text(note, line + "\n")
    return line


def _made(pdf: Path) -> str:
    return f"{pdf}: made (SHA-256 {sha256_of(pdf)})"


def _of_this_report(params: Params, pdf: Path) -> bool:
    """Whether the PDF is the one whose line was noted when this very report, with these pictures, was drawn last."""
    if not pdf.exists():
        return False
    line, sums = f"{_made(pdf)}\n".encode(), sums_drawn(params)
    sources = [params.path("report", "report.tex"), *params.path("figures").glob("*.pdf")]
    now = {params.path("report", "pdf.txt"): hashlib.sha256(line).hexdigest()} | {
        path: sha256_of(path) for path in sources
    }
    return all(sums.get(str(params.within(path))) == sha256 for path, sha256 in now.items())


def note_holds(params: Params, note: Path) -> bool:
    """Whether the line that `write_pdf` left is still true."""
    try:
        line = note.read_text(encoding="utf-8")
        pdf = params.path("report", "report.pdf")
        return (
            sha256_of(pdf) in line if pdf.exists() else "made (SHA-256" not in line and _latexmk_as_in(line)
        )
    except OSError:
        return False


def _latexmk_as_in(line: str) -> bool:
    return (shutil.which("latexmk") is None) == (_ABSENT in line)


class _NoPDFError(Exception):
    """Why there is no PDF."""


def _build(params: Params) -> Path:
    folder = params.path("report")
    if not (folder / "report.tex").exists():
        raise UserError(f"{folder / 'report.tex'}: no such file; `hal report` makes it")
    if shutil.which("latexmk") is None:
        raise _NoPDFError(_ABSENT)
    build = folder / ".tex"
    # -norc, and no variables that TeX reads: nobody's own configuration has a part in the build.
    command = ["latexmk", "-norc", "-pdf", "-pvc-", "-interaction=nonstopmode", "-halt-on-error"]
    try:
        done = subprocess.run(
            [*command, "-file-line-error", f"-outdir={build.name}", "report.tex"],
            cwd=folder,
            env={name: value for name, value in os.environ.items() if not _TEX_VARIABLE.match(name)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _NoPDFError(f"latexmk did not finish within {_LIMIT} s; see {build}/report.log") from None
    if done.returncode != 0:
        log = build / "report.log"
        raise _NoPDFError(f"latexmk: {_errors(log, done.stdout)}; see {log}")
    content = (build / "report.pdf").read_bytes()
    write_bytes(folder / "report.pdf", content)
    shutil.rmtree(build)
    return folder / "report.pdf"


def _errors(log: Path, output: bytes) -> str:
    """The lines of TeX's log that say what is wrong, or else the end of what latexmk printed."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    starts = [i for i, line in enumerate(lines) if line.startswith(("!", "./report.tex:", "report.tex:"))]
    shown = [line for i in starts[:5] for line in lines[i : i + 3]]
    return " / ".join(shown or output.decode(errors="replace").splitlines()[-10:])
