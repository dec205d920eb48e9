"""Money: whole micro-dollars for amounts, exact decimals for unit prices. No float comes near either.

USDC has six decimals, so a micro-dollar is the finest amount that can be charged; USD and USDC count 1:1
(`design.md` section 3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation
from typing import Final, Self

MICROS_PER_DOLLAR: Final = 1_000_000

# Above any price of an hour or an epoch, and so far below what a 64-bit column holds that the sum over the longest life
# that is believed cannot overflow it.
LARGEST_PRICE: Final = Decimal(1_000_000)

# Above any bill: a sum that the provider states and that reaches this is a mistake, and no row of the ledger does.
LARGEST_AMOUNT: Final = Decimal(1_000_000_000)

# Texts longer than this are not prices; parsing them would only cost time.
_LONGEST_TEXT: Final = 40
_EXACT: Final = Context(prec=60, traps=[Inexact, InvalidOperation])


class AmountInvalid(ValueError):
    """A text or number that is not an exact amount of money."""


@dataclass(frozen=True, slots=True, order=True)
class Usd:
    """An amount of money in whole micro-dollars; may be negative (a correction)."""

    micros: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The amount that `text` ("0.30697", ".30697", "12") states in dollars.

        Raises AmountInvalid for anything that is not a plain decimal number, and for amounts finer than a micro-dollar.
        """
        return cls.exactly(parse_decimal(text))

    @classmethod
    def exactly(cls, dollars: Decimal) -> Self:
        """`dollars` as micro-dollars; raises AmountInvalid where that would need rounding."""
        micros = dollars.scaleb(6, _EXACT)
        if not micros.is_finite() or micros != micros.to_integral_value(context=_EXACT):
            raise AmountInvalid(f"{dollars} is finer than a micro-dollar")
        return cls(int(micros))

    @classmethod
    def rounded(cls, dollars: Decimal) -> Self:
        """`dollars` rounded half-even to a micro-dollar; only for metered charges as they close."""
        return cls(int(dollars.scaleb(6, _EXACT).to_integral_value(ROUND_HALF_EVEN)))

    @property
    def dollars(self) -> Decimal:
        """The same amount as an exact decimal of dollars."""
        return Decimal(self.micros).scaleb(-6)

    def __add__(self, other: Usd) -> Usd:
        return Usd(self.micros + other.micros)

    def __sub__(self, other: Usd) -> Usd:
        return Usd(self.micros - other.micros)

    def __neg__(self) -> Usd:
        return Usd(-self.micros)

    def __abs__(self) -> Usd:
        return Usd(abs(self.micros))

    def __mul__(self, count: int) -> Usd:
        return Usd(self.micros * count)

    def __bool__(self) -> bool:
        return self.micros != 0

    def __str__(self) -> str:
        """Dollars with all six decimals: "0.298160", the form of JSON answers and exports."""
        sign = "-" if self.micros < 0 else ""
        whole, fraction = divmod(abs(self.micros), MICROS_PER_DOLLAR)
        return f"{sign}{whole}.{fraction:06d}"


ZERO: Final = Usd(0)


def total(amounts: Iterable[Usd]) -> Usd:
    """The sum of `amounts`, zero for none."""
    return Usd(sum(amount.micros for amount in amounts))


def parse_decimal(text: str) -> Decimal:
    """`text` as an exact decimal. Only digits with at most one point and a sign: no exponent, no "NaN", no "1_0".

    Raises AmountInvalid for everything else.
    """
    unsigned = text[1:] if text[:1] in {"-", "+"} else text
    whole, _, fraction = unsigned.partition(".")
    digits = whole + fraction
    if not digits or len(text) > _LONGEST_TEXT or not (digits.isascii() and digits.isdigit()):
        raise AmountInvalid(f"{text[:_LONGEST_TEXT]!r} is not an amount of money")
    return Decimal(text)


def price_text(price: Decimal) -> str:
    """A unit price in full precision and with six decimals at least: "0.298160", "0.00001234"."""
    decimals = max(6, -int(price.as_tuple().exponent)) if price.is_finite() else 6
    return f"{price:.{decimals}f}"
