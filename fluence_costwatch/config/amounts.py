"""Numbers of the configuration, exactly as they are written: ratios, thresholds, counts and money.

Each function raises ValueError with a sentence that continues after the dotted path: "must be ..., is ...".
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Final

from fluence_costwatch.config.problems import shown
from fluence_costwatch.core.money import LARGEST_AMOUNT, AmountInvalid, Usd, parse_decimal

LARGEST_COUNT: Final = 1_000
LARGEST_THRESHOLD: Final = 10

_RATIO: Final = re.compile(r"[0-9]*\.?[0-9]+(e-[0-9]{1,2})?")
_MOST_DIGITS: Final = 20
_LARGEST_NUMBER: Final = 10**18


def exact_number(text: str) -> Decimal:
    """A number of TOML with a point or an exponent, without the detour of a float."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("a number is too large or too small") from None


def parse_count(value: object) -> int:
    """A whole number from 1 to `LARGEST_COUNT`."""
    return _count(value, least=1)


def parse_cap(value: object) -> int:
    """A whole number from 0, which forbids, to `LARGEST_COUNT`."""
    return _count(value, least=0)


def parse_ratio(value: object) -> Decimal:
    """A ratio from 0 to 1 as it is written, in quotes or not: "0.01" is one hundredth exactly."""
    ratio = _number(value)
    if ratio is None or not 0 <= ratio <= 1:
        raise ValueError(f'must be a ratio from 0 to 1, as in "0.01", is {shown(value)}')
    return ratio


def parse_threshold(value: object) -> Decimal:
    """A ratio of a limit, above zero. So large a one that it must be a percentage is refused."""
    ratio = _number(value)
    if ratio is None or not 0 < ratio <= LARGEST_THRESHOLD:
        raise ValueError(f"must be a ratio above 0 and at most {LARGEST_THRESHOLD}, as in 0.8, is {shown(value)}")
    return ratio


def parse_thresholds(value: object) -> tuple[Decimal, ...]:
    """Different ratios of a limit, the lowest first; none at all is possible."""
    if not isinstance(value, list):
        raise ValueError(f"must be a list of ratios, as in [0.5, 0.8, 1.0], is {shown(value)}")
    return tuple(sorted({parse_threshold(item) for item in value}))


def parse_busy_ratio(value: object) -> Decimal:
    """A share of all processors' time, above zero and at most one."""
    ratio = _number(value)
    if ratio is None or not 0 < ratio <= 1:
        raise ValueError(f"must be a ratio above 0 and at most 1, as in 0.03, is {shown(value)}")
    return ratio


def parse_rate(value: object) -> Decimal:
    """Bytes per second, above zero."""
    rate = _number(value)
    if rate is None or not 0 < rate <= _LARGEST_NUMBER:
        raise ValueError(f"must be a number of bytes per second above 0, as in 2048, is {shown(value)}")
    return rate


def parse_level(value: object) -> Decimal:
    """Any number that a PromQL expression can be compared with."""
    text = value.removeprefix("-") if isinstance(value, str) else value
    level = _number(text)
    if level is None:
        raise ValueError(f"must be a number, as in 0.03, is {shown(value)}")
    return -level if isinstance(value, str) and value.startswith("-") else level


def parse_money(value: object) -> Usd:
    """An amount of dollars above zero, in quotes, exact to the micro-dollar."""
    right = 'must be an amount of dollars above zero in quotes, as in "50.00"'
    if not isinstance(value, str):
        raise ValueError(f"{right}, is {shown(value)}")
    try:
        amount = Usd.exactly(dollars := parse_decimal(value))
    except AmountInvalid:
        raise ValueError(f"{right}, with at most six decimals, is {shown(value)}") from None
    if not 0 < dollars <= LARGEST_AMOUNT:
        raise ValueError(f"{right}, is {shown(value)}")
    return amount


def _count(value: object, *, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= LARGEST_COUNT:
        raise ValueError(f"must be a whole number from {least} to {LARGEST_COUNT}, is {shown(value)}")
    return value


def _number(value: object) -> Decimal | None:
    """The exact number that `value` states, each number in one form only (1.0 is 1); None if it is none."""
    if isinstance(value, str):
        number = Decimal(value) if _RATIO.fullmatch(value) and len(value) <= _MOST_DIGITS else None
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST_NUMBER:
        number = Decimal(value)
    else:
        number = value if isinstance(value, Decimal) and value.is_finite() else None
    if number is None or len(number.as_tuple().digits) > _MOST_DIGITS or not -100 < number.adjusted() < _MOST_DIGITS:
        return None
    # Nothing is rounded here, since all digits fit into the precision.
    return Decimal(f"{number.normalize():f}") if number else Decimal(0)
