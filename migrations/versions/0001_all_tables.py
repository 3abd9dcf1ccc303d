"""all tables

Until the first release there is one revision, and it makes what `sprachbund.db.tables` declares. With the release it is
written out by Alembic, and every change after it is a revision of its own.

Revision: 0001
Before: nothing
"""

from alembic import op

from sprachbund.db.tables import Base

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    Base.metadata.create_all(op.get_bind())


def downgrade() -> None:
    Base.metadata.drop_all(op.get_bind())
