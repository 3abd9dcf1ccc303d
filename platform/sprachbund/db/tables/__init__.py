"""Every table, so that `Base.metadata` is complete once this module is imported. A table is its class, nothing else."""

from sprachbund.db.tables.base import Base as Base
from sprachbund.db.tables.catalogue import *  # noqa: F403
from sprachbund.db.tables.comparisons import *  # noqa: F403
from sprachbund.db.tables.edits import *  # noqa: F403
from sprachbund.db.tables.evaluations import *  # noqa: F403
from sprachbund.db.tables.pairs import *  # noqa: F403
from sprachbund.db.tables.texts import *  # noqa: F403
from sprachbund.db.tables.work import *  # noqa: F403
