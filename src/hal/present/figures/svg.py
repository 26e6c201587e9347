"""A drawn SVG made small, and with what a page shows where the pointer is."""

import re
from collections.abc import Sequence
from html import escape

_PATH = re.compile(r'(?<= d=")[^"]*')
_NUMBER = re.compile(r"(?<=[\s,(\"])(-?\d+\.\d{2})\d+")
_FONT = re.compile(r"font-family: ([^;\"]*); ")
_TAG = re.compile(r"<[^>]*>")  # between tags stands what is read, to whose numbers nothing may be done
_EMPTY = re.compile(r"<g>\s*</g>\s*|<g/>\s*|<defs>\s*</defs>\s*|<defs/>\s*")
_USELESS = (
    re.compile(r'(?<=<g) id="(?!tip-)[^"]*"'),
    re.compile(r' transform="rotate\(-0 [^"]*"'),
    re.compile(r"(?<=\n) +(?=<)"),
)
_STEP = re.compile(r"([ML]) (\S+) (\S+)|(z)")
_LONG = 20  # points: a curve; what is shorter may be a marker, whose shape needs hundredths


def compact(svg: str, tips: Sequence[str]) -> str:
    """The SVG with numbers as exact as anybody sees, its curves in steps from point to point, and nothing without effect.

    Args:
        svg: as matplotlib writes it; the group with the id `tip-3` gets `tips[3]` as its `data-tip`.
        tips: texts, unescaped.
    """
    svg = _TAG.sub(lambda tag: _NUMBER.sub(r"\1", tag[0]), _PATH.sub(_steps, svg))
    for useless in _USELESS:
        svg = useless.sub("", svg)
    while _EMPTY.search(svg):
        svg = _EMPTY.sub("", svg)
    svg = re.sub(r'id="tip-(\d+)"', lambda match: f'data-tip="{_attribute(tips[int(match[1])])}"', svg)
    if font := _FONT.search(svg):  # said once for all texts
        svg = _FONT.sub("", svg).replace("<svg ", f'<svg font-family="{font[1]}" ', 1)
    return svg


def _attribute(text: str) -> str:
    return escape(text).replace("\n", "&#10;").replace("\t", "&#9;")


def _steps(path: re.Match[str]) -> str:
    """A path of straight lines in tenths of a point, each line from the end of the last; any other as it is."""
    steps = _STEP.findall(path[0])
    if len(steps) < _LONG or set(re.findall("[A-Za-z]", path[0])) - {"M", "L", "z"}:
        return path[0]
    written, x, y = "", 0, 0
    for command, *point, close in steps:
        if close:
            written += close
            continue
        to_x, to_y = (round(10 * float(number)) for number in point)
        if command == "M":
            written += f"M{_tenths(to_x)} {_tenths(to_y)}l"
        elif (to_x, to_y) != (x, y):
            written += f"{_tenths(to_x - x)} {_tenths(to_y - y)} "
        x, y = to_x, to_y
    return re.sub(r" (?=[-zM]|$)|l(?=[zM]|$)", "", written)


def _tenths(n: int) -> str:
    return f"{n / 10:g}".replace("0.", ".") if abs(n) < 10 else f"{n / 10:g}"
