"""What holds now, and when it is told: findings, alerts, silences (`design.md` 2, 6, 8)."""
