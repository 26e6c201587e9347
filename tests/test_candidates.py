"""The candidates of the speed benchmark compute the pipeline's mathematics: step by step against its own training."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys

import pytest
import torch

from tests.tiny import ROOT

STEPS = 3

if importlib.util.find_spec("triton") is not None and not torch.cuda.is_available():
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # Triton decides at its import, which another test may be the first to do
        patch.setenv("TRITON_INTERPRET", "1")
        import triton  # noqa: F401
needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="this PyTorch is without Triton"
)

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch):
    """benchmarks/ is no package; Triton's interpreter stands in for a GPU."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("TRITON_INTERPRET", "1")


def setting(**changes):
    return importlib.import_module("setting").Setting(
        **{"network": "digits", "precision": "float32", "device": "cpu", "steps": STEPS} | changes
    )


def trained(chosen) -> tuple[list[float], dict[str, torch.Tensor]]:
    """The losses of an epoch at a learning rate that moves the weights, and the network after it."""
    from hal.train.loop import Trainer

    chosen.configure()
    trainer = Trainer(chosen.net(), chosen.data(), chosen.cell.train)
    trainer.epoch(chosen.draw(), 50 * chosen.rates, lambda: None)
    state = trainer.net.state_dict()
    return trainer.losses.tolist(), {re.sub(r"^(_orig_mod|net)\.", "", name): t for name, t in state.items()}


@pytest.mark.parametrize(
    "changes",
    [
        {"norm": "cudnn"},
        {"norm": "cudnn", "precision": "bfloat16"},
        {"weights": "copies", "precision": "bfloat16"},
        {"weights": "copies", "norm": "cudnn", "precision": "bfloat16"},
    ],
    ids=lambda changes: ", ".join(changes.values()),
)
def test_bit_for_bit_the_pipelines_training(changes):
    (losses, net), (expected, pipeline) = (
        trained(setting(**changes)),
        trained(setting(precision=changes.get("precision", "float32"))),
    )
    assert losses == expected
    assert len(set(losses)) == STEPS
    assert net.keys() == pipeline.keys()
    assert all(torch.equal(net[name], pipeline[name]) for name in net)


@pytest.mark.parametrize(
    "changes",
    [
        {"layout": "nchw"},
        {"projections": "products"},
        pytest.param({"norm": "triton"}, marks=[pytest.mark.slow, needs_triton]),
        pytest.param({"compiled": True}, marks=[pytest.mark.slow, needs_compiler]),  # takes a minute
    ],
    ids=str,
)
def test_the_pipelines_training_but_for_the_order_of_sums(changes):
    (losses, net), (expected, pipeline) = trained(setting(**changes)), trained(setting())
    assert losses == pytest.approx(expected, rel=1e-5)
    assert net.keys() == pipeline.keys()
    for name in net:
        assert torch.allclose(net[name], pipeline[name], rtol=1e-3, atol=1e-4), name


def test_a_cell_beside_others_in_one_process_is_the_same_cell():
    ways = importlib.import_module("ways")
    chosen = setting()
    with ways.engine(chosen, 1) as alone, ways.streams(chosen, 3) as together:
        assert together() == alone()


def test_a_candidate_evaluates_as_the_pipeline_does():
    x = torch.randn(5, 1, 8, 8)
    x_star = torch.eye(3)[[0, 1, 2, 0, 1]]
    nets = [setting(norm=norm).net().eval() for norm in ("native", "cudnn", "triton")]
    expected, *others = [net(x.contiguous(memory_format=torch.channels_last), x_star) for net in nets]
    assert all(torch.equal(other, expected) for other in others)


def normalised(norm: str, x: torch.Tensor, branch: torch.Tensor | None, dtype: torch.dtype):
    """Sum, output, gradients and running statistics of a normalisation of shifted, scaled numbers."""
    candidates = importlib.import_module("candidates")
    from hal.train.model import BatchNorm

    torch.manual_seed(1)
    bn = BatchNorm(x.shape[1], momentum=0.1, eps=1e-5)
    with torch.no_grad():
        for tensor in (bn.weight, bn.bias, bn.running_mean):
            tensor.copy_(torch.randn(len(tensor)))
    bn = bn.to(torch.float64 if dtype == torch.float64 else torch.float32)
    x, branch = (
        None if t is None else t.to(dtype, memory_format=torch.channels_last).requires_grad_()
        for t in (x, branch)
    )
    total, y = getattr(candidates, norm)(bn, x, branch)
    upstream = torch.sin(torch.arange(x.numel(), dtype=torch.float64)).view(x.shape).to(dtype)
    loss = (y * upstream).sum() + (0 if branch is None else (total * upstream.flip(0)).sum())
    loss.backward()
    gradients = [t.grad for t in (x, branch, bn.weight, bn.bias) if t is not None]
    return [t.detach() for t in (total, y, *gradients, bn.running_mean, bn.running_var)]


