"""Train one cell: `train.cell.train` is the whole of it, `train.loop` the part to read beside the paper."""
