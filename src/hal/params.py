"""params.yaml and its overlays: how they are read and laid over each other, and what identifies a cell.

A **cell** is one trained network: (data set, case, seed), where the case is `baseline` or a superclass grouping.
"""

import copy
import dataclasses
import difflib
import functools
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from hal.errors import UserError
from hal.schema import Pattern, build
from hal.settings import (
    BASELINE,
    NO_GROUPING,
    AugmentSettings,
    Dataset,
    DatasetName,
    DataSettings,
    Grid,
    ModelSettings,
    Name,
    RuntimeSettings,
    TrainSettings,
    Variant,
    superclass_of,
)
from hal.yaml12 import read_yaml

# Part of every cell's identity. Raise it when a change of the code changes what a cell computes.
MATHEMATICS = 2

# The folders that a run writes below its root.
FOLDERS = ("data", "results", "checkpoints", "figures", "report", "logs", ".resume", ".audit")


@dataclasses.dataclass(frozen=True)
class Cell:
    """One network to train, with exactly the settings that can change its result.

    `superclasses` is empty for the baseline. `data` names the data set's content, not where it lies. What `block`,
    `hint` and `loss` mean stands at `Case`; without a block the hint is `none`.
    """

    dataset: str
    case: str
    seed: int
    data: str
    classes: int
    superclasses: tuple[tuple[int, ...], ...]
    block: str
    hint: str
    loss: str
    layers: int
    model: ModelSettings
    train: TrainSettings
    augment: AugmentSettings

    @property
    def scored(self) -> bool:
        """Whether the cell has an auxiliary block, and so auxiliary scores."""
        return self.block == "auxiliary"

    @property
    def is_told(self) -> bool:
        """Whether the network is told something beside the image: a superclass, a random one, or zeros in its place."""
        return self.hint != "none"

    @property
    def superclass_of(self) -> tuple[int, ...]:
        """The superclass of each class, (K,); empty for the baseline."""
        return superclass_of(self.superclasses, self.classes) if self.superclasses else ()

    @property
    def name(self) -> str:
        """The cell's path below results/ and checkpoints/, such as `svhn/case4/seed3`."""
        return f"{self.dataset}/{self.case}/seed{self.seed}"

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """What identifies the cell, as JSON gives it back: names and titles can change without retraining it."""
        plain = json.loads(json.dumps(dataclasses.asdict(self)))
        return {key: plain[key] for key in plain if key not in ("dataset", "case")} | {
            "mathematics": MATHEMATICS
        }

    @functools.cached_property
    def hash(self) -> str:
        """16 hexadecimal digits of the SHA-256 of `settings`."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class DataPaths:
    """A prepared data set's two files: the arrays (.npz), and the description of what they are (.json)."""

    arrays: Path
    description: Path


@dataclasses.dataclass(frozen=True)
class CellPaths:
    """A cell's three folders: small results, heavy checkpoints, and the state of an unfinished run; and the files there.

    The lock is held by the process that trains the cell or copies it here. It is one for all settings: two processes whose
    settings differ would write the same results.
    """

    results: Path
    checkpoints: Path
    resume: Path
    lock: Path
    scored: bool

    @property
    def record(self) -> Path:
        """What the cell is, and the sums of its other files."""
        return self.results / "cell.json"

    @property
    def curves(self) -> Path:
        """Losses and errors after every epoch."""
        return self.results / "curves.csv"

    @property
    def scores(self) -> Path:
        """Auxiliary scores of the training images, of a cell that has them."""
        return self.results / "scores.npz"

    @property
    def weights(self) -> Path:
        """The trained network."""
        return self.checkpoints / "weights.safetensors"

    @property
    def predictions(self) -> Path:
        """Logits of the test images."""
        return self.checkpoints / "predictions.npz"

    @property
    def auxiliary(self) -> Path:
        """What the scores are computed from, of a cell that has them."""
        return self.checkpoints / "auxiliary.npz"

    @property
    def files(self) -> list[Path]:
        """Every file of a cell that is trained to its end, but the record of them."""
        scored = [self.scores, self.auxiliary] if self.scored else []
        return [self.curves, self.weights, self.predictions, *scored]


