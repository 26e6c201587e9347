import dataclasses
import json
import math
import re
import typing
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hal.errors import UserError
from hal.paper import Claim, TestName, load_paper
from hal.present.verdicts import WITHOUT_NETWORKS
from hal.schema import build
from hal.study import convergence, separability
from hal.study.claims import judges, verdicts
from hal.study.claims.evidence import Drawn, Errors, Measured, NotYet, Printed, Quantity, Untestable
from hal.study.claims.power import power
from hal.study.convergence import per_cell
from hal.study.grid import load_cells
from hal.study.resampling import NO_INTERVAL, Interval, Moments
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
    cells = load_cells(params)
    scores = separability.separability(cells)
    curves = convergence.per_cell(cells)
    return {v.claim.id: v for v in verdicts.verdicts(params, cells, scores, curves)}


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
    assert judges.in_range("x", [quantity(*i) for i in intervals], 1, 2).verdict == verdict


def test_without_an_interval_the_sentence_says_so():
    outcome = judges.in_range("x", [Quantity("case1", 5.0, NO_INTERVAL)], 1)
    assert outcome.why == "x: case1 5.00; one seed, or seeds that do not vary, give no interval."


def test_every_claim_names_a_rule_and_data_sets_and_cases_of_the_paper():
    assert len(CLAIMS) == len(load_paper().claims)
    assert judges.RULES.keys() == set(typing.get_args(TestName)) == {c.test for c in CLAIMS.values()}
    for claim in CLAIMS.values():
        assert verdicts.rule(claim).endswith(".")
        assert bool(claim.because) == bool(claim.tolerance or (claim.value and claim.test != "reduces")) or (
            claim.test in ("reduces", "many_classes")
        )
        for dataset in claim.datasets:
            assert {*claim.cases, claim.against} - {""} <= load_paper().datasets[dataset].cases.keys()
        assert claim.place == "Abstract" or re.fullmatch(r"Table 2|Section (3\.1|4|4\.[123]|5)", claim.place)


def test_an_unknown_rule_is_refused_when_the_claims_are_read():
    with pytest.raises(UserError, match=r"claims\.0\.test|claims\[0\]\.test"):
        build(tuple[Claim, ...], [{"id": "x", "place": "y", "says": "z", "test": "redcues"}], "claims")


def test_what_follows_from_the_papers_own_table_and_what_does_not(tmp_path):
    found = judged(made_up_params(tmp_path))
    table = {id: v.table for id, v in found.items() if v.table}
    assert {id for id, says in table.items() if says == "does not follow"} == {
        *("abstract-mnist", "abstract-svhn", "abstract-cifar10"),
    }
    assert {id for id, says in table.items() if says == "agrees"} == {
        *("mnist-reduces", "mnist-lowest", "mnist-deviation", "svhn-reduces", "svhn-similar", "svhn-case4"),
        *("svhn-case4-least", "cifar10-not-semantic", "cifar10-case1", "cifar10-told-more", "error"),
    }
    assert "contradicts" not in table.values()
    assert found["abstract-mnist"].table_why.startswith(
        "Largest fall of a mean in points, whichever case truly has it: case1 0.50 [0.49, 0.51]; not within 0.555 to 0.565: case1; "
    )


def test_a_printed_mean_and_deviation_bound_the_best_of_five_runs():
    """MNIST case 1: 0.93 - 0.43 = 0.50; at least 0.025 / sqrt(5), at most 0.035 x 2 more; two roundings of 0.005."""
    found = Printed().fall_of_best("x", "mnist", "case1").interval
    assert (found.low, found.high) == (
        pytest.approx(0.5 + 0.025 / math.sqrt(5) - 0.01),
        pytest.approx(0.5 + 0.07 + 0.01),
    )


def test_what_the_table_does_not_hold_is_refused_and_a_typo_is_an_error():
    table = Printed()
    for ask in (
        lambda: table.moments("mnist", "case1", "test_loss"),
        lambda: table.log_loss("mnist", "case1", "test_loss"),
        lambda: table.epochs("mnist", "case1", "test_loss"),
        lambda: table.overlaps("mnist", "case1"),
        lambda: table.correlation(["mnist"]),
        lambda: table.images("mnist"),
        lambda: table.groupings_beyond(10),
        lambda: table.relative("x", Moments(1, 1, 5), 1, 1),
    ):
        with pytest.raises(Untestable):
            ask()
    with pytest.raises(AttributeError):
        _ = table.momnets


def test_a_contradiction_needs_more_than_rounding():
    claim = dataclasses.replace(
        CLAIMS["svhn-reduces"], cases=("case4",)
    )  # 1.19, of two numbers known to 0.005
    assert judges.RULES["reduces"].judge(dataclasses.replace(claim, value=1.19), Printed()).verdict == (
        "inconclusive"
    )
    assert judges.RULES["reduces"].judge(dataclasses.replace(claim, value=1.22), Printed()).verdict == (
        "not reproduced"
    )
    assert judges.RULES["reduces"].judge(dataclasses.replace(claim, value=1.2), Printed()).verdict == (
        "reproduced"
    )


