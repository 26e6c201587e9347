"""Figures of which a test looks at the SVG alone: to draw the other formats takes most of the time."""

import pytest
from matplotlib.figure import Figure


def draw_svg_alone(patch: pytest.MonkeyPatch) -> None:
    """Put the bytes of the SVG, as matplotlib draws it, in the place of PDF and PNG: they change when the figure does.

    `hal.present.figures.style.save` draws the SVG first.
    """
    real = Figure.savefig

    def savefig(figure: Figure, file, format: str, **how) -> None:
        if format == "svg":
            real(figure, file, format=format, **how)
            figure.as_svg = file.getvalue()
        else:
            file.write(figure.as_svg)

    patch.setattr(Figure, "savefig", savefig)
