"""Which databases a test runs on."""

import pytest

# For what does not depend on the database.
sqlite_only = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