def test_the_interval_of_the_largest_fall_knows_that_it_was_chosen():
    """Falls of 1 [0, 2] and 0.9 [0.4, 1.4]: the largest true fall is at least 0.4."""
    found = judges._largest([Quantity("a", 1, Interval(0, 2)), Quantity("b", 0.9, Interval(0.4, 1.4))])
    assert (found.name, found.interval) == ("a", Interval(0.4, 2))
    b_unknown = judges._largest([Quantity("a", 1, Interval(0.1, 2)), Quantity("b", 0.9, NO_INTERVAL)])
    assert b_unknown.interval == Interval(0.1, math.inf)  # b may be the largest, but a is at least 0.1
    assert str(b_unknown) == "a 1.00 (at least 0.10)"
    neither = judges._largest([Quantity("a", 1, NO_INTERVAL), Quantity("b", 0.9, NO_INTERVAL)])
    assert not neither.interval.known


def test_rules_without_networks_are_those_that_the_report_sets_apart():
    assert set(WITHOUT_NETWORKS) == {name for name, rule in judges.RULES.items() if not rule.networks}


def test_a_network_that_never_gets_there_counts_one_epoch_more_than_its_data_set_has(tmp_path):
    overlay = "grid: {datasets: [mnist], seeds: [0, 1]}\ndatasets: {mnist: {train: {epochs: 6}}}"
    params = made_up_params(tmp_path, overlay)
    make_up_grid(params, images=50)
    cells = load_cells(params)
    curves = per_cell(cells)
    curves["epoch"] = curves["epoch"].where(curves["seed"] == 1)
    curves.loc[curves["seed"] == 1, "epoch"] = 6
    found = Measured(params, cells, pd.DataFrame(), curves).epochs("mnist", "case1", "test_loss")
    assert (found.mean, found.n) == (6.5, 2)


def test_how_probable_so_small_a_deviation_is_counts_the_cases_own_seeds():
    """Of four degrees of freedom: chi-square of 4 (0.005 / 0.06)^2 = 0.0278 is below that with probability 9.6e-5."""
    samples = {"case1": 0.06, "case2": 0.06, "case3": 0.06, "case4": 0.004}

    class Source:
        def moments(self, dataset, case, measure="test_error"):
            return Moments(0.7, samples[case], 5 if case == "case4" else 2)

        def deviation(self, name, dataset, case):
            return Quantity(name, samples[case], Interval(samples[case], samples[case]))

    claim = CLAIMS["mnist-deviation"]
    found = judges.RULES["deviation"].judge(claim, Source())
    assert found.verdict == "reproduced"
    assert "so little would come with a probability of 0.0001." in found.why
    samples["case4"] = 0.12
    assert "probability" not in judges.RULES["deviation"].judge(claim, Source()).why


def test_the_worst_pair_decides_and_between_the_thresholds_nothing_is_decided():
    claim = dataclasses.replace(CLAIMS["svhn-split"], cases=("case4",))

    class Scores:
        def __init__(self, value):
            self.value = value

        def overlaps(self, dataset, case, pair=(), worst=False):
            assert worst or claim.test == "mixed"
            return self.value + 0.001 * SPREAD

    for value, split, mixed in (
        (0.05, "reproduced", "not reproduced"),
        (0.17, "inconclusive", "inconclusive"),
        (0.27, "not reproduced", "reproduced"),
    ):
        assert judges.RULES["separated"].judge(claim, Scores(value)).verdict == split
        of_mixed = dataclasses.replace(claim, test="mixed")
        Scores.overlaps = lambda self, dataset, case, pair=(), worst=False: self.value + 0.001 * SPREAD
        assert judges.RULES["mixed"].judge(of_mixed, Scores(value)).verdict == mixed


def test_three_layers_with_one_mixed_pair_are_not_split(tmp_path):
    """Superclasses 1 and 2 on top of each other, 0 far away: the mean overlap is a third, the worst is one."""
    params = papers_grid(tmp_path, "svhn")
    for case in ("case1", "case2", "case3", "case4"):
        set_scores(params, "svhn", case, 2)
    assert judged(params)["svhn-split"].verdict == "reproduced"
    for seed in params.grid.seeds:
        path = params.path("results", "svhn", "case4", f"seed{seed}", "scores.npz")
        with np.load(path) as stored:
            arrays = dict(stored)
        arrays["score"] -= np.where(arrays["superclass"] == 2, 1.8, 0).astype(np.float32)
        np.savez_compressed(path, **arrays)
    found = judged(params)["svhn-split"]
    assert found.verdict == "not reproduced"
    assert "not at most 0.1: case4" in found.why


