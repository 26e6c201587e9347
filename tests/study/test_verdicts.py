import json
import math
import re

import numpy as np
import pandas as pd
import pytest

from hal.paper import load_paper
from hal.study import convergence, separability, verdicts
from hal.study.grid import load_grid
from hal.study.resampling import NO_INTERVAL, Interval, Moments, welch_p
from hal.study.verdicts import Quantity
from tests.made_up import change_curves, made_up_params, make_up_cell, make_up_grid

PRINTED = {name: data.errors for name, data in load_paper().datasets.items()}
CLAIMS = {claim.id: claim for claim in load_paper().claims}
# five numbers with mean 0 and sample standard deviation 1
SPREAD = np.array([-2, -1, 0, 1, 2]) / math.sqrt(2.5)


def papers_grid(root, dataset, overlay=""):
    """The paper's five seeds on one data set, with the errors of Table 2 and deviations of 0.02."""
    params = made_up_params(root, f"grid: {{datasets: [{dataset}]}}\n{overlay}")
    make_up_grid(params, images=200)
    for case, error in PRINTED[dataset].items():
        set_errors(params, dataset, case, error.mean, 0.02)
    return params


def set_errors(params, dataset, case, mean, sd, measure="test_error"):
    for seed, z in zip(params.grid.seeds, SPREAD, strict=False):
        name = f"{dataset}/{case}/seed{seed}"
        table = pd.read_csv(params.path("results", name, "curves.csv"))
        table.loc[table.index[-1], measure] = mean + sd * z
        change_curves(params, name, table)


def set_scores(params, dataset, case, distance):
    """Scores of the superclasses in unit intervals that begin `distance` apart."""
    for seed in params.grid.seeds:
        path = params.path("results", dataset, case, f"seed{seed}", "scores.npz")
        with np.load(path) as stored:
            arrays = dict(stored)
        noise = np.random.default_rng(seed).random(len(arrays["label"]))
        arrays["score"] = (distance * arrays["superclass"] + noise).astype(np.float32)
        np.savez_compressed(path, **arrays)


def judged(params):
    """The verdicts by claim."""
    results = load_grid(params)
    scores = separability.separability(params, results)
    curves = convergence.per_cell(params, results)
    return {v.claim.id: v for v in verdicts.verdicts(params, results, scores, curves)}


@pytest.fixture
def mnist(tmp_path):
    return papers_grid(tmp_path, "mnist")


def quantity(low, high):
    return Quantity("q", (low + high) / 2, Interval(low, high))


@pytest.mark.parametrize(
    ("intervals", "verdict"),
    [
        ([(1, 2), (1.5, 1.6)], "reproduced"),
        ([(1, 2), (0.5, 1.5)], "inconclusive"),
        ([(0.5, 2.5)], "inconclusive"),
        ([(1, 2), (0.5, 1.5), (2.1, 3)], "not reproduced"),
        ([(0.1, 0.9)], "not reproduced"),
        ([(1, 2), (math.nan, math.nan)], "inconclusive"),
    ],
)
def test_a_test_asks_where_whole_intervals_lie(intervals, verdict):
    assert verdicts._in_range("x", [quantity(*i) for i in intervals], 1, 2).verdict == verdict


def test_without_an_interval_the_sentence_says_so():
    outcome = verdicts._in_range("x", [Quantity("case1", 5.0, NO_INTERVAL)], 1)
    assert outcome.why == "x: case1 5.00; one seed, or seeds that do not vary, give no interval."


def test_every_claim_names_a_test_and_data_sets_and_cases_of_the_paper():
    assert len(CLAIMS) == len(load_paper().claims) == 27
    for claim in CLAIMS.values():
        assert claim.test in verdicts.TESTS
        assert verdicts.TESTS[claim.test].rule(claim).endswith(".")
        for dataset in claim.datasets:
            assert {*claim.cases, claim.against} - {""} <= load_paper().datasets[dataset].cases.keys()
        assert claim.place == "Abstract" or re.fullmatch(r"Table 2|Section (4|4\.[123]|5)", claim.place)


def test_what_the_papers_own_table_contradicts_and_what_it_agrees_with(tmp_path):
    found = judged(made_up_params(tmp_path))
    table = {id: v.table for id, v in found.items() if v.table}
    assert {id for id, says in table.items() if says == "contradicts"} == {
        *("abstract-mnist", "abstract-svhn", "abstract-cifar10"),
        "svhn-reduces",
    }
    assert {id for id, says in table.items() if says == "agrees"} == {
        *("mnist-reduces", "mnist-lowest", "svhn-case4", "cifar10-not-semantic", "cifar10-case1", "error"),
    }
    assert found["abstract-mnist"].table_why == "Largest fall in points: case1 0.50; not 0.56: case1."
    assert "case4 1.19" in found["svhn-reduces"].table_why


