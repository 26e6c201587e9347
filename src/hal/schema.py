"""Build typed, frozen dataclasses from YAML and refuse what does not fit, with the key's full path.

A validation library would do this too, but a GPU machine often holds little more than torch and numpy, and
`hal train` has to run there from a plain checkout.
"""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hal.errors import UserError


@dataclasses.dataclass(frozen=True)
class Range:
    """Bounds of a number: `low <= x` (or `low < x` where `above`) and `x <= high`. NaN is never inside."""

    low: float
    high: float = float("inf")
    above: bool = False

    def holds(self, x: float) -> bool:
        """Whether `x` lies inside; infinity does not."""
        return (x > self.low if self.above else x >= self.low) and x <= self.high and abs(x) != float("inf")

    def __str__(self) -> str:
        low = f"greater than {self.low:g}" if self.above else f"at least {self.low:g}"
        return low if self.high == float("inf") else f"{low} and at most {self.high:g}"


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping.

    Raises:
        UserError: the file is missing, is not YAML, holds a key twice, or is no mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{path}: the top level must be a mapping of keys to values")
    return content


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a repeated key, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key in seen and key != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} appears twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def build(kind: Any, value: Any, where: str) -> Any:
    """Turn plain YAML `value` into an object of type `kind`.

    Args:
        kind: a dataclass, `tuple[T, ...]`, `dict[str, T]`, `T | None`, `Literal`, `Annotated[number, Range]`,
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
        number = build(args[0], value, where)
        if not args[1].holds(number):
            raise _refused(where, value, f"must be {args[1]}")
        return number
    if origin is types.UnionType:
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
            build(str, key, f"{where} (key)"): build(args[1], item, _join(where, key))
            for key, item in value.items()
        }
    return _build_scalar(kind, value, where)


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise _refused(where, value, "must be a mapping of keys to values")
    fields = {field.name: field for field in dataclasses.fields(kind)}
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
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 10**300 else math.inf
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    hint = ""
    if kind is float and isinstance(value, str):
        hint = " (YAML reads 1e-5 as text; write 1.0e-5)"
    if kind is str:
        hint = " (put it in quotes)"
    raise _refused(where, value, f"must be {names[kind]}{hint}")


def _join(where: str, key: Any) -> str:
    return f"{where} {key}" if where.endswith(":") else f"{where}.{key}"


def _refused(where: str, value: Any, why: str) -> UserError:
    shown = repr(value)
    return UserError(f"{where} = {shown if len(shown) <= 80 else shown[:77] + '...'}: {why}")
