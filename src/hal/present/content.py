"""Everything that the report says, as data; the templates only lay it out.

Text in backticks is code. Nothing here is escaped: that is the renderer's part.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hal.assumptions import Assumption, read_assumptions
from hal.departures import PARAMS, Run, describe, shown
from hal.paper import Paper, load_paper, same_grouping
from hal.params import Params
from hal.present import captions, hint, tables
from hal.present.figures import figure_names, figure_paths
from hal.present.numbers import PARTIAL
from hal.study import table2, table2b, verdicts
from hal.study.grid import CellResult, load_grid, select
from hal.study.write_study import analyse
from hal.titles import dataset_title, superclass_names

HINT = (
    "The networks of every case are told the true superclass of each image, and not only in training: every test "
    "image is fed its true superclass too, as in the paper. The superclass is derived from the label, so it is a hint "
    "at the answer: it rules out every class outside the superclass. The baseline gets no such hint. That a case's error "
    "lies below the baseline's therefore does not show that its network sees better; it shows what the hint and the "
    "network achieve together."
)


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure of the report: `svg` and `pdf` may not be drawn yet."""

    name: str
    number: str
    caption: str
    alternative: str
    svg: Path
    pdf: Path
    drawn: bool
    command: str


@dataclasses.dataclass(frozen=True)
class Grouping:
    """A case of Table 1: each superclass's name and the classes in it."""

    dataset: str
    case: str
    semantics: str
    superclasses: tuple[tuple[str, tuple[str, ...]], ...]
    source: str
    first: bool


@dataclasses.dataclass(frozen=True)
class CellRow:
    """How one number was made, as text."""

    name: str
    state: str
    reason: str
    hash: str
    error: str
    epochs: str
    time: str
    speed: str
    memory: str
    resumed: str
    data: str
    machine: str


@dataclasses.dataclass(frozen=True)
class Content:
    """The report. Lists of pairs are (heading, text)."""

    title: str
    paper: Paper
    run: Run
    verdict: str
    complete: bool
    facts: list[tuple[str, str]]
    progress: list[str]
    changes: list[tuple[str, str, str]]
    verdicts: list[verdicts.Verdict]
    tally: str
    indications: bool
    controls_summary: str
    hint: str
    rows: list[table2.Row]
    headings: tuple[str, ...]
    table_caption: str
    table_notes: list[str]
    partial_mark: str
    findings: list[str]
    controls: list[tables.Table]
    statistics: tables.Table
    separability: tables.Table
    convergence: tables.Table
    sensitivity: list[tables.Table]
    figures: list[Figure]
    groupings: list[Grouping]
    assumptions: list[tuple[Assumption, str, str]]
    datasets: list[dict[str, str]]
    machines: list[tuple[str, str]]
    cells: list[CellRow]
    commands: list[tuple[str, str]]


def build(params: Params, overlays: Sequence[Path | str] = (), path: Path = PARAMS) -> Content:
    """Gather what the report says of the run that `params` (read from `path` with `overlays`) describe."""
    results = load_grid(params)
    run = describe(params, overlays, path)
    table = table2.table2(params, results)
    paper = load_paper()
    machines = _machines(results)
    counted = sum(r.ok for r in results)
    found = analyse(params, results)
    figures = _figures(params, run, results, found.pairs)
    return Content(
        title=f"Reproduction of “{paper.citation.title}”" + (f": run “{run.label}”" if run.label else ""),
        paper=paper,
        run=run,
        verdict=_verdict(run, counted, len(results)),
        complete=counted == len(results) and not run.statement,
        facts=_facts(params, run, results),
        progress=_progress(params, results),
        changes=[(key, shown(base), shown(value)) for key, base, value in run.changes],
        verdicts=found.verdicts,
        tally=verdicts.tally(found.verdicts),
        indications=any(v.indication for v in found.verdicts),
        controls_summary=table2b.summary(found.table2b),
        hint=HINT,
        rows=table2.printed_rows(params, table),
        headings=table2.HEADINGS,
        table_caption=table2.caption(run),
        table_notes=table2.notes(params, table),
        partial_mark=PARTIAL,
        findings=[*table2b.findings(params, found.table2b), *hint.findings(params, found.hint)],
        controls=[*tables.controls(params, found, run), *hint.tables(params, found.hint)],
        statistics=tables.statistics(params, found),
        separability=tables.separability(params, found),
        convergence=tables.convergence(params, found),
        sensitivity=tables.sensitivity(params, results),
        figures=figures,
        groupings=_groupings(params, paper),
        assumptions=[(a, shown(a.value), shown(a.assumed)) for a in read_assumptions(params, path)],
        datasets=[_dataset(params, dataset, results) for dataset in params.grid.datasets],
        machines=[(key, text) for text, key in machines.items()],
        cells=[_cell_row(r, machines) for r in results],
        commands=_commands(params, run, figures),
    )


