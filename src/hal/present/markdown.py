"""Tables and lists in GitHub's Markdown."""

from collections.abc import Iterable

from hal.present.blocks import Table


def table(block: Table) -> str:
    """The table, its caption and notes below it; a grouped table has its groups in a first column."""
    is_grouped = any(heading for heading, _ in block.groups)
    headings = ["", *block.headings] if is_grouped else list(block.headings)
    kinds = ["name"] * is_grouped + [column.kind for column in block.columns]
    lines = [_line(headings), "|" + "".join("--:|" if kind == "number" else "---|" for kind in kinds)]
    for heading, rows in block.groups:
        lines += [_line([heading, *row] if is_grouped else row) for row in rows]
    title = f"**{block.title}.** " if block.title else ""
    lines += ["", title + _escaped(block.legend)]
    if block.notes:
        lines += ["", *(f"- {_escaped(note)}" for note in block.notes)]
    return "\n".join(lines) + "\n"


def items(texts: Iterable[str]) -> str:
    """A list."""
    return "".join(f"- {_escaped(text)}\n" for text in texts)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _escaped(text: str) -> str:
    """Text with whatever Markdown would read as its own escaped, on one line."""
    text = " ".join(text.split())
    for character in "\\`*_{}[]<>|#":
        text = text.replace(character, "\\" + character)
    return text
