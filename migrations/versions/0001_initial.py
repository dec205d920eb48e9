"""The first schema: history in intervals, the ledger, the cycle log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CLOSED_CHARGES_STAY = (
    """
    CREATE TRIGGER charges_closed_never_change BEFORE UPDATE ON charges WHEN OLD.closed
    BEGIN SELECT RAISE(ABORT, 'a closed charge never changes'); END
    """,
    """
    CREATE TRIGGER charges_keep_their_key BEFORE UPDATE OF resource, starts_at, reason ON charges
    BEGIN SELECT RAISE(ABORT, 'a charge keeps its resource, start and reason'); END
    """,
    """
    CREATE TRIGGER charges_closed_never_go BEFORE DELETE ON charges WHEN OLD.closed
    BEGIN SELECT RAISE(ABORT, 'a closed charge is never deleted'); END
    """,
)


def upgrade() -> None:
    """Make every table, and the triggers that keep closed charges as they are."""
    op.create_table(
        "accounts",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("has_past", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "lists",
        sa.Column("pk", sa.Integer, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("generation", sa.Text, nullable=False),
        sa.Column("rank", sa.Integer, nullable=True),
        sa.Column("sent_at", sa.Integer, nullable=True),
        sa.Column("charge_from", sa.Integer, nullable=True),
        sa.Column("suspicious_since", sa.Integer, nullable=True),
        sa.Column("last_success", sa.Integer, nullable=True),
        sa.PrimaryKeyConstraint("pk"),
        sa.UniqueConstraint("account", "generation", name="lists_unique_account"),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name="lists_account_exists"),
        sqlite_strict=True,
    )
    op.create_table(
        "resources",
        sa.Column("pk", sa.Integer, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("pk"),
        sa.UniqueConstraint("account", "id", name="resources_unique_account"),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name="resources_account_exists"),
        sqlite_strict=True,
    )
    op.create_table(
        "listed",
        sa.Column("list", sa.Integer, nullable=False),
        sa.Column("resource", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("list", "resource"),
        sa.ForeignKeyConstraint(["list"], ["lists.pk"], name="listed_list_exists"),
        sa.ForeignKeyConstraint(["resource"], ["resources.pk"], name="listed_resource_exists"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "judgements",
        sa.Column("pk", sa.Integer, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("pk"),
        sa.UniqueConstraint("content", name="judgements_unique_content"),
        sqlite_strict=True,
    )
    op.create_table(
        "snapshots",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("list", sa.Integer, nullable=False),
        sa.Column("sent_at", sa.Integer, nullable=False),
        sa.Column("answered_at", sa.Integer, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("judgement", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.ForeignKeyConstraint(["list"], ["lists.pk"], name="snapshots_list_exists"),
        sa.ForeignKeyConstraint(["judgement"], ["judgements.pk"], name="snapshots_judgement_exists"),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "details",
        sa.Column("pk", sa.Integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("pk"),
        sa.UniqueConstraint("digest", name="details_unique_digest"),
        sqlite_strict=True,
    )
    op.create_table(
        "versions",
        sa.Column("from_snapshot", sa.Integer, nullable=False),
        sa.Column("resource", sa.Integer, nullable=False),
        sa.Column("list", sa.Integer, nullable=False),
        sa.Column("to_snapshot", sa.Integer, nullable=True),
        sa.Column("details", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("price", sa.Text, nullable=True),
        sa.Column("next_charge_at", sa.Integer, nullable=True),
        sa.Column("status_changed_at", sa.Integer, nullable=True),
        sa.Column("total_spent", sa.Integer, nullable=True),
        sa.Column("reserved", sa.Integer, nullable=True),
        sa.Column("problems", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("from_snapshot", "resource"),
        sa.ForeignKeyConstraint(["resource"], ["resources.pk"], name="versions_resource_exists"),
        sa.ForeignKeyConstraint(["list"], ["lists.pk"], name="versions_list_exists"),
        sa.ForeignKeyConstraint(["details"], ["details.pk"], name="versions_details_exists"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("versions_by_details", "versions", ["details"])
    op.create_index("versions_by_resource", "versions", ["resource", "list"])
    op.create_index("versions_open", "versions", ["list", "resource"], sqlite_where=sa.text("to_snapshot IS NULL"))
    op.create_table(
        "states",
        sa.Column("resource", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("generation", sa.Text, nullable=False),
        sa.Column("created_at", sa.Integer, nullable=True),
        sa.Column("first_seen", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("price", sa.Text, nullable=True),
        sa.Column("last_seen", sa.Integer, nullable=True),
        sa.Column("presence", sa.Text, nullable=False),
        sa.Column("absences", sa.Integer, nullable=False),
        sa.Column("absent_since", sa.Integer, nullable=True),
        sa.Column("billed", sa.Integer, nullable=False),
        sa.Column("retired", sa.Integer, nullable=False),
        sa.Column("charged_under", sa.Text, nullable=True),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("grid", sa.Text, nullable=False),
        sa.Column("run_since", sa.Integer, nullable=True),
        sa.Column("epoch_start", sa.Integer, nullable=True),
        sa.Column("epoch_end", sa.Integer, nullable=True),
        sa.Column("row_start", sa.Integer, nullable=True),
        sa.Column("row_end", sa.Integer, nullable=True),
        sa.Column("row_amount", sa.Integer, nullable=True),
        sa.Column("row_basis", sa.Text, nullable=True),
        sa.Column("row_reason", sa.Text, nullable=True),
        sa.Column("row_closed", sa.Integer, nullable=True),
        sa.Column("charged", sa.Integer, nullable=False),
        sa.Column("unpriced", sa.Text, nullable=True),
        sa.Column("doubts", sa.Text, nullable=True),
        sa.Column("settling", sa.Text, nullable=True),
        sa.Column("problems", sa.Text, nullable=True),
        sa.Column("due_prices", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("resource"),
        sa.ForeignKeyConstraint(["resource"], ["resources.pk"], name="states_resource_exists"),
        sqlite_strict=True,
    )
    op.create_table(
        "charges",
        sa.Column("resource", sa.Integer, nullable=False),
        sa.Column("starts_at", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("ends_at", sa.Integer, nullable=False),
        sa.Column("amount", sa.Integer, nullable=False),
        sa.Column("basis", sa.Text, nullable=False),
        sa.Column("closed", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("resource", "starts_at", "reason"),
        sa.ForeignKeyConstraint(["resource"], ["resources.pk"], name="charges_resource_exists"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("charges_by_starts_at", "charges", ["starts_at"])
    op.create_table(
        "cycles",
        sa.Column("pk", sa.Integer, nullable=False),
        sa.Column("list", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Integer, nullable=False),
        sa.Column("ended_at", sa.Integer, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Integer, nullable=True),
        sa.PrimaryKeyConstraint("pk"),
        sa.ForeignKeyConstraint(["list"], ["lists.pk"], name="cycles_list_exists"),
        sqlite_strict=True,
    )
    op.create_index("cycles_by_list", "cycles", ["list"])
    op.create_table(
        "retirements",
        sa.Column("pk", sa.Integer, nullable=False),
        sa.Column("list", sa.Integer, nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("after_snapshot", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("pk"),
        sa.ForeignKeyConstraint(["list"], ["lists.pk"], name="retirements_list_exists"),
        sqlite_strict=True,
    )
    op.create_table(
        "checkpoints",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("account"),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name="checkpoints_account_exists"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    for trigger in CLOSED_CHARGES_STAY:
        op.execute(trigger)