@dataclasses.dataclass(frozen=True)
class Params:
    """params.yaml with its overlays, checked.

    Attributes:
        root: everything the pipeline makes is written below this folder.
        grid: which cells are trained.
        datasets: a catalogue; `grid.datasets` names those that are trained.
        model: the network.
        train: the optimizer and its schedule.
        augment: what happens to training images.
        data: where files are looked for.
        runtime: how a cell is run.
        variants: settings to try on every data set of the grid; `load` makes data sets of them.
    """

    root: Annotated[
        str,
        Pattern(
            r"(?!-)[A-Za-z0-9._/-]+", "a path of letters, digits, . _ - and / alone, not beginning with -"
        ),
    ]
    grid: Grid
    datasets: dict[DatasetName, Dataset]
    model: ModelSettings
    train: TrainSettings
    augment: AugmentSettings
    data: DataSettings = dataclasses.field(default_factory=DataSettings)
    runtime: RuntimeSettings = dataclasses.field(default_factory=RuntimeSettings)
    variants: dict[DatasetName, Variant] = dataclasses.field(default_factory=dict)

    def cell(self, dataset: str, case: str, seed: int) -> Cell:
        """The cell of that name; its seed need not be in the grid.

        Raises:
            UserError: no such data set or case, or a seed out of range.
        """
        entry = self.dataset(dataset)
        if case != BASELINE and case not in entry.cases:
            raise UserError(f"case {case!r}: {dataset} has {', '.join([BASELINE, *entry.cases])}")
        if not 0 <= seed < 2**32:
            raise UserError(f"seed {seed}: must be at least 0 and less than 2**32")
        grouping = NO_GROUPING if case == BASELINE else entry.cases[case]
        return Cell(
            dataset=dataset,
            case=case,
            seed=seed,
            data=entry.source if entry.sha256 is None else entry.sha256,
            classes=len(entry.classes),
            superclasses=grouping.grouping,
            block=grouping.block,
            hint="none" if grouping.block == "none" else grouping.hint,
            loss=grouping.loss,
            layers=entry.layers,
            model=self.settings_of("model", dataset),
            train=self.settings_of("train", dataset),
            augment=self.settings_of("augment", dataset),
        )

    @property
    def own_datasets(self) -> list[str]:
        """The grid's data sets that are no variants: a variant's groupings are those of its data set again."""
        return [name for name in self.grid.datasets if self.datasets[name].variant_of is None]

    def cases(self, dataset: str) -> list[str]:
        """`baseline` and the data set's groupings, in the file's order."""
        return [BASELINE, *self.dataset(dataset).cases]

    def groupings(self, dataset: str) -> list[str]:
        """The data set's cases that are the paper's network under some grouping, and no ablations."""
        return [name for name, case in self.dataset(dataset).cases.items() if not case.ablation]

    def ablations(self, dataset: str) -> dict[str, str]:
        """Each ablation with its grouping: the paper's network that has its superclasses, in whatever order, else the first ablation that has."""
        cases = self.dataset(dataset).cases
        first = {
            frozenset(cases[name].grouping): name for name in reversed([*self.groupings(dataset), *cases])
        }
        return {name: first[frozenset(case.grouping)] for name, case in cases.items() if case.ablation}

    def cells(self) -> list[Cell]:
        """Every cell of the grid, data set by data set, case by case, seed by seed."""
        return [
            self.cell(dataset, case, seed)
            for dataset in self.grid.datasets
            for case in self.cases(dataset)
            for seed in self.grid.seeds
        ]

    def path(self, *parts: str) -> Path:
        """A path below `root`."""
        return Path(self.root, *parts)

    def within(self, path: Path) -> Path:
        """A path below `root` as it is called there, wherever the run lies."""
        return path.relative_to(self.root)

    def epochs(self, dataset: str) -> int:
        """For how many the data set's networks are trained."""
        return int(self.datasets[dataset].train.get("epochs", self.train.epochs))

    @property
    def lock(self) -> Path:
        """What a Snakemake holds while it is at work: it deletes the files of a cell that it planned to train, whoever put them there since."""
        return self.path(".lock")

    def data_paths(self, dataset: str) -> "DataPaths":
        """Where a prepared data set lies."""
        return DataPaths(self.path("data", f"{dataset}.npz"), self.path("data", f"{dataset}.json"))

    def cell_paths(self, cell: Cell) -> "CellPaths":
        """Where the cell's files lie."""
        flat = cell.name.replace("/", "-")
        return CellPaths(
            results=self.path("results", cell.name),
            checkpoints=self.path("checkpoints", cell.name),
            resume=self.path(".resume", f"{flat}-{cell.hash}"),
            lock=self.path(".resume", f"{flat}.lock"),
            scored=cell.scored,
        )

    def settings_of(self, section: str, dataset: str) -> Any:
        """A section's common settings with what the data set changes, checked."""
        common, changed = getattr(self, section), getattr(self.datasets[dataset], section)
        return build(type(common), dataclasses.asdict(common) | changed, f"datasets.{dataset}.{section}")

    def dataset(self, name: str) -> Dataset:
        """The entry of a data set.

        Raises:
            UserError: there is none of that name.
        """
        if name not in self.datasets:
            raise UserError(f"data set {name!r}: params.yaml has {', '.join(self.datasets)}")
        return self.datasets[name]

    def check_in_grid(self, dataset: str) -> None:
        """Refuse a data set whose cells are not those of this run.

        Raises:
            UserError: it is not in the grid.
        """
        if dataset not in self.grid.datasets:
            raise UserError(f"data set {dataset!r}: the grid has {', '.join(self.grid.datasets)}")


