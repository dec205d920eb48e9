"""Until when a machine is wanted: by its name, by command, and what cannot be read."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from fluence_costwatch.core.deletion.deletions import Lease
from fluence_costwatch.core.idle.leases import Term, lease_protection, term_in, term_of
from fluence_costwatch.core.resources import Identity
from tests.builders import at

BORN = at("2026-11-01 12:00")
BY_NAME = "by its name"
GIVEN = Lease(Identity("main", "0xa1"), at("2026-11-20 00:00"), "cli alice", at("2026-11-10 00:00"))


@pytest.mark.parametrize(
    ("name", "until"),
    [
        pytest.param("web--until-2026-12-01", at("2026-12-02 00:00"), id="through the end of the day"),
        pytest.param("web--UNTIL-2026-12-01", at("2026-12-02 00:00"), id="however it is written"),
        pytest.param("web--until-2028-02-29", at("2028-03-01 00:00"), id="a leap day"),
        pytest.param("web--ttl-3d", BORN + timedelta(days=3), id="days from creation"),
        pytest.param("web--ttl-90m", BORN + timedelta(minutes=90), id="minutes from creation"),
        pytest.param("web--ttl-2w", BORN + timedelta(weeks=2), id="weeks from creation"),
        pytest.param("web--ttl-0s", BORN, id="nothing from creation"),
        pytest.param("--ttl-1h", BORN + timedelta(hours=1), id="a name of nothing else"),
        pytest.param("web--ttl-3d--until-2026-12-01", at("2026-12-02 00:00"), id="the last of two"),
    ],
)
def test_a_name_says_until_when(name: str, until: datetime) -> None:
    assert Term(until, BY_NAME) == term_in(name, created_at=BORN)


@pytest.mark.parametrize("name", ["web", "web-until-2026-12-01", "ttl-3d", "web--til-3d", "", "web--ttl", "a--until"])
def test_a_plain_name_is_no_lease(name: str) -> None:
    assert term_in(name, created_at=BORN) is None


@pytest.mark.parametrize(
    "name",
    [
        "web--until-2026-13-01",
        "web--until-2026-02-30",
        "web--until-20261201",
        "web--until-tomorrow",
        "web--until-2026-12-01-b",
        "web--until-２０２６-12-01",
        "web--until-",
        "web--ttl-3",
        "web--ttl-3y",
        "web--ttl--3d",
        "web--ttl-9999999d",
        "web--ttl-999999w",
        "web--ttl-3d\n",
    ],
)
def test_what_begins_like_a_lease_and_cannot_be_read_is_unknown_and_protects(name: str) -> None:
    term = term_in(name, created_at=BORN)

    assert term is not None
    assert term.has_run_out(at("9998-01-01 00:00")) is None
    assert lease_protection(name, created_at=BORN, lease=None, now=at("9998-01-01 00:00")) == term.source


def test_the_last_day_of_all_has_an_end() -> None:
    term = term_in("web--until-9999-12-31", created_at=None)

    assert term is not None
    assert term.has_run_out(at("2026-12-01 00:00")) is False


def test_a_time_to_live_without_a_creation_time_is_unknown() -> None:
    term = term_in("web--ttl-3d", created_at=None)

    assert term is not None
    assert term.until is None


@pytest.mark.parametrize(
    ("moment", "expected"),
    [("2026-12-01 23:59:59", False), ("2026-12-02 00:00", True)],
)
def test_a_lease_runs_out_at_its_end_and_not_before(moment: str, expected: bool) -> None:
    term = term_in("web--until-2026-12-01", created_at=None)

    assert term is not None
    assert expected is term.has_run_out(at(moment))


def test_a_lease_by_command_goes_before_that_of_the_name() -> None:
    assert Term(GIVEN.until, "leased by cli alice") == term_of("web--ttl-3d", created_at=BORN, lease=GIVEN)


def test_without_a_name_nobody_knows_the_lease() -> None:
    term = term_of(None, created_at=BORN, lease=None)

    assert term is not None
    assert term.until is None


@pytest.mark.parametrize(
    ("name", "lease", "moment", "expected"),
    [
        pytest.param("web", None, "2026-11-02 00:00", None, id="no lease"),
        pytest.param("web", GIVEN, "2026-11-19 00:00", "leased by cli alice until 2026-11-20 00:00 UTC", id="runs"),
        pytest.param("web", GIVEN, "2026-11-20 00:00", None, id="has run out"),
        pytest.param(
            "web--until-2026-12-01",
            GIVEN,
            "2026-11-25 00:00",
            "by its name until 2026-12-02 00:00 UTC",
            id="a name protects although the lease by command has run out",
        ),
    ],
)
def test_a_lease_that_runs_protects(name: str, lease: Lease | None, moment: str, expected: str | None) -> None:
    assert expected == lease_protection(name, created_at=BORN, lease=lease, now=at(moment))
