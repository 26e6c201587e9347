"""The report: everything that it says, as blocks in the order of reading."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hal import sums
from hal.assumptions import Assumption, read_assumptions
from hal.departures import PARAMS, Run, describe, shown
from hal.errors import UserError
from hal.outputs import FORMATS, STUDY, figure_files, figure_names, study_names
from hal.paper import Claim, load_paper, same_grouping
from hal.params import Params
from hal.present import captions, findings, hint, tables
from hal.present.blocks import (
    Block,
    Column,
    Command,
    Document,
    Downloads,
    Facts,
    Figure,
    Fold,
    Heading,
    Items,
    Mark,
    Prose,
    Sketch,
    Table,
    Text,
    grouped,
    plain,
)
from hal.present.numbers import number, with_interval
from hal.present.results import read_results
from hal.settings import BASELINE
from hal.study.grid import CellResult, load_cells, select
from hal.study.resampling import Interval
from hal.titles import case_title, dataset_title, superclass_names

HINT = (
    "The networks of every case are told the true superclass of each image, and not only in training: every test "
    "image is fed its true superclass too, as in the paper. The superclass is derived from the label, so it is a hint "
    "at the answer: it rules out every class outside the superclass. The baseline gets no such hint. That a case's error "
    "lies below the baseline's therefore does not show that its network sees better; it shows what the hint and the "
    "network achieve together."
)
INTRODUCTION = (
    "Hierarchical auxiliary learning (HAL) groups the classes of a data set into superclasses, such as even and odd digits, and "
    "tells the network the superclass of each image: a small auxiliary block turns it, with the network's features, into one "
    "number that scales the features before the output layer. Each grouping is a case; the baseline is the same network without "
    "the block. A mask is the plainest use of the same hint: the baseline's logits without the classes outside the superclass."
)
SKETCH = (
    "The network of the paper's Figure 1: the auxiliary block measures how far W y lies from the one-hot superclass x*, and this "
    "one number a scales the features y (equations 1 to 3)."
)
MASK = (
    "A plain network can use the same hint without any auxiliary block: take its logits and leave out every class that is not in "
    "the true superclass. This needs no training with superclasses at all. Only an error below the mask's can be the auxiliary "
    "block's doing: down to there the hint alone suffices."
)
VERDICTS = (
    "Computed, not judged: the tests, their tolerances and the numbers stand below. “Here”: what this run, where it is not the "
    "paper's experiment, speaks for. “Its own table”: whether the claim agrees with the paper's Table 2 as printed, where that "
    "says anything of it. Power: how often a repetition with as many seeds would be called reproduced if the table's means were "
    "the truth and networks scattered as printed, and twice as much (docs/claims.md); no power, no verdict to be had."
)
RULES = (
    "Every test asks whether numbers lie in a range, each with a 95 % interval over the seeds (Welch's or Student's, widened so "
    "that the intervals of one claim hold together). Reproduced: every interval lies inside. Not reproduced: at least one lies "
    "wholly outside. Inconclusive: neither. Not yet run: this run is not the paper's experiment or not finished; what it shows "
    "instead is an indication. The claims are not corrected for being many: of that many tests some would fail by chance."
)
ASSUMED = (
    "The paper does not say everything that a program must know. These settings are the artifact's own choice, each open to "
    "change in `params.yaml`."
)
REBUILD = (
    "In the repository, with its environment active. Snakemake makes what is missing or out of date, and `--force` makes its "
    "target again."
)
_MARKS: dict[str, Mark] = {
    "reproduced": "good",
    "not reproduced": "bad",
    "inconclusive": "strong",
    "not yet run": "quiet",
}
_INDICATIONS = {"for": "for it", "against": "against it", "open": "neither for nor against it"}


def build(params: Params, overlays: Sequence[Path | str] = (), path: Path = PARAMS) -> Document:
    """The report of the run that `params` (read from `path` with `overlays`) describe.

    Raises:
        UserError: a table of results/ is missing or damaged, or a figure is.
    """
    cells, run, paper = load_cells(params), describe(params, overlays, path), load_paper()
    r = dict(zip(STUDY, read_results(params, *STUDY), strict=True))
    figures = _figures(params, run, cells, r["pairs"], r["separability"])
    blocks: list[Block] = [
        Prose(_state(run, cells["state"]), lead=True),
        Items(tuple(_results(params, r["table2"], r["statistics"], r["table2b"])), lead=True),
        figures.pop("overview"),
        Prose(INTRODUCTION),
        Sketch("sketch", SKETCH),
        *_verdicts(r["verdicts"]),
        Heading("errors", "Test errors beside the paper's"),
        Prose(HINT),
        _groupings(params),
        tables.errors(params, r["table2"], run),
        Heading("controls", "What the hint alone is worth"),
        Prose(MASK),
        Prose(findings.summary(params, r["table2b"])),
        Items(tuple(findings.masked(params, r["table2b"]))),
        *tables.controls(params, r["table2b"], run),
        Heading("listening", "Does the network listen?"),
        Items(tuple(findings.listening(params, r["hint"]))),
        *hint.tables(params, r["hint"]),
        hint.derivation(),
        *(figures.pop(name) for name, drawing in figure_names(params).items() if drawing.kind == "listens"),
        figures.pop("borders"),
        Heading("statistics", "How sure the numbers are"),
        tables.statistics(params, r["statistics"]),
        tables.crossed(params, r["crossed"], r["table2"]),
        Heading("splits", "Do the scores split by superclass?", 3),
        tables.separability(params, r["separability"]),
        figures.pop("separability"),
        Heading("convergence", "Do losses fall faster?", 3),
        tables.convergence(params, r["convergence"]),
    ]
    varied = [name for name in study_names(params) if name == "sensitivity"]
    if varied:
        of_variants = tables.sensitivity(params, *read_results(params, *varied))
        blocks += [Heading("sensitivity", "What the assumptions are worth"), *of_variants]
    blocks += [Heading("figures", "The paper's figures"), *figures.values()]
    blocks += _assumptions(read_assumptions(params, path), _rates(params))
    blocks += _made(params, run, cells)
    blocks += [Heading("rebuild", "Rebuild and cite"), Prose(REBUILD), _commands(params, run, figures)]
    files = [params.path("results", f"{name}.csv") for name in study_names(params)]
    blocks += [Downloads(tuple((file.name, file.read_bytes()) for file in files))]
    blocks += [Prose("To cite the paper:"), Command(_bibtex())]
    authors = f"{', '.join(paper.citation.authors)}, “{paper.citation.title}”, {paper.citation.published}, {paper.citation.year}"
    return Document(
        title=f"Reproduction of “{paper.citation.title}”" + (f": run “{run.label}”" if run.label else ""),
        authors=f"The paper: {authors}, {paper.citation.url}",
        blocks=tuple(block for block in blocks if not (isinstance(block, Items) and not block.items)),
        footer=f"Written by `hal report` from `{run.root}`; the same content as LaTeX is in `report.tex`.",
    )


def _state(run: Run, states: pd.Series) -> str:
    counted, diverged, planned = (states == "ok").sum(), (states == "diverged").sum(), len(states)
    networks = f"{counted} of {planned} planned networks are trained and count in the numbers below" + (
        f"; {diverged} diverged." if diverged else "."
    )
    if run.statement:
        return f"{run.statement} {networks}"
    if counted < planned:
        return f"The paper's experiment, not complete: only {networks}"
    return f"The paper's experiment, complete: all {planned} networks are trained and count in the numbers below."


def _results(
    params: Params, table2: pd.DataFrame, statistics: pd.DataFrame, table2b: pd.DataFrame
) -> list[str]:
    """A sentence for each data set: the largest fall of the paper, ours with its interval, and what a mask takes off."""
    lines = []
    compared = statistics[(statistics["against"] == BASELINE) & (statistics["case"] != "all cases")]
    for dataset in params.grid.datasets:
        if params.datasets[dataset].variant_of is not None:
            continue
        rows = table2[table2["dataset"] == dataset].set_index("case")
        parts = []
        if rows["paper_difference"].notna().any():
            case = rows["paper_difference"].idxmin()
            printed = rows["paper_mean"]
            parts.append(
                f"in the paper the error falls by up to {number(-rows['paper_difference'][case])} points "
                f"({number(printed[BASELINE])} to {number(printed[case])} %, {case})"
            )
        of_dataset = compared[compared["dataset"] == dataset].set_index("case")
        ours = of_dataset.dropna(subset=["difference"])
        if len(ours):
            case = ours["difference"].idxmin()
            row = ours.loc[case]
            parts.append(_largest_fall(case, row))
            masked = table2b[(table2b["dataset"] == dataset) & (table2b["case"] == case)]["masked"]
            if len(masked) and not math.isnan(masked.iloc[0]):
                taken = row["reference_mean"] - masked.iloc[0]
                parts.append(
                    f"the same hint as a mask on the plain network, with no auxiliary block, takes off {number(taken)} points ({number(masked.iloc[0])} %)"
                )
            if len(ours) < len(of_dataset):
                without = ", ".join(of_dataset.index.difference(ours.index, sort=False))
                parts.append(f"no network of {without} counts")
        else:
            parts.append("no network of this run can be compared yet")
        lines.append(f"{dataset_title(params, dataset)}: {'; '.join(parts)}.")
    return lines


def _largest_fall(case: str, row: pd.Series) -> str:
    """The lowest mean beside the baseline's, as a fall; where none is lower, that none is, and the smallest rise."""
    falls = row["difference"] < 0
    low, high = row["welch_low"], row["welch_high"]
    bounds = Interval(-high, -low) if falls else Interval(low, high)
    points = with_interval(number(abs(row["difference"])), bounds)
    of_means = f"{number(row['reference_mean'])} to {number(row['mean'])} %, {case}, n = {row['n']}"
    if falls:
        return f"here it falls by up to {points} points ({of_means})"
    return f"here it falls in no case; the smallest change is a rise of {points} points ({of_means})"


