"""Any text as LaTeX that pdfLaTeX can set."""

import unicodedata

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
