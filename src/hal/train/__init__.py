"""Training: `loop` is the part to read beside the paper; `hal.train.cell` runs a whole cell with it."""
