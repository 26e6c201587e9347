"""What is printed of a number does not hang on the order of a sum."""

import pytest

from hal.decimals import decimals, significant


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0.595, "0.60"),
        (0.5950000000000001, "0.60"),
        (1.105, "1.10"),
        (0.005, "0.00"),
        (0.0151, "0.02"),
        (-0.25, "−0.25"),
    ],
)
def test_a_half_goes_to_the_even_digit_however_the_mean_was_summed(value, printed):
    assert decimals(value) == printed


def test_a_difference_has_its_sign():
    assert decimals(0.5, sign=True) == "+0.50"
    assert decimals(-36.777, 1, sign=True) == "−36.8"


@pytest.mark.parametrize("value", [0.0, -0.0, 0.004, -0.004, -1e-12])
def test_what_is_zero_to_the_last_digit_has_no_sign(value):
    assert decimals(value) == decimals(value, sign=True) == "0.00"
    assert decimals(value, 0, sign=True) == "0"


@pytest.mark.parametrize(
    ("value", "printed"), [(100.0, "100"), (1234.5, "1200"), (9.76, "9.8"), (0.0, "0"), (2.6e-5, "0.000026")]
)
def test_no_power_of_ten_is_printed(value, printed):
    """100 % of the images were 1e+02 % of them."""
    assert significant(value, 2) == printed
