"""Columns of several values in one text: JSON, ASCII, NULL for none."""

from __future__ import annotations

import json
from functools import lru_cache

from sqlalchemy import Dialect

from fluence_costwatch.store.types import Written, compact


class Pairs(Written[tuple[tuple[str, str], ...]]):
    """Names, each with what it is."""

    cache_ok = True

    def process_bind_param(self, value: tuple[tuple[str, str], ...] | None, dialect: Dialect) -> str | None:
        return compact(value) if value else None

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[tuple[str, str], ...]:
        return () if value is None else tuple((name, is_) for name, is_ in json.loads(value))


class Buckets(Written[tuple[tuple[int, int], ...]]):
    """Pairs of counts, oldest first."""

    cache_ok = True

    def process_bind_param(self, value: tuple[tuple[int, int], ...] | None, dialect: Dialect) -> str | None:
        return _counts_text(value) if value else None

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[tuple[int, int], ...]:
        return () if value is None else _counts(value)


# Remembered, as machines that are watched together mostly have the same counts.
@lru_cache(maxsize=2_000)
def _counts_text(counts: tuple[tuple[int, int], ...]) -> str:
    return compact(counts)


@lru_cache(maxsize=2_000)
def _counts(text: str) -> tuple[tuple[int, int], ...]:
    return tuple((expected, known) for expected, known in json.loads(text))


class Names(Written[tuple[str | None, ...]]):
    """Names, of which one may be that there was none."""

    cache_ok = True

    def process_bind_param(self, value: tuple[str | None, ...] | None, dialect: Dialect) -> str | None:
        return compact(value) if value else None

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str | None, ...]:
        return () if value is None else tuple(json.loads(value))


class Ids(Written[frozenset[str]]):
    """A set of ids."""

    cache_ok = True

    def process_bind_param(self, value: frozenset[str] | None, dialect: Dialect) -> str | None:
        return compact(sorted(value)) if value else None

    def process_result_value(self, value: str | None, dialect: Dialect) -> frozenset[str]:
        return frozenset() if value is None else frozenset(json.loads(value))
