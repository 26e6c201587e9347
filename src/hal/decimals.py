"""Numbers in decimals, a half rounded to the even digit."""

from decimal import Decimal


def decimals(value: float, digits: int = 2, sign: bool = False) -> str:
    """Such as 0.43 or, with the sign, −0.50; a half goes to the even digit, so 0.595 and 0.5950000000000001 are both 0.60.

    What is 0 in so many digits has no sign.
    """
    text = f"{Decimal(repr(round(float(value), 9))):{'+' if sign else ''}.{digits}f}"
    return text.lstrip("+-") if set(text) <= set("+-0.") else text.replace("-", "−")


def significant(value: float, digits: int) -> str:
    """So many digits that say something, such as 0.0026 or 100, and never 1e+02."""
    return f"{Decimal(f'{value:.{digits}g}'):f}"
