"""How an auxiliary network diverges, step by step: `python docs/divergence.py` writes docs/divergence.csv.

Trains MNIST's case 2 and its baseline, seed 0, as configs/cpu-mnist-250.yaml says, for as many steps as the case lasts. Columns: network, step
(from 1), rate, loss; score (the mean of a over the batch), w_norm (of the block's W, before the step), given (the mean squared norm of what the
output layer is given: a y, or y for the baseline). Every tenth step, and from step 1,000 each.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from hal.data import store
from hal.params import Cell, Params, load
from hal.settings import BASELINE
from hal.train.batches import DeviceData, draw_epoch
from hal.train.cell import build_network
from hal.train.device import configure
from hal.train.loop import Trainer
from hal.train.schedule import learning_rates

ROOT = Path(__file__).parent.parent
EPOCHS, EACH_FROM = 3, 1_000


def traced(params: Params, cell: Cell, epochs: int) -> pd.DataFrame:
    """The first epochs of a cell's training, a row a step."""
    configure(params.runtime, cell.train.precision)
    images, _ = store.load(params.path("data", f"{cell.dataset}.npz"))
    data = DeviceData(images, *store.statistics(images.train_images), cell, torch.device("cpu"))
    net = build_network(cell, data.channels).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainer = Trainer(net, data, cell.train)
    n_images, batch_size = len(data.train_labels), cell.train.batch_size
    rates = learning_rates(cell.train, n_images // batch_size)
    seen: dict[str, float] = {}
    rows: list[dict[str, float]] = []

    def before(_: torch.nn.Module, given: tuple[torch.Tensor]) -> None:
        seen["given"] = given[0].square().sum(dim=1).mean().item()

    def scored(block: torch.nn.Module, _: object, score: torch.Tensor) -> None:
        seen.update(score=score.mean().item(), w_norm=block.linear.weight.norm().item())  # type: ignore[union-attr, operator]

    def after() -> None:
        i = len(rows) % rates.shape[1]
        rate = float(rates[len(rows) // rates.shape[1], i])
        rows.append({"step": len(rows) + 1, "rate": rate, "loss": trainer.losses[i].item(), **seen})

    net.output.register_forward_pre_hook(before)
    if net.auxiliary is not None:
        net.auxiliary.register_forward_hook(scored)
    for epoch in range(epochs):
        told = max(data.superclasses, 1)
        draw = draw_epoch(cell.seed, epoch, n_images, batch_size, cell.augment, told)
        trainer.epoch(draw, rates[epoch], after)
    return pd.DataFrame(rows)


def main() -> None:
    """Trace both networks to the step at which the case diverges, and write the table."""
    params = load(ROOT / "params.yaml", [ROOT / "configs/cpu-mnist-250.yaml"])
    traces = {case: traced(params, params.cell("mnist", case, 0), EPOCHS) for case in ("case2", BASELINE)}
    last = int((~np.isfinite(traces["case2"]["loss"])).idxmax()) + 1
    table = pd.concat([trace.assign(network=case) for case, trace in traces.items()])
    shown = table[(table["step"] <= last) & ((table["step"] % 10 == 0) | (table["step"] >= EACH_FROM))]
    columns = ["network", "step", "rate", "loss", "score", "w_norm", "given"]
    path = ROOT / "docs/divergence.csv"
    path.write_text(
        shown[columns].to_csv(index=False, float_format="%.5g", lineterminator="\n"), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
