"""What a grid will cost, what comes first, and what it decides: hand-worked."""

import pytest

from hal import plan
from hal.errors import UserError
from hal.study.grid import load_grid
from tests.made_up import made_up_params, make_up_grid
from tests.tiny import tiny_params

PAPER = ["mnist", "svhn", "cifar10"]


def test_a_cells_time_is_that_of_its_steps_and_tests(tmp_path, monkeypatch):
    """Tiny: 70 // 16 = 4 steps an epoch, timed in one go, and 33 test images; 3 epochs of 0.8 s + 0.8 s."""
    params = tiny_params(tmp_path)
    monkeypatch.setattr(plan, "_seconds", lambda function: (function(), 0.8)[1])
    seconds = plan.measured(params, params.cell("tiny", "pairs", 0), plan.Size(70, 33, (8, 8, 1)))
    assert seconds == pytest.approx(3 * (0.8 + 0.8))


def test_a_real_measurement_grows_with_the_data_set(tmp_path):
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    assert plan.measured(params, cell, plan.Size(70_000, 33, (8, 8, 1))) > 20 * plan.measured(
        params, cell, plan.Size(700, 33, (8, 8, 1))
    )


def test_sizes_are_known_before_anything_is_fetched_but_of_ones_own_data(tmp_path):
    params = made_up_params(tmp_path)
    assert plan.size_of(params, "svhn") == plan.Size(73_257, 26_032, (32, 32, 3))
    make_up_grid(params, images=20)
    assert plan.size_of(params, "svhn").shape == (32, 32, 3)
    own = made_up_params(
        tmp_path,
        "datasets: {own: {source: npz, path: a.npz, sha256: {sha}, layers: 10, classes: [a, b], cases: {}}}\n".replace(
            "{sha}", "ab" * 32
        )
        + "grid: {datasets: [own]}",
    )
    with pytest.raises(UserError, match="`hal data own` prepares it"):
        plan.size_of(own, "own")


def test_the_data_set_that_is_done_soonest_comes_first_seed_by_seed(tmp_path):
    params = made_up_params(tmp_path)
    make_up_grid(
        params,
        {f"{d}/{c}/seed{s}": "missing" for d in PAPER for c in params.cases(d) for s in (0, 3)},
        images=20,
    )
    to_come = [r for r in load_grid(params) if not r.ok]
    seconds = {"mnist": 300.0, "svhn": 100.0, "cifar10": 200.0}
    order = plan.ordered(to_come, seconds)
    assert [r.cell.dataset for r in order] == ["svhn"] * 10 + ["cifar10"] * 10 + ["mnist"] * 10
    assert [r.cell.seed for r in order[:10]] == [0] * 5 + [3] * 5
    # two at once for an hour: 7,200 s, of which svhn takes 1,000, cifar10 2,000, and mnist 300 each
    assert len(plan.within(order, seconds, 1, 2)) == 10 + 10 + 10
    assert len(plan.within(order, seconds, 0.5, 2)) == 10 + 10 + 2
    assert plan.within(order, seconds, 0.01, 2) == []


def test_a_cell_under_way_costs_only_what_is_left_of_it(tmp_path):
    params = made_up_params(tmp_path, "train: {epochs: 4}")
    make_up_grid(params, {"mnist/case1/seed0": "unfinished"}, images=20)
    (unfinished,) = [r for r in load_grid(params) if r.state == "unfinished"]
    assert plan._left(unfinished, {"mnist": 100.0}) == pytest.approx(75.0)


def test_a_claim_is_decidable_with_the_seeds_that_all_networks_of_its_data_sets_have(tmp_path):
    """docs/claims.md: with 5 seeds `mnist-lowest` has a power of 100 %, with 3 one of 70; `mnist-deviation` never has 80."""
    params = made_up_params(tmp_path)
    five = [params.cell("mnist", case, seed) for case in params.cases("mnist") for seed in range(5)]
    yes, no = plan.decidable(params, five)
    assert "mnist-lowest" in yes
    assert "mnist-deviation" in no
    assert "table2-cifar10" in no  # nothing of it is there
    yes, no = plan.decidable(params, five[:-2])  # one network has three seeds
    assert "mnist-lowest" in no


def test_the_plan_says_what_comes_and_what_it_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "measured", lambda params, cell, size: 3600.0)
    monkeypatch.setattr(plan, "at_once", lambda params: 2)
    params = made_up_params(tmp_path)
    said = plan.lines(params, load_grid(params), 12.5)
    assert said[0] == "mnist: 25 cells to come, 1:00:00 each, 12:30:00 in all"
    assert said[4] == "in 12.5 hours 25 of them, in this order: cifar10 seeds 0 to 4 (25 networks)"
    assert said[5].startswith("decidable then (power of 80 % or more): ")
    assert "table2-cifar10" in said[5]
    short = made_up_params(tmp_path, "train: {epochs: 3}")
    assert "not the paper's experiment" in plan.lines(short, load_grid(short), 1)[-1]
    make_up_grid(short, images=20)
    assert plan.lines(short, load_grid(short), None) == ["every cell of the grid is done"]
