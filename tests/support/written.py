"""What tests of side effects share."""

from pathlib import Path
from typing import Any

import polars as pl
from sqlalchemy import func, select

from sprachbund.db.engine import reading
from sprachbund.workspace import Workspace

KINDS = ("generation", "generation_evaluation", "perplexity", "translation", "difference")


def text_of(word_corpus: Path, split: str = "test") -> dict[str, Any]:
    return {"name": "words", "path": str(word_corpus), "layout": "wide", "split": split}


def values(space: Workspace) -> dict[tuple[Any, ...], float]:
    found = space.query("select setting, metric, language, into_language, value from side_effects")
    return {tuple(row[:4]): row[4] for row in found.iter_rows()}


def work(space: Workspace, **options: Any) -> None:
    """Run everything; none of the jobs of side effects may fail."""
    space.run(**options)
    found = space.query("select kind, error from job_status where status <> 'done'")
    failed = found.filter(pl.col("kind").is_in(KINDS))
    assert failed.is_empty(), failed.rows()


def count(space: Workspace, table: Any) -> int:
    with reading(space.engine) as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())
