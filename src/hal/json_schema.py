"""JSON Schemas of params.yaml and of its overlays, for editors, made from the dataclasses that validate both.

A schema cannot say all that `hal.params.load` checks: that a grouping holds every class once, that the grid names data
sets that there are, where an overlay's root may lie, or how many layers a network may have.
"""

import dataclasses
import inspect
import json
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hal.assumptions import reasons
from hal.files import write_text
from hal.params import Params
from hal.schema import PartOf, settable
from hal.settings import Case

NAMES = ("params.schema.json", "overlay.schema.json")

_SCALARS = {int: "integer", float: "number", bool: "boolean", str: "string"}


def schemas(params: Path) -> dict[str, dict[str, Any]]:
    """The schema of params.yaml and that of an overlay, by file name; `params` has the reasons of the assumptions."""
    why = reasons(params)
    head = {"$schema": "http://json-schema.org/draft-07/schema#"}
    title = "A reproduction of Hierarchical Auxiliary Learning: "
    return {
        NAMES[0]: head | {"title": f"{title}the experiment"} | _schema(Params, why, "", part=False),
        NAMES[1]: head | {"title": f"{title}an overlay"} | _schema(Params, why, "", part=True),
    }


def write(params: Path) -> list[Path]:
    """Write both schemas beside params.yaml and return their paths."""
    paths = []
    for name, schema in schemas(params).items():
        paths.append(params.with_name(name))
        write_text(paths[-1], json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    return paths


def _schema(kind: Any, why: Mapping[str, str], path: str, part: bool) -> dict[str, Any]:
    """The schema of a type; `path` is its key path, and with `part` nothing is required."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return {}
    if dataclasses.is_dataclass(kind):
        return _object(kind, why, path, part)
    if origin is typing.Annotated:
        if isinstance(args[1], PartOf):
            return _schema(args[1].kind, why, "", part=True)
        return _schema(args[0], why, path, part) | args[1].keywords()
    if origin in (types.UnionType, typing.Union):
        return {
            "anyOf": [_schema(arg, why, path, part) for arg in args if arg is not types.NoneType]
            + [{"type": "null"}]
        }
    if origin is typing.Literal:
        return {"enum": list(args)}
    if origin is tuple:
        return {"type": "array", "items": _schema(args[0], why, path, part)}
    if origin is dict:
        entry = _schema(args[1], why, "", part)
        if part and args[1] is Case:
            entry = {"anyOf": [entry, {"type": "null", "description": "Drops the case."}]}
        return {
            "type": "object",
            "propertyNames": _schema(args[0], why, "", part),
            "additionalProperties": entry,
        }
    return {"type": _SCALARS[kind]}


def _object(kind: Any, why: Mapping[str, str], path: str, part: bool) -> dict[str, Any]:
    hints, descriptions = typing.get_type_hints(kind, include_extras=True), _attributes(kind)
    properties, required = {}, []
    for name, field in settable(kind).items():
        full = f"{path}.{name}" if path else name
        reason = f" Assumed: {why[full]}" if full in why else ""
        description = descriptions[name][:1].upper() + descriptions[name][1:] + reason
        properties[name] = {"description": description} | _schema(hints[name], why, full, part)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            required.append(name)
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema if part or not required else schema | {"required": required}


def _attributes(kind: type) -> dict[str, str]:
    """What the docstring says of each field, under `Attributes:`."""
    _, _, section = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