def _verdict(run: Run, counted: int, planned: int) -> str:
    networks = f"{counted} of {planned} planned networks are trained and count in the numbers below."
    if run.statement:
        return f"{run.statement} {networks}"
    if counted < planned:
        return f"The paper's experiment, not complete: only {networks}"
    return f"The paper's experiment, complete: all {planned} networks are trained and count in the numbers below."


def _facts(params: Params, run: Run, results: Sequence[CellResult]) -> list[tuple[str, str]]:
    seconds = sum(r.record["time"].get("wall_s") or 0 for r in results if r.ok)
    return [
        ("Written below", f"`{params.root}`" + (" (the repository)" if params.root == "." else "")),
        ("Settings", "`params.yaml`" + "".join(f" with `{overlay}`" for overlay in run.overlays)),
        ("Data sets", ", ".join(dataset_title(params, d) for d in params.grid.datasets)),
        ("Epochs", str(params.train.epochs)),
        ("Seeds", ", ".join(map(str, params.grid.seeds))),
        (
            "Training time",
            f"{_duration(seconds)} for the networks that count, added up" if seconds else "none yet",
        ),
    ]


def _progress(params: Params, results: Sequence[CellResult]) -> list[str]:
    """A line for every data set: how many cells count, and what became of the others."""
    lines = []
    for dataset in params.grid.datasets:
        states = Counter(r.state for r in select(results, dataset))
        others = [f"{n} {state}" for state, n in states.items() if state != "ok"]
        lines.append(
            f"{dataset_title(params, dataset)}: {states['ok']} of {states.total()} networks count"
            + (f"; {', '.join(others)}" if others else "")
        )
    return lines


def _figures(params: Params, run: Run, results: Sequence[CellResult], pairs: pd.DataFrame) -> list[Figure]:
    figures: list[Figure] = []
    for name, (kind, dataset) in figure_names(params).items():
        printed = load_paper().dataset(params, dataset) if dataset else None
        extra = sum(not figure.number.isdigit() for figure in figures) + 1
        svg, pdf, _ = figure_paths(params, name)
        if dataset:
            caption = captions.caption(params, kind, dataset)
            alternative = captions.alternative(params, kind, dataset, select(results, dataset))
        else:
            caption = captions.OF_ALL[kind]
            alternative = captions.alternative_of_all(params, kind, pairs)
        figures.append(
            Figure(
                name=name,
                number=str(printed.figures[kind]) if printed else f"A{extra}",
                caption=caption,
                alternative=alternative,
                svg=svg,
                pdf=pdf,
                drawn=svg.exists() and pdf.exists(),
                command=f"snakemake --force {svg}{run.suffix}",
            )
        )
    return figures


def _groupings(params: Params, paper: Paper) -> list[Grouping]:
    found = []
    for dataset in params.grid.datasets:
        entry, printed = params.datasets[dataset], paper.dataset(params, dataset)
        for i, (name, case) in enumerate(entry.cases.items()):
            classes = (tuple(entry.classes[label] for label in labels) for labels in case.superclasses)
            of_paper = printed is not None and same_grouping(printed, entry, name)
            found.append(
                Grouping(
                    dataset=dataset_title(params, dataset),
                    case=name,
                    semantics=case.title,
                    superclasses=tuple(zip(superclass_names(params, dataset, name), classes, strict=True)),
                    source="Table 1" if of_paper else "not in the paper",
                    first=i == 0,
                )
            )
    return found


