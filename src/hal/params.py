"""params.yaml (and overlays) as validated, typed objects, and the hash that identifies a cell.

A **cell** is one trained network: (data set, case, seed), where the case is `baseline` or a superclass grouping.
"""

import dataclasses
import functools
import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from hal.errors import UserError
from hal.schema import Range, build, read_yaml

BASELINE = "baseline"

# Part of every cell's identity. Raise it when a change of the code changes what a cell computes.
MATHEMATICS = 2

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_ROOT = re.compile(r"[A-Za-z0-9._/-]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class Grid:
    """Which cells are trained: every data set x (baseline and its cases) x seed."""

    datasets: tuple[str, ...]
    seeds: tuple[Annotated[int, Range(0, 2**32 - 1)], ...]


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """Where files are looked for before the official servers: folders or URLs."""

    mirrors: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Case:
    """A superclass grouping: `superclasses[j]` holds the classes whose one-hot vector has its 1 at j.

    The last three make a control of it, a network that differs from the paper's in one thing:

    - `block`, what the superclass goes into: `concat` puts its one-hot vector beside the features, into the output layer;
      `none` leaves it out;
    - `hint`, what the block is told of it: `zero`, nothing (x* = 0); `random`, a superclass drawn anew for every image
      and epoch, and for every test image;
    - `loss`: `masked` trains and tests with the classes of the true superclass alone.
    """

    superclasses: tuple[tuple[int, ...], ...]
    title: str = ""
    names: tuple[str, ...] = ()
    block: Literal["auxiliary", "concat", "none"] = "auxiliary"
    hint: Literal["superclass", "zero", "random"] = "superclass"
    loss: Literal["softmax", "masked"] = "softmax"

    @property
    def control(self) -> bool:
        """Whether this is a control, and not the paper's network under some grouping."""
        return (self.block, self.hint, self.loss) != ("auxiliary", "superclass", "softmax")


NO_GROUPING = Case(superclasses=(), block="none")  # the baseline


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set of the catalogue, its network's depth and its superclass groupings.

    `model`, `train` and `augment` hold what differs from the common settings, for this data set alone.
    `variant_of` names the data set that a variant was made from (see `_with_variants`).
    """

    source: Literal["mnist", "svhn", "cifar10", "digits", "npz"]
    layers: Annotated[int, Range(10, 1000)]
    classes: tuple[str, ...]
    cases: dict[str, Case]
    title: str = ""
    sha256: str | None = None
    path: str | None = None
    model: dict[str, Any] = dataclasses.field(default_factory=dict)
    train: dict[str, Any] = dataclasses.field(default_factory=dict)
    augment: dict[str, Any] = dataclasses.field(default_factory=dict)
    variant_of: str | None = None


@dataclasses.dataclass(frozen=True)
class Variant:
    """A few settings that differ from the common ones, to see what they are worth."""

    title: str
    model: dict[str, Any] = dataclasses.field(default_factory=dict)
    train: dict[str, Any] = dataclasses.field(default_factory=dict)
    augment: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """Everything about the network that is the same for all data sets."""

    widths: tuple[Annotated[int, Range(1, 4096)], ...]
    batch_norm_momentum: Annotated[float, Range(0, 1, above=True)]
    batch_norm_eps: Annotated[float, Range(0, 1, above=True)]
    linear_init: Literal["he", "uniform"]
    output_bias: bool


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """Optimizer, schedule and arithmetic."""

    epochs: Annotated[int, Range(1, 10**6)]
    batch_size: Annotated[int, Range(2, 10**6)]
    max_lr: Annotated[float, Range(0, 1e30, above=True)]
    cosine: Literal["step", "epoch"]
    warmup_epochs: Annotated[float, Range(0)]
    momentum: Annotated[float, Range(0, 1)]
    weight_decay: Annotated[float, Range(0)]
    precision: Literal["float32", "tf32", "bfloat16"]


@dataclasses.dataclass(frozen=True)
class AugmentSettings:
    """What happens to training images."""

    pad: Annotated[int, Range(0, 64)]
    crop: Literal["image", "batch"]
    flip: bool


@dataclasses.dataclass(frozen=True)
class RuntimeSettings:
    """How a cell is run; never part of its identity."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    deterministic: bool = True
    cpu_threads: Annotated[int, Range(1, 1024)] = 1
    cells_per_gpu: Annotated[int, Range(1, 48)] = 1


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
class CellPaths:
    """A cell's three folders: small results, heavy checkpoints, and the state of an unfinished run."""

    results: Path
    checkpoints: Path
    resume: Path


@dataclasses.dataclass(frozen=True)
class Params:
    """params.yaml with its overlays, checked."""

    root: str
    grid: Grid
    datasets: dict[str, Dataset]
    model: ModelSettings
    train: TrainSettings
    augment: AugmentSettings
    data: DataSettings = DataSettings()
    runtime: RuntimeSettings = RuntimeSettings()

    def cell(self, dataset: str, case: str, seed: int) -> Cell:
        """The cell of that name; its seed need not be in the grid.

        Raises:
            UserError: no such data set or case, or a seed out of range.
        """
        entry = self._dataset(dataset)
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
            superclasses=tuple(tuple(sorted(classes)) for classes in grouping.superclasses),
            block=grouping.block,
            hint="none" if grouping.block == "none" else grouping.hint,
            loss=grouping.loss,
            layers=entry.layers,
            model=self._settings("model", dataset),
            train=self._settings("train", dataset),
            augment=self._settings("augment", dataset),
        )

    def cases(self, dataset: str) -> list[str]:
        """`baseline` and the data set's groupings, in the file's order."""
        return [BASELINE, *self._dataset(dataset).cases]

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

    def cell_paths(self, cell: Cell) -> "CellPaths":
        """Where the cell's files lie."""
        return CellPaths(
            results=self.path("results", cell.name),
            checkpoints=self.path("checkpoints", cell.name),
            resume=self.path(".resume", f"{cell.name.replace('/', '-')}-{cell.hash}"),
        )

    def _settings(self, section: str, dataset: str) -> Any:
        """A section's common settings with what the data set changes, checked."""
        common, changed = getattr(self, section), getattr(self.datasets[dataset], section)
        return build(type(common), dataclasses.asdict(common) | changed, f"datasets.{dataset}.{section}")

    def _dataset(self, name: str) -> Dataset:
        if name not in self.datasets:
            raise UserError(f"data set {name!r}: params.yaml has {', '.join(self.datasets)}")
        return self.datasets[name]


