"""Runs the migrations on the connection that the caller hands over, inside the caller's transaction.

There is no configuration file and no address to connect to: `fluence_costwatch.store.migrate` takes the lock and the
backup, begins the transaction and checks the outcome.
"""

from alembic import context

from fluence_costwatch.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
