"""What result views share, and what engines they are for."""

import pytest

from sprachbund.db.views import VIEWS, View
from sprachbund.errors import DatabaseError


def test_result_views_share_their_columns():
    shared = {
        *("experiment", "model", "revision", "method", "score_site", "edit_site", "target", "k", "k_fraction"),
        *("strength", "control", "seed", "query_setting", "query_language", "candidate_setting", "target_side"),
        *("candidate_language", "layer", "pooling", "tokens", "corpus", "role", "metric", "value", "ci_low"),
        *("ci_high", "baseline", "delta", "p", "q", "chosen", "numerics", "transform", "job"),
    }
    for name in ("retrieval_results", "alignment_results", "setting_comparison", "control_comparison"):
        assert shared <= set(VIEWS[name].columns)


def test_an_unknown_engine_is_refused():
    with pytest.raises(DatabaseError, match="mysql"):
        View("SELECT 1", "", {}).text("mysql")
