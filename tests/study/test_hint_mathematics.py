"""docs/hint.md: what a scalar hint can do, on random networks in float64 and on trained ones."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.torch import load_file
from torch.nn import functional as F

from hal.study.measures import oracle_mask, score_under_every_hint
from hal.train.cell import run
from hal.train.model import AuxiliaryBlock
from tests.tiny import tiny_params

NUMBERS = st.integers(-400, 400).map(lambda n: n / 100)


@st.composite
def vectors(draw) -> np.ndarray:
    """U of one image: two to five superclasses, often at the corners of h."""
    size = draw(st.integers(2, 5))
    return np.array(
        draw(
            st.lists(st.one_of(NUMBERS, st.sampled_from([0.0, 1.0, 0.5, -1.0])), min_size=size, max_size=size)
        )
    )


def h(u: np.ndarray) -> np.ndarray:
    """1 up to 0, 1 - 2u up to 1, -1 beyond."""
    return np.clip(1 - 2 * u, -1, 1)


def scores(u: np.ndarray) -> np.ndarray:
    """Equation 3 as printed, told each superclass."""
    return np.abs(u[None, :] - np.eye(len(u))).sum(axis=1)


@given(vectors())
def test_the_score_is_a_common_part_and_one_of_the_superclass_told(u):
    assert scores(u) == pytest.approx(np.abs(u).sum() + h(u), abs=1e-12)
    assert score_under_every_hint(u[None])[0] == pytest.approx(scores(u), abs=1e-12)


@given(vectors())
def test_two_hints_differ_by_at_most_2_and_their_scores_add_up_to_at_least_2(u):
    a = scores(u)
    assert np.ptp(a) <= 2 + 1e-12
    smallest, second, *_ = np.sort(a)
    assert smallest + second >= 2 - 1e-12


@given(vectors())
def test_a_score_is_zero_only_at_the_one_hot_vector(u):
    for s in np.flatnonzero(scores(u) == 0):
        assert np.array_equal(u, np.eye(len(u))[s])
    assert scores(np.eye(3)[1])[1] == 0


@given(vectors())
def test_hints_are_blind_where_both_are_saturated_on_one_side_or_equal(u):
    a = scores(u)
    for s in range(len(u)):
        for t in range(len(u)):
            same_side = (u[s] <= 0 and u[t] <= 0) or (u[s] >= 1 and u[t] >= 1)
            if same_side or u[s] == u[t]:
                assert a[s] == pytest.approx(a[t], abs=1e-12)
            elif abs(h(u)[s] - h(u)[t]) > 1e-9:
                assert a[s] != pytest.approx(a[t], abs=1e-12)


def loss_and_gradients(y, label, superclass, block, output):
    """The loss of equation 1 told that superclass, and the gradients of every weight."""
    x_star = F.one_hot(torch.tensor([superclass]), block.linear.out_features).double()
    loss = F.cross_entropy(output(y * block(y, x_star)), label)
    return loss.item(), torch.autograd.grad(loss, [*block.parameters(), *output.parameters()])


@given(st.integers(0, 10_000), st.sampled_from([-1.0, 1.0]))
@settings(max_examples=50)
def test_a_blind_networks_gradients_do_not_know_which_superclass_was_told(seed, side):
    generator = torch.Generator().manual_seed(seed)
    block, output = AuxiliaryBlock(6, 3).double(), torch.nn.Linear(6, 4).double()
    y = 0.1 + torch.rand(1, 6, generator=generator, dtype=torch.float64)
    with torch.no_grad():  # every u strictly below 0, or strictly above 1
        block.linear.weight.copy_(side * (2 + torch.rand(3, 6, generator=generator, dtype=torch.float64)))
    label = torch.tensor([seed % 4])
    first, gradients = loss_and_gradients(y, label, 0, block, output)
    for superclass in (1, 2):
        loss, others = loss_and_gradients(y, label, superclass, block, output)
        assert loss == pytest.approx(first, rel=1e-12)
        assert all(
            torch.allclose(a, b, rtol=1e-10, atol=1e-12) for a, b in zip(gradients, others, strict=True)
        )


@given(
    vectors(), arrays(np.float64, 4, elements=NUMBERS, unique=True), arrays(np.float64, 4, elements=NUMBERS)
)
def test_without_an_output_bias_no_hint_changes_the_class_and_with_one_only_along_the_line(u, v, b):
    a = scores(u)
    told = a[a > 0]
    assert len({int((x * v).argmax()) for x in told}) <= 1
    line = np.unique(np.concatenate([np.linspace(0, 50, 2001), a]))
    on_the_line = {int((x * v + b).argmax()) for x in line}
    assert {int((x * v + b).argmax()) for x in a} <= on_the_line
    assert (v * 1e9 + b).argmax() == v.argmax()


@given(arrays(np.float64, (20, 4), elements=NUMBERS), arrays(np.int64, 20, elements=st.integers(0, 3)))
def test_a_mask_never_makes_a_right_prediction_wrong(logits, label):
    owner = np.array([0, 1, 1, 0])
    right = logits.argmax(axis=1) == label
    masked = oracle_mask(logits, label, owner)
    assert (masked[right] == label[right]).all()
    assert (masked != label).sum() <= (~right).sum()


@pytest.mark.parametrize("case", ["pairs", "threes"])
def test_the_statements_hold_for_trained_networks(tmp_path, case):
    params = tiny_params(tmp_path, epochs=8)
    cell = params.cell("tiny", case, 1)
    run(params, cell)
    paths = params.cell_paths(cell)
    with np.load(paths.checkpoints / "auxiliary.npz") as stored:
        u = stored["u_test"].astype(float)
    with np.load(paths.checkpoints / "predictions.npz") as stored:
        logits = stored["logits"].astype(float)
    b = load_file(paths.checkpoints / "weights.safetensors")["output.bias"].numpy()
    a = score_under_every_hint(u)
    assert (np.ptp(a, axis=1) <= 2 + 1e-9).all()
    v = (logits - b) / a[:, :, None]
    assert np.allclose(v, v[:, :1], rtol=0.01, atol=0.01)  # one line
    blind = np.ptp(a, axis=1) < 1e-6
    assert np.allclose(logits[blind], logits[blind][:, :1], atol=1e-4)
    without_bias = (a[:, :, None] * v[:, :1]).argmax(axis=2)
    assert (without_bias == without_bias[:, :1]).all()
