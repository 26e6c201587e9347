"""What a cell computes, held fast: a change of it must raise MATHEMATICS, or old cells would pass for new ones."""

import dataclasses

import pytest
import torch

from hal.params import MATHEMATICS, Cell
from hal.train.batches import DeviceData, draw_epoch
from hal.train.cell import build_network
from hal.train.device import configure
from hal.train.evaluate import Evaluation
from hal.train.loop import Trainer
from hal.train.schedule import learning_rates
from tests.tiny import tiny_images, tiny_params

KINDS = {
    "baseline": {"case": "baseline"},
    "auxiliary": {"case": "threes"},
    "concat": {"case": "threes", "block": "concat"},
    "mask alone": {"case": "threes", "block": "none", "hint": "none", "loss": "masked"},
    "block and mask": {"case": "threes", "loss": "masked"},
    "no hint": {"case": "threes", "hint": "zero"},
    "random hint": {"case": "threes", "hint": "random"},
    "no output bias": {"case": "threes", "model": {"output_bias": False}},
    "momentum": {"case": "threes", "train": {"momentum": 0.9, "weight_decay": 0.01}},
    "cosine per epoch": {"case": "threes", "train": {"cosine": "epoch"}},
}

# The losses of two epochs of four steps (training) and the test loss after them.
LOSSES = {
    "baseline": [1.45669, 1.38312, 1.22238, 1.24269, 1.09373, 0.940758, 1.05798, 0.819741, 1.00537],
    "auxiliary": [1.66855, 1.45977, 1.14309, 1.07449, 0.882137, 0.777382, 0.892602, 0.624307, 0.935939],
    "concat": [1.56103, 1.50301, 1.15134, 1.24868, 1.11674, 0.863342, 0.813603, 0.783349, 1.28745],
    "mask alone": [0.446163, 0.294841, 0.341042, 0.404988, 0.381033, 0.225094, 0.379854, 0.228244, 0.286642],
    "block and mask": [
        0.544538,
        0.291017,
        0.303042,
        0.373417,
        0.329261,
        0.187534,
        0.336243,
        0.18924,
        0.246436,
    ],
    "no hint": [1.4095, 1.33447, 1.24615, 1.24123, 1.04666, 0.915428, 0.981277, 0.808635, 1.56274],
    "random hint": [1.70363, 1.42081, 1.08983, 1.05687, 0.831292, 0.848515, 1.01323, 0.634152, 1.56697],
    "no output bias": [1.66855, 1.45886, 1.14307, 1.07668, 0.883037, 0.78623, 0.906676, 0.624053, 0.975458],
    "momentum": [1.66855, 1.45936, 0.919993, 0.764907, 0.7268, 0.558711, 0.52849, 0.198657, 13.0498],
    "cosine per epoch": [
        1.66855,
        1.45977,
        1.14309,
        1.07449,
        0.861007,
        0.782155,
        0.866291,
        0.604647,
        0.596717,
    ],
}


def cell_of(tmp_path, kind: dict) -> Cell:
    params = tiny_params(tmp_path, epochs=2, warmup_epochs=0.5)
    cell = params.cell("tiny", kind["case"], 3)
    configure(params.runtime, cell.train.precision)
    changes = {name: value for name, value in kind.items() if name not in ("case", "model", "train")}
    for section in ("model", "train"):
        changes[section] = dataclasses.replace(getattr(cell, section), **kind.get(section, {}))
    return dataclasses.replace(cell, **changes)


def losses_of(cell: Cell) -> list[float]:
    data = DeviceData(tiny_images(), [0.3], [0.2], cell, torch.device("cpu"))
    trainer = Trainer(build_network(cell, 1).to(memory_format=torch.channels_last), data, cell.train)
    losses = []
    for epoch, rates in enumerate(learning_rates(cell.train, 4)):
        draw = draw_epoch(cell.seed, epoch, 70, 16, cell.augment, max(data.superclasses, 1))
        trainer.epoch(draw, rates, lambda: None)
        losses += trainer.losses.tolist()
    return [*losses, Evaluation(trainer.net, data, trainer.autocast).error_and_loss()[1]]


@pytest.mark.parametrize("name", KINDS)
def test_a_cell_of_each_kind_computes_what_it_did_when_mathematics_was_last_raised(tmp_path, name):
    assert MATHEMATICS == 2, "measure LOSSES anew"
    assert losses_of(cell_of(tmp_path, KINDS[name])) == pytest.approx(LOSSES[name], rel=1e-4), (
        "what a cell computes has changed: if that is meant, raise MATHEMATICS in params.py and measure LOSSES anew"
    )


def test_every_kind_computes_something_else():
    assert len({tuple(losses) for losses in LOSSES.values()}) == len(KINDS)
