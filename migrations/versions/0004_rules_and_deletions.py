"""Idle rules and deletions, what protects from them, and how many cycles the database has lived through."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

WHAT_HAPPENED_STAYS = (
    """
    CREATE TRIGGER transitions_never_change BEFORE UPDATE ON transitions
    BEGIN SELECT RAISE(ABORT, 'what became of a deletion never changes'); END
    """,
    """
    CREATE TRIGGER transitions_never_go BEFORE DELETE ON transitions
    BEGIN SELECT RAISE(ABORT, 'what became of a deletion is never dropped'); END
    """,
    """
    CREATE TRIGGER deletions_never_go BEFORE DELETE ON deletions
    BEGIN SELECT RAISE(ABORT, 'a deletion is never dropped'); END
    """,
)


def upgrade() -> None:
    """Make their tables, the column of what explains a list, and the index of what the provider's totals added."""
    op.create_table(
        "idle_clocks",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("since", sa.Integer, nullable=True),
        sa.Column("created_at", sa.Integer, nullable=True),
        sa.Column("price", sa.Text, nullable=True),
        sa.Column("bucket_started_at", sa.Integer, nullable=True),
        sa.Column("buckets", sa.Text, nullable=True),
        sa.Column("coverage", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=True),
        sa.Column("busy_at", sa.Integer, nullable=True),
        sa.PrimaryKeyConstraint("account", "resource_id", "rule"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "heartbeats",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=False),
        sa.Column("first_at", sa.Integer, nullable=False),
        sa.Column("last_at", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("account", "resource_id"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "deletions",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=False),
        sa.Column("target_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("generation", sa.Text, nullable=False),
        sa.Column("created_at", sa.Integer, nullable=True),
        sa.Column("ground", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("proposed_at", sa.Integer, nullable=False),
        sa.Column("evidence", sa.Text, nullable=True),
        sa.Column("price", sa.Text, nullable=True),
        sa.Column("notified_at", sa.Integer, nullable=True),
        sa.Column("execute_at", sa.Integer, nullable=True),
        sa.Column("approved_for", sa.Integer, nullable=True),
        sa.Column("requested_at", sa.Integer, nullable=True),
        sa.Column("settled_at", sa.Integer, nullable=True),
        sa.Column("burn_per_day", sa.Text, nullable=True),
        sa.Column("next_charge", sa.Text, nullable=True),
        sa.Column("next_charge_at", sa.Integer, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_index("deletions_by_state", "deletions", ["state"])
    op.create_table(
        "transitions",
        sa.Column("deletion", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("deletion", "position"),
        sa.ForeignKeyConstraint(["deletion"], ["deletions.id"], name="transitions_deletion_exists"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "vetoes",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("until", sa.Integer, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("made_at", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("account", "resource_id", "rule"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "leases",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=False),
        sa.Column("until", sa.Integer, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("made_at", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("account", "resource_id"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "kept",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=False),
        sa.Column("since", sa.Integer, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("account", "resource_id"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "released",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=False),
        sa.Column("names", sa.Text, nullable=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("account", "resource_id"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.add_column("snapshots", sa.Column("explained", sa.Text, nullable=True))
    op.create_index("charges_reported", "charges", ["starts_at"], sqlite_where=sa.text("basis = 'reported'"))
    for trigger in WHAT_HAPPENED_STAYS:
        op.execute(trigger)