def test_a_diverged_network_says_nothing_of_numbers_of_images(tmp_path):
    params = papers_grid(tmp_path, "cifar10")
    make_up_cell(params, params.cell("cifar10", "case2", 4), "diverged", images=200)
    assert judged(params)["cifar10-images"].verdict == "not reproduced"


def test_scalability_needs_networks_on_more_than_ten_classes():
    class Source(Errors):
        def groupings_beyond(self, classes):
            assert classes == 10
            return [("cifar100", "coarse")]

        def sample(self, dataset, case, measure="test_error"):
            return (30 if case == "baseline" else 20) + SPREAD

    assert (
        judges.RULES["many_classes"].judge(CLAIMS["abstract-scalability"], Source()).verdict == "reproduced"
    )
    with pytest.raises(NotYet, match="seed"):
        judges.RULES["no_rule"].judge(dataclasses.replace(CLAIMS["elsewhere"], lacks="seeds"), Source())


def test_drawn_errors_have_the_printed_means_and_deviations():
    drawn = Drawn(np.random.default_rng(0), 4_000, 2)
    found = drawn.moments("svhn", "case2")
    assert (found.mean, found.sd) == (pytest.approx(2.64, abs=0.02), pytest.approx(0.22, abs=0.02))
    assert drawn.moments("svhn", "baseline").sd == pytest.approx(0.22, abs=0.02)  # the largest printed
    assert drawn.moments("mnist", "case4").sd == pytest.approx(0.01, abs=0.001)  # of 0.005
    assert drawn.sample("svhn", "case2") is drawn.sample("svhn", "case2")


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


def test_nor_do_those_that_are_left_speak_for_a_claim_in_a_run_that_is_not_the_papers(tmp_path):
    params = made_up_params(tmp_path, "grid: {datasets: [mnist]}\ntrain: {epochs: 3}")
    make_up_grid(params, images=200)
    assert judged(params)["mnist-reduces"].indication == "for"
    for seed in range(3):
        make_up_cell(params, params.cell("mnist", "case2", seed), "diverged", images=200)
    found = judged(params)["mnist-reduces"]
    assert (found.verdict, found.indication) == ("not yet run", "open")
    assert (
        "Here: 3 networks diverged (mnist/case2/seed0, …), and the others alone would be a selection."
        in found.why
    )


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
    about_training = [v for v in found.values() if judges.RULES[v.claim.test].networks]
    assert {v.verdict for v in about_training} == {"not yet run"}
    others = "superclasses" in overlay  # what is called case1 is then none of the claim's
    assert found["mnist-reduces"].indication == ("" if others else "for")
    assert "not the paper's experiment" in found["mnist-reduces"].why
    assert ("MNIST case1 is not Table 1's grouping" in found["mnist-reduces"].why) == others


@pytest.mark.parametrize(
    ("superclasses", "of_errors", "of_pairs"),
    [
        (
            "[[5, 6, 7, 8], [0, 1, 2, 3, 4, 9]]",
            "MNIST case1 is not Table 1's grouping",
            "is not Table 1's grouping",
        ),
        ("[[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]", "", "has Table 1's superclasses in another order"),
    ],
)
def test_a_grouping_that_only_has_a_name_of_the_papers_says_nothing_of_its_claims(
    tmp_path, superclasses, of_errors, of_pairs
):
    """An indication was given for the paper's case 1 by whatever was called so."""
    params = papers_grid(
        tmp_path, "mnist", f"datasets: {{mnist: {{cases: {{case1: {{superclasses: {superclasses}}}}}}}}}"
    )
    cells = load_cells(params)
    measured = Measured(params, cells, separability.separability(cells), per_cell(cells))
    reads = {
        "errors": lambda: measured.moments("mnist", "case1"),
        "losses": lambda: measured.log_loss("mnist", "case1", "train_loss"),
        "epochs": lambda: measured.epochs("mnist", "case1", "train_loss"),
        "scores": lambda: measured.overlaps("mnist", "case1"),
        "pairs": lambda: measured.overlaps("mnist", "case1", pair=(0, 1)),
    }
    for what, read in reads.items():
        said = of_pairs if what == "pairs" else of_errors
        with pytest.raises(Untestable, match=said) if said else nullcontext():
            read()
    assert measured.moments("mnist", "case2").n == measured.moments("mnist", "baseline").n == 5


