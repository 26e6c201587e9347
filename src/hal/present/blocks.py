"""What a report is made of, before anybody knows whether it becomes HTML, LaTeX or Markdown.

Text in backticks is code. Nothing here is escaped: that is the renderers' part.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

Kind = Literal["name", "text", "number", "code"]
Mark = Literal["", "good", "bad", "partial", "strong", "quiet"]


class Text(str):
    """A table's entry with what it stands out by, and where it leads to (relative to the report)."""

    mark: Mark
    href: str

    def __new__(cls, text: str, mark: Mark = "", href: str = "") -> "Text":
        """Text that stands out by `mark` and leads to `href`."""
        made = super().__new__(cls, text)
        made.mark, made.href = mark, href
        return made


MANY_ROWS = 10
PARTIAL = "†"  # behind a number of networks that is lower than planned


@dataclasses.dataclass(frozen=True)
class Column:
    """A column: its heading (with the unit), and what is in it."""

    heading: str
    kind: Kind = "number"


Row = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table whose rows may be grouped, by data set for example.

    Attributes:
        id: its name in links.
        title: its number or name; empty for a table that needs none.
        caption: what it shows.
        columns: the first names the row.
        groups: headings (empty where rows are not grouped) with their rows.
        notes: remarks below it.
        wide: many columns: set small.
        long: many rows: they scroll, and can be sorted and filtered.
        main: what a reader came for: never folded.
    """

    id: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    groups: tuple[tuple[str, tuple[Row, ...]], ...]
    notes: tuple[str, ...] = ()
    wide: bool = False
    long: bool = False
    main: bool = False

    @property
    def headings(self) -> tuple[str, ...]:
        """Of all columns."""
        return tuple(column.heading for column in self.columns)

    @property
    def size(self) -> int:
        """How many rows it has."""
        return sum(len(rows) for _, rows in self.groups)

    @property
    def legend(self) -> str:
        """The caption, and what `PARTIAL` means where an entry has it."""
        marked = any(PARTIAL in text for _, rows in self.groups for row in rows for text in row)
        mark = f" {PARTIAL} fewer than planned: the others diverged, are missing or do not count." * marked
        return f"{self.caption}{mark}"

    @property
    def folded(self) -> bool:
        """Whether a phone shows it folded at first."""
        return self.size > MANY_ROWS and not (self.main or self.long)


def columns(name: str, *numbers: str) -> tuple[Column, ...]:
    """A column of names, then columns of numbers."""
    return (Column(name, "name"), *map(Column, numbers))


def grouped(rows: Iterable[tuple[str, Row]]) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    """Rows with their groups' headings, as a `Table` holds them; groups stay in the order of their first row."""
    groups: dict[str, list[Row]] = {}
    for heading, row in rows:
        groups.setdefault(heading, []).append(row)
    return tuple((heading, tuple(rows)) for heading, rows in groups.items())


def plain(rows: Sequence[Row]) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    """Rows without groups, as a `Table` holds them."""
    return (("", tuple(rows)),)


@dataclasses.dataclass(frozen=True)
class Heading:
    """A section's heading: level 2, or 3 within one."""

    id: str
    text: str
    level: int = 2


@dataclasses.dataclass(frozen=True)
class Prose:
    """A paragraph; `lead` for one that is read first."""

    text: str
    lead: bool = False


@dataclasses.dataclass(frozen=True)
class Items:
    """A list."""

    items: tuple[str, ...]
    lead: bool = False


@dataclasses.dataclass(frozen=True)
class Facts:
    """Headings and what belongs to them."""

    pairs: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Command:
    """A line to be copied, such as a shell command; `text` may have several lines."""

    text: str


@dataclasses.dataclass(frozen=True)
class Sketch:
    """A drawing of the template folder: `sketch`, the paper's Figure 1 drawn by us, or `hint`."""

    name: str
    caption: str


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure, which may not be drawn yet.

    Attributes:
        name: of its files.
        number: as the paper has it, or A1, A2, ...
        caption: what stands below it.
        alternative: the figure in words.
        svg, pdf: its files.
        column: the SVG of the same in one column.
        command: what draws it.
        data: the files that it is drawn from, relative to the report.
    """

    name: str
    number: str
    caption: str
    alternative: str
    svg: Path
    pdf: Path
    column: Path
    command: str
    data: tuple[str, ...] = ()

    @property
    def drawn(self) -> bool:
        """Whether its files are there."""
        return self.svg.exists() and self.pdf.exists() and self.column.exists()


@dataclasses.dataclass(frozen=True)
class Downloads:
    """Small files that the page carries along: names with their bytes."""

    files: tuple[tuple[str, bytes], ...]


@dataclasses.dataclass(frozen=True)
class Fold:
    """Blocks that open on demand; on paper they come at the place where they stand."""

    summary: str
    blocks: "tuple[Block, ...]"


Block = Heading | Prose | Items | Facts | Command | Sketch | Figure | Downloads | Fold | Table


@dataclasses.dataclass(frozen=True)
class Document:
    """A report: its title, what stands right below it, and its blocks."""

    title: str
    authors: str
    blocks: tuple[Block, ...]
    footer: str

    @property
    def sections(self) -> list[Heading]:
        """The headings of level 2."""
        return [block for block in self.blocks if isinstance(block, Heading) and block.level == 2]
