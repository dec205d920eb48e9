"""A machine that the last list before its deletion shows under a protected name is kept from then on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fluence_costwatch.core.deletion.deletions import Protection
from tests.faults.deletion_scene import EXECUTE, IDLE, MINUTE, prepared


def test_a_protected_name_that_only_the_fresh_list_showed_protects_for_good(tmp_path: Path) -> None:
    setting = replace(IDLE, deletion=replace(EXECUTE, protect=Protection(("prod-*",))))
    with prepared(setting, tmp_path) as on:
        on.last_looks()
        on.until_due()
        on.watch.market.rename(on.vm, "prod-db")
        on.act()
        on.watch.market.rename(on.vm, setting.called)
        on.look(5 * MINUTE)

        assert [] == on.calls()
        assert "withdrawn" == on.deletion.state.value  # and nothing new was proposed
        with on.watch.store.reading() as reading:
            assert "'prod-db'" in reading.kept()[on.identity].reason
