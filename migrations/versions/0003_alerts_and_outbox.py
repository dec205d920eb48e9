"""What is told: alerts, silences, and the outbox with one row per message and target."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make their tables."""
    op.create_table(
        "alerts",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=True),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=True),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("means", sa.Text, nullable=False),
        sa.Column("advice", sa.Text, nullable=False),
        sa.Column("telling", sa.Text, nullable=False),
        sa.Column("group", sa.Text, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("cost_per_day", sa.Text, nullable=True),
        sa.Column("facts", sa.Text, nullable=True),
        sa.Column("since", sa.Integer, nullable=False),
        sa.Column("fired_at", sa.Integer, nullable=True),
        sa.Column("told_at", sa.Integer, nullable=True),
        sa.Column("resolved_at", sa.Integer, nullable=True),
        sa.Column("resolved_because", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("alerts_not_resolved", "alerts", ["since"], sqlite_where=sa.text("state != 'resolved'"))
    op.create_index("alerts_told_once", "alerts", ["resolved_at"], sqlite_where=sa.text("telling = 'once'"))
    op.create_index("alerts_by_resolved_at", "alerts", ["resolved_at"])
    op.create_table(
        "silences",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("until", sa.Integer, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("made_at", sa.Integer, nullable=False),
        sa.Column("alert", sa.Text, nullable=True),
        sa.Column("account", sa.Text, nullable=True),
        sa.Column("resource_id", sa.Text, nullable=True),
        sa.Column("rule", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_table(
        "outbox",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("made_at", sa.Integer, nullable=False),
        sa.Column("next_at", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("settled_at", sa.Integer, nullable=True),
        sa.Column("deletion", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("key", "target", name="outbox_unique_key"),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index("outbox_by_target", "outbox", ["target", "state", "next_at"])
    op.create_index("outbox_by_state", "outbox", ["state"])
