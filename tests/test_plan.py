"""What a grid will cost, what comes first, and what it decides: hand-worked."""

import dataclasses
import json

import pytest

from hal import plan
from hal.data.described import Size
from hal.data.sizes import size_of
from hal.errors import UserError
from hal.study.grid import load_grid
from tests.made_up import change_record, made_up_params, make_up_grid
from tests.tiny import tiny_params

PAPER = ["mnist", "svhn", "cifar10"]


def test_an_epochs_time_is_that_of_its_steps_and_tests(tmp_path, monkeypatch):
    """Tiny: 70 // 16 = 4 steps an epoch, timed in one go, and 33 test images: 0.8 s + 0.8 s."""
    params = tiny_params(tmp_path)
    monkeypatch.setattr(plan, "_seconds", lambda function: (function(), 0.8)[1])
    seconds = plan.measured(params, params.cell("tiny", "pairs", 0), Size(70, 33, (8, 8, 1)))
    assert seconds == pytest.approx(0.8 + 0.8)


def test_a_real_measurement_grows_with_the_data_set(tmp_path):
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    assert plan.measured(params, cell, Size(70_000, 33, (8, 8, 1))) > 20 * plan.measured(
        params, cell, Size(700, 33, (8, 8, 1))
    )


def test_a_batch_larger_than_the_data_set_is_refused_as_in_training(tmp_path):
    params = tiny_params(tmp_path, batch_size=71)
    with pytest.raises(UserError, match=r"train\.batch_size = 71: tiny has only 70 training images"):
        plan.measured(params, params.cell("tiny", "pairs", 0), Size(70, 33, (8, 8, 1)))


