"""The report as HTML and as LaTeX."""

import base64
import os
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from markupsafe import escape as escape_html

from hal.departures import Run
from hal.files import write_text
from hal.params import Params
from hal.present import latex, report
from hal.present.blocks import Column, Document
from hal.present.inline_svg import inline, recoloured
from hal.present.latex import Tex


def render(params: Params, run: Run) -> list[Path]:
    """Write report/report.html and report/report.tex of the run that `params` describe, and return their paths.

    Raises:
        UserError: a table of results/ is missing or damaged.
    """
    document = report.build(params, run)
    folder = params.path("report")
    html, tex = folder / "report.html", folder / "report.tex"
    write_text(html, page(document))
    write_text(tex, _tex(folder).get_template("report.tex.j2").render(d=document))
    return [html, tex]


def page(document: Document) -> str:
    """The document as one HTML page."""
    return _html().get_template("report.html.j2").render(d=document)


def _html() -> jinja2.Environment:
    environment = _environment(autoescape=True)
    environment.filters |= {
        "prose": _html_prose,
        "entry": _html_entry,
        "inline": lambda path, name, label: Markup(
            inline(path.read_text(encoding="utf-8"), name, str(escape_html(label)))
        ),
        "sketch": lambda name: Markup(recoloured(environment.get_template(f"{name}.svg").render())),
        "data_uri": lambda content: f"data:text/csv;base64,{base64.b64encode(content).decode()}",
        "mark": lambda text: getattr(text, "mark", ""),
    }
    return environment


def _html_prose(text: str) -> Markup:
    """Text whose parts in backticks are code."""
    return Markup(latex.CODE.sub(r"<code>\1</code>", str(escape_html(latex.unbroken(text)))))


def _html_entry(text: str, column: Column) -> Markup:
    """An entry of a table; numbers never break within an interval or before a unit."""
    if column.kind == "code":
        code = "<code data-copy>{}</code>" if column.heading == "Command" else "<code>{}</code>"
        shown = Markup(code).format(text) if text else Markup("")
    elif column.kind == "number":
        shown = Markup("{}").format(latex.together(text))
    else:
        shown = _html_prose(text)
    href = getattr(text, "href", "")
    return Markup('<a href="{}">{}</a>').format(href, shown) if href else shown


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
    environment.filters |= {
        "prose": latex.prose,
        "entry": latex.entry,
        "layout": lambda table: Tex(latex.layout(table)),
        "set": Tex,  # what a macro gives is LaTeX already
        "beside": lambda path: Tex(Path(os.path.relpath(path, folder)).as_posix()),
    }
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
    environment.tests["block"] = lambda block, kind: type(block).__name__ == kind
    return environment
