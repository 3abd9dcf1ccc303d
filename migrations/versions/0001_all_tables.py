"""all tables

Until the first release there is one revision, and it makes what `sprachbund.db.tables` declares. Its name is a digest
of that: a database that another state of the program made is at a revision that this one does not know, and is
refused. With the release it is written out by Alembic, and every change after it is a revision of its own.
Every command reads its name: Alembic takes long to import, and only a migration needs it.

Before: nothing
"""

import hashlib

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from sprachbund.db.tables import Base

_DECLARED = [
    str(part.compile(dialect=sqlite.dialect()))
    for table in Base.metadata.sorted_tables
    for part in (
        CreateTable(table),
        *(CreateIndex(index) for index in sorted(table.indexes, key=lambda each: each.name)),
    )
]

revision = hashlib.sha256("\n".join(_DECLARED).encode()).hexdigest()[:12]
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    from alembic import op

    Base.metadata.create_all(op.get_bind())


def downgrade() -> None:
    from alembic import op

    Base.metadata.drop_all(op.get_bind())
