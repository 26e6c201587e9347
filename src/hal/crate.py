"""A finished run as a Workflow Run RO-Crate: one archive in which a claim leads to verdict, tables, networks, code and data.

Made from the files alone. Small files are inside; data sets and checkpoints, which DVC keeps, are named by their sums.
In https://w3id.org/ro/wfrun/workflow/0.5 a run is an action that has made results (files) from objects (files) with an
instrument (the workflow). Here each network's training is such an action too, and so is the drawing of tables and figures.
"""

import base64
import csv
import datetime
import json
import mimetypes
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rocrate.model import ContextEntity, Entity, File
from rocrate.rocrate import ROCrate

from hal import __version__, current, dag
from hal.cell_files import made_with, recorded_files
from hal.departures import Run
from hal.errors import UserError
from hal.files import sha256_of, write_atomically
from hal.paper import load_paper
from hal.params import Cell, Params
from hal.study.grid import load_grid

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
_TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # what defines `sha256`
_LICENCE = "https://spdx.org/licenses/MIT"
_BESIDE = ("requirements.lock", "LICENSE", "CITATION.cff", "README.md")


def path(params: Params) -> Path:
    """Where the archive lies."""
    return params.path("report", "crate.zip")


def write(params: Params, run: Run) -> Path:
    """Pack the run.

    Raises:
        UserError: a cell is missing, of other settings or damaged, or tables and figures are not drawn from these cells.
    """
    results = load_grid(params)
    for result in results:
        if not result.finished:
            file = params.cell_paths(result.cell).record
            raise UserError(f"{file}: {result.description}; a crate is of a whole run: run snakemake first")
    records = {result.cell: result.record for result in results}
    drawn = [Path(file) for file in dag.drawn_files(params)]
    if outdated := sorted(map(str, current.outdated(params, run, drawn))):
        raise UserError(
            f"{outdated[0]}: is missing or not drawn from the cells there are"
            + (f" ({len(outdated)} files are not)" if len(outdated) > 1 else "")
            + "; run snakemake first"
        )
    crate = _describe(params, records, drawn, [run.path, *map(Path, run.overlays)])
    write_atomically(path(params), lambda file: file.writelines(crate.stream_zip()))
    return path(params)


def _describe(
    params: Params, records: dict[Cell, dict[str, Any]], drawn: Sequence[Path], settings: Sequence[Path]
) -> ROCrate:
    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(_TERMS)
    paper, claims = _paper(crate), load_paper().claims
    ends = [end for record in records.values() if (end := _end(record))]
    begins = [record["time"]["started"] for record in records.values()]
    crate.name = f"{paper['name']}, reproduced: {', '.join(params.grid.datasets)}"
    crate.description = (
        f"{len(records)} networks, with the tables, figures, verdicts and the report made from them. Data sets and "
        "checkpoints are not inside; they are named by their SHA-256."
    )
    crate.license = crate.add(
        ContextEntity(crate, _LICENCE, {"@type": "CreativeWork", "name": "MIT License"})
    )
    crate.datePublished = datetime.date.fromisoformat(max(begins + ends)[:10])
    crate.root_dataset["citation"] = paper
    crate.root_dataset["conformsTo"] = [
        crate.add(
            ContextEntity(
                crate, url, {"@type": "CreativeWork", "name": name, "version": url.rsplit("/", 1)[1]}
            )
        )
        for url, name in PROFILES.items()
    ]

    main = crate.add_workflow(
        "Snakefile",
        "Snakefile",
        main=True,
        lang="snakemake",
        lang_version=version("snakemake"),
        properties={"name": "The paper as one workflow", "version": __version__, **_sizes(Path("Snakefile"))},
    )
    main["isBasedOn"] = paper
    given = [_inside(crate, file, _place(i, file)) for i, file in enumerate(settings)]
    for name in _BESIDE:
        if Path(name).exists():
            _inside(crate, Path(name), Path(name))

    data = {name: _data(crate, params, name, records) for name in params.grid.datasets}
    trained: list[Entity] = []
    actions: list[Entity] = []
    for cell, record in records.items():
        made = _cell_files(crate, params, cell, record)
        trained += made
        actions.append(_train_action(crate, cell, record, [*given, *data[cell.dataset]], made))
    files = {file: _inside(crate, file, params.within(file)) for file in (*drawn, current.stamp_path(params))}
    pdf = params.path("report", "report.pdf")
    if pdf.exists():
        files[pdf] = _inside(crate, pdf, params.within(pdf))
    actions.append(
        _action(
            crate,
            "#draw",
            "Tables, figures, verdicts and report from the trained networks",
            _code(
                crate, json.loads(current.stamp_path(params).read_text(encoding="utf-8"))["from"]["sources"]
            ),
            [*given, *trained],
            files.values(),
        )
    )
    whole = _action(
        crate,
        "#run",
        "The whole workflow",
        main,
        [*given, *(entity for entities in data.values() for entity in entities)],
        [*trained, *files.values()],
        begins=min(begins),
        ends=max(ends) if len(ends) == len(records) else None,
    )
    reviews = _verdicts(crate, params, {claim.id: claim.place for claim in claims}, files, paper)
    crate.root_dataset["mentions"] = [whole, *actions, *reviews]
    return crate


