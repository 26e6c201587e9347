"""Tables of what was counted on predictions: where those are gone, damaged or measured again, what a table says of the very same networks stays."""

import dataclasses
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hal import sums
from hal.params import Params
from hal.study.grid import CellResult
from hal.study.measures import MEASURES

Rows = Mapping[tuple[str, ...], dict[str, Any]]


def identity(what: str, networks: Iterable[CellResult]) -> str:
    """16 hexadecimal digits that stand for what was counted, and for the networks, by their predictions as cell.json has them.

    Counted on predictions measured again elsewhere (`hal.remeasured`), it is of the same networks and has the same digits.
    """
    predictions = (f"{r.cell.name} {r.record['files'].get('predictions.npz', r.cell.hash)}" for r in networks)
    of = [f"measures {MEASURES}", what, *predictions]
    return hashlib.sha256("\n".join(of).encode()).hexdigest()[:16]


def grouping_text(superclasses: Sequence[Sequence[int]]) -> str:
    """A grouping in a table: `0 1 2 | 3 4`."""
    return " | ".join(" ".join(map(str, sorted(labels))) for labels in superclasses)


@dataclasses.dataclass(frozen=True)
class KeptTable:
    """A kind of table, of which there is one a data set.

    Attributes:
        folder: below results/.
        columns: all of them; the last is `missing`, which says why a row has no numbers.
        key: those that say what a row is of.
        numbers: those that are kept.
        whole: the numbers that are counts.
    """

    folder: str
    columns: Sequence[str]
    key: Sequence[str]
    numbers: Sequence[str]
    whole: Sequence[str]

    def path(self, params: Params, dataset: str) -> Path:
        """Where a data set's table lies."""
        return params.path("results", self.folder, f"{dataset}.csv")

    def absent(self, params: Params, dataset: str) -> str:
        """What is said of a row that the table lacks."""
        return f"not in {self.path(params, dataset)}; `hal controls {dataset}` computes it"

    def write(self, params: Params, dataset: str, rows: Sequence[Mapping[str, Any]]) -> Path:
        """Write a data set's table with its sum and return its path."""
        path = self.path(params, dataset)
        table = pd.DataFrame(rows, columns=self.columns).astype(dict.fromkeys(self.whole, "Int64"))
        sums.write({path: table.to_csv(index=False, lineterminator="\n")}, path.with_suffix(".sha256"))
        return path

    def read(self, params: Params, dataset: str) -> Rows:
        """A data set's rows by their key; none of a file that is not there, damaged or of another form."""
        path = self.path(params, dataset)
        try:
            frame = pd.read_csv(
                io.StringIO(sums.read(path, path.with_suffix(".sha256"))),
                dtype=dict.fromkeys(self.columns, str) | dict.fromkeys(self.numbers, float),
                keep_default_na=False,
                na_values={name: [""] for name in self.numbers},
                usecols=list(self.columns),
            )
        except (FileNotFoundError, ValueError):
            return {}
        return {tuple(row[name] for name in self.key): row for row in frame.to_dict("records")}

    def or_stored(self, row: dict[str, Any], stored: Rows) -> dict[str, Any]:
        """The row with the numbers that are stored of the same; itself where none are."""
        kept = self.kept(row, stored, "none")
        return row if kept["missing"] else kept

    def kept(self, row: dict[str, Any], stored: Rows, absent: str) -> dict[str, Any]:
        """The row with the numbers that are stored of the same, or without any; `absent` is then said of it."""
        old = stored.get(tuple(str(row[name]) for name in self.key))
        return row | ({"missing": absent} if old is None else {k: old[k] for k in (*self.numbers, "missing")})
