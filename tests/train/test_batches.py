"""Section 4: order, crop, flip and normalisation, against the plainest implementation."""

import dataclasses

import numpy as np
import pytest
import torch

from hal.params import Cell, load
from hal.settings import AugmentSettings
from hal.train.batches import DeviceData, draw_epoch
from tests.tiny import ROOT, tiny_images

CPU = torch.device("cpu")
PAPER = AugmentSettings(pad=4, crop="image", flip=True)


def a_cell(pad: int, **changes: object) -> Cell:
    """CIFAR-10's first case with two superclasses of the tiny images' classes."""
    cell = load(ROOT / "params.yaml").cell("cifar10", "case1", 0)
    augment = dataclasses.replace(cell.augment, pad=pad)
    return dataclasses.replace(cell, classes=4, superclasses=((0, 1), (2, 3)), augment=augment, **changes)


def test_an_epoch_shows_every_image_at_most_once_and_drops_the_last_incomplete_batch():
    draw = draw_epoch(0, 0, images=1000, batch_size=128, augment=PAPER)
    assert draw.image.shape == (7, 128)
    assert len(draw.image.unique()) == 7 * 128


def test_the_draw_depends_on_seed_and_epoch_and_nothing_else():
    draw, again = (draw_epoch(1, 2, 500, 50, PAPER) for _ in range(2))
    assert all(torch.equal(getattr(draw, name), getattr(again, name)) for name in vars(draw))
    for seed, epoch in ((1, 3), (2, 2), (2, 1)):
        assert not torch.equal(draw.image, draw_epoch(seed, epoch, 500, 50, PAPER).image)


def test_crops_and_flips_are_uniform_per_image():
    draw = draw_epoch(0, 0, 90_000, 100, PAPER)
    for offsets in (draw.top, draw.left):
        counts = torch.bincount(offsets.flatten(), minlength=9)
        assert counts.shape == (9,)
        assert ((counts - 10_000).abs() < 5 * 100).all()  # five deviations of a binomial count
    assert draw.flip.float().mean().item() == pytest.approx(0.5, abs=0.01)


def test_crop_batch_moves_all_images_of_a_batch_alike_but_batches_differently():
    draw = draw_epoch(0, 0, 5000, 50, AugmentSettings(pad=4, crop="batch", flip=False))
    assert (draw.top == draw.top[:, :1]).all()
    assert len(draw.top[:, 0].unique()) == 9
    assert not draw.flip.any()


@pytest.mark.parametrize(("pad", "flip"), [(0, False), (1, True), (4, True)])
def test_a_batch_is_pad_crop_flip_normalise(pad, flip):
    rng = np.random.default_rng(3)
    images = tiny_images()
    color = rng.integers(0, 256, (70, 8, 6, 3), dtype=np.uint8)  # not square, three channels
    images = type(images)(color, images.train_labels, color[:33], images.test_labels)
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
    data = DeviceData(images, mean, std, a_cell(pad), CPU)
    draw = draw_epoch(0, 0, 70, 16, AugmentSettings(pad, "image", flip))
    x, labels = data.normalise(data.training_images(draw)[2]), data.training_labels(draw)[2]
    x_star = data.x_star(data.training_told(draw)[2])

    for b in range(16):
        i = draw.image[2, b]
        padded = np.zeros((8 + 2 * pad, 6 + 2 * pad, 3))
        padded[pad : pad + 8, pad : pad + 6] = color[i] / 255
        top, left = draw.top[2, b], draw.left[2, b]
        crop = padded[top : top + 8, left : left + 6]
        crop = crop[:, ::-1] if draw.flip[2, b] else crop
        expected = ((crop - mean) / std).transpose(2, 0, 1)
        assert np.allclose(x[b].numpy(), expected, atol=1e-5)
        assert labels[b] == i % 4
        assert x_star[b].tolist() == ([1, 0] if i % 4 < 2 else [0, 1])


def test_test_images_are_only_normalised():
    images = tiny_images()
    data = DeviceData(images, [0.3], [0.2], a_cell(4), CPU)
    x = data.normalise(data.test_images)
    assert x.shape == (33, 1, 8, 8)
    assert np.allclose(x[:, 0].numpy(), (images.test_images[..., 0] / 255 - 0.3) / 0.2, atol=1e-5)
    assert torch.equal(data.train_images, torch.from_numpy(images.train_images))


def test_every_class_has_the_superclass_of_table_1():
    """CIFAR-10, case 4: car {1, 9}, small animal {3, 5}, big animal {4, 7}, craft {0, 8}, others {2, 6}."""
    assert load(ROOT / "params.yaml").cell("cifar10", "case4", 0).superclass_of == (
        3,
        0,
        4,
        1,
        2,
        1,
        4,
        2,
        3,
        0,
    )