def test_a_claim_of_whose_cases_a_run_has_none_is_not_yet_run(tmp_path):
    """It was called inconclusive, as if networks had been trained for it."""
    without = "datasets: {mnist: {cases: {case2: null, case3: null, case4: null}}}"
    params = made_up_params(tmp_path, f"grid: {{datasets: [mnist]}}\n{without}")
    make_up_grid(params, images=200)
    found = judged(params)
    assert CLAIMS["mnist-mixed"].cases == ("case2", "case3", "case4")
    for claim in ("mnist-mixed", "mnist-reduces"):
        assert found[claim].verdict == "not yet run"
        assert "MNIST without case2 and case3 and case4" in found[claim].why


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
    found = judged(mnist)[
        "mnist-faster"
    ]  # lower all along, but where the test loss drops, it drops when the baseline's does
    assert found.verdict == "inconclusive"
    assert "case1 test epochs 0.00" in found.why
    for case in ("case1", "case2", "case3", "case4"):
        for seed in mnist.grid.seeds:
            name = f"mnist/{case}/seed{seed}"
            table = pd.read_csv(mnist.path("results", name, "curves.csv"))
            table.loc[4:, ["train_loss", "test_loss"]] = 0.001
            change_curves(mnist, name, table)
    assert judged(mnist)["mnist-faster"].verdict == "reproduced"
    mnist.path("results/mnist/case4/seed0/curves.csv").write_text("nonsense")
    found = judged(mnist)["mnist-faster"]
    assert found.verdict == "inconclusive"
    assert "curves.csv: broken" in found.why


@pytest.mark.parametrize(
    ("means", "sd", "verdict"),
    [
        ((2.53, 2.54, 2.55), 0.05, "reproduced"),
        ((2.53, 2.64, 3.10), 0.05, "not reproduced"),
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
    assert (found.verdict, found.table) == ("reproduced", "agrees")
    set_errors(params, "svhn", "case4", 4.05 - 0.7, 0.02)
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
    [(0.5, 0.95, "reproduced"), (-0.2, 0.5, "not reproduced"), (0.4, 0.9, "inconclusive")],
)
def test_section_5s_claim_needs_a_high_correlation(low, high, verdict):
    class Source:
        def correlation(self, datasets):
            return Quantity("ρ", (low + high) / 2, Interval(low, high)), "over 12 pairs"

    outcome = judges.RULES["predicts"].judge(CLAIMS["separability"], Source())
    assert outcome.verdict == verdict
    assert "(over 12 pairs)" in outcome.why


@pytest.mark.parametrize(("rho", "verdict"), [(1.0, "reproduced"), (-1.0, "not reproduced")])
def test_a_perfect_order_has_no_interval_and_is_judged_by_itself(rho, verdict):
    """Else 12 pairs in perfect order would be open, and with two neighbours swapped they would not."""

    class Source:
        def correlation(self, datasets):
            return Quantity("ρ", rho, NO_INTERVAL), "over 12 pairs"

    assert judges.RULES["predicts"].judge(CLAIMS["separability"], Source()).verdict == verdict


def test_fewer_than_eight_pairs_have_no_rank_correlation(mnist):
    """As the figure of the same points says: whichever rank correlation four of them have, chance makes it."""
    verdict = judged(mnist)["separability"]
    assert "only 4 pairs" in verdict.why or "not in this run" in verdict.why
    assert "ρ" not in verdict.why


def test_the_table_holds_every_claim(mnist):
    found = list(judged(mnist).values())
    stored = verdicts.table(found, power(5, draws=5)).set_index("id")
    assert stored.loc["cifar10-case1", "power"] == 1
    assert math.isnan(stored.loc["mnist-split", "power"])
    assert stored.loc["mnist-reduces", "verdict"] == "reproduced"
    assert stored.loc["svhn-reduces", "tolerance"] == 0.3
    assert stored["why"].notna().all()


def test_the_power_is_that_of_the_rule_as_worked_out_for_one_difference():
    """CIFAR-10 case 1 against case 4 at twelve times the deviations: an interval above 0 is a t-test, whose power is known."""
    random, claim = np.random.default_rng(1), CLAIMS["cifar10-told-more"]
    judge, n, scale, draws = judges.RULES["lower"].judge, 5, 12.0, 1_500
    found = np.mean([judge(claim, Drawn(random, n, scale)).verdict == "reproduced" for _ in range(draws)])
    a, b = (random.normal(mean, scale * sd, (draws * 10, n)) for mean, sd in ((5.13, 0.09), (3.30, 0.06)))
    test = stats.ttest_ind(a, b, axis=1, equal_var=False)
    expected = ((test.pvalue < 0.05) & (test.statistic > 0)).mean()
    assert 0.2 < expected < 0.9
    assert found == pytest.approx(expected, abs=0.04)


def test_one_seed_decides_nothing_and_losses_cannot_be_drawn():
    found = power(1, draws=3).set_index(["id", "scale"])
    assert found.loc[("mnist-reduces", 1.0), "reproduced"] == 0
    assert math.isnan(found.loc[("loss", 1.0), "reproduced"])