def _dataset(params: Params, dataset: str, results: Sequence[CellResult]) -> dict[str, str]:
    """What the data set's description says, and the data that the counted cells were trained on."""
    path = params.path("data", f"{dataset}.json")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        images = f"{description['train']['images']:,} training, {description['test']['images']:,} test"
        present = description["arrays_sha256"]
        origins = sorted({file["from"] for file in description.get("files", {}).values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        images, present, origins = "", "", []
    used = sorted({str(r.record["provenance"].get("data_sha256")) for r in select(results, dataset) if r.ok})
    return {
        "dataset": dataset_title(params, dataset),
        "source": params.datasets[dataset].source,
        "images": images or f"`{path}` is not here or cannot be read",
        "sha256": ", ".join(used) or present,
        "from": ", ".join(origins),
    }


def _machines(results: Sequence[CellResult]) -> dict[str, str]:
    """Each distinct environment that cells were made in, in words, and the letter that stands for it."""
    found: dict[str, str] = {}
    for r in results:
        if r.record:
            found.setdefault(_machine(r.record["provenance"]), _letter(len(found)))
    return found


def _machine(made: dict[str, Any]) -> str:
    parts = [made.get("device"), made.get("torch") and f"torch {made['torch']}"]
    parts += [made.get("cuda") and f"CUDA {made['cuda']}", made.get("driver") and f"driver {made['driver']}"]
    parts += [
        made.get("python") and f"Python {made['python']}",
        made.get("code") and f"code `{made['code']}`",
    ]
    parts += ["deterministic" if made.get("deterministic") else "not deterministic"]
    parts += [made.get("cpu_threads") and f"CPU threads: {made['cpu_threads']}"]
    parts += [made.get("cells_per_gpu") and f"cells at once on a GPU: {made['cells_per_gpu']}"]
    return ", ".join(str(part) for part in parts if part)


def _letter(i: int) -> str:
    return chr(ord("A") + i) if i < 26 else f"A{i - 25}"


def _cell_row(result: CellResult, machines: dict[str, str]) -> CellRow:
    record = result.record
    time, made = record.get("time", {}), record.get("provenance", {})
    speed, memory = time.get("train_images_per_s"), record.get("peak_memory_bytes")
    return CellRow(
        name=result.cell.name,
        state=result.state,
        reason=result.reason,
        hash=result.cell.hash,
        error=f"{record['test_error']:.2f}" if result.ok else "",
        epochs=str(record.get("epochs", "")),
        time=_duration(time["wall_s"]) if "wall_s" in time else "",
        speed=f"{speed:,.0f}" if speed is not None else "",
        memory=f"{memory / 2**20:,.0f} MiB" if memory is not None else "",
        resumed=str(time.get("resumed", "")),
        data=str(made.get("data_sha256", ""))[:8],
        machine=machines[_machine(made)] if record else "",
    )


def _commands(params: Params, run: Run, figures: Sequence[Figure]) -> list[tuple[str, str]]:
    cell = params.cells()[-1]
    table, report = params.path("results", "table2.csv"), params.path("report", "report.html")
    found = params.path("results", "verdicts.csv")
    controls = params.path("results", "controls", f"{params.grid.datasets[0]}.csv")
    return [
        ("Everything that is missing or out of date", f"snakemake{run.suffix}"),
        (
            f"One network, such as {cell.name}",
            f"snakemake --force {params.path('results', cell.name)}{run.suffix}",
        ),
        ("Table 2", f"snakemake --force {table}{run.suffix}"),
        ("The controls of a data set", f"snakemake --force {controls}{run.suffix}"),
        ("Verdicts, Table 2b and statistics", f"snakemake --force {found}{run.suffix}"),
        *((f"Figure {figure.number}", figure.command) for figure in figures),
        ("This report", f"snakemake --force {report}{run.suffix}"),
    ]


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
