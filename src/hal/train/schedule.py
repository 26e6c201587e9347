"""The learning rate of every step (section 4: cosine annealing from 1.0 to 0)."""

import numpy as np

from hal.params import TrainSettings


def learning_rates(settings: TrainSettings, steps_per_epoch: int) -> np.ndarray:
    """Cosine from `max_lr` towards 0 times a linear warm-up: one rate a step, (epochs, steps_per_epoch).

    Step t of T has the rate max_lr/2 (1 + cos(pi t / T)), so 0 would be reached at step T, the one after the last.
    With `cosine: epoch`, t is held at the epoch's first step. During the W steps of warm-up step t is
    multiplied by (t + 1) / W.
    """
    step = np.arange(settings.epochs * steps_per_epoch, dtype=np.float64)
    held = step if settings.cosine == "step" else step - step % steps_per_epoch
    rates = settings.max_lr / 2 * (1 + np.cos(np.pi * held / len(step)))
    warmup = settings.warmup_epochs * steps_per_epoch
    if warmup > 0:
        rates = rates * np.minimum(1, (step + 1) / warmup)
    return rates.reshape(settings.epochs, steps_per_epoch)
