"""Alembic's entry: runs migrations over the engine that `records.db` hands in."""

from alembic import context

from records import models

engine = context.config.attributes["engine"]

with engine.connect() as connection:
    context.configure(
        connection=connection, target_metadata=models.Base.metadata, include_name=models.is_ours
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
