"""The network against section 3 of the paper: its sizes, its equations and their gradients."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hal.train.model import HAL, AuxiliaryBlock

SHAPE = {
    "widths": (16, 32, 64),
    "batch_norm_momentum": 0.003,
    "batch_norm_eps": 1e-5,
    "linear_init": "he",
    "output_bias": True,
}


def network(channels=1, superclasses=0, layers=10, seed=0, block=None, **changes) -> HAL:
    block = block or ("auxiliary" if superclasses else "none")
    return HAL(channels, 10, superclasses, block, layers, seed=seed, **(SHAPE | changes))


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(
    ("channels", "layers", "superclasses", "parameters"),
    [
        (3, 28, 0, 369_754),
        (1, 10, 0, 77_818),
        (3, 28, 5, 369_754 + 64 * 5),
        (1, 10, 2, 77_818 + 64 * 2),
    ],
)
def test_the_networks_have_the_layers_and_parameters_of_the_paper(channels, layers, superclasses, parameters):
    net = network(channels, superclasses, layers)
    assert count(net) == parameters
    assert sum(isinstance(module, nn.Conv2d) for module in net.modules()) == layers


def test_stages_halve_the_resolution_and_double_the_width():
    net = network()
    x = torch.randn(2, 1, 28, 28)
    shapes = []
    for block in net.blocks:
        block.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[1:])))
    assert net(x).shape == (2, 10)
    assert shapes == [(16, 28, 28), (32, 14, 14), (64, 7, 7)]


def test_the_score_of_a_hand_worked_example():
    """W y = (1*2 + 0*3, -1*2 + 2*3) = (2, 4); |2 - 0| + |4 - 1| = 5; and with the other superclass |2-1| + |4-0| = 5."""
    block = AuxiliaryBlock(features=2, superclasses=2)
    block.linear.weight.data = torch.tensor([[1.0, 0.0], [-1.0, 2.0]])
    y = torch.tensor([[2.0, 3.0], [2.0, 3.0], [0.0, 0.25]])
    x_star = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    assert block(y, x_star).tolist() == [[5.0], [5.0], [1.5]]
    assert block.linear.bias is None


def test_the_output_layer_sees_the_features_times_the_score():
    """Equation 2."""
    net = network(superclasses=2).eval()
    y, x_star = torch.rand(4, 64), F.one_hot(torch.tensor([0, 1, 1, 0])).float()
    logits, a = net.classify(y, x_star), net.auxiliary(y, x_star)
    assert torch.allclose(logits, (y * a) @ net.output.weight.T + net.output.bias, atol=1e-5)


def test_gradients_are_those_of_equations_4_to_7():
    torch.manual_seed(1)
    y = torch.randn(1, 5, dtype=torch.float64, requires_grad=True)
    x_star = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)
    block = AuxiliaryBlock(5, 3).double()
    output = nn.Linear(5, 4).double()

    a = block(y, x_star)
    a.retain_grad()
    y_next = y * a  # y^{N-1}
    y_next.retain_grad()
    F.cross_entropy(output(y_next), torch.tensor([2])).backward()

    w, upstream = block.linear.weight, y_next.grad[0]  # w is (S, L): w[j, i] is the paper's w_ij
    chi = torch.where(w @ y[0] > x_star[0], 1.0, -1.0).double()  # equation 7
    grad_a = (upstream * y[0]).sum()  # equation 4
    grad_y = upstream * a[0] + grad_a * (chi[:, None] * w).sum(dim=0)  # equation 5
    grad_w = chi[:, None] * grad_a * y[0]  # equation 6
    assert torch.allclose(a.grad[0, 0], grad_a, rtol=1e-12)
    assert torch.allclose(y.grad[0], grad_y, rtol=1e-12)
    assert torch.allclose(w.grad, grad_w, rtol=1e-12)


def test_numbering_the_superclasses_differently_changes_nothing():
    net = network(superclasses=3).eval()
    y, x_star = torch.rand(6, 64), torch.eye(3).repeat(2, 1)
    logits, a = net.classify(y, x_star), net.auxiliary(y, x_star)
    order = torch.tensor([2, 0, 1])
    net.auxiliary.linear.weight.data = net.auxiliary.linear.weight.data[order]
    renumbered = net.classify(y, x_star[:, order])
    assert torch.allclose(a, net.auxiliary(y, x_star[:, order]), atol=1e-6)
    assert torch.allclose(logits, renumbered, atol=1e-5)


def test_each_image_is_classified_by_itself_in_evaluation():
    net = network(superclasses=2).eval()
    x, x_star = torch.randn(3, 1, 8, 8), torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    together = net(x, x_star)
    alone = torch.cat([net(x[i : i + 1], x_star[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-4)


def test_he_initialisation_has_the_deviation_of_the_fan_in():
    net = network(3, 5, 28)
    deviation = net.blocks[-1].conv2.weight.std().item()
    assert deviation == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert net.auxiliary.linear.weight.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.15)
    assert all(
        (m.bias == 0).all()
        for m in net.modules()
        if isinstance(m, nn.Conv2d | nn.Linear) and m.bias is not None
    )


def test_uniform_initialisation_of_the_linear_layers_stays_within_its_bound():
    net = network(superclasses=2, linear_init="uniform")
    weight = torch.cat([net.output.weight.flatten(), net.auxiliary.linear.weight.flatten()])
    assert weight.abs().max() <= 1 / 8
    assert weight.abs().max() > 0.9 / 8


def test_the_seed_decides_the_initial_weights():
    first, again, other = (torch.cat([p.flatten() for p in network(seed=s).parameters()]) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_seed_gives_the_baseline_and_a_case_the_same_convolutions():
    baseline, case = network(seed=5), network(seed=5, superclasses=2)
    assert torch.equal(baseline.stem.weight, case.stem.weight)
    assert torch.equal(baseline.blocks[-1].conv2.weight, case.blocks[-1].conv2.weight)
