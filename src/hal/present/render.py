"""The content as HTML and as LaTeX."""

import base64
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from markupsafe import escape as escape_html

from hal.departures import PARAMS
from hal.files import write_text
from hal.params import Params
from hal.present import content, latex

_TOGETHER = re.compile(r" (?=±)|(?<=±) |(?<=[\d.],) (?=[+−\d])| (?=of \d)|(?<=of) (?=\d)")
_CODE = re.compile(r"`([^`]*)`")


class Tex(str):
    """Text that is LaTeX already."""


def render(params: Params, overlays: Sequence[Path | str] = (), path: Path = PARAMS) -> list[Path]:
    """Write report/report.html and report/report.tex, and return their paths.

    Args:
        params: the experiment, read from `path` with `overlays`.
        overlays: the files laid over params.yaml.
        path: params.yaml, whose comments are the assumptions.
    """
    data = content.build(params, overlays, path)
    folder = params.path("report")
    html, tex = folder / "report.html", folder / "report.tex"
    write_text(html, _html().get_template("report.html.j2").render(c=data))
    write_text(tex, _tex(folder).get_template("report.tex.j2").render(c=data))
    return [html, tex]


def _html() -> jinja2.Environment:
    environment = _environment(autoescape=True)
    environment.filters["prose"] = lambda text: Markup(_CODE.sub(r"<code>\1</code>", str(escape_html(text))))
    environment.filters["data_uri"] = lambda path: (
        f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"
    )
    return environment


def _tex(folder: Path) -> jinja2.Environment:
    """Delimiters that LaTeX leaves alone; whatever a template inserts is escaped unless it is `Tex`."""
    environment = _environment(
        block_start_string="((*",
        block_end_string="*))",
        variable_start_string="(((",
        variable_end_string=")))",
        comment_start_string="((#",
        comment_end_string="#))",
        finalize=lambda value: value if isinstance(value, Tex) else latex.escape(str(value)),
    )
    environment.filters["prose"] = _prose
    environment.filters["set"] = Tex  # what a macro gives is LaTeX already
    environment.filters["code"] = _tex_code
    environment.filters["beside"] = lambda path: Tex(Path(os.path.relpath(path, folder)).as_posix())
    return environment


def _environment(**options: Any) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hal.present"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
    environment.filters["together"] = lambda text: _TOGETHER.sub("\u00a0", text)
    return environment


def _prose(text: str) -> Tex:
    return Tex("".join(_tex_code(p) if i % 2 else latex.escape(p) for i, p in enumerate(_CODE.split(text))))


def _tex_code(text: str) -> Tex:
    """Typewriter text that may break behind / . _ and = and within a long row of digits."""
    pieces = re.split(r"(?<=[/._=])|(?<=[0-9a-f]{8})(?=[0-9a-f]{8})", str(text))
    code = r"\allowbreak{}".join(map(latex.escape, pieces))
    return Tex(r"\texttt{" + code.replace("--", "-{}-") + "}")  # -- would be set as a dash