@pytest.mark.parametrize("text", ["{", "[]", '{"train": 1}'])
def test_a_damaged_description_is_said(tmp_path, text):
    params = tiny_params(tmp_path)
    params.path("data", "tiny.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"tiny\.json: cannot be read; `hal data tiny` makes it again"):
        size_of(params, "tiny")


def test_of_several_timings_the_fastest_counts(monkeypatch):
    now = iter([0.0, 5.0, 10.0, 11.0, 20.0, 23.0])
    monkeypatch.setattr(plan.time, "perf_counter", lambda: next(now))
    calls = []
    assert plan._seconds(lambda: calls.append(1)) == 1.0
    assert len(calls) == 1 + plan.TIMES


def test_networks_of_one_shape_are_measured_once_and_finished_cells_of_this_machine_need_none(
    tmp_path, monkeypatch, capsys
):
    """Baseline, two superclasses (cases 1 to 3) and five (case 4) are three shapes; a finished case 4 took 50 s for 4 epochs."""
    asked = []

    def measured(params, cell, size):
        asked.append(cell.case)
        return 7.0

    monkeypatch.setattr(plan, "measured", measured)
    monkeypatch.setattr(plan, "device_name", lambda device: "my machine")
    params = made_up_params(tmp_path, "grid: {datasets: [mnist], seeds: [0, 1]}\ntrain: {epochs: 4}")
    make_up_grid(params, {f"mnist/{case}/seed1": "missing" for case in params.cases("mnist")}, images=20)
    made = {"device": "another", "cpu_threads": 1}
    for case in params.cases("mnist"):
        record = json.loads(params.path(f"results/mnist/{case}/seed0/cell.json").read_text())
        mine = {"device": "my machine"} if case == "case4" else {}
        change_record(
            params,
            f"mnist/{case}/seed0",
            time={"wall_s": 50.0},
            provenance=record["provenance"] | made | mine,
        )
    times = plan.epoch_times(params, load_grid(params))
    assert times == {("mnist", c): 12.5 if c == "case4" else 7.0 for c in params.cases("mnist")}
    assert asked == ["baseline", "case1"]
    assert capsys.readouterr().err.splitlines() == [  # it takes a while
        "measuring a few steps of mnist/baseline",
        "measuring a few steps of mnist/case1",
    ]
    monkeypatch.setattr(plan, "_on_gpu", lambda params: True)
    times = plan.epoch_times(params, load_grid(params))  # the finished cell had its device for itself
    assert times["mnist", "case4"] == 7.0


def test_sizes_are_known_before_anything_is_fetched_but_of_ones_own_data(tmp_path):
    params = made_up_params(tmp_path)
    assert size_of(params, "svhn") == Size(73_257, 26_032, (32, 32, 3))
    make_up_grid(params, images=20)
    assert size_of(params, "svhn").shape == (32, 32, 3)
    own = made_up_params(
        tmp_path,
        "datasets: {own: {source: npz, path: a.npz, sha256: {sha}, layers: 10, classes: [a, b], cases: {}}}\n".replace(
            "{sha}", "ab" * 32
        )
        + "grid: {datasets: [own]}",
    )
    with pytest.raises(UserError, match="`hal data own` prepares it"):
        plan._size_of(own, "own")


def test_the_data_set_that_is_done_soonest_comes_first_seed_by_seed(tmp_path):
    params = made_up_params(tmp_path)
    make_up_grid(
        params,
        {f"{d}/{c}/seed{s}": "missing" for d in PAPER for c in params.cases(d) for s in (0, 3)},
        images=20,
    )
    to_come = [r for r in load_grid(params) if not r.ok]
    each = {"mnist": 300.0, "svhn": 100.0, "cifar10": 200.0}
    epoch_s = {(d, c): each[d] / 250 for d in PAPER for c in params.cases(d)}
    order = plan.ordered(to_come, epoch_s)
    assert [r.cell.dataset for r in order] == ["svhn"] * 10 + ["cifar10"] * 10 + ["mnist"] * 10
    assert [r.cell.seed for r in order[:10]] == [0] * 5 + [3] * 5
    # two at once: svhn takes 500 s, cifar10 1,000 s more, and then two of mnist are done every 300 s
    assert len(plan.within(order, epoch_s, 1, 2)) == 10 + 10 + 10
    assert len(plan.within(order, epoch_s, 0.5, 2)) == 10 + 10 + 2
    assert plan.within(order, epoch_s, 0.01, 2) == []


def test_a_cell_under_way_costs_only_what_is_left_of_it(tmp_path):
    params = made_up_params(tmp_path, "train: {epochs: 4}")
    make_up_grid(params, {"mnist/case1/seed0": "unfinished"}, images=20)
    (unfinished,) = [r for r in load_grid(params) if r.state == "unfinished"]
    assert plan._left(unfinished, {("mnist", "case1"): 25.0}) == pytest.approx(75.0)


def test_a_claims_power_is_that_of_the_seeds_that_all_networks_of_its_data_sets_have(tmp_path):
    """docs/claims.md: with 5 seeds `mnist-lowest` has a power of 100 %, with 3 one of 70; `mnist-deviation` never has 80."""
    params = made_up_params(tmp_path)
    five = [params.cell("mnist", case, seed) for case in params.cases("mnist") for seed in range(5)]
    powers = plan.powers(five)
    assert powers["mnist-lowest"] == 1
    assert 0 < powers["mnist-deviation"] < 0.8
    assert powers["table2-cifar10"] == 0  # nothing of it is there
    assert "mnist-faster" not in powers  # of curves the paper prints no numbers
    mine = dataclasses.replace(five[-1], case="mine")
    assert plan.powers([*five, mine])["mnist-lowest"] == 1  # a case more is none of the claim's
    powers = plan.powers(five[:-2])  # one network has three seeds
    assert powers["mnist-lowest"] == pytest.approx(0.7, abs=0.05)


def test_the_plan_says_what_comes_and_what_it_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "measured", lambda params, cell, size: 14.4 if cell.superclasses else 7.2)
    monkeypatch.setattr(plan, "at_once", lambda params: 2)
    monkeypatch.setattr(plan, "_busy", lambda: "")
    params = made_up_params(tmp_path)
    said = list(plan.lines(params, load_grid(params), 12.5))
    assert said[0] == "0 of 75 cells are done"
    assert said[1] == "mnist: 25 cells to come, 0:30:00 to 1:00:00 each, 11:15:00 with 2 at once"
    assert said[4] == "all 75 cells: about 1 day, 9:45:00 with 2 at once, if they do not slow each other down"
    # CIFAR-10 keeps one of the two busy until 11.5 and the other until 11 hours; then MNIST's baseline and two cases end by 12.5
    assert said[5] == (
        "in 12.5 hours 28 of them, in this order: cifar10 seeds 0 to 4 (25 networks); mnist seed 0 (3 networks)"
    )
    assert said[6].startswith("then decidable, with the power of each claim's rule (80 % or more)")
    assert any(line.endswith("  table2-cifar10: The five errors on CIFAR-10.") for line in said[7:-1])
    assert "table2-mnist (0 %)" in said[-1]
    short = made_up_params(tmp_path, "train: {epochs: 3}")
    assert "not the paper's experiment" in list(plan.lines(short, load_grid(short), 1))[-1]
    make_up_grid(short, images=20)
    assert list(plan.lines(short, load_grid(short), None)) == ["75 of 75 cells are done"]


@pytest.mark.parametrize("hours", [0, -1, float("nan"), float("inf")])
def test_hours_that_are_no_time_are_refused(tmp_path, hours):
    params = made_up_params(tmp_path)
    with pytest.raises(UserError, match="--hours"):
        list(plan.lines(params, load_grid(params), hours))


def test_a_machine_that_is_at_work_is_said_to_be(monkeypatch):
    monkeypatch.setattr(plan, "cpu_cores", lambda: 4)
    monkeypatch.setattr(plan.os, "getloadavg", lambda: (1.9, 0, 0))
    assert plan._busy() == ""
    monkeypatch.setattr(plan.os, "getloadavg", lambda: (2.0, 0, 0))
    assert "load 2.0 on 4 cores" in plan._busy()
