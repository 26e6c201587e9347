import math

import numpy as np
import pytest
from scipy import stats

from hal.study.resampling import (
    Interval,
    Moments,
    contrast_interval,
    detectable,
    holm,
    mean_interval,
    moments,
    percent_interval,
    prediction_interval,
    spearman,
    welch_interval,
    welch_p,
)

A, B = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([2.0, 4.0, 6.0, 8.0, 10.0])


def test_moments_are_those_worked_by_hand():
    assert moments([1, 2, 6]) == Moments(3, math.sqrt((4 + 1 + 9) / 2), 3)
    assert (moments([7]).mean, moments([7]).n) == (7, 1)
    assert math.isnan(moments([7]).sd)
    assert math.isnan(moments([]).mean)


def test_welch_agrees_with_the_numbers_worked_by_hand():
    # means 3 and 6; variances 2.5 and 10; se = sqrt(0.5 + 2); t = -3 / 1.5811 = -1.8974;
    # f = 2.5^2 / (0.5^2 / 4 + 2^2 / 4) = 6.25 / 1.0625 = 5.8824
    t, f = -3 / math.sqrt(2.5), 6.25 / 1.0625
    half = stats.t.ppf(0.975, f) * math.sqrt(2.5)
    found = welch_interval(moments(A), moments(B))
    assert (found.low, found.high) == (pytest.approx(-3 - half), pytest.approx(-3 + half))
    assert welch_p(moments(A), moments(B)) == pytest.approx(2 * stats.t.sf(-t, f))


def test_welch_agrees_with_scipy_on_the_data():
    test = stats.ttest_ind(A, B, equal_var=False)
    interval = test.confidence_interval(0.95)
    found = welch_interval(moments(A), moments(B))
    assert welch_p(moments(A), moments(B)) == pytest.approx(test.pvalue)
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_intervals_that_hold_together_are_wider_by_bonferroni():
    one, four = (welch_interval(moments(A), moments(B), k) for k in (1, 4))
    wide = stats.ttest_ind(A, B, equal_var=False).confidence_interval(1 - 0.05 / 4)
    assert (four.low, four.high) == (pytest.approx(wide.low), pytest.approx(wide.high))
    assert four.low < one.low


def test_students_interval_of_a_mean():
    # t(0.975, 4) = 2.776; sd = 1.5811; / sqrt(5) = 0.7071
    found = mean_interval(moments(A))
    assert (found.low, found.high) == (
        pytest.approx(3 - 1.9633, abs=1e-4),
        pytest.approx(3 + 1.9633, abs=1e-4),
    )


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1.0], [1.0, 2.0]),
        ([1.0, 1.0], [2.0, 2.0]),
        ([100 * 16 / 500] * 3, [3.0] * 3),  # whose mean is not the value itself, by rounding
        ([], [1.0, 2.0]),
    ],
)
def test_one_seed_or_no_spread_gives_no_interval_and_no_p(a, b):
    a, b = np.array(a), np.array(b)
    assert not welch_interval(moments(a), moments(b)).known
    assert math.isnan(welch_p(moments(a), moments(b)))


def test_one_seed_has_no_interval_of_its_mean_and_seeds_that_agree_have_a_point():
    assert not mean_interval(moments([1.0])).known
    assert mean_interval(moments([1.0, 1.0])) == Interval(1.0, 1.0)


def test_holm_agrees_with_the_textbook():
    # Holm's procedure on 0.01, 0.04, 0.03, 0.005: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04 not below 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_never_exceeds_1_and_keeps_what_is_missing_missing():
    found = holm([0.9, math.nan, 0.4])
    assert found[[0, 2]] == pytest.approx([1, 1])
    assert math.isnan(found[1])


def test_holm_counts_comparisons_that_are_still_to_come():
    assert holm([0.01, math.nan], planned=12) == pytest.approx([0.12, math.nan], nan_ok=True)


def test_an_interval_of_a_share_stays_between_nothing_and_all():
    # Student of 0 and 20: 10 -+ 12.706 x 14.142 / sqrt(2), of which no share can be
    assert percent_interval(Moments(10, 14.142, 2)) == Interval(0.0, 100.0)
    assert percent_interval(Moments(50, 1, 5)) == mean_interval(Moments(50, 1, 5))
    assert not percent_interval(Moments(50, math.nan, 1)).known


def test_a_contrast_of_several_samples_worked_by_hand():
    # (1 + 4)/2 - 2 = 0.5; parts 0.25 x 0.04/2, 0.25 x 0.16/4, 0.09/3 = 0.005, 0.01, 0.03, together 0.045;
    # freedom 0.045^2 / (0.005^2/1 + 0.01^2/3 + 0.03^2/2) = 0.002025 / 0.000508333 = 3.98361; t(0.975) = 2.78125
    samples = [Moments(1, 0.2, 2), Moments(4, 0.4, 4), Moments(2, 0.3, 3)]
    found = contrast_interval(samples, [0.5, 0.5, -1])
    half = stats.t.ppf(0.975, 3.983607) * math.sqrt(0.045)
    assert half == pytest.approx(0.59, abs=0.001)
    assert (found.low, found.high) == (pytest.approx(0.5 - half), pytest.approx(0.5 + half))
    assert not contrast_interval([*samples, Moments(1, math.nan, 1)], [1, 1, 1, -1]).known


