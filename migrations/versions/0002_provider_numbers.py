"""The provider's own numbers: balances, top-ups, what it charged; and how the ledger was adjusted to them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make their tables, and the index that spares a cycle the states of all that is long gone."""
    op.create_table(
        "balances",
        sa.Column("pk", sa.Integer, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("since", sa.Integer, nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("entries", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("pk"),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name="balances_account_exists"),
        sqlite_strict=True,
    )
    op.create_index("balances_by_account", "balances", ["account"])
    op.create_table(
        "top_ups",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("amount", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("account", "id"),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name="top_ups_account_exists"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reported_charges",
        sa.Column("pk", sa.Integer, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("day", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=True),
        sa.Column("cost", sa.Text, nullable=False),
        sa.Column("noted_at", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("pk"),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name="reported_charges_account_exists"),
        sqlite_strict=True,
    )
    op.create_index("reported_charges_by_account", "reported_charges", ["account", "day"])
    op.create_table(
        "adjustments",
        sa.Column("pk", sa.Integer, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("after_snapshot", sa.Integer, nullable=False),
        sa.Column("after_retirements", sa.Integer, nullable=False),
        sa.Column("in_checkpoint", sa.Integer, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=False),
        sa.Column("starts_at", sa.Integer, nullable=False),
        sa.Column("ends_at", sa.Integer, nullable=False),
        sa.Column("amount", sa.Integer, nullable=False),
        sa.Column("basis", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("closed", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("pk"),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name="adjustments_account_exists"),
        sqlite_strict=True,
    )
    op.create_index("states_not_gone", "states", ["resource"], sqlite_where=sa.text("presence != 'gone'"))
