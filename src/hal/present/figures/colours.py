"""The colours of all figures and of the page around them; without matplotlib, which a page does not need."""

# Okabe and Ito's colours, told apart by colour-blind readers; their yellow is left out: too faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK = "#222222"
FAINT = "#6b6b6b"
WARNING = "#A03000"
# What a colour means, in every figure; superclasses take COLOURS in their order.
BASELINE, HAL, PAPER, MASKED, ABLATION = INK, *COLOURS[:4]

GRID = "#dddddd"
# Each colour's name on a page, which has another value for it in a dark room.
PAGE_COLOURS = {
    **{colour: f"series{i}" for i, colour in enumerate(COLOURS)},
    **{INK: "ink", FAINT: "faint", WARNING: "warn", GRID: "line", "#ffffff": "paper"},
}