def load(path: Path | str = "params.yaml", overlays: Sequence[Path | str] = ()) -> Params:
    """Read params.yaml, lay each overlay over it key by key, and check the whole.

    In an overlay, a case that is null is dropped.

    Raises:
        UserError: names the file, the key's full path, the value, and what is allowed.
    """
    for file in (path, *overlays):
        build(
            Name, os.path.basename(file), "name of the file"
        )  # it stands in the report, and in commands to paste
    base = content = read_yaml(Path(path))
    where = str(path)
    for overlay in overlays:
        above = read_yaml(Path(overlay))
        _check_known(content, above, str(overlay))
        merged = _merge(_without_old_names(content, above), above)
        content = _without_dropped_cases(content, merged, str(overlay))
        where += f" + {overlay}"
    params = build(Params, content, f"{where}:")
    if overlays:
        _check_place(
            params.root, Path(str(base.get("root", "."))), Path(path).resolve().parent, where, overlays[-1]
        )
    # One spelling of every path: Snakemake would take `runs/a/../b` and `runs/b` for two folders.
    params = dataclasses.replace(params, root=os.path.normpath(params.root))
    params = _with_variants(params, where)
    _check(params, where)
    return params


def _merge(below: dict, above: dict) -> dict:
    """Mappings merge key by key; anything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _merge(below[key], value) if both else value
    return merged


def _within(content: Any, *keys: str) -> dict:
    """The mapping at that place of what a file holds; empty where there is none."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def _cases(content: dict, dataset: str) -> dict:
    return _within(content, "datasets", dataset, "cases")


def _check_known(below: dict, above: dict, where: str) -> None:
    """Refuse an overlay that changes a data set which there is not: it would be asked for all that a new one needs."""
    known = _within(below, "datasets")
    for name, changed in _within(above, "datasets").items():
        if name not in known and isinstance(changed, dict) and "source" not in changed:
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}."
            raise UserError(f"{where}: datasets.{name}: no such data set; {hint} A new one needs a `source`")


def _without_old_names(below: dict, above: dict) -> dict:
    """What lies below an overlay, without title and names of the groupings that it replaces: they would be called what they are not."""
    below = copy.deepcopy(below)
    for name in _within(above, "datasets"):
        for case, grouping in _cases(above, name).items():
            old = _within(_cases(below, name).get(case))
            if "superclasses" in _within(grouping) and grouping["superclasses"] != old.get("superclasses"):
                old.pop("title", None)
                old.pop("names", None)
    return below


