"""A drawn figure as part of a page: searchable text, colours that follow the page's, ids of its own."""

import re

from hal.present.figures.colours import PAGE_COLOURS

_HEAD = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_ID = re.compile(r'(\bid="|url\(#|href="#)')
_SIZE = re.compile(r'\s(?:width|height)="[0-9.]+pt"')
_VIEW_BOX = re.compile(r'viewBox="0 0 ([0-9.]+)')
_LARGEST = 2.0  # pixels a point: a figure is as wide as the text, and its type no larger


def inline(svg: str, name: str, label: str) -> str:
    """The `<svg>` element of a figure's file, to stand in HTML.

    Args:
        svg: the file's text, as matplotlib writes it.
        name: of the figure; every id in the drawing gets it as a prefix, so that two drawings can share a page.
        label: what is seen, for those who do not see it; must be escaped for an attribute.
    """
    svg = _METADATA.sub("", _HEAD.sub("", svg))
    svg = _ID.sub(rf"\g<1>{name}-", svg.replace("xlink:href", "href"))
    head, body = recoloured(svg).split(">", 1)
    head = re.sub(r'\sxmlns(:xlink)?="[^"]*"|\sversion="[^"]*"', "", _SIZE.sub("", head))
    (width,) = _VIEW_BOX.findall(head)
    return f'{head} role="img" aria-label="{label}" style="max-width:{_LARGEST * float(width):.0f}px">{body}'.strip()


def recoloured(svg: str) -> str:
    """The drawing with the page's colours in place of those of `PAGE_COLOURS`."""
    for colour, variable in PAGE_COLOURS.items():
        svg = re.sub(re.escape(colour), f"var(--{variable})", svg, flags=re.IGNORECASE)
    return svg
