"""The settings of params.yaml as typed, frozen objects, with what each may hold beside it."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from hal.errors import UserError
from hal.schema import Legible, Length, PartOf, Pattern, Range

BASELINE = "baseline"

DatasetName = Annotated[
    str, Pattern(r"[a-z0-9][a-z0-9_-]*", "a folder's name of lower-case letters, digits, _ and -")
]
CaseName = Annotated[
    str,
    Pattern(
        r"(?!baseline$)[a-z0-9][a-z0-9_-]*",
        f"a folder's name of lower-case letters, digits, _ and -, and not {BASELINE}",
    ),
]
Title = Annotated[str, Legible()]  # what may be written into figures, tables and CSV
Name = Annotated[str, Legible(empty=False)]


@dataclasses.dataclass(frozen=True)
class Grid:
    """Which cells are trained: every data set x (baseline and its cases) x seed.

    Attributes:
        datasets: names of data sets of the catalogue.
        seeds: each gives one network of every data set and case.
    """

    datasets: Annotated[tuple[DatasetName, ...], Length(1, unique=True)]
    seeds: Annotated[tuple[Annotated[int, Range(0, 2**32 - 1)], ...], Length(1, unique=True)]


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """Where files are looked for before the official servers.

    Attributes:
        mirrors: folders or URLs that hold MIRROR/SOURCE/FILE, in the order to try them.
    """

    mirrors: tuple[Name, ...] = ()


@dataclasses.dataclass(frozen=True)
class Case:
    """A superclass grouping, told to a network by an auxiliary block, or an ablation of it.

    `block`, `hint` and `loss` make an ablation: a network that differs from the paper's in one thing or two.

    Attributes:
        superclasses: the classes of superclass 0, of superclass 1, ...; superclass j is told as the one-hot vector with
            its 1 at j.
        title: what the grouping is called where people read.
        names: what its superclasses are called.
        block: what the superclass goes into: `auxiliary`, the paper's block; `concat`, its one-hot vector stands beside
            the features and goes into the output layer; `none`, nothing.
        hint: what the block is told: `superclass`, the true one; `zero`, nothing (x* = 0); `random`, a superclass drawn
            anew for every image and epoch, and for every test image.
        loss: `masked` trains and tests with the classes of the true superclass alone.
    """

    superclasses: Annotated[
        tuple[Annotated[tuple[Annotated[int, Range(0, 255)], ...], Length(1)], ...], Length(2)
    ]
    title: Title = ""
    names: tuple[Name, ...] = ()
    block: Literal["auxiliary", "concat", "none"] = "auxiliary"
    hint: Literal["superclass", "zero", "random"] = "superclass"
    loss: Literal["softmax", "masked"] = "softmax"

    @property
    def grouping(self) -> tuple[tuple[int, ...], ...]:
        """The superclasses, by which groupings are compared."""
        return in_order(self.superclasses)

    @property
    def ablation(self) -> bool:
        """Whether this is an ablation, and not the paper's network under some grouping."""
        return (self.block, self.hint, self.loss) != ("auxiliary", "superclass", "softmax")

    def check(self, where: str, classes: int) -> None:
        """What no single value can show.

        Raises:
            UserError: the grouping does not hold every class once, or the settings contradict each other.
        """
        superclass_of(self.superclasses, classes, f"{where}.superclasses")
        if self.block == "none" and self.hint != "superclass":
            raise UserError(
                f"{where}.hint = {self.hint!r}: without a block nothing is told; leave `hint` out"
            )
        if self.block == "none" and self.loss != "masked":
            raise UserError(
                f"{where}.block = 'none': without a block and with the loss of all classes this is the baseline; "
                "add `loss: masked`, or leave the case out"
            )
        if self.names and len(self.names) != len(self.superclasses):
            raise UserError(
                f"{where}.names: {len(self.names)} names for {len(self.superclasses)} superclasses"
            )


NO_GROUPING = Case(superclasses=(), block="none")  # the baseline


