"""Section 4: cosine annealing from 1.0 to 0, and the warm-up before it."""

import dataclasses
import math

import numpy as np
import pytest

from hal.params import load
from hal.train.schedule import learning_rates
from tests.tiny import ROOT

PAPER = load(ROOT / "params.yaml").train


def rates(steps_per_epoch: int = 468, **changes) -> np.ndarray:
    return learning_rates(dataclasses.replace(PAPER, **changes), steps_per_epoch)


def test_without_warmup_the_rate_falls_from_1_over_a_half_to_0():
    flat = rates(warmup_epochs=0).ravel()
    total = 250 * 468
    assert flat.shape == (total,)
    assert flat[0] == 1.0
    assert flat[total // 2] == pytest.approx(0.5)
    assert flat[total // 4] == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert 0 < flat[-1] < 1e-9
    assert (np.diff(flat) < 0).all()


def test_the_warmup_rises_to_1_over_the_first_epoch_and_the_cosine_begins_there():
    warm = rates(warmup_epochs=1)
    assert np.allclose(warm[0], np.arange(1, 469) / 468)
    assert np.array_equal(warm[1:], rates(epochs=249, warmup_epochs=0))


def test_half_an_epoch_of_warmup_ends_in_the_middle_of_it():
    assert np.allclose(rates(10, warmup_epochs=0.5)[0, :6], [0.2, 0.4, 0.6, 0.8, 1, 1])


@pytest.mark.parametrize("epochs", [3, 20])
def test_however_short_a_run_its_warmup_ends_at_the_highest_rate(epochs):
    assert rates(11, epochs=epochs, warmup_epochs=2).max() == 1


@pytest.mark.parametrize("steps", [1, 11])
@pytest.mark.parametrize("cosine", ["step", "epoch"])
@pytest.mark.parametrize(("epochs", "warmup"), [(3, 0), (3, 0.5), (3, 2.3), (3, 3), (3, 12), (20, 1)])
def test_the_highest_rate_that_the_report_tells_is_the_schedules(steps, cosine, epochs, warmup):
    settings = dataclasses.replace(PAPER, max_lr=0.7, cosine=cosine, epochs=epochs, warmup_epochs=warmup)
    assert learning_rates(settings, steps).max() == pytest.approx(settings.highest_lr)


def test_a_run_that_is_nothing_but_warmup_only_rises():
    assert np.allclose(rates(5, epochs=2, warmup_epochs=4).ravel(), np.arange(1, 11) / 20)


def test_per_epoch_the_rate_is_held_at_that_of_the_epochs_first_step():
    held, falling = rates(cosine="epoch", warmup_epochs=0), rates(warmup_epochs=0)
    assert (held == held[:, :1]).all()
    assert np.array_equal(held[:, 0], falling[:, 0])
