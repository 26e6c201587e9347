"""report.tex to report.pdf."""

import shutil
import subprocess
from pathlib import Path

from hal.errors import UserError
from hal.files import write_atomically
from hal.params import Params

_LIMIT = 300  # seconds; a TeX that waits for something would wait forever


def build_pdf(params: Params) -> Path | None:
    """Run latexmk on report/report.tex and return the path of report.pdf, or None where there is no latexmk.

    Raises:
        UserError: there is no report.tex, or TeX fails; then the log's error lines are shown.
    """
    folder = params.path("report")
    if not (folder / "report.tex").exists():
        raise UserError(f"{folder / 'report.tex'}: no such file; `hal report` makes it")
    if shutil.which("latexmk") is None:
        return None
    build = folder / ".tex"
    command = ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "-file-line-error"]
    try:
        done = subprocess.run(
            [*command, f"-outdir={build.name}", "report.tex"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"latexmk did not finish {folder / 'report.tex'} within {_LIMIT} s; see {build}/report.log"
        ) from None
    if done.returncode != 0:
        log = build / "report.log"
        raise UserError(
            f"latexmk could not make a PDF of {folder / 'report.tex'}:\n{_errors(log, done.stdout)}\nsee {log}"
        )
    content = (build / "report.pdf").read_bytes()
    write_atomically(folder / "report.pdf", lambda file: file.write(content))
    shutil.rmtree(build)
    return folder / "report.pdf"


def _errors(log: Path, output: bytes) -> str:
    """The lines of TeX's log that say what is wrong, or else the end of what latexmk printed."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    found = [i for i, line in enumerate(lines) if line.startswith(("!", "./report.tex:", "report.tex:"))]
    shown = [line for i in found[:5] for line in lines[i : i + 3]]
    return "\n".join(shown or output.decode(errors="replace").splitlines()[-10:])
