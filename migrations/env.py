"""Alembic's entry: the program passes its connection, the `alembic` command an URL.

alembic -x url=sqlite:///sprachbund.db check
SPRACHBUND_DATABASE_URL=postgresql://… alembic revision --autogenerate -m "what changes"
"""

import os
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, Engine

from sprachbund.db.engine import connect
from sprachbund.db.migrate import COMPARISON, migrating
from sprachbund.db.tables import Base
from sprachbund.db.tables.base import Json
from sprachbund.errors import DatabaseError


def render_item(kind: str, item: Any, autogenerate: AutogenContext) -> str | Literal[False]:
    """Write our JSON type into new revisions in full; Alembic's own rendering of its variant does not run."""
    if kind != "type" or item is not Json:
        return False
    autogenerate.imports.add("from sqlalchemy.dialects import postgresql")
    return "sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')"


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transactional_ddl=True,
        render_item=render_item,
        **COMPARISON,
    )
    # Inside the transaction that `migrating` opened: Alembic adds none of its own.
    with context.begin_transaction():
        context.run_migrations()


def engine_of_command() -> Engine:
    url = context.get_x_argument(as_dictionary=True).get("url") or os.environ.get("SPRACHBUND_DATABASE_URL")
    if not url:
        raise DatabaseError("which database? pass -x url=… or set SPRACHBUND_DATABASE_URL")
    return connect(url, create=True)


if context.is_offline_mode():
    raise DatabaseError("migrations run on a database, not into SQL scripts: leave out --sql")

target = context.config.attributes.get("connection")
if isinstance(target, Connection):
    run(target)
else:
    engine = target if isinstance(target, Engine) else engine_of_command()
    with migrating(engine) as connection:
        run(connection)
    if target is None:
        engine.dispose()
