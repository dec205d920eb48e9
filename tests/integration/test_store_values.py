"""Whatever the core can hold reads back equal: columns, snapshots, histories, charges, checkpoints."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluence_costwatch.core.alerts.alert import Alert, AlertState, Silence
from fluence_costwatch.core.alerts.findings import Severity, Telling
from fluence_costwatch.core.billing.history import (
    Basis,
    Cause,
    Charge,
    Doubt,
    History,
    Judgement,
    ListState,
    Phase,
    Presence,
    Reason,
    ResourceState,
    Settling,
    Snapshot,
    Step,
    Verdict,
)
from fluence_costwatch.core.deletion.deletions import (
    Deletion,
    DeletionState,
    Ground,
    Kept,
    Lease,
    Mode,
    Transition,
    Veto,
)
from fluence_costwatch.core.epochs import EpochGrid, Span
from fluence_costwatch.core.idle.idleness import IdleClock, IdleVerdict
from fluence_costwatch.core.messages.message import Chart, Message, Section, Table
from fluence_costwatch.core.messages.outbox import Attempt, Delivery, Draft, OutboxRow
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Identity, Kind, Per, Resource, Specs
from fluence_costwatch.store import SqliteStore, open_store
from fluence_costwatch.store.alert_tables import outbox
from fluence_costwatch.store.checkpoints import encoded, load_checkpoints
from fluence_costwatch.store.deletion_tables import kept
from fluence_costwatch.store.schema import checkpoints
from tests.builders import at, resource, snapshot

NOW = at("2026-03-01 12:00")
WEB = Identity("main", "0xweb")
NAMES = (f"account {number}" for number in itertools.count())
V3 = Generation.VMS_V3


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    """One store for all examples of all properties; each example takes account names of its own."""
    with open_store(tmp_path_factory.mktemp("values") / "watch.db", now=NOW) as store:
        yield store


# Any value that the core can hold. Lone surrogates are no text that a decoder lets pass.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
instants = st.datetimes(datetime(1, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is in `timezones`
lengths = st.timedeltas(timedelta(microseconds=1), timedelta(days=4000))
amounts = st.builds(Usd, st.integers(-(2**60), 2**60))
prices = st.decimals(allow_nan=False, allow_infinity=False)
grids = st.builds(EpochGrid, st.times(), lengths)
spans = st.builds(lambda pair: Span(min(pair), max(pair)), st.tuples(instants, instants))
specs = st.builds(Specs, *[st.none() | st.integers(0, 2**60) for _ in fields(Specs)])
doubts = st.builds(Doubt, spans, st.none() | amounts, st.sampled_from(Cause))
settlings = st.builds(
    Settling, st.sampled_from(Reason), spans, amounts, st.integers(0, 9), adjustment=amounts, uncertain=amounts
)
judgements = st.builds(Judgement, grids, st.integers(1, 9), lengths, st.integers(0, 9), st.none() | instants)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


def several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, max_size=2).map(tuple)


# What each field may hold, by its annotation, so that a field which is added to the core is tried too.
BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "Kind": st.sampled_from(Kind),
    "Generation": st.sampled_from(Generation),
    "Per": st.sampled_from(Per),
    "Presence": st.sampled_from(Presence),
    "Phase": st.sampled_from(Phase),
    "datetime": instants,
    "datetime | None": maybe(instants),
    "str": texts,
    "str | None": maybe(texts),
    "int": st.integers(0, 2**60),
    "bool": st.booleans(),
    "Decimal | None": maybe(prices),
    "Usd": amounts,
    "Usd | None": maybe(amounts),
    "Specs | None": maybe(specs),
    "EpochGrid": grids,
    "Span | None": maybe(spans),
    "tuple[Span, ...]": st.lists(spans, max_size=2).map(tuple),
    "tuple[Doubt, ...]": st.lists(doubts, max_size=2).map(tuple),
    "Settling | None": maybe(settlings),
    "tuple[str, ...] | None": maybe(st.lists(texts, max_size=2).map(tuple)),
    "tuple[str, ...]": st.lists(texts, max_size=2).map(tuple),
    "tuple[Decimal, ...]": st.lists(prices, max_size=2).map(tuple),
    "Decimal": prices,
    "timedelta | None": maybe(lengths),
    "Severity": st.sampled_from(Severity),
    "Telling": st.sampled_from(Telling),
    "AlertState": st.sampled_from(AlertState),
    "IdleVerdict": st.sampled_from(IdleVerdict),
    "Ground": st.sampled_from(Ground),
    "Mode": st.sampled_from(Mode),
    "DeletionState": st.sampled_from(DeletionState),
    "tuple[tuple[str, str], ...]": several(st.tuples(texts, texts)),
    "tuple[tuple[int, int], ...]": several(st.tuples(st.integers(0, 2**40), st.integers(0, 2**40))),
    "tuple[int, ...]": several(st.integers(0, 9)),
    "tuple[tuple[str, ...], ...]": several(several(texts)),
    "tuple[tuple[date, Usd], ...]": several(st.tuples(st.dates(), amounts)),
}


def fields_of(kind: type[Any], *, but: Collection[str]) -> dict[str, st.SearchStrategy[Any]]:
    """A strategy for every field of `kind` but those."""
    return {one.name: BY_TYPE[str(one.type)] for one in fields(kind) if one.name not in but}


def any_of(kind: type[Any], **own: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Any value of `kind`, its fields `own` apart."""
    return st.builds(kind, **own, **fields_of(kind, but=own))


