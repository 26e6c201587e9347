"""Build typed, frozen dataclasses from plain YAML values and refuse what does not fit, with the key's full path.

A validation library would do this too, but a GPU machine often holds little more than torch and numpy, and
`hal train` has to run there from a plain checkout.
"""

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from hal.errors import UserError


@dataclasses.dataclass(frozen=True)
class Range:
    """Bounds of a number: `low <= x` (or `low < x` where `above`) and `x <= high`. NaN is never inside."""

    low: float
    high: float = float("inf")
    above: bool = False

    def refusal(self, x: float) -> str | None:
        """What `x` must be, if it is not; infinity never is."""
        inside = (x > self.low if self.above else x >= self.low) and x <= self.high and abs(x) != math.inf
        low = f"greater than {_plain(self.low)}" if self.above else f"at least {_plain(self.low)}"
        high = "" if self.high == math.inf else f" and at most {_plain(self.high)}"
        return None if inside else f"must be {low}{high}"

    def keywords(self) -> dict[str, Any]:
        """The same in JSON Schema's words."""
        words: dict[str, Any] = {"exclusiveMinimum" if self.above else "minimum": self.low}
        return words if self.high == math.inf else words | {"maximum": self.high}


def _plain(bound: float) -> str:
    """A bound to its last digit."""
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


@dataclasses.dataclass(frozen=True)
class Length:
    """How many entries a list holds, and whether none may stand there twice."""

    least: int
    most: int | None = None
    unique: bool = False

    def refusal(self, values: Sequence[Any]) -> str | None:
        """What the list must hold, if it does not."""
        right = self.least <= len(values) and (self.most is None or len(values) <= self.most)
        if right and not (self.unique and len(set(values)) < len(values)):
            return None
        if self.least == self.most:
            many = f"exactly {self.least}"
        else:
            many = f"at least {self.least}" + ("" if self.most is None else f" and at most {self.most}")
        noun = "entry" if self.least == 1 and self.most is None else "entries"
        return f"must hold {many} {noun}" + (", and none twice" if self.unique else "")

    def keywords(self) -> dict[str, Any]:
        """The same in JSON Schema's words."""
        words: dict[str, Any] = {"minItems": self.least}
        if self.most is not None:
            words["maxItems"] = self.most
        return words | ({"uniqueItems": True} if self.unique else {})


@dataclasses.dataclass(frozen=True)
class Pattern:
    """A text that matches `regex` as a whole; `meaning` says so to a person."""

    regex: str
    meaning: str

    def refusal(self, text: str) -> str | None:
        """What the text must be, if it is not."""
        return None if re.fullmatch(self.regex, text) else f"must be {self.meaning}"

    def keywords(self) -> dict[str, Any]:
        """The same in JSON Schema's words."""
        return {"pattern": f"^(?:{self.regex})$"}


@dataclasses.dataclass(frozen=True)
class Legible:
    """A text that every file this project writes can carry.

    Control characters and half characters make an SVG invalid, a line break tears a table, a change of the writing
    direction turns what stands behind it, and a spreadsheet runs a cell that begins with one of = + - @.
    """

    empty: bool = True

    _FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")

    def refusal(self, text: str) -> str | None:
        """What is wrong with the text, if anything."""
        if unfit := self._FORBIDDEN.search(text):
            return f"must not hold the character U+{ord(unfit[0]):04X}, which figures and tables cannot show"
        if text[:1] in ("=", "+", "-", "@"):
            return (
                f"must not begin with {text[0]}, with which a spreadsheet begins a formula; write it in words"
            )
        if text != text.strip() or not (text or self.empty):
            return "must begin and end with something that can be seen"
        return None

    def keywords(self) -> dict[str, Any]:
        """The same in JSON Schema's words, but for half characters, which no YAML file holds."""
        unfit = r"\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff"
        inner = rf"[^{unfit}]"
        text = rf"[^\s=+\-@{unfit}](?:{inner}*[^\s{unfit}])?"
        return {"pattern": rf"^(?:{text})?$" if self.empty else rf"^{text}$"}


@dataclasses.dataclass(frozen=True)
class PartOf:
    """A mapping that replaces some settings of `kind`; it is checked together with the others."""

    kind: type

    def refusal(self, values: Mapping[str, Any]) -> str | None:
        """Nothing yet."""
        return None


def build(kind: Any, value: Any, where: str) -> Any:
    """Turn plain YAML `value` into an object of type `kind`.

    Args:
        kind: a dataclass, `tuple[T, ...]`, `dict[T, U]`, `T | None`, `Literal`, `Annotated[T, Range or its like]`,
            one of int, float, bool, str, or Any.
        value: what YAML gave.
        where: the path shown in messages, such as "params.yaml: train.epochs".

    Raises:
        UserError: names `where`, the value, and what is allowed.
    """
    if kind is Any:
        return value
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    if origin is typing.Annotated:
        built = build(args[0], value, where)
        if why := args[1].refusal(built):
            raise _refused(where, value, why)
        return built
    if origin in (types.UnionType, typing.Union):
        (inner,) = (arg for arg in args if arg is not types.NoneType)
        return None if value is None else build(inner, value, where)
    if origin is typing.Literal:
        if value not in args or isinstance(value, bool):
            raise _refused(where, value, "must be one of " + ", ".join(map(str, args)))
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _refused(where, value, "must be a list")
        return tuple(build(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _refused(where, value, "must be a mapping of keys to values")
        return {
            build(args[0], key, f"{_join(where, key)} (key)"): build(args[1], item, _join(where, key))
            for key, item in value.items()
        }
    return _build_scalar(kind, value, where)


def settable(kind: Any) -> dict[str, dataclasses.Field]:
    """The fields of a dataclass that a file may set; the others are worked out."""
    return {field.name: field for field in dataclasses.fields(kind) if not field.metadata.get("derived")}


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise _refused(where, value, "must be a mapping of keys to values")
    fields = settable(kind)
    hints = typing.get_type_hints(kind, include_extras=True)
    for key in value:
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise UserError(f"{_join(where, key)}: unknown key; allowed here: {', '.join(fields)}{hint}")
    built = {}
    for name, field in fields.items():
        if name in value:
            built[name] = build(hints[name], value[name], _join(where, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UserError(f"{_join(where, name)}: missing")
    return kind(**built)


def _build_scalar(kind: type, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 10**300 else math.inf
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    names = {
        int: "a whole number in plain digits",
        float: "a number",
        bool: "true or false",
        str: "text (put it in quotes)",
    }
    raise _refused(where, value, f"must be {names[kind]}")


def _join(where: str, key: Any) -> str:
    key = key if str(key).isprintable() else repr(key)
    return f"{where} {key}" if where.endswith(":") else f"{where}.{key}"


def _refused(where: str, value: Any, why: str) -> UserError:
    shown = repr(value)
    return UserError(f"{where} = {shown if len(shown) <= 80 else shown[:77] + '...'}: {why}")
