"""What is charged for nothing, and what is held back: a table of single records, and what serves what."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fluence_costwatch.core.alerts.waste import Ground, Waste, waste_in
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.money import ZERO, Usd
from fluence_costwatch.core.resources import Generation, Kind
from fluence_costwatch.ports import ResourceRecord
from tests.known import known_resource, metered


def disk(id: str = "disk-1", *, serves: tuple[str, ...] | None = (), **facts: Any) -> ResourceRecord:
    return metered(
        id, **{"kind": Kind.STORAGE, "price": "0.01", "status": "ready"} | facts, of_resource={"attached_to": serves}
    )


def found(*records: ResourceRecord) -> list[tuple[str, Ground, Decimal | None, Usd]]:
    return [(one.resource.id, one.ground, one.per_hour, one.held) for one in waste_in(records)]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(disk(), ("disk-1", Ground.ORPHAN, Decimal("0.01"), ZERO), id="a disk that serves nothing"),
        pytest.param(
            disk(kind=Kind.PUBLIC_IP),
            ("disk-1", Ground.ORPHAN, Decimal("0.01"), ZERO),
            id="an address that serves nothing",
        ),
        pytest.param(disk(price=None), ("disk-1", Ground.ORPHAN, None, ZERO), id="an orphan without a price"),
        pytest.param(
            disk(serves=("vm-9",)),
            ("disk-1", Ground.ORPHAN, Decimal("0.01"), ZERO),
            id="a disk of a machine that is not there",
        ),
        pytest.param(disk(presence=Presence.MISSING), ("disk-1", Ground.ORPHAN, Decimal("0.01"), ZERO), id="missing"),
        pytest.param(disk(serves=None), None, id="a disk whose list does not say what it serves"),
        pytest.param(disk(billed=False), None, id="a disk that is not charged"),
        pytest.param(disk(presence=Presence.GONE), None, id="a disk that is gone"),
        pytest.param(disk(retired=True), None, id="a disk that is no longer watched"),
        pytest.param(disk(charged_under="other"), None, id="a disk that another account is charged for"),
        pytest.param(
            metered(status="suspended"), ("vm-1", Ground.NOT_RUNNING, Decimal("0.5"), ZERO), id="a suspended machine"
        ),
        pytest.param(metered(status="Failed"), ("vm-1", Ground.NOT_RUNNING, Decimal("0.5"), ZERO), id="a failed one"),
        pytest.param(metered(status="suspended", charged_under="other"), None, id="another account is charged for it"),
        pytest.param(metered(status="launched"), None, id="a machine that runs"),
        pytest.param(metered(status="rebooting-2"), None, id="an unknown status is not waste"),
        pytest.param(
            known_resource(status="Stopped", generation=Generation.VMS_V3, billed=False),
            None,
            id="stopped is not charged",
        ),
        pytest.param(
            known_resource(status="Terminated", billed=False, of_resource={"reserved": Usd.parse("0.3")}),
            ("0xa1", Ground.RESERVED, Decimal(0), Usd.parse("0.3")),
            id="a record that holds a reserve",
        ),
        pytest.param(
            known_resource(
                status="Terminated", billed=False, presence=Presence.GONE, of_resource={"reserved": Usd.parse("0.3")}
            ),
            None,
            id="a record that is gone holds nothing",
        ),
        pytest.param(
            known_resource(status="Active", of_resource={"reserved": Usd.parse("0.3")}),
            None,
            id="a reserve that is in use",
        ),
        pytest.param(
            known_resource(status="Terminated", billed=False, of_resource={"reserved": ZERO}),
            None,
            id="no reserve left",
        ),
    ],
)
def test_waste_is(record: ResourceRecord, expected: object) -> None:
    assert ([] if expected is None else [expected]) == found(record)


@pytest.mark.parametrize(
    ("machine", "orphaned"),
    [
        pytest.param(metered("VM-1"), False, id="runs"),
        pytest.param(metered("VM-1", status="suspended"), False, id="does not run but is charged"),
        pytest.param(metered("VM-1", presence=Presence.MISSING), False, id="is missing, which is not gone"),
        pytest.param(metered("VM-1", presence=Presence.GONE), True, id="is gone"),
        pytest.param(metered("VM-1", status="terminated", billed=False), True, id="has ended but is still listed"),
        pytest.param(metered("VM-1", account="other"), True, id="is another account's"),
        pytest.param(metered("VM-1", kind=Kind.STORAGE), True, id="is no machine"),
    ],
)
def test_a_disk_is_an_orphan_once_its_machine(machine: ResourceRecord, orphaned: bool) -> None:
    assert orphaned == ("disk-1" in [one[0] for one in found(machine, disk(serves=("vm-1",)))])


def test_a_disk_that_serves_one_live_machine_of_two_is_no_orphan() -> None:
    assert [] == found(metered("vm-2"), disk(serves=("vm-1", "vm-2")))


def test_waste_costs_24_hours_a_day() -> None:
    resource = disk().resource

    assert Decimal("0.24") == Waste(resource, Ground.ORPHAN, Decimal("0.01")).per_day
    assert None is Waste(resource, Ground.ORPHAN, None).per_day