BY_TYPE["Table | None"] = maybe(any_of(Table))
BY_TYPE["Chart | None"] = maybe(any_of(Chart))
BY_TYPE["tuple[Section, ...]"] = several(any_of(Section))
BY_TYPE["Message"] = any_of(Message)
BY_TYPE["tuple[Transition, ...]"] = several(any_of(Transition))


def listed(ids: st.SearchStrategy[str]) -> st.SearchStrategy[Resource]:
    own = {"id": ids, "account": st.just("?"), "generation": st.just(V3)}
    return st.builds(Resource, **own | fields_of(Resource, but=own))


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    account, generation = draw(st.sampled_from(["first", "second"])), draw(st.sampled_from(Generation))
    # Few ids, of which some differ in case only, so that successive snapshots share resources.
    found = draw(st.lists(listed(st.sampled_from("aAbBcß€𝔸")), max_size=5))
    by_id = {one.identity.id: replace(one, account=account, generation=generation) for one in found}
    return Snapshot(
        account=account,
        generation=generation,
        sent_at=draw(instants),
        answered_at=draw(instants),
        resources=tuple(by_id[id_] for id_ in sorted(by_id)),
        judgement=draw(judgements),
    )


def rows_of(identity: Identity) -> st.SearchStrategy[Charge]:
    return st.builds(
        Charge, st.just(identity), spans, amounts, st.sampled_from(Basis), st.sampled_from(Reason), st.booleans()
    )


def states(identity: Identity) -> st.SearchStrategy[ResourceState]:
    row = maybe(rows_of(identity))
    return st.builds(
        ResourceState,
        identity=st.just(identity),
        epoch_charge=row,
        **fields_of(ResourceState, but=("identity", "epoch_charge")),
    )


@st.composite
def histories(draw: st.DrawFn, account: str) -> History:
    ids = draw(st.sets(texts, max_size=3))
    lists = draw(
        st.dictionaries(
            st.sampled_from(Generation),
            st.builds(
                ListState,
                generation=st.just(V3),
                rank=st.integers(0, 9),
                sent_at=instants,
                ids=st.frozensets(texts, max_size=3),
                charge_from=maybe(instants),
                suspicious_since=maybe(instants),
            ),
        )
    )
    return History(
        account=account,
        lists={generation: replace(state, generation=generation) for generation, state in lists.items()},
        resources={id_: draw(states(Identity(account, id_))) for id_ in ids},
        has_past=draw(st.booleans()),
    )


@given(data=st.data())
def test_any_history_reads_back_equal_and_so_does_the_one_that_follows(store: SqliteStore, data: st.DataObject) -> None:
    account = next(NAMES)
    first, second = data.draw(histories(account)), data.draw(histories(account))
    before = History(account)
    for after in (first, second):
        with store.transaction() as tx:
            assert before == tx.history(account)
            tx.save_step(before, Step(after, Verdict.ACCEPTED))
        before = after

    with store.transaction() as tx:
        assert second == tx.history(account)


@given(data=st.data())
def test_any_history_reads_back_equal_from_a_checkpoint(store: SqliteStore, data: st.DataObject) -> None:
    account = next(NAMES)
    kept = data.draw(histories(account))
    with store.transaction() as tx:
        tx.save_step(History(account), Step(replace(kept, has_past=not kept.has_past), Verdict.ACCEPTED))
        tx.save_step(replace(kept, has_past=not kept.has_past), Step(kept, Verdict.ACCEPTED))
        tx.connection.execute(checkpoints.insert().values(account=account, content=encoded(kept)))
    with store.reading() as reading:
        assert kept == load_checkpoints(reading.connection)[account]


@given(several=st.lists(snapshots(), max_size=6), verdicts=st.lists(st.sampled_from(Verdict), min_size=6, max_size=6))
def test_any_past_snapshot_reads_back_exactly(several: list[Snapshot], verdicts: list[Verdict]) -> None:
    stored = []
    with TemporaryDirectory() as directory, open_store(Path(directory) / "watch.db", now=NOW) as store:
        for seen, verdict in zip(several, verdicts, strict=False):
            with store.transaction() as tx:
                stored.append((tx.save_snapshot(seen, verdict), seen, verdict))
        with store.reading() as reading:
            assert [seen for _, seen, _ in stored] == [reading.snapshot(number) for number, _, _ in stored]
            assert stored == list(reading.snapshots())


@given(data=st.data())
def test_any_charge_reads_back_equal(store: SqliteStore, data: st.DataObject) -> None:
    account = next(NAMES)
    identity = Identity(account, "0xweb")
    row = data.draw(rows_of(identity))
    known = ResourceState(identity, Kind.VM, V3, None, NOW, "Active", None)
    with store.transaction() as tx:
        tx.save_step(History(account), Step(History(account, resources={"0xweb": known}), Verdict.ACCEPTED, (row,)))
    with store.reading() as reading:
        assert [row] == [record.charge for record in reading.charges(account=account)]