def _paper(crate: ROCrate) -> Entity:
    citation = load_paper().citation
    authors = [
        crate.add(ContextEntity(crate, f"#{name.replace(' ', '-')}", {"@type": "Person", "name": name}))
        for name in citation.authors
    ]
    properties = {"@type": "ScholarlyArticle", "name": citation.title, "datePublished": str(citation.year)}
    article = crate.add(ContextEntity(crate, citation.url, properties))
    article["author"] = authors
    return article


def _inside(crate: ROCrate, source: Path, place: Path) -> Entity:
    """A file that the archive holds."""
    properties = {"name": place.as_posix(), **_sizes(source), **_kind(place)}
    return crate.add_file(source, place.as_posix(), properties=properties)


def _place(i: int, file: Path) -> Path:
    """Where the i-th file of settings lies in the archive: its own place in the checkout, or one of its own if it lies elsewhere."""
    inside = file.resolve().is_relative_to(Path.cwd()) and not file.is_absolute() and ".." not in file.parts
    return file if inside else Path("settings", f"{i}-{file.name}")


def _by_sum(crate: ROCrate, name: str, sha256: str, **more: Any) -> Entity:
    """A file that is elsewhere, named by its bytes (RFC 6920)."""
    digest = base64.urlsafe_b64encode(bytes.fromhex(sha256)).rstrip(b"=").decode()
    identity = f"ni:///sha-256;{digest}"
    return crate.get(identity) or crate.add(
        File(crate, identity, properties={"name": name, "sha256": sha256, **_kind(Path(name)), **more})
    )


def _data(crate: ROCrate, params: Params, name: str, records: dict[Cell, dict[str, Any]]) -> list[Entity]:
    """The data set that the networks saw: its description, where that is here, and its arrays by their sum."""
    arrays = sorted(
        {record["provenance"]["data_sha256"] for cell, record in records.items() if cell.dataset == name}
    )
    says = "the SHA-256 is of the arrays' names, shapes and bytes (docs/files.md), not of the file"
    entities = [_by_sum(crate, f"data/{name}.npz", sha256, description=says) for sha256 in arrays]
    description = params.data_paths(name).description
    if description.exists():
        entities.append(_inside(crate, description, params.within(description)))
    return entities