def test_two_decimals_cannot_tell_whether_three_svhn_cases_differ(tmp_path):
    """As printed, 2.53 ± 0.06 and 2.66 ± 0.07 have t = 0.13 / sqrt((0.0036 + 0.0049) / 5) = 3.15, p = 0.014, times 3.

    But 2.535 ± 0.065 and 2.655 ± 0.075 round to them too: t = 0.12 / sqrt((0.004225 + 0.005625) / 5) = 2.70, p = 0.028,
    times 3: not significant.
    """
    found = judged(made_up_params(tmp_path))["svhn-similar"]
    assert (found.table, found.table_why) == ("", "")
    nearest = verdicts._nearest(Moments(2.53, 0.06, 5), Moments(2.66, 0.07, 5))
    assert [m.mean for m in nearest] == pytest.approx([2.535, 2.655])
    assert [m.sd for m in nearest] == pytest.approx([0.065, 0.075])
    assert welch_p(*nearest) == pytest.approx(0.028, abs=0.001)
    assert [m.mean for m in verdicts._nearest(Moments(1.0, 0.1, 5), Moments(1.004, 0.1, 5))] == [1.002, 1.002]


def test_a_repetition_of_table_2_reproduces_what_table_2_supports(mnist):
    found = judged(mnist)
    for id in ("table2-mnist", "mnist-reduces", "mnist-lowest", "abstract-mnist"):
        assert found[id].verdict == "reproduced", found[id].why
    assert "case1 0.50 [0." in found["abstract-mnist"].why
    assert found["mnist-reduces"].indication == ""


def test_a_case_that_is_worse_than_the_baseline_refutes_that_all_are_better(mnist):
    set_errors(mnist, "mnist", "case3", 1.2, 0.02)
    found = judged(mnist)
    assert found["mnist-reduces"].verdict == "not reproduced"
    assert re.search(r"case3 −0\.27 \[.*; not above 0: case3\.", found["mnist-reduces"].why)
    assert found["mnist-lowest"].verdict == "reproduced"


def test_a_wide_spread_leaves_a_claim_open(mnist):
    set_errors(mnist, "mnist", "case3", 0.70, 0.5)
    found = judged(mnist)
    assert found["mnist-reduces"].verdict == "inconclusive"
    assert found["mnist-reduces"].why.endswith("open whether case3 is above 0.")


@pytest.mark.parametrize("state", ["missing", "unfinished", "stale", "broken"])
def test_an_unfinished_experiment_is_not_yet_run(mnist, state):
    make_up_cell(mnist, mnist.cell("mnist", "case2", 4), state, images=200)
    found = judged(mnist)["mnist-reduces"]
    assert found.verdict == "not yet run"
    assert found.why.startswith("1 of 25 networks are still to be trained. Here: Fall in points:")
    assert found.indication == "for"


def test_a_claim_of_one_case_needs_only_the_cells_that_it_is_about(mnist):
    set_scores(mnist, "mnist", "case1", 2)
    make_up_cell(mnist, mnist.cell("mnist", "case2", 4), "missing")
    assert judged(mnist)["mnist-split"].verdict == "reproduced"


def test_a_diverged_network_leaves_its_claims_inconclusive(mnist):
    make_up_cell(mnist, mnist.cell("mnist", "case2", 4), "diverged", images=200)
    found = judged(mnist)
    assert found["mnist-reduces"].verdict == "inconclusive"
    assert found["mnist-reduces"].why.startswith("1 network diverged (mnist/case2/seed4)")
    assert found["mnist-split"].verdict != "not yet run"


@pytest.mark.parametrize(
    "overlay",
    [
        "train: {epochs: 3}",
        "augment: {flip: false}",
        "datasets: {mnist: {layers: 16}}",
        "datasets: {mnist: {cases: {case1: {superclasses: [[5, 6, 7, 8], [0, 1, 2, 3, 4, 9]]}}}}",
    ],
)
def test_another_experiment_never_gets_a_verdict_only_an_indication(tmp_path, overlay):
    found = judged(papers_grid(tmp_path, "mnist", overlay))
    about_training = [v for v in found.values() if v.claim.test != "images"]
    assert {v.verdict for v in about_training} == {"not yet run"}
    assert found["mnist-reduces"].indication == "for"
    assert "not the paper's experiment" in found["mnist-reduces"].why


def test_fewer_seeds_than_the_paper_are_another_experiment(tmp_path):
    params = made_up_params(tmp_path, "grid: {datasets: [mnist], seeds: [0]}")
    make_up_grid(params, images=200)
    found = judged(params)["mnist-reduces"]
    assert (found.verdict, found.indication) == ("not yet run", "open")
    assert "1 seed (paper: 5 runs)" in found.why
    assert "give no interval" in found.why