def test_a_naive_instant_is_refused_rather_than_taken_for_utc(store: SqliteStore) -> None:
    naive = replace(snapshot("2026-03-01 12:00"), sent_at=datetime(2026, 3, 1, 12))  # noqa: DTZ001 - the mistake at hand

    with pytest.raises(Exception, match="no zone"), store.transaction() as tx:
        tx.save_snapshot(naive, Verdict.ACCEPTED)


def test_a_grid_with_any_anchor_reads_back(store: SqliteStore) -> None:
    judged = Judgement(grid=EpochGrid(time(0, 0, 0, 250_000), timedelta(seconds=20)))
    with store.transaction() as tx:
        number = tx.save_snapshot(snapshot("2026-03-01 12:00", judgement=judged), Verdict.ACCEPTED)
    with store.reading() as reading:
        assert judged == reading.snapshot(number).judgement


def test_a_price_keeps_every_digit(store: SqliteStore) -> None:
    price = Decimal("123456789012.123456780")
    with store.transaction() as tx:
        number = tx.save_snapshot(snapshot("2026-03-01 12:00", resource(price=price)), Verdict.ACCEPTED)
    with store.reading() as reading:
        assert str(price) == str(reading.snapshot(number).resources[0].price)


@given(versions=st.lists(any_of(Alert, id=st.just("a1")), min_size=1, max_size=3))
def test_any_alert_reads_back_as_it_was_last_saved(store: SqliteStore, versions: list[Alert]) -> None:
    once = replace(versions[-1], state=AlertState.FIRING, telling=Telling.ONCE)
    for alert in (*versions, once):
        with store.transaction() as tx:
            tx.save_alerts([alert])
            if alert.state is not AlertState.RESOLVED or alert.resolved_at is not None:
                assert [alert] == tx.reading().alerts(resolved_since=alert.resolved_at or NOW)
    with store.reading() as reading:
        assert {once.fingerprint: once} == reading.once_told()


@given(versions=st.lists(any_of(Silence, id=st.just("s1")), min_size=1, max_size=3))
def test_any_silence_reads_back_as_it_was_last_saved(store: SqliteStore, versions: list[Silence]) -> None:
    for silence in versions:
        with store.transaction() as tx:
            tx.save_silence(silence)
            assert [silence] == tx.reading().silences()


@given(draft=any_of(Draft, target=st.just("team")), made_at=instants, settled_at=instants, attempt=any_of(Attempt))
def test_any_message_reads_back_from_the_outbox(
    store: SqliteStore, draft: Draft, made_at: datetime, settled_at: datetime, attempt: Attempt
) -> None:
    expected = OutboxRow(0, draft.key, "team", draft.message, made_at, draft.not_before, deletion=draft.deletion)
    with store.transaction() as tx:
        tx.connection.execute(outbox.delete())
        tx.enqueue([draft], at=made_at)
        (row,) = tx.reading().outbox()
        tx.settle(row.number, attempt, state=Delivery.DEAD, next_at=made_at, at=settled_at)
        (settled,) = tx.reading().outbox()

    assert expected == replace(row, number=0)
    assert settled == replace(
        row, state=Delivery.DEAD, attempts=1, error=attempt.error, next_at=made_at, settled_at=settled_at
    )


@given(versions=st.lists(any_of(IdleClock, identity=st.just(WEB), rule=st.just("idle")), min_size=1, max_size=3))
def test_any_idle_clock_reads_back_as_it_was_last_saved(store: SqliteStore, versions: list[IdleClock]) -> None:
    for clock in versions:
        with store.transaction() as tx:
            tx.save_clocks([clock])
            assert {(WEB, "idle"): clock} == tx.reading().clocks()


@given(first=any_of(Deletion, id=texts, identity=st.just(WEB)), second=any_of(Deletion, identity=st.just(WEB)))
def test_any_deletion_reads_back_as_it_was_last_saved(store: SqliteStore, first: Deletion, second: Deletion) -> None:
    first = replace(first, id=next(NAMES))
    second = replace(second, id=first.id, history=first.history + second.history)
    with store.transaction() as tx:
        assert tx.save_deletion(first, was=None)
        assert first in tx.reading().deletions()
        assert tx.save_deletion(second, was=first.state)
        assert second in tx.reading().deletions(states=[second.state])


@given(
    veto=any_of(Veto, identity=st.just(WEB)),
    lease=any_of(Lease, identity=st.just(WEB)),
    protected=any_of(Kept, identity=st.just(WEB)),
)
def test_whatever_protects_reads_back_as_it_was_last_saved(
    store: SqliteStore, veto: Veto, lease: Lease, protected: Kept
) -> None:
    with store.transaction() as tx:
        tx.connection.execute(kept.delete())
        tx.save_veto(veto)
        tx.save_lease(lease)
        tx.keep(protected)
        assert veto in tx.reading().vetoes()
        assert {WEB: lease} == tx.reading().leases()
        assert {WEB: protected} == tx.reading().kept()
