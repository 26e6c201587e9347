"""Any text, and tables, as LaTeX that pdfLaTeX can set."""

import re
import unicodedata

from hal.present.blocks import Column, Table

CODE = re.compile(r"`([^`]*)`")
TOGETHER = re.compile(r" (?=±)|(?<=±) |(?<=[\d.],) (?=[+−\d])| (?=of \d)|(?<=of) (?=\d)")
_PHRASE = re.compile(r"\[[^\[\]]{4,20}\]|\bn = \d|\d (?=%|points)|\d ± \d")
_COLOURS = {"good": "good", "bad": "warning", "partial": "warning", "quiet": "quiet"}
_NARROW = 9  # characters: a column of such numbers takes the width that it needs

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": "'",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "±": r"$\pm$",
    "−": r"$-$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≠": r"$\neq$",
    "∑": r"$\sum$",
    "√": r"$\surd$",
    "ρ": r"$\rho$",
    "→": r"$\rightarrow$",
    "†": r"\textdagger{}",
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
    "\u00a0": "~",
}


def escape(text: str) -> str:
    """Escape every character; one that T1 fonts lack is written as its code point, such as [U+4E2D]."""
    return "".join(map(_escaped, unicodedata.normalize("NFC", text)))


def _escaped(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character.isspace():
        return " "
    # Latin letters with accents (up to U+017F) are in T1 fonts, where LaTeX knows them.
    known = character.isascii() or (0xC0 <= ord(character) <= 0x17F and character.isalpha())
    if known and character.isprintable():
        return character
    return f"[U+{ord(character):04X}]"


def unbroken(text: str) -> str:
    """Prose whose intervals, deviations and units stay on one line."""
    return _PHRASE.sub(lambda found: found[0].replace(" ", "\u00a0"), str(text))


class Tex(str):
    """Text that is LaTeX already."""


def prose(text: str) -> Tex:
    """Text whose parts in backticks are code."""
    return Tex("".join(code(p) if i % 2 else escape(p) for i, p in enumerate(CODE.split(unbroken(text)))))


def code(text: str) -> Tex:
    """Typewriter text that may break behind / . _ and = and within a long row of digits."""
    pieces = re.split(r"(?<=[/._=])|(?<=[0-9a-f]{8})(?=[0-9a-f]{8})", str(text))
    set_ = r"\allowbreak{}".join(map(escape, pieces))
    return Tex(r"\texttt{" + set_.replace("--", "-{}-") + "}")  # -- would be set as a dash


def entry(text: str, column: Column) -> Tex:
    """An entry of a table."""
    if column.kind == "code":
        tex = code(text) if text else ""
    elif column.kind == "number":
        tex = escape(TOGETHER.sub("\u00a0", text))
    else:
        tex = prose(text)
    mark = getattr(text, "mark", "")
    if mark == "strong":
        return Tex(rf"\textbf{{{tex}}}")
    return Tex(rf"\textcolor{{{_COLOURS[mark]}}}{{{tex}}}") if mark else Tex(tex)


def layout(table: Table) -> str:
    """The columns of a longtable that fills the line: short numbers take what they need, the others share the rest."""
    rows = [row for _, rows in table.groups for row in rows]
    short = [
        column.kind == "number" and max([len(row[i]) for row in rows] + [len(column.heading)]) <= _NARROW
        for i, column in enumerate(table.columns)
    ]
    shares = [0 if narrow else column.width for narrow, column in zip(short, table.columns, strict=True)]
    rest = 1 - 0.075 * sum(short) - 0.016 * len(short)
    specs = [
        "r"
        if narrow
        else f"{'R' if column.kind == 'number' else 'L'}{{{rest * column.width / sum(shares):.3f}\\linewidth}}"
        for narrow, column in zip(short, table.columns, strict=True)
    ]
    return "@{}" + "".join(specs) + "@{}"


def tabular(table: Table) -> str:
    """The table as a `table` environment for a paper; needs the packages booktabs, array and xcolor."""
    headings = " & ".join(escape(column.heading) for column in table.columns)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{prose(table.caption)}}}",
        rf"\label{{tab:{table.id}}}",
    ]
    lines += [
        r"\scriptsize" if table.wide else r"\small",
        rf"\begin{{tabular}}{{{_paper_columns(table)}}}",
        r"\toprule",
    ]
    lines.append(f"{headings} \\\\")
    for group, rows in table.groups:
        lines.append(r"\midrule")
        if group:
            lines.append(rf"\multicolumn{{{len(table.columns)}}}{{l}}{{{escape(group)}}} \\")
        for row in rows:
            cells = (entry(text, column) for text, column in zip(row, table.columns, strict=True))
            lines.append(" & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.notes:
        lines.append(r"\par\smallskip\begin{minipage}{\linewidth}\footnotesize")
        lines += [rf"{escape(note)}\par" for note in table.notes]
        lines.append(r"\end{minipage}")
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _paper_columns(table: Table) -> str:
    return "".join("r" if column.kind == "number" else "p{4cm}" for column in table.columns)