@pytest.mark.parametrize(
    "shape", [(3, 16, 5, 5), (16, 64, 8, 8), (128, 32, 7, 7)], ids=str
)  # rows: 75 to 6,272
@pytest.mark.parametrize("add", [False, True], ids=["alone", "behind a sum"])
def test_the_fused_kernels_against_float64(shape, add):
    torch.manual_seed(0)
    x = 30 + 2 * torch.randn(shape)  # far from zero: a naive variance would lose digits
    branch = torch.randn(shape) if add else None
    exact = normalised("_norm_relu", x, branch, torch.float64)
    for ours, theirs, wanted in zip(
        normalised("_triton", x, branch, torch.float32),
        normalised("_norm_relu", x, branch, torch.float32),
        exact,
        strict=True,
    ):
        off, usual = ((t.double() - wanted).abs().max().item() for t in (ours, theirs))
        assert off <= max(2 * usual, 3e-6 * wanted.abs().max().item())


@needs_triton
def test_the_fused_kernels_keep_bfloat16():
    """The interpreter cuts digits off where a GPU rounds: one unit in the last place."""
    torch.manual_seed(0)
    x, branch = torch.randn(8, 16, 6, 6), torch.randn(8, 16, 6, 6)
    ours, theirs = (normalised(norm, x, None, torch.bfloat16) for norm in ("_triton", "_norm_relu"))
    assert [t.dtype for t in ours] == [t.dtype for t in theirs]
    for mine, its in zip(ours, theirs, strict=True):
        assert torch.allclose(mine.float(), its.float(), rtol=2**-7, atol=2e-2)
    total = normalised("_triton", x, branch, torch.bfloat16)[0]
    assert total.dtype == torch.bfloat16
    assert torch.allclose(total.float(), (x.bfloat16() + branch.bfloat16()).float(), rtol=2**-7, atol=0)


@needs_triton
def test_the_fused_kernels_give_the_same_bits_twice_and_hide_no_number_that_is_none():
    torch.manual_seed(0)
    x = torch.randn(16, 64, 8, 8)
    once, again = (normalised("_triton", x, x.flip(0), torch.float32) for _ in range(2))
    assert all(map(torch.equal, once, again))
    x[0, 3, 0, 0] = torch.nan
    y = normalised("_triton", x, None, torch.float32)[1]
    assert y[:, 3].isnan().all()
    assert not y[:, :3].isnan().any()


COMPILE = """
import re

import fused
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

TENSORS = {"x", "branch", "total", "y", "dy", "dtotal", "dx"}
for number in ("fp32", "bf16"):
    for kernel in (fused.statistics, fused.normalise, fused.gradient_sums, fused.input_gradient):
        constants = {"WIDTH": 64, "ROWS": 64, "ADD": True, "PARTS": 128}
        names = kernel.arg_names
        kinds = {"rows": "i32", "momentum": "fp32", "eps": "fp32"}
        signature = {
            name: "constexpr" if name in constants else kinds.get(name, f"*{number if name in TENSORS else 'fp32'}")
            for name in names
        }
        values = {(i,): constants[name] for i, name in enumerate(names) if name in constants}
        done = compile(ASTSource(kernel, signature, values), GPUTarget("cuda", 90, 32), {"num_warps": fused.WARPS})
        assert not re.search(r"\\b(atom|red)\\.", done.asm["ptx"]), kernel
        print(number, kernel)
"""


@needs_triton
@pytest.mark.slow
def test_the_fused_kernels_compile_for_an_h100_without_atomics():
    """Without a card: Triton brings the assembler."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "benchmarks"), str(ROOT / "src")])
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 8