def load(path: Path | str = "params.yaml", overlays: Sequence[Path | str] = ()) -> Params:
    """Read params.yaml, lay each overlay over it key by key, and check the whole.

    Raises:
        UserError: names the file, the key's full path, the value, and what is allowed.
    """
    base = content = read_yaml(Path(path))
    where = str(path)
    for overlay in overlays:
        content = _merge(content, read_yaml(Path(overlay)))
        where += f" + {overlay}"
    variants = build(dict[str, Variant], content.pop("variants", {}), f"{where}: variants")
    params = build(Params, content, f"{where}:")
    if overlays and os.path.normpath(params.root) == os.path.normpath(str(base.get("root", "."))):
        raise UserError(
            f"{where}: root = {params.root!r}: an overlay is another experiment and needs a root of its own, "
            f"such as `root: runs/{Path(overlays[-1]).stem}`, so that it cannot replace the results of {path}"
        )
    params = _with_variants(params, variants, where)
    _check(params, where)
    return params


def _with_variants(params: Params, variants: dict[str, Variant], where: str) -> Params:
    """Make `variants` into data sets of their own, so that all that follows knows nothing of them.

    The variant `v` of data set `d` is a data set `d-v` that differs from `d` in a few settings.
    """
    added: dict[str, Dataset] = {}
    for name in params.grid.datasets:
        for variant, change in variants.items():
            if name not in params.datasets:
                continue  # said by _check
            if f"{name}-{variant}" in params.datasets:
                raise UserError(
                    f"{where}: variants.{variant}: there is a data set {name}-{variant} already; rename one"
                )
            dataset = params.datasets[name]
            sections = {
                part: getattr(dataset, part) | getattr(change, part) for part in ("model", "train", "augment")
            }
            title = f"{dataset.title or name}, {change.title}"
            added[f"{name}-{variant}"] = dataclasses.replace(
                dataset, title=title, variant_of=name, **sections
            )
    grid = dataclasses.replace(params.grid, datasets=(*params.grid.datasets, *added))
    return dataclasses.replace(params, grid=grid, datasets=params.datasets | added)


