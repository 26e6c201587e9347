"""paper.yaml as typed objects: what the paper printed, and which settings it states."""

import dataclasses
import functools
from pathlib import Path
from typing import Any, Literal

from hal.params import Params
from hal.schema import build
from hal.settings import BASELINE, Dataset, in_order
from hal.yaml12 import read_yaml


@dataclasses.dataclass(frozen=True)
class Citation:
    """The paper."""

    authors: tuple[str, ...]
    title: str
    year: int
    published: str
    url: str


@dataclasses.dataclass(frozen=True)
class PrintedCase:
    """A row of Table 1."""

    semantics: str
    superclasses: tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True)
class PrintedError:
    """An entry of Table 2, in percent; the paper prints no deviation for the baseline."""

    mean: float
    sd: float | None


@dataclasses.dataclass(frozen=True)
class PrintedDataset:
    """What the paper says of one data set."""

    title: str
    layers: int
    figures: dict[str, int]
    cases: dict[str, PrintedCase]
    errors: dict[str, PrintedError]
    classes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Reading:
    """How the artifact reads what the paper leaves open."""

    topic: str
    reading: str
    why: str


@dataclasses.dataclass(frozen=True)
class Contradiction:
    """A place where the paper disagrees with itself."""

    says: str
    but: str


TestName = Literal[
    "largest_reduction", "reduces", "can_reduce", "can_reduce_loss", "errors", "lowest", "highest", "lower", "similar",
    "deviation", "faster", "separated", "mixed", "better_split", "predicts", "images", "many_classes", "no_rule",
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Claim:
    """A sentence of the paper, in our words, and the test that decides whether it held (see study/claims/judges.py).

    Attributes:
        id: its name.
        place: where the paper says it.
        says: what it says.
        test: the name of its rule.
        datasets: the data sets that it is about.
        cases: the cases that it is about; empty for all of Table 1.
        against: the case that they are compared with, where it is not the baseline.
        value: the number that the paper states, or the limit that the test takes its words to mean.
        tolerance: what a repetition may differ by and still agree.
        pair: the two superclasses that it is about.
        because: why that limit or tolerance, as a phrase.
        lacks: of a claim that nothing here can decide, what would, as a phrase.
        images: numbers of images by data set: `train`, `test`, `all`, or of training images `per_class`.
    """

    id: str
    place: str
    says: str
    test: TestName
    datasets: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    against: str = ""
    value: float = 0.0
    tolerance: float = 0.0
    pair: tuple[int, ...] = ()
    because: str = ""
    lacks: str = ""
    images: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Paper:
    """paper.yaml. `settings` maps key paths of params.yaml to the values that section 4 states."""

    citation: Citation
    runs: int
    settings: dict[str, Any]
    datasets: dict[str, PrintedDataset]
    readings: tuple[Reading, ...]
    contradictions: tuple[Contradiction, ...]
    claims: tuple[Claim, ...]

    def dataset(self, params: Params, name: str) -> PrintedDataset | None:
        """What the paper printed for that data set of params, or None: the name alone does not make it the paper's."""
        return self.datasets.get(name) if params.datasets[name].source == name else None

    def error(self, params: Params, dataset: str, case: str) -> PrintedError | None:
        """Table 2's entry, or None where the paper has none for this very grouping."""
        printed = self.dataset(params, dataset)
        if printed is None or not (
            case == BASELINE or same_grouping(printed, params.datasets[dataset], case)
        ):
            return None
        return printed.errors[case]


def same_grouping(printed: PrintedDataset, dataset: Dataset, case: str) -> bool:
    """Whether the data set's case is Table 1's of that name."""
    if case not in printed.cases or dataset.cases[case].ablation:
        return False
    return dataset.cases[case].grouping == in_order(printed.cases[case].superclasses)


def other_order(printed: PrintedDataset, dataset: Dataset, case: str) -> bool:
    """Whether the data set's case has Table 1's superclasses in another order, which numbers them otherwise."""
    if case not in printed.cases or dataset.cases[case].ablation or same_grouping(printed, dataset, case):
        return False
    return set(dataset.cases[case].grouping) == set(in_order(printed.cases[case].superclasses))


@functools.cache
def load_paper() -> Paper:
    """Read the paper.yaml of this package."""
    content = read_yaml(Path(__file__).parent / "paper.yaml")
    kinds = {field.name: field.type for field in dataclasses.fields(Paper)}
    settings = content.pop("settings")
    return Paper(
        settings=settings, **{key: build(kinds[key], content[key], f"paper.yaml: {key}") for key in content}
    )
