"""Numbers and names as the tables print them."""

import math
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from hal.decimals import decimals
from hal.present.blocks import PARTIAL
from hal.study.resampling import Interval

NONE = "–"
NAMED = 8  # cases that a sentence names


def counted(n: int, planned: int) -> str:
    """How many cells a number is of, marked where that is fewer than planned."""
    return str(n) if n == planned else f"{n} of {planned} {PARTIAL}"


def number(value: float, digits: int = 2) -> str:
    """Such as 0.43, or a dash for NaN."""
    return NONE if math.isnan(value) else decimals(value, digits)


def with_deviation(mean: float, sd: float) -> str:
    """Such as `0.43 ± 0.03`; without the deviation where there is none."""
    return number(mean) if math.isnan(mean) or math.isnan(sd) else f"{decimals(mean)} ± {decimals(sd)}"


def with_range(mean: float, least: float, most: float) -> str:
    """A mean with the lowest and the highest network, such as `4.3 (0.0–21.5)`; the mean alone of one or of equals."""
    alone = math.isnan(mean) or least == most
    return number(mean, 1) if alone else f"{number(mean, 1)} ({number(least, 1)}–{number(most, 1)})"


def signed(value: float) -> str:
    """A difference, such as −0.50."""
    return NONE if math.isnan(value) else decimals(value, sign=True)


def extent(values: pd.Series, text: Callable[[float], str] = number) -> str:
    """From the lowest to the highest, as `text` prints them; one of them where both read alike."""
    low, high = text(values.min()), text(values.max())
    return low if low == high else f"{low} to {high}"


def named(cases: Sequence[str], of: int) -> str:
    """Some of so many cases by their names, or by their number where nobody would read so many names."""
    if len(cases) <= NAMED:
        return ", ".join(cases)
    return f"all {len(cases)} groupings" if len(cases) == of else f"{len(cases)} of {of} groupings"


def interval(bounds: Interval, sign: bool = False) -> str:
    """Such as `[0.40, 0.46]`, or a dash."""
    text = signed if sign else number
    return f"[{text(bounds.low)}, {text(bounds.high)}]" if bounds.known else NONE


def with_interval(text: str, bounds: Interval, sign: bool = False) -> str:
    """Such as `0.43 [0.40, 0.46]`; the text alone where there is no interval."""
    return f"{text} {interval(bounds, sign)}" if bounds.known else text


def difference(row: Any, name: str) -> str:
    """The difference of that name in a row of a table, with its interval where it has one."""
    bounds = Interval(getattr(row, f"{name}_low"), getattr(row, f"{name}_high"))
    return with_interval(signed(getattr(row, name)), bounds, sign=True)


def probability(p: float) -> str:
    """A p-value, never printed as 0."""
    if math.isnan(p):
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def widths(text: str) -> int:
    """How many letters wide a text is: a sign such as 漢 is two."""
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


def cut(text: str, width: int) -> str:
    """The text where it is at most `width` letters wide, else its beginning and its end around an ellipsis.

    Names often differ at their end alone.
    """
    if widths(text) <= width:
        return text
    head, tail = text[: len(text) // 2], text[len(text) // 2 :]
    while widths(head) + widths(tail) >= width:
        head, tail = (head[:-1], tail) if widths(head) > widths(tail) else (head, tail[1:])
    return f"{head.rstrip()}…{tail.lstrip()}"
