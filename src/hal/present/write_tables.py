"""The main tables for people: Markdown for a web page, LaTeX for a paper."""

from pathlib import Path

from hal.departures import Run
from hal.files import write_text
from hal.outputs import families, has_ablations, printed_files
from hal.params import Params
from hal.present import ablations, findings, hint, latex, markdown, tables, verdicts
from hal.present.results import read_results


def write(params: Params, run: Run) -> list[Path]:
    """Write `outputs.printed_files` of the run that `params` describe; return their paths.

    Raises:
        UserError: a table of results/ is missing or damaged.
    """
    names = ("table2", "table2b", "statistics", "hint", "networks", "verdicts", "crossed")
    table2, table2b, statistics, of_hint, networks, judged, crossed = read_results(params, *names)
    errors = tables.errors(params, table2, run)
    controls = [
        tables.controls(params, table2b, statistics, run),
        tables.without_hint(params, table2b),
        *hint.tables(params, of_hint),
    ]
    masked = findings.masked(params, table2b, statistics)
    listening = [
        f"{title}: {item}" for title, items in findings.listening(params, of_hint, networks) for item in items
    ]
    texts = {
        "table2.md": markdown.table(errors),
        "table2.tex": latex.tabular(errors),
        "table2b.md": "\n".join([markdown.items([*masked, *listening]), *map(markdown.table, controls)]),
        "table2b.tex": "\n".join(map(latex.tabular, controls)),
        "summary.md": markdown.table(tables.crossed(params, crossed, table2)),
        "verdicts.md": "\n".join(map(markdown.table, verdicts.tables(run, judged))),
    }
    if has_ablations(params):
        (ablated,) = read_results(params, "ablations")
        said = markdown.items(ablations.sentences(params, ablated))
        texts["ablations.md"] = f"{said}\n{markdown.table(ablations.table(params, ablated))}"
    if families(params):
        of_variants = tables.sensitivity(params, *read_results(params, "sensitivity"))
        texts["sensitivity.md"] = "\n".join(map(markdown.table, of_variants))
    for file in printed_files(params):
        write_text(file, texts[file.name])
    return printed_files(params)