def test_a_data_set_that_only_has_the_papers_name_gets_no_verdict(tmp_path):
    params = papers_grid(tmp_path, "mnist", "datasets: {mnist: {source: digits}}")
    found = judged(params)["mnist-reduces"]
    assert (found.verdict, found.why, found.indication) == ("not yet run", "MNIST is not in this run.", "")


def test_clear_and_mixed_scores_are_told_apart(mnist):
    set_scores(mnist, "mnist", "case1", 2)  # apart
    for case in ("case2", "case3", "case4"):
        set_scores(mnist, "mnist", case, 0)  # the same
    found = judged(mnist)
    assert found["mnist-split"].verdict == found["mnist-mixed"].verdict == "reproduced"
    set_scores(mnist, "mnist", "case1", 0.2)
    set_scores(mnist, "mnist", "case2", 2)
    found = judged(mnist)
    assert found["mnist-split"].verdict == found["mnist-mixed"].verdict == "not reproduced"


def test_broken_scores_leave_only_claims_about_them_open(mnist):
    mnist.path("results/mnist/case1/seed2/scores.npz").write_text("nonsense")
    found = judged(mnist)
    assert found["mnist-split"].verdict == "inconclusive"
    assert found["mnist-split"].why.startswith("MNIST case1 seed 2: ")
    assert "broken" in found["mnist-split"].why
    assert found["mnist-reduces"].verdict == "reproduced"


def test_curves_that_lie_lower_all_along_are_faster_and_broken_ones_are_said(mnist):
    for case in ("case1", "case2", "case3", "case4"):
        for seed in mnist.grid.seeds:
            table = pd.read_csv(mnist.path(f"results/mnist/baseline/seed{seed}/curves.csv"))
            table[["train_loss", "test_loss"]] *= 0.5 + 0.01 * seed
            change_curves(mnist, f"mnist/{case}/seed{seed}", table)
    assert judged(mnist)["mnist-faster"].verdict == "reproduced"
    mnist.path("results/mnist/case4/seed0/curves.csv").write_text("nonsense")
    found = judged(mnist)["mnist-faster"]
    assert found.verdict == "inconclusive"
    assert "curves.csv: broken" in found.why


@pytest.mark.parametrize(
    ("means", "sd", "verdict"),
    [
        ((2.53, 2.54, 2.55), 0.05, "reproduced"),
        ((2.53, 2.64, 2.90), 0.05, "not reproduced"),
        ((2.53, 2.64, 2.66), 0.30, "inconclusive"),
    ],
)
def test_no_significant_difference_needs_more_than_noise(tmp_path, means, sd, verdict):
    params = papers_grid(tmp_path, "svhn")
    for case, mean in zip(("case1", "case2", "case3"), means, strict=True):
        set_errors(params, "svhn", case, mean, sd)
    found = judged(params)["svhn-similar"]
    assert found.verdict == verdict, found.why


def test_at_least_1_point_2_allows_for_its_tolerance_here_but_not_in_the_papers_table(tmp_path):
    params = papers_grid(tmp_path, "svhn")
    found = judged(params)["svhn-reduces"]  # case4 gains 1.19, as in the paper
    assert (found.verdict, found.table) == ("reproduced", "contradicts")
    set_errors(params, "svhn", "case4", 4.05 - 0.9, 0.02)
    assert judged(params)["svhn-reduces"].verdict == "not reproduced"


def test_numbers_of_images_are_counted_in_the_data_not_in_the_networks(tmp_path):
    params = made_up_params(tmp_path, "train: {epochs: 3}")
    assert judged(params)["cifar10-images"].verdict == "not yet run"
    make_up_grid(params, {cell.name: "missing" for cell in params.cells()})
    found = judged(params)
    assert found["data-sizes"].verdict == "reproduced"
    assert found["cifar10-images"].verdict == "not reproduced"
    assert "5,000 training images of each class, not 500" in found["cifar10-images"].why
    path = params.path("data/svhn.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"train": {"images": 9, "per_class": [9]}}))
    assert judged(params)["data-sizes"].verdict == "not reproduced"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.75, 0.95, "reproduced"), (-0.2, 0.5, "not reproduced"), (0.4, 0.9, "inconclusive")],
)
def test_section_5s_claim_needs_a_high_correlation(low, high, verdict):
    class Source:
        def correlation(self, datasets):
            return Quantity("ρ", (low + high) / 2, Interval(low, high)), "over 12 pairs"

    outcome = verdicts.TESTS["predicts"].judge(CLAIMS["separability"], Source())
    assert outcome.verdict == verdict
    assert outcome.why.endswith("(over 12 pairs).")


def test_the_table_holds_every_claim(mnist):
    found = list(judged(mnist).values())
    stored = verdicts.table(found).set_index("id")
    assert stored.loc["mnist-reduces", "verdict"] == "reproduced"
    assert stored.loc["svhn-reduces", "tolerance"] == 0.1
    assert stored["why"].notna().all()
