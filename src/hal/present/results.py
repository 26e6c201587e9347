"""The computed tables, as everything that is shown reads them."""

import io

import pandas as pd

from hal import sums
from hal.current import study_basis
from hal.errors import UserError
from hal.outputs import sums_path
from hal.params import Params

# Columns of words, where nothing is written for an empty one.
_WORDS = (
    *("notes", "note", "grouping", "against", "held", "case", "dataset", "variant", "whose", "level", "loss"),
    *("quantity", "networks", "missing"),
    *(
        "id",
        "place",
        "says",
        "test",
        "rule",
        "verdict",
        "why",
        "indication",
        "table",
        "table_why",
        "separability",
        "reduction",
    ),
)


def read_results(params: Params, *names: str) -> list[pd.DataFrame]:
    """Tables of results/ by their names.

    Raises:
        UserError: one is not there, is not what `hal study` wrote, or was computed under other settings or by other code.
    """
    basis = study_basis(params)
    return [_read(params, name, basis) for name in names]


def _read(params: Params, name: str, basis: str) -> pd.DataFrame:
    path = params.path("results", f"{name}.csv")
    try:
        text, noted = sums.read(path, sums_path(params)), sums.basis(sums_path(params))
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such file; `hal study` makes it") from None
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"{error}; `hal study` makes it again") from None
    if noted != basis:
        raise UserError(
            f"{path}: computed under other settings, or by another version of the code; `hal study` computes it again"
        )
    types = dict.fromkeys(_WORDS, str)  # a case may be called 01, 1e3 or true
    frame = pd.read_csv(io.StringIO(text), dtype=types, keep_default_na=False, na_values=[""])
    words = [column for column in _WORDS if column in frame]
    return frame.fillna(dict.fromkeys(words, ""))
