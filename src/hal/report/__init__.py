"""The report: report.html and report.tex from one and the same content, and report.pdf where there is a TeX."""

from hal.report.pdf import build_pdf
from hal.report.render import render

__all__ = ["build_pdf", "render"]
