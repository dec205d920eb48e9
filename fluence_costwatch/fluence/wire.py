"""What is common to every list of the Fluence API: JSON values that may be anything, money, instants, addresses.

A value that cannot be read exactly is None and leaves a sentence in `Doubts`; nothing is guessed, and nothing is zero
for want of better knowledge.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from fluence_costwatch.core.money import LARGEST_PRICE, MICROS_PER_DOLLAR, AmountInvalid, Usd, parse_decimal
from fluence_costwatch.core.resources import Identity, Resource
from fluence_costwatch.errors import FluenceUnexpected

NULL: Final = msgspec.Raw(b"null")
"""The default of a field that may be absent: absent and null say the same, which is nothing."""

MACHINES: Final = "list of machines"

_T = TypeVar("_T")

_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_VALUE: Final = msgspec.json.Decoder()

_LARGEST_MICROS: Final = int(LARGEST_PRICE) * MICROS_PER_DOLLAR
LARGEST_COUNT: Final = 10**12
"""Beyond this a number of cores, addresses or MiB is a mistake and not worth showing."""
_LONGEST_ID: Final = 200
_LONGEST_QUOTE: Final = 60
_LONGEST_PLACE: Final = 100

# "2025-11-03T09:14:22Z", "2025-11-03T09:14:22.5+01:00", and the older "+002025-04-01T16:50:57.000000000Z".
_INSTANT: Final = re.compile(
    r"(?:\+00)?([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:(\.[0-9]{1,6})[0-9]{0,20})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_FIRST_INSTANT: Final = datetime(2020, 1, 1, tzinfo=UTC)
_LAST_INSTANT: Final = datetime(2100, 1, 1, tzinfo=UTC)

# A number in JSON: its digits, and an exponent that an amount of money may have.
_NUMBER: Final = re.compile(rb"(-?[0-9]{1,20}(?:\.[0-9]{1,17})?)(?:[eE]([+-]?0?[0-9]))?")

# A whole escape of a string in JSON: a surrogate pair, a lone surrogate, or anything else after a backslash.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def elements(body: bytes, *, what: str = MACHINES, is_secret: bool = False) -> list[msgspec.Raw]:
    """The elements of the JSON array that `body` is. Raises FluenceUnexpected where it is not one, whole and valid.

    The error quotes how the body begins unless it `is_secret`.
    """
    try:
        return decoded(body, _LIST)
    except (ValueError, RecursionError) as exc:
        begins = "" if is_secret else f" but begins {shown(body)}"
        raise unexpected(f"it is not a list in JSON ({exc}){begins}", what=what) from exc


def decoded(body: bytes, decoder: msgspec.json.Decoder[_T]) -> _T:
    """`body` as `decoder` reads it. Raises ValueError or RecursionError where it cannot."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # One name with half a character in it must not hide the fleet.
        return decoder.decode(_ESCAPE.sub(_without_lone_surrogate, body))


def unexpected(why: str, *, what: str = MACHINES) -> FluenceUnexpected:
    """The error for an answer (`what`: "list of machines") that is set aside as a whole."""
    return FluenceUnexpected(
        f"Fluence's {what} cannot be used: {why}. None of it is taken over: charges go on as uncertain, and nothing "
        "is taken for ended. If this lasts, check `generation` in the configuration, or update CostWatch."
    )


def shown(raw: bytes | msgspec.Raw) -> str:
    """The beginning of a piece of JSON as it may stand in a sentence."""
    text = bytes(raw)[:_LONGEST_QUOTE].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def resource_id(raw: msgspec.Raw, *, what: str = MACHINES) -> str:
    """The id of an element. Raises FluenceUnexpected where there is none: what cannot be told apart cannot be charged."""
    try:
        value = _VALUE.decode(raw)
    except (ValueError, RecursionError):
        value = None
    id = value.strip() if isinstance(value, str) else ""
    if not id or len(id) > _LONGEST_ID or not id.isprintable():
        raise unexpected(f"an element of it has {shown(raw)} for an id", what=what)
    return id


