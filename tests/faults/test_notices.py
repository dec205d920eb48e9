"""A notice finds whoever is to be told of deletions by the configuration that is in force, also where that came later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fluence_costwatch.core.messages.outbox import Route
from tests.faults.deletion_scene import HOUR, IDLE, MINUTE, scene


def test_a_target_that_was_configured_after_the_proposal_gets_the_notice_once(tmp_path: Path) -> None:
    with scene(IDLE, tmp_path) as on:
        on.watch.policy = replace(on.watch.policy, routes=())
        on.look(10 * MINUTE)
        on.look(HOUR)
        assert "proposed" == on.deletion.state.value

        on.watch.policy = replace(on.watch.policy, routes=(Route("ops"), Route("late")))
        on.watch.notifier.down = True
        for _ in range(3):
            on.look(MINUTE)
        on.watch.notifier.down = False
        on.look(5 * MINUTE)
        on.look(5 * MINUTE)

        assert "notified" == on.deletion.state.value
        notices = [target for target, message in on.watch.notifier.sent if message.thread.startswith("deletion-")]
        assert ["late", "ops"] == sorted(notices)