def _verdicts(verdicts: pd.DataFrame) -> list[Block]:
    """The claims that networks decide, first; facts on which the paper can be read alone, apart; how each was reached, folded."""
    claims = {claim.id: claim for claim in load_paper().claims}
    slips = verdicts["test"].isin(["images", "no_rule"])
    tested, facts = verdicts[~slips], verdicts[slips]
    counts = Counter(tested["verdict"])
    tally = ", ".join(f"{counts[name]} {name}" for name in _MARKS if counts[name])
    own = Counter(tested["table"])
    summary = (
        f"{len(tested)} claims: {tally}. The paper's own Table 2 agrees with {own['agrees']} of them and contradicts "
        f"{own['contradicts']}; {own['does not follow']} do not follow from it, and of the others it says nothing."
    )
    shown: tuple[Block, ...] = (_verdict_table("verdicts-table", VERDICTS, tested),)
    if set(tested["verdict"]) == {"not yet run"}:
        shown = (Fold("All claims, and what this run indicates of each", shown),)
    blocks: list[Block] = [
        Heading("verdicts", "What became of the paper's claims"),
        Prose(summary),
        *shown,
        Fold("How each verdict was reached", (Prose(RULES), _reasons(verdicts, claims))),
        Heading("contradictions", "Where the paper disagrees with itself", 3),
        Items(tuple(f"{x.says} {x.but}" for x in load_paper().contradictions)),
    ]
    if len(facts):
        caption = (
            "Statements about the data, which need no network, and those that no run of these networks can decide. They are not "
            "in the count above."
        )
        blocks.append(_verdict_table("facts-table", caption, facts))
    return blocks


