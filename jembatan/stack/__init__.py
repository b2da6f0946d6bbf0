"""The local stack: an embedded PostgreSQL, a Prefect server with a worker, our API and the sandbox.

`stack()` gives a command what it needs of it; `database()` only the database. Importing this imports no
Prefect, so that its settings can still be made.
"""

from jembatan.stack.addresses import Stack
from jembatan.stack.database import database, prefect_database_url
from jembatan.stack.errors import StackError
from jembatan.stack.session import stack

__all__ = ["Stack", "StackError", "database", "prefect_database_url", "stack"]
