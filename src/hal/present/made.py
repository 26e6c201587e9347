"""How each number was made: settings, data, environments, and a row for every planned network."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pandas as pd

from hal.data.described import described
from hal.departures import Run, shown
from hal.errors import UserError
from hal.params import Params
from hal.present.blocks import Block, Column, Facts, Fold, Heading, Items, Table, Text, plain
from hal.study.grid import CellResult, select
from hal.titles import dataset_title


def blocks(params: Params, run: Run, cells: pd.DataFrame) -> list[Block]:
    """The section, from all cells of the grid."""
    machines = _machines(cells["result"])
    times = [result.record["time"] for result in select(cells, state="ok")["result"]]
    seconds = sum(time["wall_s"] for time in times)
    days = sorted(time["started"][:10] for time in times)
    facts = [
        ("Written below", f"`{params.root}`" + (" (the repository)" if params.root == "." else "")),
        ("Settings", "`params.yaml`" + "".join(f" with `{overlay}`" for overlay in run.overlays)),
        ("Data sets", "; ".join(dataset_title(params, d) for d in params.grid.datasets)),
        ("Epochs", _epochs(params)),
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
        *(Column("Data set", "name"), Column("Images", "text"), Column("From", "text")),
        Column("SHA-256 of the arrays", "code"),
    )
    columns = (
        *(
            Column("Network", "name"),
            Column("State", "text"),
            Column("Error (%)"),
            Column("Epochs"),
        ),
        *(
            Column("Hash", "code"),
            Column("Time"),
            Column("Images/s"),
            Column("Memory"),
            Column("Resumed"),
        ),
        *(Column("Data", "code"), Column("On", "text")),
    )
    caption = "Every planned network. Time is training and evaluation, added up over interruptions; memory is the peak; on: the environment above."
    rows = [_cell_row(result, machines) for result in cells["result"]]
    return [
        Heading("made", "How each number was made"),
        Facts(tuple(facts)),
        Items(tuple(_progress(params, cells))),
        *_changes(run),
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


def _changes(run: Run) -> list[Block]:
    """What the overlays changed, folded where it is much."""
    if not run.changes:
        return []
    changed = [(f"`{key}`", shown(base), shown(value)) for key, base, value in run.changes]
    columns = (Column("Setting", "name"), Column("params.yaml", "text"), Column("This run", "text"))
    text = f"What {', '.join(run.overlays)} changed; everything else is as in params.yaml."
    table = Table("changes", "", text, columns, plain(changed))
    if len(changed) > 12:
        return [Fold(f"{len(changed)} settings are not those of params.yaml", (table,))]
    return [table]


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
    try:
        prepared = described(params, dataset)
    except UserError as error:
        prepared, images = None, str(error)
    else:
        images = f"`{params.data_paths(dataset).description}` is not here"
    if prepared:
        images = f"{prepared.size.train:,} training, {prepared.size.test:,} test"
    counted = select(cells, state="ok")["result"]
    used = sorted({str(result.record["provenance"].get("data_sha256")) for result in counted})
    return (
        dataset_title(params, dataset),
        images,
        ", ".join(prepared.origins if prepared else ()) or params.datasets[dataset].source,
        ", ".join(used) or (prepared.arrays_sha256 if prepared else ""),
    )


def _epochs(params: Params) -> str:
    """One number, or each data set's where a variant has another."""
    of = {dataset: params.epochs(dataset) for dataset in params.grid.datasets}
    if len(set(of.values())) == 1:
        return str(next(iter(of.values())))
    return "; ".join(
        f"{params.datasets[dataset].title or dataset}: {epochs}" for dataset, epochs in of.items()
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
    now = ", ".join(str(part) for part in parts if part)
    return "; before an interruption: ".join([now, *map(_machine, made.get("before", []))])


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


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