@pytest.mark.parametrize(
    ("listens", "hears", "deaf", "covered"),
    [(0.0, 0.4, 1.1, 0.95), (0.2, 0.4, 1.1, 0.75), (0.6, 0.77, 1.08, 0.91), (1.0, 0.4, 1.1, 0.95)],
)
def test_welchs_interval_covers_95_percent_of_one_kind_of_networks_and_less_of_two(
    listens, hears, deaf, covered
):
    """One in five listens in MNIST's case 1 after 20 epochs, three in case 3: errors in percent, beside a masked baseline's 0.36."""
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(4_000):
        kind = random.random(5) < listens
        hal = np.where(kind, hears, deaf) + 0.09 * random.standard_normal(5)
        found = welch_interval(moments(hal), moments(0.36 + 0.04 * random.standard_normal(5)))
        hits += found.low < hears * listens + deaf * (1 - listens) - 0.36 < found.high
    assert hits / 4_000 == pytest.approx(covered, abs=0.03)


def test_what_five_seeds_can_resolve():
    # sd 1 in both: (t(0.975, 8) + t(0.8, 8)) sqrt(2/5) = (2.3060 + 0.8889) 0.63246
    assert detectable(Moments(0, 1, 5), Moments(9, 1, 5)) == pytest.approx(2.0207, abs=1e-4)
    # pooled over unequal samples: variance (1 x 4 + 3 x 1) / 4
    factor = stats.t.ppf(0.975, 4) + stats.t.ppf(0.8, 4)
    expected = factor * math.sqrt(7 / 4) * math.sqrt(1 / 2 + 1 / 4)
    assert detectable(Moments(0, 2, 2), Moments(0, 1, 4)) == pytest.approx(expected)
    assert math.isnan(detectable(Moments(0, math.nan, 1), Moments(0, 1, 5)))
    assert math.isnan(detectable(Moments(1, 0, 5), Moments(2, 0, 5)))  # as there is no test either


def test_what_is_called_resolvable_is_found_in_80_percent_of_runs():
    random = np.random.default_rng(1)
    shift = detectable(Moments(0, 1, 5), Moments(0, 1, 5))
    a, b = random.standard_normal((2, 4_000, 5))
    found = (stats.ttest_ind(a, b + shift, axis=1).pvalue < 0.05).mean()
    assert found == pytest.approx(0.8, abs=0.02)


def test_a_rank_correlation():
    # ranks 1 to 8 against 2 1 4 3 6 5 8 7: 1 - 6 x 8 / (8 x 63) = 1 - 2/21
    rho, interval = spearman([1, 2, 3, 4, 5, 6, 7, 8], [2, 1, 4, 3, 6, 5, 8, 7])
    assert rho == pytest.approx(19 / 21)
    assert interval.low < rho < interval.high


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("pairs", [8, 12])
def test_a_perfect_order_has_no_interval(pairs, sign):
    """Every resample of it is in perfect order, too: the interval would be a point, by which chance had no part in it."""
    rho, interval = spearman(range(pairs), [sign * i**2 for i in range(pairs)])
    assert rho == pytest.approx(sign)
    assert not interval.known


@pytest.mark.parametrize(("x", "y"), [(range(7), range(7)), ([1] * 8, range(8))])
def test_seven_pairs_or_a_constant_have_no_rank_correlation(x, y):
    rho, interval = spearman(x, y)
    assert math.isnan(rho)
    assert not interval.known


def test_the_interval_of_a_rank_correlation_is_scipys_and_turns_with_the_sign():
    x = np.arange(12.0)
    y = x[[1, 0, 3, 2, 6, 4, 5, 9, 7, 8, 11, 10]]
    rho, interval = spearman(x, y)
    with np.errstate(invalid="ignore"):
        other = stats.bootstrap(
            (x, y), lambda x, y: stats.spearmanr(x, y).statistic, paired=True, vectorized=False,
            n_resamples=4000, method="percentile", rng=np.random.default_rng(1),
        ).confidence_interval  # fmt: skip
    assert (interval.low, interval.high) == (
        pytest.approx(other.low, abs=0.02),
        pytest.approx(other.high, abs=0.02),
    )
    turned_rho, turned = spearman(x, -y)
    assert (turned_rho, turned.low, turned.high) == pytest.approx((-rho, -interval.high, -interval.low))


def test_where_the_mean_of_five_new_seeds_is_to_be_expected():
    """t(0.975, 4) = 2.7764 times 0.06 sqrt(1/5 + 1/5) = 0.037947: 0.1054."""
    found = prediction_interval(Moments(2.53, 0.06, 5), 5)
    assert (found.low, found.high) == (pytest.approx(2.4246, abs=1e-4), pytest.approx(2.6354, abs=1e-4))
    random = np.random.default_rng(2)
    first, second = random.standard_normal((2, 4_000, 5))
    inside = [
        abs(new.mean() - old.mean()) <= prediction_interval(moments(old), 5).high - old.mean()
        for old, new in zip(first, second, strict=True)
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.012)
    assert not prediction_interval(Moments(1, math.nan, 5), 5).known
    assert not prediction_interval(Moments(1, 0.0, 2), 1).known  # two alike: no third is foretold to a hair