def _cell_files(crate: ROCrate, params: Params, cell: Cell, record: dict[str, Any]) -> list[Entity]:
    """cell.json and what it vouches for: small files inside, checkpoints by their sums."""
    paths = params.cell_paths(cell)
    made = [_inside(crate, paths.record, params.within(paths.record))]
    for file, sha256 in recorded_files(record, paths.results).items():
        if not file.exists():
            where = next((path for path in paths.files if path.name == file.name), file)
            made.append(_by_sum(crate, str(params.within(where)), sha256))
            continue
        if sha256_of(file) != sha256:
            raise UserError(f"{file}: is not what was written; `hal verify` says which files are")
        made.append(_inside(crate, file, params.within(file)))
    return made


def _train_action(
    crate: ROCrate, cell: Cell, record: dict[str, Any], objects: Sequence[Entity], made: Sequence[Entity]
) -> Entity:
    outcome = (
        f"test error {record['test_error']:.2f} % after {record['epochs']} epochs"
        if record["status"] == "ok"
        else f"diverged at step {record['diverged_at_step']}"
    )
    on = f"on {made_with(record, 'device')} with PyTorch {made_with(record, 'torch')}"
    action = _action(
        crate,
        f"#train/{cell.name}",
        f"Training of {cell.name}",
        _code(crate, record["provenance"]["code"]),
        objects,
        made,
        begins=record["time"]["started"],
        ends=_end(record),
    )
    action["description"] = f"{outcome}, {on}; the cell's identity is {cell.hash}"
    return action


def _action(
    crate: ROCrate,
    identity: str,
    name: str,
    instrument: Entity,
    objects: Iterable[Entity],
    results: Iterable[Entity],
    begins: str | None = None,
    ends: str | None = None,
) -> Entity:
    times = {"startTime": begins, "endTime": ends}
    properties = {
        "@type": "CreateAction",
        "name": name,
        "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
        **{key: value for key, value in times.items() if value is not None},
    }
    return crate.add_action(instrument, identity, list(objects), list(results), properties)


def _code(crate: ROCrate, code: str) -> Entity:
    """The program `hal` at a version of its code."""
    identity = f"#hal-{code}"
    properties = {"@type": "SoftwareApplication", "name": "hal", "softwareVersion": code, "license": _LICENCE}
    return crate.get(identity) or crate.add(ContextEntity(crate, identity, properties))


def _verdicts(
    crate: ROCrate, params: Params, places: dict[str, str], files: dict[Path, Entity], paper: Entity
) -> list[Entity]:
    """For each claim a review that rests on the tables."""
    table = params.path("results", "verdicts.csv")
    basis = [
        entity for file, entity in files.items() if file.parent == table.parent and file.suffix == ".csv"
    ]
    reviews = []
    with open(table, encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened):
            claim = {
                "@type": "Claim",
                "name": row["id"],
                "text": row["says"],
                "description": places[row["id"]],
            }
            review = {
                "@type": "ClaimReview",
                "name": f"Verdict on {row['id']}: {row['verdict']}",
                "claimReviewed": row["says"],
                "reviewAspect": row["rule"],
                "reviewBody": row["why"],
            }
            reviewed = crate.add(ContextEntity(crate, f"#claim/{row['id']}", claim))
            reviewed["appearance"] = paper
            entity = crate.add(ContextEntity(crate, f"#verdict/{row['id']}", review))
            entity["itemReviewed"], entity["isBasedOn"] = reviewed, basis
            reviews.append(entity)
    return reviews


def _end(record: dict[str, Any]) -> str | None:
    """When the training ended; unknown where it was interrupted, since only working time is counted."""
    time = record["time"]
    if time["resumed"]:
        return None
    end = datetime.datetime.fromisoformat(time["started"]) + datetime.timedelta(seconds=time["wall_s"])
    return end.isoformat(timespec="seconds")


def _sizes(file: Path) -> dict[str, str]:
    return {"sha256": sha256_of(file), "contentSize": str(file.stat().st_size)}


def _kind(file: Path) -> dict[str, str]:
    kind = mimetypes.guess_type(file.name)[0] or {".md": "text/markdown", ".yaml": "application/yaml"}.get(
        file.suffix
    )
    return {"encodingFormat": kind} if kind else {}