def verdict_tables(run: Run, verdicts: pd.DataFrame) -> list[Table]:
    """The verdicts in short, and how each was reached."""
    claims = {claim.id: claim for claim in load_paper().claims}
    caption = f"{run.statement} {VERDICTS}".strip()
    return [_verdict_table("verdicts-table", caption, verdicts), _reasons(verdicts, claims)]


def _verdict_table(name: str, caption: str, verdicts: pd.DataFrame) -> Table:
    columns = (
        Column("The paper says", "name", 4.5),
        Column("Place", "text", 0.9),
        Column("Verdict", "text", 1.4),
        Column("Its own table", "text", 0.9),
        Column("Power (%)", "number"),
    )
    rows = [
        (
            v.says,
            v.place,
            _verdict(v),
            Text(v.table or "–", "bad" if v.table == "contradicts" else "quiet"),
            "–" if math.isnan(v.power) else f"{100 * v.power:.0f} / {100 * v.power_twice:.0f}",
        )
        for v in verdicts.itertuples()
    ]
    return Table(name, "", caption, columns, plain(rows), main=True)


def _verdict(row: Any) -> Text:
    if row.test == "no_rule":
        return Text("cannot be told here", "quiet")
    speaks = f"; this run speaks {_INDICATIONS[row.indication]}" if row.indication else ""
    return Text(f"{row.verdict}{speaks}", _MARKS[row.verdict])


