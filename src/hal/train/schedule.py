"""The learning rate of every step (section 4: cosine annealing from 1.0 to 0)."""

import numpy as np

from hal.settings import TrainSettings


def learning_rates(settings: TrainSettings, steps_per_epoch: int) -> np.ndarray:
    """A linear warm-up to `max_lr`, then a cosine towards 0: one rate a step, (epochs, steps_per_epoch).

    Step t of the W steps of warm-up has the rate max_lr (t + 1) / W. A later step t of T has
    max_lr/2 (1 + cos(pi (t - W) / (T - W))), so 0 would be reached at step T, the one after the last. With
    `cosine: epoch`, t is held at the epoch's first step. A run of fewer epochs than its warm-up
    ends below max_lr (`TrainSettings.highest_lr`).
    """
    step = np.arange(settings.epochs * steps_per_epoch, dtype=np.float64)
    held = step if settings.cosine == "step" else step - step % steps_per_epoch
    warmup = settings.warmup_epochs * steps_per_epoch
    since = np.maximum(held - warmup, 0) / max(len(step) - warmup, 1)
    rates = settings.max_lr / 2 * (1 + np.cos(np.pi * since))
    if warmup > 0:
        rates *= np.minimum(1, (step + 1) / warmup)
    return rates.reshape(settings.epochs, steps_per_epoch)
