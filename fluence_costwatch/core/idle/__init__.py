"""Idle rules, their clocks and verdicts, leases, heartbeats (`design.md` 6)."""
