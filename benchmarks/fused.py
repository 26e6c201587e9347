"""Residual sum, batch normalisation and ReLU in two Triton kernels each way, for a GPU and images in channels_last.

PyTorch reads and writes the activations for each of the three; here the sum and its statistics are one pass, the
normalisation and the ReLU another. Every sum has a fixed order, so that the same numbers give the same bits: a
program adds up its own rows, and each program of the next kernel adds up all programs' sums, without atomics.

An image tensor (B, C, H, W) in channels_last is a matrix of B H W rows, one a pixel, by C channels.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from hal.train.model import BatchNorm

PROGRAMS = 128  # at most: about as many as a large GPU has multiprocessors; a power of two
NUMBERS = 4096  # of a tile, which a program holds at once
WARPS = 8


@triton.jit
def _tile(tile, rows, WIDTH: tl.constexpr, ROWS: tl.constexpr):
    """Where the numbers of a tile are, and which of them exist."""
    row = tile * ROWS + tl.arange(0, ROWS)
    at = row[:, None] * WIDTH + tl.arange(0, WIDTH)[None, :]
    there = (row < rows)[:, None]
    return at, there


@triton.jit
def _total(partial, which: tl.constexpr, WIDTH: tl.constexpr, PARTS: tl.constexpr):
    """The first or second sum of every channel over all programs."""
    at = (2 * tl.arange(0, PARTS) + which)[:, None] * WIDTH + tl.arange(0, WIDTH)[None, :]
    return tl.sum(tl.load(partial + at), 0)


@triton.jit
def statistics(x, branch, total, partial, rows, ADD: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr):
    """Write total = x + branch (if ADD), and of each program's rows the sums of (total - first row) and its square.

    Subtracting the first row keeps the difference of two large squares out of the variance.
    """
    channel = tl.arange(0, WIDTH)
    first = tl.load(x + channel)
    if ADD:
        first = (first.to(tl.float32) + tl.load(branch + channel).to(tl.float32)).to(first.dtype)
    first = first.to(tl.float32)
    one = tl.zeros((ROWS, WIDTH), tl.float32)
    two = tl.zeros((ROWS, WIDTH), tl.float32)
    for tile in range(tl.program_id(0), tl.cdiv(rows, ROWS), tl.num_programs(0)):
        at, there = _tile(tile, rows, WIDTH, ROWS)
        value = tl.load(x + at, there, 0)
        if ADD:
            other = tl.load(branch + at, there, 0)
            value = (value.to(tl.float32) + other.to(tl.float32)).to(value.dtype)
            tl.store(total + at, value, there)
        off = tl.where(there, value.to(tl.float32) - first[None, :], 0)
        one += off
        two += off * off
    mine = partial + 2 * tl.program_id(0) * WIDTH + channel
    tl.store(mine, tl.sum(one, 0))
    tl.store(mine + WIDTH, tl.sum(two, 0))


@triton.jit
def normalise(
    x, y, partial, saved, weight, bias, running_mean, running_var, rows, momentum, eps,
    WIDTH: tl.constexpr, ROWS: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """Write y = relu((x - mean) / deviation * weight + bias); once also mean and 1 / deviation, and the running ones."""
    channel = tl.arange(0, WIDTH)
    off = _total(partial, 0, WIDTH, PARTS) / rows
    variance = _total(partial, 1, WIDTH, PARTS) / rows - off * off
    mean = tl.load(x + channel).to(tl.float32) + off
    scale = 1 / tl.sqrt(variance + eps)
    if tl.program_id(0) == 0:
        tl.store(saved + channel, mean)
        tl.store(saved + WIDTH + channel, scale)
        before_mean, before_var = tl.load(running_mean + channel), tl.load(running_var + channel)
        unbiased = variance * (rows / (rows - 1.0))
        tl.store(running_mean + channel, before_mean * (1 - momentum) + mean * momentum)
        tl.store(running_var + channel, before_var * (1 - momentum) + unbiased * momentum)
    gamma, beta = tl.load(weight + channel), tl.load(bias + channel)
    for tile in range(tl.program_id(0), tl.cdiv(rows, ROWS), tl.num_programs(0)):
        at, there = _tile(tile, rows, WIDTH, ROWS)
        value = tl.load(x + at, there, 0).to(tl.float32)
        normed = (value - mean[None, :]) * scale[None, :] * gamma[None, :] + beta[None, :]
        rectified = tl.where(normed <= 0, 0, normed)  # a number that is none stays none
        tl.store(y + at, rectified.to(y.dtype.element_ty), there)


@triton.jit
def _behind_the_relu(x, dy, at, there, saved, weight, bias, WIDTH: tl.constexpr):
    """The normalised numbers of a tile before weight and bias, and the gradient that the ReLU lets through."""
    channel = tl.arange(0, WIDTH)
    mean, scale = tl.load(saved + channel), tl.load(saved + WIDTH + channel)
    gamma, beta = tl.load(weight + channel), tl.load(bias + channel)
    normed = (tl.load(x + at, there, 0).to(tl.float32) - mean[None, :]) * scale[None, :]
    gradient = tl.load(dy + at, there, 0).to(tl.float32)
    return normed, tl.where(normed * gamma[None, :] + beta[None, :] <= 0, 0, gradient)


@triton.jit
def gradient_sums(x, dy, partial, saved, weight, bias, rows, WIDTH: tl.constexpr, ROWS: tl.constexpr):
    """Of each program's rows the sums of the bias's and of the weight's gradient."""
    one = tl.zeros((ROWS, WIDTH), tl.float32)
    two = tl.zeros((ROWS, WIDTH), tl.float32)
    for tile in range(tl.program_id(0), tl.cdiv(rows, ROWS), tl.num_programs(0)):
        at, there = _tile(tile, rows, WIDTH, ROWS)
        normed, gradient = _behind_the_relu(x, dy, at, there, saved, weight, bias, WIDTH)
        one += gradient  # 0 where there is no row
        two += gradient * normed
    mine = partial + 2 * tl.program_id(0) * WIDTH + tl.arange(0, WIDTH)
    tl.store(mine, tl.sum(one, 0))
    tl.store(mine + WIDTH, tl.sum(two, 0))


