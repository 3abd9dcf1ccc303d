"""What result views share, and what engines they are for."""

import pytest

from sprachbund.db.tables import Base
from sprachbund.db.views import VIEWS
from sprachbund.db.views.columns import Column, View, changed
from sprachbund.errors import DatabaseError


def test_result_views_share_their_columns():
    shared = {
        *("experiment", "model", "revision", "method", "score_site", "edit_site", "target", "k", "k_fraction"),
        *("strength", "control", "seed", "query_language", "target_side"),
        *("candidate_language", "layer", "pooling", "tokens", "corpus", "role", "metric", "value", "ci_low"),
        *("ci_high", "baseline", "delta", "p", "q", "chosen", "numerics", "transform", "job"),
    }
    for name in ("retrieval_results", "alignment_results", "setting_comparison", "control_comparison"):
        assert shared <= set(VIEWS[name].names)


def test_an_unknown_engine_is_refused():
    with pytest.raises(DatabaseError, match="mysql"):
        View("one", "", (), ()).text("mysql")


def test_no_view_has_a_tables_name_or_a_column_twice():
    assert not set(VIEWS) & set(Base.metadata.tables)
    for view in VIEWS.values():
        assert len(set(view.names)) == len(view.names), view.name
        assert all(column.says for column in view.columns), view.name


def test_a_column_that_is_not_there_cannot_be_changed():
    with pytest.raises(ValueError, match="no column other"):
        changed([Column("one", "1", "integer", "1")], says={"other": "2"})
