"""A workspace on each engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sprachbund import workspace
from sprachbund.workspace import Workspace


@pytest.fixture
def space(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace on each engine."""
    monkeypatch.setenv("SPRACHBUND_DATABASE_URL", database_url)
    monkeypatch.chdir(tmp_path)
    with workspace.init(tmp_path) as made:
        yield made
