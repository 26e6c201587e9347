"""Any text, and tables, as LaTeX that pdfLaTeX can set."""

import re
import unicodedata

from hal.present.blocks import Column, Table

CODE = re.compile(r"`([^`]*)`")
_TOGETHER = re.compile(r" (?=[±†])|(?<=±) |(?<=[\d.],) (?=[+−\d])| (?=of \d)|(?<=of) (?=\d)")
_STEP = re.compile(r"(?<=\w[/_])(?=\w)")
_PHRASE = re.compile(r"\[[^\[\]]{4,20}\]|\bn = \d|\b(?:Section|Table|Figure) \d|\d (?=%|points)|\d ± \d")
_COLOURS = {"good": "good", "bad": "warning", "partial": "warning", "quiet": "quiet"}
_LINE = 470  # points
_SIZES = (
    (8, 4.25, 4),
    (7, 3.98, 3),
    (6, 3.67, 2),
    (5, 3.4, 2),
)  # of type, of a digit, of half a gap, in points

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
    "Σ": r"$\Sigma$",
    "δ": r"$\delta$",
    "ⱼ": r"\textsubscript{j}",
    "ₛ": r"\textsubscript{s}",
    "′": r"$'$",
    "∑": r"$\sum$",
    "√": r"$\surd$",
    "ρ": r"$\rho$",
    "→": r"$\rightarrow$",
    "†": r"\textdagger{}",
    "–": "--",
    "—": "---",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
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
    return _PHRASE.sub(lambda match: match[0].replace(" ", "\u00a0"), str(text))


class Tex(str):
    """Text that is LaTeX already."""


def prose(text: str) -> Tex:
    """Text whose parts in backticks are code, and whose long paths may break behind a slash."""
    parts = (code(p) if i % 2 else _breaking(p) for i, p in enumerate(CODE.split(unbroken(text))))
    return Tex("".join(parts))


def _breaking(text: str) -> str:
    return " ".join(r"\allowbreak{}".join(map(escape, _steps(word))) for word in text.split(" "))


def _steps(word: str) -> list[str]:
    """The parts of a word that may stand on lines of their own: those of a long path."""
    return _STEP.split(word) if len(word) > 24 else [word]


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
        tex = escape(together(text))
    else:
        tex = prose(text)
    mark = getattr(text, "mark", "")
    if mark == "strong":
        return Tex(rf"\textbf{{{tex}}}")
    return Tex(rf"\textcolor{{{_COLOURS[mark]}}}{{{tex}}}") if mark else Tex(tex)


def together(text: str) -> str:
    """An entry whose short numbers, such as 100 / 81 or 5 min, and whose deviations and intervals stay on one line."""
    short = len(text) <= 10 and text[:1] in set("0123456789<")
    return text.replace(" ", "\u00a0") if short else _TOGETHER.sub("\u00a0", text)


def layout(table: Table) -> str:
    """The type's size and the columns of a longtable that fills the line, so that nothing runs into its neighbour.

    A column gets what its longest part that cannot break takes, in the largest type in which all have that; what is left
    is shared by the roots of what a column's longest entry would take beyond it on one line, so that long texts get the
    most and short ones enough.
    """
    rows = [row for _, rows in table.groups for row in rows]
    entries = [[row[i] for row in rows] for i in range(len(table.columns))]
    parts = list(zip(table.columns, entries, strict=True))
    needed = [0.3 + 1.05 * max(map(_wide, _pieces(column, texts))) for column, texts in parts]
    wanted = [
        0.1 + max(max(map(_wide, [column.heading, *texts])) - need, 0) ** 0.5
        for (column, texts), need in zip(parts, needed, strict=True)
    ]
    sizes = [
        (size, digit, gap, (_LINE - 2 * (len(parts) - 1) * gap) / digit - sum(needed))
        for size, digit, gap in _SIZES
    ]
    size, digit, gap, free = next((fit for fit in sizes if fit[-1] >= 0), sizes[-1])
    share = max(free, 0) / sum(wanted)
    specs = [
        f"{'R' if column.kind == 'number' else 'L'}{{{digit * (need + share * want):.1f}pt}}"
        for column, need, want in zip(table.columns, needed, wanted, strict=True)
    ]
    return rf"\fontsize{{{size}}}{{{1.2 * size:g}}}\selectfont\setlength{{\tabcolsep}}{{{gap}pt}}\begin{{longtable}}{{@{{}}{''.join(specs)}@{{}}}}"


def _pieces(column: Column, texts: list[str]) -> list[str]:
    """What of a column cannot break: words, numbers with their intervals; code may break nearly anywhere."""
    if column.kind == "code":
        texts = [text[:10] for text in texts]
    if column.kind == "name":
        texts = [*texts, "case1:\u00a0≥\u00a05"]  # so much of a name a line holds
    return [
        piece
        for text in [column.heading, *texts]
        for word in together(text.replace("`", "")).split(" ")
        for piece in _steps(word)
    ]


def _wide(text: str) -> float:
    """How wide a text is, in digits."""
    return sum(
        0.55 if sign in ".,:;'|!()[]/ilt \u00a0" else 1.55 if sign in "−+±<>=%mwMW" else 1 for sign in text
    )


def tabular(table: Table) -> str:
    """The table as a `table` environment for a paper; needs the package booktabs, and no colours, which only the report defines."""
    headings = " & ".join(escape(column.heading) for column in table.columns)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{prose(table.legend)}}}",
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
            cells = (
                entry(_uncoloured(text), column) for text, column in zip(row, table.columns, strict=True)
            )
            lines.append(" & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.notes:
        lines.append(r"\par\smallskip\begin{minipage}{\linewidth}\footnotesize")
        lines += [rf"{escape(note)}\par" for note in table.notes]
        lines.append(r"\end{minipage}")
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _uncoloured(text: str) -> str:
    return text if getattr(text, "mark", "") == "strong" else str(text)


def _paper_columns(table: Table) -> str:
    return "".join("r" if column.kind == "number" else "p{4cm}" for column in table.columns)