def _without_dropped_cases(below: dict, merged: dict, where: str) -> dict:
    """What an overlay made of the content below it, without the cases that it set to null."""
    datasets = _within(merged, "datasets")
    for name in datasets:
        dropped = [case for case, content in _cases(merged, name).items() if content is None]
        if unknown := [case for case in dropped if case not in _cases(below, name)]:
            raise UserError(
                f"{where}: datasets.{name}.cases.{unknown[0]}: null drops a case, and there is none"
            )
        if dropped:
            kept = {case: content for case, content in _cases(merged, name).items() if case not in dropped}
            datasets[name] = datasets[name] | {"cases": kept}
    return merged


def _check_place(root: str, base_root: Path, checkout: Path, where: str, overlay: Path | str) -> None:
    """Refuse a root with which an overlay could write into the run of params.yaml, or into the checkout's own files.

    What counts is where the folders are, whatever their names and links: inside the checkout and inside the run of
    params.yaml, a folder below runs/; outside, one that holds neither of them.
    """
    for folder in ("", *FOLDERS):
        place = Path(root, folder).resolve()
        for kept in {base_root.resolve(), checkout}:
            inside = place.is_relative_to(kept) and not _is_below(place, kept / "runs")
            if inside or (not folder and kept.is_relative_to(place)):
                it = f"its {folder}/ lies at {place}; an" if folder else "an"
                raise UserError(
                    f"{where}: root = {root!r}: {it} overlay is another experiment and needs a root of its own, such as "
                    f"`root: runs/{Path(overlay).stem}`, so that it cannot replace anything in {kept}"
                )


def _is_below(place: Path, folder: Path) -> bool:
    return place != folder and place.is_relative_to(folder)


def _with_variants(params: Params, where: str) -> Params:
    """Make `variants` into data sets of their own, so that all that follows knows nothing of them.

    The variant `v` of data set `d` is a data set `d-v` that differs from `d` in a few settings.
    """
    added: dict[str, Dataset] = {}
    for name in params.grid.datasets:
        if name not in params.datasets:
            raise UserError(
                f"{where}: grid.datasets: {name!r} is not defined under datasets ({', '.join(params.datasets)})"
            )
        for variant, change in params.variants.items():
            if f"{name}-{variant}" in params.datasets | added:
                raise UserError(
                    f"{where}: variants.{variant}: there is a data set {name}-{variant} already; rename one"
                )
            dataset = params.datasets[name]
            added[f"{name}-{variant}"] = dataclasses.replace(
                dataset,
                title=f"{dataset.title or name}, {change.title}",
                variant_of=name,
                variant_title=change.title,
                model=dataset.model | change.model,
                train=dataset.train | change.train,
                augment=dataset.augment | change.augment,
            )
    grid = dataclasses.replace(params.grid, datasets=(*params.grid.datasets, *added))
    return dataclasses.replace(params, grid=grid, datasets=params.datasets | added, variants={})


def _check(params: Params, where: str) -> None:
    """What no single section can show: names that must exist, and each data set's settings as a whole."""
    _check_titles(params, where)
    for name, dataset in params.datasets.items():
        dataset.check(f"{where}: datasets.{name}")
        for section in ("model", "train", "augment"):
            try:
                params.settings_of(section, name)
            except UserError as error:
                written = str(error)
                if dataset.variant_of:  # where the file has it
                    variant = name.removeprefix(f"{dataset.variant_of}-")
                    written = written.replace(f"datasets.{name}.", f"variants.{variant}.")
                raise UserError(f"{where}: {written}") from None


def _check_titles(params: Params, where: str) -> None:
    """Tables, rows and panels go by titles, so no two data sets of the grid, variants among them, may have the same."""
    first: dict[str, str] = {}
    for name in params.grid.datasets:
        title = params.datasets[name].title or name
        if (other := first.setdefault(title, name)) != name:
            raise UserError(
                f"{where}: data sets {other} and {name}: the same title, {title!r}; give each one of its own"
            )
