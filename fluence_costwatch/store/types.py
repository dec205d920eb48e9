"""How our values lie in columns: instants, lengths and amounts as integers, unit prices and words as text.

SQLite keeps `Numeric` as a float and forgets the zone of a `DateTime`, so neither is used.
"""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, Generic, TypeVar

from sqlalchemy import BigInteger, Dialect, Integer, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

from fluence_costwatch.core.billing.history import Cause, Doubt, Reason, Settling
from fluence_costwatch.core.epochs import ORIGIN, EpochGrid, Span
from fluence_costwatch.core.money import Usd

V = TypeVar("V")
W = TypeVar("W", bound=StrEnum)

_MICROS_PER_SECOND = 1_000_000
_JSON = json.JSONEncoder(separators=(",", ":"))


def micros_of(length: timedelta) -> int:
    """`length` in whole microseconds, exactly."""
    return (length.days * 86_400 + length.seconds) * _MICROS_PER_SECOND + length.microseconds


def micros_at(moment: datetime) -> int:
    """`moment` in microseconds since 1970 UTC. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no zone, so it is no instant")
    return micros_of(moment - ORIGIN)


# Remembered, as a fleet's instants are mostly the same few: its boundaries and its looks.
@lru_cache(maxsize=20_000)
def moment_at(micros: int) -> datetime:
    """The aware UTC instant that many microseconds after 1970."""
    return ORIGIN + timedelta(microseconds=micros)


class Whole(TypeDecorator[V], Generic[V]):
    """What is kept as a 64-bit integer. On SQLite that is INTEGER, the only spelling that strict tables know."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column type of the database at hand."""
        kind = Integer() if dialect.name == "sqlite" else BigInteger()
        return dialect.type_descriptor(kind)


class Number(Whole[int]):
    """A plain whole number."""

    cache_ok = True


class Flag(Whole[bool]):
    """True or false, as 1 or 0."""

    cache_ok = True

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> bool | None:
        return None if value is None else bool(value)


class Instant(Whole[datetime]):
    """An aware UTC datetime, as microseconds since 1970."""

    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else micros_at(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else moment_at(value)


class Length(Whole[timedelta]):
    """A timedelta, as microseconds."""

    cache_ok = True

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> int | None:
        return None if value is None else micros_of(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> timedelta | None:
        return None if value is None else timedelta(microseconds=value)


class Amount(Whole[Usd]):
    """An amount of money, as whole micro-dollars."""

    cache_ok = True

    def process_bind_param(self, value: Usd | None, dialect: Dialect) -> int | None:
        return None if value is None else value.micros

    def process_result_value(self, value: int | None, dialect: Dialect) -> Usd | None:
        return None if value is None else Usd(value)


class Written(TypeDecorator[V], Generic[V]):
    """What is kept as text."""

    impl = Text
    cache_ok = True


class Price(Written[Decimal]):
    """A unit price, digit for digit."""

    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class Day(Written[date]):
    """A calendar day, as "2026-03-01", so that days sort."""

    cache_ok = True

    def process_bind_param(self, value: date | None, dialect: Dialect) -> str | None:
        return None if value is None else value.isoformat()

    def process_result_value(self, value: str | None, dialect: Dialect) -> date | None:
        return None if value is None else date.fromisoformat(value)


class Word(Written[W], Generic[W]):
    """One word of an enumeration, by its value."""

    cache_ok = True

    def __init__(self, words: type[W]) -> None:
        super().__init__()
        self.words = words
        self._by_value = {word.value: word for word in words}

    def process_bind_param(self, value: W | None, dialect: Dialect) -> str | None:
        return None if value is None else value.value

    def process_result_value(self, value: str | None, dialect: Dialect) -> W | None:
        return None if value is None else self._by_value[value]


def grid_text(grid: EpochGrid) -> str:
    """A grid as "anchor/length in microseconds"."""
    return f"{grid.anchor.isoformat()}/{micros_of(grid.length)}"


@lru_cache(maxsize=256)
def grid_of(text: str) -> EpochGrid:
    """The grid that `grid_text` wrote."""
    anchor, _, length = text.partition("/")
    return EpochGrid(time.fromisoformat(anchor), timedelta(microseconds=int(length)))


class Grid(Written[EpochGrid]):
    """An epoch grid."""

    cache_ok = True

    def process_bind_param(self, value: EpochGrid | None, dialect: Dialect) -> str | None:
        return None if value is None else grid_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> EpochGrid | None:
        return None if value is None else grid_of(value)


def compact(content: object) -> str:
    """`content` as JSON: ASCII, no spaces, so that equal contents are equal texts."""
    return _JSON.encode(content)


def _span_json(span: Span) -> list[int]:
    return [micros_at(span.start), micros_at(span.end)]


def _span(pair: list[int]) -> Span:
    return Span(moment_at(pair[0]), moment_at(pair[1]))


class Spans(Written[tuple[Span, ...]]):
    """Several spans; NULL for none, which is nearly always."""

    cache_ok = True

    def process_bind_param(self, value: tuple[Span, ...] | None, dialect: Dialect) -> str | None:
        return compact([_span_json(span) for span in value]) if value else None

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[Span, ...]:
        return () if value is None else tuple(_span(pair) for pair in json.loads(value))


class Doubts(Written[tuple[Doubt, ...]]):
    """The doubts of one resource; NULL for none."""

    cache_ok = True

    def process_bind_param(self, value: tuple[Doubt, ...] | None, dialect: Dialect) -> str | None:
        if not value:
            return None
        return compact(
            [
                [*_span_json(doubt.span), None if doubt.amount is None else doubt.amount.micros, doubt.cause.value]
                for doubt in value
            ]
        )

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[Doubt, ...]:
        if value is None:
            return ()
        return tuple(
            Doubt(_span([start, end]), None if micros is None else Usd(micros), Cause(cause))
            for start, end, micros, cause in json.loads(value)
        )


class SettlingTotal(Written[Settling]):
    """A reported total that has yet to stand still."""

    cache_ok = True

    def process_bind_param(self, value: Settling | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return compact(
            [
                value.reason.value,
                *_span_json(value.span),
                value.total.micros,
                value.looks,
                value.adjustment.micros,
                value.uncertain.micros,
            ]
        )

    def process_result_value(self, value: str | None, dialect: Dialect) -> Settling | None:
        if value is None:
            return None
        reason, start, end, reported, looks, adjustment, uncertain = json.loads(value)
        return Settling(Reason(reason), _span([start, end]), Usd(reported), looks, Usd(adjustment), Usd(uncertain))


class Texts(Written[tuple[str, ...]]):
    """Several texts; NULL for none."""

    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:
        return compact(value) if value else None

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...]:
        return () if value is None else tuple(json.loads(value))


class Prices(Written[tuple[Decimal, ...]]):
    """Several unit prices; NULL for none."""

    cache_ok = True

    def process_bind_param(self, value: tuple[Decimal, ...] | None, dialect: Dialect) -> str | None:
        return compact([str(price) for price in value]) if value else None

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[Decimal, ...]:
        return () if value is None else tuple(Decimal(price) for price in json.loads(value))