def _reasons(verdicts: pd.DataFrame, claims: dict[str, Claim]) -> Table:
    rows = []
    for v in verdicts.itertuples():
        speaks = f" (this run speaks {_INDICATIONS[v.indication]})" if v.indication else ""
        table = f"{v.table[0].upper()}{v.table[1:]}. {v.table_why}" if v.table else "–"
        rows.append(
            (f"{v.place}: {v.says}", v.rule, f"{v.verdict[0].upper()}{v.verdict[1:]}{speaks}. {v.why}", table)
        )
    columns = (
        Column("The paper says", "name", 1.0),
        Column("Test", "text", 1.0),
        Column("Result", "text", 1.3),
        Column("Table 2 as printed", "text", 1.0),
    )
    caption = "The test of each claim with its tolerance, its result, and what the paper's own Table 2 says by the same test."
    return Table("reasons", "", caption, columns, plain(rows), wide=True)


def _figures(
    params: Params, run: Run, cells: pd.DataFrame, pairs: pd.DataFrame, separability: pd.DataFrame
) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    numbers = captions.numbers(params)
    for name, drawing in figure_names(params).items():
        kind, dataset = drawing.kind, drawing.dataset
        *files, sums_file = figure_files(params, name)
        for file in filter(Path.exists, files):
            try:
                sums.check(file, sums_file)
            except (OSError, ValueError):
                raise UserError(
                    f"{file}: not what was drawn, or damaged since; `hal figure {name}` draws it again"
                ) from None
        if dataset:
            alternative = captions.alternative(params, drawing, cells, separability)
        else:
            alternative = captions.alternative_of_all(params, kind, pairs)
        figures[name] = Figure(
            name=name,
            number=numbers[name],
            caption=captions.caption(params, drawing),
            alternative=alternative,
            svg=files[0],
            pdf=files[1],
            column=files[len(FORMATS)],
            command=f"snakemake --force {files[0]}{run.suffix}",
            data=tuple(f"../results/{file}" for file in captions.DATA.get(kind, (dataset,))),
        )
    return figures


def _groupings(params: Params) -> Table:
    rows = []
    for dataset in params.grid.datasets:
        entry, printed = params.datasets[dataset], load_paper().dataset(params, dataset)
        for name, case in entry.cases.items():
            classes = (", ".join(entry.classes[label] for label in labels) for labels in case.superclasses)
            named = zip(superclass_names(params, dataset, name), classes, strict=True)
            superclasses = "; ".join(f"{superclass}: {members}" for superclass, members in named)
            of_paper = printed is not None and same_grouping(printed, entry, name)
            source = "Table 1" if of_paper else "control" if case.control else "not in the paper"
            rows.append(
                (dataset_title(params, dataset), (case_title(params, dataset, name), superclasses, source))
            )
    columns = (
        Column("Case", "name", 1.2),
        Column("Superclasses", "text", 3.0),
        Column("Source", "text", 0.8),
    )
    caption = "The groupings of classes into superclasses, superclass 0 first."
    return Table("groupings", "Table 1", caption, columns, grouped(rows), main=True)


def _rates(params: Params) -> str:
    """The highest learning rate of the networks, by their data sets where it differs."""
    reached: dict[str, list[str]] = {}
    for dataset in params.grid.datasets:
        rate = params.cell(dataset, BASELINE, 0).train.highest_lr
        reached.setdefault(shown(rate), []).append(dataset_title(params, dataset))
    if len(reached) == 1:
        return f"The highest learning rate that this run's schedule reaches is {next(iter(reached))}."
    rates = "; ".join(f"{rate} ({', '.join(titles)})" for rate, titles in reached.items())
    return f"The highest learning rates that this run's schedules reach: {rates}."