def _merge(below: dict, above: dict) -> dict:
    """Mappings merge key by key; anything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _merge(below[key], value) if both else value
    return merged


def _check(params: Params, where: str) -> None:
    """What no single value can show: names that must exist, groupings that must cover the classes once."""
    if not _ROOT.fullmatch(params.root):
        raise UserError(
            f"{where}: root = {params.root!r}: must be a path of letters, digits, . _ - and / alone"
        )
    for field in ("datasets", "seeds"):
        values = getattr(params.grid, field)
        if not values or len(set(values)) < len(values):
            raise UserError(
                f"{where}: grid.{field} = {list(values)}: must hold at least one entry, and none twice"
            )
    for name in params.grid.datasets:
        if name not in params.datasets:
            raise UserError(
                f"{where}: grid.datasets: {name!r} is not defined under datasets ({', '.join(params.datasets)})"
            )
    for name, dataset in params.datasets.items():
        _check_dataset(f"{where}: datasets.{name}", name, dataset)
        for section in ("model", "train", "augment"):
            _check_settings(params, name, section, where)


def _check_settings(params: Params, dataset: str, section: str, where: str) -> None:
    try:
        settings = params._settings(section, dataset)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    if section == "model" and len(settings.widths) != 3:
        raise UserError(
            f"{where}: model.widths = {list(settings.widths)}: must hold three numbers, one a stage"
        )


def _check_dataset(where: str, name: str, dataset: Dataset) -> None:
    if not _NAME.fullmatch(name):
        raise UserError(f"{where}: a data set's name is a folder's name: lower-case letters, digits, _ and -")
    if (dataset.layers - 4) % 6:
        raise UserError(f"{where}.layers = {dataset.layers}: must be 6 n + 4, such as 10, 16, 22 or 28")
    if len(dataset.classes) < 2 or len(set(dataset.classes)) < len(dataset.classes):
        raise UserError(
            f"{where}.classes = {list(dataset.classes)}: must name at least two classes, and none twice"
        )
    if dataset.sha256 is not None and not _SHA256.fullmatch(dataset.sha256):
        raise UserError(f"{where}.sha256 = {dataset.sha256!r}: must be 64 lower-case hexadecimal digits")
    if dataset.source == "npz" and (dataset.path is None or dataset.sha256 is None):
        raise UserError(
            f"{where}: source npz needs `path` and `sha256` (of the file; `sha256sum FILE` prints it)"
        )
    if dataset.source != "npz" and dataset.path is not None:
        raise UserError(f"{where}.path = {dataset.path!r}: only source npz takes a path")
    for case_name, case in dataset.cases.items():
        if not _NAME.fullmatch(case_name) or case_name == BASELINE:
            raise UserError(
                f"{where}.cases.{case_name}: a case's name is a folder's name: lower-case letters, digits, _ and -, "
                f"and not {BASELINE!r}"
            )
        _check_case(f"{where}.cases.{case_name}", case, len(dataset.classes))


def _check_case(where: str, case: Case, n_classes: int) -> None:
    if len(case.superclasses) < 2:
        raise UserError(f"{where}.superclasses: must hold at least two superclasses")
    owner: dict[int, int] = {}
    for j, classes in enumerate(case.superclasses):
        if not classes:
            raise UserError(f"{where}.superclasses[{j}] = []: a superclass needs at least one class")
        for label in classes:
            if not 0 <= label < n_classes:
                raise UserError(
                    f"{where}.superclasses[{j}]: label {label} is out of range; labels run from 0 to {n_classes - 1}"
                )
            if label in owner:
                raise UserError(
                    f"{where}.superclasses[{j}]: class {label} is already in superclass {owner[label]}"
                )
            owner[label] = j
    missing = sorted(set(range(n_classes)) - set(owner))
    if missing:
        raise UserError(f"{where}.superclasses: class {missing[0]} is in no superclass (missing: {missing})")
    if case.block == "none" and case.hint != "superclass":
        raise UserError(f"{where}.hint = {case.hint!r}: without a block nothing is told; leave `hint` out")
    if case.block == "none" and case.loss != "masked":
        raise UserError(
            f"{where}.block = 'none': without a block and with the loss of all classes this is the baseline; "
            "add `loss: masked`, or leave the case out"
        )
    if case.names and len(case.names) != len(case.superclasses):
        raise UserError(f"{where}.names: {len(case.names)} names for {len(case.superclasses)} superclasses")