def unique(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """`resources` by identity, each once. Where two of one identity differ, the first stands and says so."""
    found: dict[Identity, Resource] = {}
    for resource in resources:
        first = found.setdefault(resource.identity, resource)
        if first is not resource and first.problems[-1:] != (_TWICE,) and replace(resource, id=first.id) != first:
            found[resource.identity] = replace(first, problems=(*first.problems, _TWICE))
    return tuple(found[identity] for identity in sorted(found))


_TWICE: Final = "id: listed more than once with different contents, of which the first is kept"


def exact_number(raw: msgspec.Raw) -> Decimal:
    """The number that a JSON number, or a text that is one, states digit by digit.

    Raises AmountInvalid for everything else, and for numbers too long or too far from one to be an amount of money.
    """
    text = bytes(raw)
    if text[:1] == b'"':
        value = _VALUE.decode(raw)
        return parse_decimal(value if isinstance(value, str) else "")
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise AmountInvalid(f"{shown(raw)} is not an amount of money")
    mantissa = parse_decimal(match[1].decode())
    # Servers that keep binary floats write small numbers as "5e-05".
    return mantissa.scaleb(int(match[2])) if match[2] and mantissa else mantissa


class Doubts:
    """What could not be read of one element, a sentence for each value."""

    __slots__ = ("_sentences",)

    def __init__(self) -> None:
        self._sentences: list[str] = []

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(self._sentences)

    def note(self, what: str, raw: msgspec.Raw, why: str) -> None:
        """The value of `what` is `raw` and unknown to us, because it `why` ("is not an instant")."""
        self._sentences.append(f"{what}: {shown(raw)} {why}")

    def value(self, what: str, raw: msgspec.Raw) -> object:
        """The JSON value of `raw`: None for null, and for what cannot be read at all, which is noted."""
        try:
            value: object = _VALUE.decode(raw)
        except (ValueError, RecursionError):
            self.note(what, raw, "cannot be read")
            return None
        return value

    def text(self, what: str, raw: msgspec.Raw, *, longest: int) -> str | None:
        """A text, cut at `longest` characters."""
        value = self.value(what, raw)
        if isinstance(value, str):
            return value[:longest]
        if value is not None:
            self.note(what, raw, "is not a text")
        return None

    def dollars(self, what: str, raw: msgspec.Raw, text: str) -> Usd | None:
        """The amount that `text`, which is the value of `raw`, states in dollars."""
        try:
            number = parse_decimal(text)
        except AmountInvalid:
            self.note(what, raw, "is not an amount of money")
            return None
        try:
            return self._in_bounds(what, raw, Usd.exactly(number))
        except AmountInvalid:
            self.note(what, raw, "is finer than a micro-dollar")
            return None

    def price(self, what: str, raw: msgspec.Raw) -> Decimal | None:
        """A metered price in dollars as text, which may be finer than a micro-dollar; null is no doubt."""
        value = self.value(what, raw)
        if not isinstance(value, str):
            if value is not None:
                self.note(what, raw, "is not a price in text")
            return None
        try:
            number = parse_decimal(value)
        except AmountInvalid:
            self.note(what, raw, "is not an amount of money")
            return None
        if number < 0:
            self.note(what, raw, "is negative")
        elif number > LARGEST_PRICE:
            self.note(what, raw, "is beyond any price")
        else:
            return number
        return None

    def number(self, what: str, raw: msgspec.Raw) -> Usd | None:
        """An amount in dollars as a JSON number (or text), read digit by digit; null is no doubt."""
        if raw == NULL:
            return None
        try:
            number = exact_number(raw)
        except (AmountInvalid, ValueError, RecursionError):
            self.note(what, raw, "is not an amount of money")
            return None
        try:
            return self._in_bounds(what, raw, Usd.exactly(number))
        except AmountInvalid:
            self.note(what, raw, "is finer than a micro-dollar")
            return None

    def base_units(self, what: str, raw: msgspec.Raw, number: int) -> Usd | None:
        """The amount that `number`, which is the value of `raw`, states in micro-dollars."""
        return self._in_bounds(what, raw, Usd(number))

    def _in_bounds(self, what: str, raw: msgspec.Raw, amount: Usd) -> Usd | None:
        if amount.micros < 0:
            self.note(what, raw, "is negative")
            return None
        if amount.micros > _LARGEST_MICROS:
            self.note(what, raw, "is beyond any price")
            return None
        return amount

    def not_money(self, what: str, raw: msgspec.Raw, value: object) -> None:
        """Note a `value` that is neither a text nor a whole number, so no exact amount of money; null is no doubt."""
        if isinstance(value, float):
            self.note(what, raw, "is a number with a fraction, which may have been rounded on its way")
        elif value is not None:
            self.note(what, raw, "is not an amount of money")

    def instant(self, what: str, raw: msgspec.Raw) -> datetime | None:
        """An instant in UTC, to the microsecond; what lies before 2020 or after 2100 is a mistake and not known."""
        value = self.value(what, raw)
        if value is None:
            return None
        match = _INSTANT.fullmatch(value) if isinstance(value, str) else None
        try:
            instant = datetime.fromisoformat(f"{match[1]}{match[2] or ''}{match[3]}").astimezone(UTC) if match else None
        except (ValueError, OverflowError):
            instant = None
        if instant is None:
            self.note(what, raw, "is not an instant")
        elif not _FIRST_INSTANT <= instant < _LAST_INSTANT:
            self.note(what, raw, "is not an instant of this century")
            return None
        return instant

    def address(self, what: str, raw: msgspec.Raw) -> str | None:
        """An IP address, version 4 or 6."""
        value = self.value(what, raw)
        if value is None:
            return None
        try:
            if isinstance(value, str):
                return str(ipaddress.ip_address(value))
        except ValueError:
            pass
        self.note(what, raw, "is not an IP address")
        return None

    def count(self, what: str, raw: msgspec.Raw) -> int | None:
        """A whole number of things, such as cores or gigabytes."""
        value = self.value(what, raw)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT:
            return value
        if value is not None:
            self.note(what, raw, "is not a number of things")
        return None

    def texts(self, what: str, raw: msgspec.Raw) -> tuple[str, ...] | None:
        """A list of texts; None where there is none."""
        value = self.value(what, raw)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(item[:_LONGEST_PLACE] for item in value)
        if value is not None:
            self.note(what, raw, "is not a list of texts")
        return None

    def datacenter(self, what: str, raw: msgspec.Raw) -> str | None:
        """A datacenter as "PL-WAW-1": country, city and number, as far as they are given."""
        value = self.value(what, raw)
        if value is None:
            return None
        if isinstance(value, dict):
            parts = [part for key in ("countryCode", "cityCode", "cityIndex") if (part := value.get(key)) is not None]
            if all(isinstance(part, (str, int)) and not isinstance(part, bool) for part in parts):
                return "-".join(map(str, parts))[:_LONGEST_PLACE] or None
        self.note(what, raw, "does not name a datacenter")
        return None


def _without_lone_surrogate(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape[1] else escape[0]