def _assumptions(assumptions: Sequence[Assumption], rates: str) -> list[Block]:
    """What was assumed; `rates` is said where the warm-up is."""
    rows = []
    for a in assumptions:
        value = shown(a.value)
        if a.changed:
            value = Text(f"{value} (changed by this run; params.yaml has {shown(a.assumed)})", "partial")
        rows.append(
            (f"`{a.key}`", value, f"{a.reason} {rates}" if a.key == "train.warmup_epochs" else a.reason)
        )
    settings = (Column("Setting", "name", 1.3), Column("Value", "text", 1.0), Column("Assumed", "text", 3.0))
    readings = (Column("Question", "name", 1.0), Column("Reading", "text", 1.8), Column("Why", "text", 1.8))
    paper = load_paper()
    return [
        Heading("assumptions", "What was assumed"),
        Prose(ASSUMED),
        Table(
            "assumptions-table",
            "",
            "Settings on which the paper is silent, and their values in this run.",
            settings,
            plain(rows),
        ),
        Heading("readings", "How the paper was read", 3),
        Table(
            "readings-table",
            "",
            "What the paper leaves open and no setting decides.",
            readings,
            plain([(x.topic, x.reading, x.why) for x in paper.readings]),
        ),
    ]


def _made(params: Params, run: Run, cells: pd.DataFrame) -> list[Block]:
    machines = _machines(cells["result"])
    times = [result.record["time"] for result in select(cells, state="ok")["result"]]
    seconds = sum(time["wall_s"] for time in times)
    days = sorted(time["started"][:10] for time in times)
    facts = [
        ("Written below", f"`{params.root}`" + (" (the repository)" if params.root == "." else "")),
        ("Settings", "`params.yaml`" + "".join(f" with `{overlay}`" for overlay in run.overlays)),
        ("Data sets", ", ".join(dataset_title(params, d) for d in params.grid.datasets)),
        ("Epochs", str(params.train.epochs)),
        ("Seeds", ", ".join(map(str, params.grid.seeds))),
        (
            "Training time",
            f"{_duration(seconds)} for the networks that count, added up" if seconds else "none yet",
        ),
        *([("Trained", days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}")] if days else []),
        *((f"Environment {letter}", text) for text, letter in machines.items()),
    ]
    data = [_dataset(params, dataset, select(cells, dataset=dataset)) for dataset in params.grid.datasets]
    described = (
        *(Column("Data set", "name", 0.8), Column("Images", "text", 1.4), Column("From", "text", 1.0)),
        Column("SHA-256 of the arrays", "code", 2.2),
    )
    columns = (
        *(
            Column("Network", "name", 2.2),
            Column("State", "text", 1.2),
            Column("Error (%)"),
            Column("Epochs"),
        ),
        *(
            Column("Hash", "code", 1.3),
            Column("Time"),
            Column("Images/s"),
            Column("Memory"),
            Column("Resumed"),
        ),
        *(Column("Data", "code", 0.8), Column("On", "text", 0.4)),
    )
    caption = "Every planned network. Time is training and evaluation, added up over interruptions; memory is the peak; on: the environment above."
    rows = [_cell_row(result, machines) for result in cells["result"]]
    blocks: list[Block] = [
        Heading("made", "How each number was made"),
        Facts(tuple(facts)),
        Items(tuple(_progress(params, cells))),
        Table(
            "data-table",
            "",
            "Data sets: the images, and the SHA-256 of the decoded arrays.",
            described,
            plain(data),
        ),
        Fold(
            f"All {len(cells)} networks",
            (Table("cells", "", caption, columns, plain(rows), wide=True, long=True),),
        ),
    ]
    if run.changes:
        changed = [(f"`{key}`", shown(base), shown(value)) for key, base, value in run.changes]
        of_changes = (
            Column("Setting", "name", 1.5),
            Column("params.yaml", "text"),
            Column("This run", "text"),
        )
        text = f"What {', '.join(run.overlays)} changed; everything else is as in params.yaml."
        table = Table("changes", "", text, of_changes, plain(changed))
        blocks.insert(
            3,
            Fold(f"{len(changed)} settings are not those of params.yaml", (table,))
            if len(changed) > 12
            else table,
        )
    return blocks


def _progress(params: Params, cells: pd.DataFrame) -> list[str]:
    """A line for every data set: how many cells count, and what became of the others."""
    lines = []
    for dataset, mine in cells.groupby("dataset", sort=False):
        states = Counter(mine["state"])
        others = [f"{n} {state}" for state, n in states.items() if state != "ok"]
        lines.append(
            f"{dataset_title(params, dataset)}: {states['ok']} of {states.total()} networks count"
            + (f"; {', '.join(others)}" if others else "")
        )
    return lines


def _dataset(params: Params, dataset: str, cells: pd.DataFrame) -> tuple[str, ...]:
    """What the data set's description says, and the data that its cells that count were trained on."""
    path = params.path("data", f"{dataset}.json")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        images = f"{description['train']['images']:,} training, {description['test']['images']:,} test"
        present = description["arrays_sha256"]
        origins = sorted({file["from"] for file in description.get("files", {}).values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        images, present, origins = "", "", []
    counted = select(cells, state="ok")["result"]
    used = sorted({str(result.record["provenance"].get("data_sha256")) for result in counted})
    return (
        dataset_title(params, dataset),
        images or f"`{path}` is not here or cannot be read",
        ", ".join(origins) or params.datasets[dataset].source,
        ", ".join(used) or present,
    )


def _machines(results: Iterable[CellResult]) -> dict[str, str]:
    """Each distinct environment that cells were made in, in words, and the letter that stands for it."""
    machines: dict[str, str] = {}
    for result in results:
        if result.record:
            machines.setdefault(_machine(result.record["provenance"]), _letter(len(machines)))
    return machines


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


def _cell_row(result: CellResult, machines: dict[str, str]) -> tuple[str, ...]:
    record = result.record
    time, made = record.get("time", {}), record.get("provenance", {})
    speed, memory = time.get("train_images_per_s"), record.get("peak_memory_bytes")
    href = f"../results/{result.cell.name}/cell.json" if record else ""
    return (
        Text(result.cell.name, href=href),
        Text(result.description, "" if result.ok else "partial"),
        f"{record['test_error']:.2f}" if result.ok else "",
        Text(str(record["epochs"]), href=href.replace("cell.json", "curves.csv")) if record else "",
        result.cell.hash,
        _duration(time["wall_s"]) if "wall_s" in time else "",
        f"{speed:,.0f}" if speed is not None else "",
        f"{memory / 2**20:,.0f} MiB" if memory is not None else "",
        str(time.get("resumed", "")),
        str(made.get("data_sha256", ""))[:8],
        machines[_machine(made)] if record else "",
    )


def _commands(params: Params, run: Run, figures: dict[str, Figure]) -> Table:
    cell = params.cells()[-1]
    targets = {
        "Everything that is missing or out of date": f"snakemake{run.suffix}",
        f"One network, such as {cell.name}": f"snakemake --force {params.path('results', cell.name)}{run.suffix}",
        "The controls of a data set": f"snakemake --force {params.path('results', 'controls', f'{params.grid.datasets[0]}.csv')}{run.suffix}",
        "Every computed table": f"snakemake --force {params.path('results', 'table2.csv')}{run.suffix}",
        **{f"Figure {figure.number}": figure.command for figure in figures.values()},
        "This report": f"snakemake --force {params.path('report', 'report.html')}{run.suffix}",
    }
    columns = (Column("Part", "name", 1.0), Column("Command", "code", 2.0))
    return Table("commands", "", "The command for each part.", columns, plain(list(targets.items())))


def _bibtex() -> str:
    citation = load_paper().citation
    entries = {
        "title": citation.title,
        "author": " and ".join(citation.authors),
        "year": str(citation.year),
        "howpublished": citation.published,
        "url": citation.url,
    }
    lines = ",\n".join(f"  {key} = {{{value}}}" for key, value in entries.items())
    return f"@misc{{hal{citation.year},\n{lines}\n}}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