@triton.jit
def input_gradient(
    x, dy, dtotal, dx, partial, saved, weight, bias, dweight, dbias, rows,
    ADD: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """Write the input's gradient, with that of the sum's other reader (if ADD); once also those of weight and bias."""
    channel = tl.arange(0, WIDTH)
    of_bias, of_weight = _total(partial, 0, WIDTH, PARTS), _total(partial, 1, WIDTH, PARTS)
    if tl.program_id(0) == 0:
        tl.store(dbias + channel, of_bias)
        tl.store(dweight + channel, of_weight)
    factor = tl.load(weight + channel) * tl.load(saved + WIDTH + channel)
    for tile in range(tl.program_id(0), tl.cdiv(rows, ROWS), tl.num_programs(0)):
        at, there = _tile(tile, rows, WIDTH, ROWS)
        normed, gradient = _behind_the_relu(x, dy, at, there, saved, weight, bias, WIDTH)
        towards = gradient - (of_bias / rows)[None, :] - normed * (of_weight / rows)[None, :]
        result = towards * factor[None, :]
        if ADD:
            result += tl.load(dtotal + at, there, 0).to(tl.float32)
        tl.store(dx + at, result.to(dx.dtype.element_ty), there)


class _BatchNormReLU(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, branch: Tensor | None, weight: Tensor, bias: Tensor, bn: BatchNorm
    ) -> tuple[Tensor, Tensor] | Tensor:
        x, branch = _channels_last(x), None if branch is None else _channels_last(branch)
        launch = _Launch(x)
        partial, saved = launch.partial(), x.new_empty((2, launch.width), dtype=torch.float32)
        total = x if branch is None else torch.empty_like(x)
        launch(statistics, x, branch, total, partial, launch.rows, ADD=branch is not None)
        y = torch.empty_like(x)
        running = (bn.running_mean, bn.running_var)
        numbers = (launch.rows, bn.momentum, bn.eps)
        launch(normalise, total, y, partial, saved, weight, bias, *running, *numbers, PARTS=launch.programs)
        ctx.save_for_backward(total, saved, weight, bias)
        ctx.set_materialize_grads(False)
        ctx.added = branch is not None
        return (total, y) if ctx.added else y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        x, saved, weight, bias = ctx.saved_tensors
        dtotal, dy = gradients if ctx.added else (None, *gradients)
        dy, dtotal = _channels_last(dy), None if dtotal is None else _channels_last(dtotal)
        launch = _Launch(x)
        partial, dx = launch.partial(), torch.empty_like(x)
        dweight, dbias = torch.empty_like(weight), torch.empty_like(bias)
        launch(gradient_sums, x, dy, partial, saved, weight, bias, launch.rows)
        launch(
            input_gradient, x, dy, dtotal, dx, partial, saved, weight, bias, dweight, dbias, launch.rows,
            ADD=dtotal is not None, PARTS=launch.programs,
        )  # fmt: skip
        return dx, dx if ctx.added else None, dweight, dbias, None


class _Launch:
    """Starts kernels over all pixels of an image tensor, in a number of programs that its shape alone decides."""

    def __init__(self, x: Tensor) -> None:
        self.width = x.shape[1]
        self.rows = x.numel() // self.width
        self.tile = NUMBERS // self.width
        self.programs = min(PROGRAMS, triton.next_power_of_2(triton.cdiv(self.rows, self.tile)))
        self.device = x.device

    def partial(self) -> Tensor:
        """Room for two sums of every channel by every program."""
        return torch.empty((self.programs, 2, self.width), device=self.device)

    def __call__(self, kernel: Any, *arguments: Any, **constants: Any) -> None:
        kernel[(self.programs,)](*arguments, WIDTH=self.width, ROWS=self.tile, num_warps=WARPS, **constants)


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def batch_norm_relu(bn: BatchNorm, x: Tensor, branch: Tensor | None) -> tuple[Tensor, Tensor]:
    """The sum x + branch (x itself for None), and relu(bn(sum)) in training mode; both (B, C, H, W).

    C must be a power of two. The running statistics of `bn` change as PyTorch's do.
    """
    result = _BatchNormReLU.apply(x, branch, bn.weight, bn.bias, bn)
    return result if branch is not None else (x, result)