def in_order(superclasses: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Superclasses with the classes of each in order: how they were written down means nothing."""
    return tuple(tuple(sorted(classes)) for classes in superclasses)


def superclass_of(
    superclasses: Sequence[Sequence[int]], classes: int, where: str = "superclasses"
) -> tuple[int, ...]:
    """The superclass of each class, (K,), of a grouping that holds each of the `classes` K classes once.

    Raises:
        UserError: a class is out of range, in two superclasses, or in none.
    """
    owner: dict[int, int] = {}
    for j, labels in enumerate(superclasses):
        for label in labels:
            if not 0 <= label < classes:
                raise UserError(
                    f"{where}[{j}]: label {label} is out of range; labels run from 0 to {classes - 1}"
                )
            if label in owner:
                raise UserError(f"{where}[{j}]: class {label} is already in superclass {owner[label]}")
            owner[label] = j
    if missing := sorted(set(range(classes)) - set(owner)):
        raise UserError(f"{where}: class {missing[0]} is in no superclass (missing: {missing})")
    return tuple(owner[label] for label in range(classes))


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """Everything about the network that is the same for all data sets.

    Attributes:
        widths: channels of the three stages.
        batch_norm_momentum: what a step adds to the running statistics; 1 - the share that they keep.
        batch_norm_eps: what batch normalisation adds to the variance.
        linear_init: how the two linear layers begin.
        output_bias: whether the output layer has a bias.
    """

    widths: Annotated[tuple[Annotated[int, Range(1, 4096)], ...], Length(3, 3)]
    batch_norm_momentum: Annotated[float, Range(0, 1, above=True)]
    batch_norm_eps: Annotated[float, Range(0, 1, above=True)]
    linear_init: Literal["he", "uniform"]
    output_bias: bool


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """Optimizer, schedule and arithmetic.

    Attributes:
        epochs: passes over the training images.
        batch_size: images a step.
        max_lr: the learning rate at the end of the warm-up.
        cosine: whether the learning rate falls at every step or at every epoch.
        warmup_epochs: epochs of linear warm-up, before the cosine; parts of an epoch are possible.
        momentum: of stochastic gradient descent.
        weight_decay: of stochastic gradient descent.
        precision: the arithmetic of training and tests.
    """

    epochs: Annotated[int, Range(1, 10**6)]
    batch_size: Annotated[int, Range(2, 10**6)]
    max_lr: Annotated[float, Range(0, 1e30, above=True)]
    cosine: Literal["step", "epoch"]
    warmup_epochs: Annotated[float, Range(0)]
    momentum: Annotated[float, Range(0, 1)]
    weight_decay: Annotated[float, Range(0)]
    precision: Literal["float32", "tf32", "bfloat16"]

    def steps(self, images: int) -> int:
        """The steps of an epoch of so many training images: an incomplete last batch is dropped."""
        return images // self.batch_size

    @property
    def highest_lr(self) -> float:
        """The highest learning rate that `train.schedule` reaches: `max_lr`, unless the warm-up is longer than the training."""
        return self.max_lr * (self.epochs / max(self.warmup_epochs, self.epochs))


@dataclasses.dataclass(frozen=True)
class AugmentSettings:
    """What happens to training images.

    Attributes:
        pad: black pixels added on each side before a crop of the old size.
        crop: whether its place is drawn for each image or once a batch.
        flip: whether left and right change places with probability 1/2.
    """

    pad: Annotated[int, Range(0, 64)]
    crop: Literal["image", "batch"]
    flip: bool


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set of the catalogue, its network's depth and its superclass groupings.

    Attributes:
        source: where its images come from; `digits` is embedded in scikit-learn, `npz` is a file of yours.
        layers: convolutions on the main path and projections, 6 n + 4.
        classes: what the labels 0, 1, ... are called.
        cases: its superclass groupings by name.
        title: what it is called where people read.
        sha256: for `npz` that of the file, else that of the decoded arrays, to pin them.
        path: of the `npz` file.
        channels: of an `npz` file's images; needed where there are more than 4.
        model: what differs from the common `model`, for this data set alone.
        train: what differs from the common `train`.
        augment: what differs from the common `augment`.
        variant_of: for a variant, the data set that it was made from.
        variant_title: for a variant, what is different about it.
    """

    source: Literal["mnist", "svhn", "cifar10", "cifar100", "digits", "npz"]
    layers: Annotated[int, Range(10, 1000)]
    classes: Annotated[tuple[Name, ...], Length(2, 256, unique=True)]
    cases: dict[CaseName, Case]
    title: Title = ""
    sha256: Annotated[str, Pattern(r"[0-9a-f]{64}", "64 lower-case hexadecimal digits")] | None = None
    path: Name | None = None
    channels: Annotated[int, Range(1, 4096)] | None = None
    model: Annotated[dict[str, Any], PartOf(ModelSettings)] = dataclasses.field(default_factory=dict)
    train: Annotated[dict[str, Any], PartOf(TrainSettings)] = dataclasses.field(default_factory=dict)
    augment: Annotated[dict[str, Any], PartOf(AugmentSettings)] = dataclasses.field(default_factory=dict)
    variant_of: str | None = dataclasses.field(default=None, metadata={"derived": True})
    variant_title: str = dataclasses.field(default="", metadata={"derived": True})

    def check(self, where: str) -> None:
        """What no single value can show.

        Raises:
            UserError: a number of layers that no network has, a missing or superfluous path or sum, a wrong grouping.
        """
        if (self.layers - 4) % 6:
            raise UserError(f"{where}.layers = {self.layers}: must be 6 n + 4, such as 10, 16, 22 or 28")
        if self.source == "npz" and (self.path is None or self.sha256 is None):
            raise UserError(
                f"{where}: source npz needs `path` and `sha256` (of the file; `sha256sum FILE` prints it)"
            )
        if self.source != "npz" and self.path is not None:
            raise UserError(f"{where}.path = {self.path!r}: only source npz takes a path")
        for name, case in self.cases.items():
            case.check(f"{where}.cases.{name}", len(self.classes))


@dataclasses.dataclass(frozen=True)
class Variant:
    """A few settings that differ from the common ones, to see what they are worth.

    Attributes:
        title: what is different about it.
        model: what differs from `model`.
        train: what differs from `train`.
        augment: what differs from `augment`.
    """

    title: Name
    model: Annotated[dict[str, Any], PartOf(ModelSettings)] = dataclasses.field(default_factory=dict)
    train: Annotated[dict[str, Any], PartOf(TrainSettings)] = dataclasses.field(default_factory=dict)
    augment: Annotated[dict[str, Any], PartOf(AugmentSettings)] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class RuntimeSettings:
    """How a cell is run; changes speed, never which experiment it is.

    Attributes:
        device: what computes; `auto` takes a GPU where there is one.
        deterministic: bit-equal reruns on the same kind of machine.
        cpu_threads: of a cell; the grid fills the other cores with other cells.
        cells_per_gpu: cells trained at once on each GPU, a process each.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    deterministic: bool = True
    cpu_threads: Annotated[int, Range(1, 1024)] = 1
    cells_per_gpu: Annotated[int, Range(1, 48)] = 5
