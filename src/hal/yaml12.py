"""The one way in which this project reads YAML: version 1.2, as DVC does, whoever edits the file.

PyYAML reads version 1.1, in which `010` is eight and `yes` is true; ruamel.yaml reads 1.2, but a GPU machine that holds
little more than torch and PyYAML has to read params.yaml too. So this is PyYAML with the scalars of YAML 1.2's core
schema. A plain scalar that some version takes for another number, or for a date, is refused: no reader of the file,
man or program, should have to know the versions apart. `yes` and `1:30` are the text that YAML 1.2 says they are, as DVC
takes their quotes away when it writes.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hal.errors import UserError

_INT = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_CORE = {
    "tag:yaml.org,2002:null": (re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    "tag:yaml.org,2002:bool": (re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF")),
    "tag:yaml.org,2002:int": (_INT, list("-+0123456789")),
    "tag:yaml.org,2002:float": (_FLOAT, list("-+.0123456789")),
    "tag:yaml.org,2002:merge": (re.compile(r"<<"), ["<"]),
}

_LEADING_ZERO = re.compile(r"([-+]?)0+([0-9]+)")
_BASE = re.compile(r"[-+]?0(?:[ob]|(?<=[-+]0)x)[0-9a-f]+")
_BARE_POINT = re.compile(r"([-+]?)(\.[0-9]+e[0-9]+)")  # such as .8e1, text to ruamel.yaml
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?")


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the core schema's scalars; refuses repeated keys and what two versions read differently."""

    yaml_implicit_resolvers: dict[str, list] = {}  # noqa: RUF012 (PyYAML's own name and kind)

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """Refuse an unquoted scalar that means different things to different versions, and every tag."""
        event = self.peek_event()
        problem = None
        if event.tag is not None:
            problem = f"the tag {event.tag} is not used here; write a number as it is and text in quotes"
        elif event.style is None and (instead := _instead(event.value)):
            problem = f"{event.value} is read differently by different versions of YAML; write {instead}"
        if problem:
            raise yaml.constructor.ConstructorError(None, None, problem, event.start_mark)
        return super().compose_scalar_node(anchor)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Refuse a repeated key, where YAML would silently keep the last; as it is written, before `<<` brings in others."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key.value!r} appears twice", key.start_mark
                    )
                seen.add(key.value)
        return node


for _tag, (_pattern, _first) in _CORE.items():
    Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern.pattern})\\Z"), _first)


def _instead(plain: str) -> str | None:
    """What to write in place of a plain scalar that is not the same in all versions; None where it is."""
    quoted = f'"{plain}" for text'
    bare = plain.replace("_", "").lower()
    if zero := _LEADING_ZERO.fullmatch(bare):
        return f"{zero[1]}{zero[2]} for a number, {quoted}"
    if point := _BARE_POINT.fullmatch(bare):
        return f"{point[1]}0{point[2]} for a number, {quoted}"
    if _BASE.fullmatch(bare):
        try:
            return f"{int(bare, 0)} for a number, {quoted}"
        except ValueError:  # such as 0b12, which is text to all
            return None
    if "_" in plain and plain[0] in "-+.0123456789" and (_INT.fullmatch(bare) or _FLOAT.fullmatch(bare)):
        return f"{bare} for a number, {quoted}"
    return quoted if _DATE.fullmatch(plain) else None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping.

    Raises:
        UserError: the file is missing, is not YAML, holds a key twice or a scalar that versions of YAML read
            differently, or is no mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file in {Path.cwd()}; change to the folder of the checkout, or correct the name"
        ) from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); correct its rights or name another"
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise UserError(f"{where}: {error.problem}; correct this line") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())}); correct it") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{path}: the top level must be a mapping of keys to values")
    return content


def read_comments(path: Path) -> dict[str, str]:
    """The comment at the end of each entry's line, by the entry's key path, such as `train.momentum`."""
    text = path.read_text(encoding="utf-8")
    node = yaml.compose(text, Loader=Loader)
    return {} if node is None else dict(_comments(node, text.splitlines(), ""))


def _comments(node: yaml.Node, lines: list[str], path: str) -> Iterator[tuple[str, str]]:
    for key, value in node.value:
        full = f"{path}.{key.value}" if path else key.value
        block = isinstance(value, yaml.CollectionNode) and not value.flow_style
        end = key.end_mark if block else value.end_mark
        if comment := re.search(r"(?:^|\s)#\s*(.*)", lines[end.line][end.column :]):
            yield full, comment[1].strip()
        if isinstance(value, yaml.MappingNode):
            yield from _comments(value, lines, full)
