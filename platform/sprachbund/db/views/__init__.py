"""The views that analysts query: `create_views`, `drop_views` and what every view and column means.

Views are not part of the schema's revisions: `sprachbund db upgrade` drops and recreates them. Their SQL is the same
text on SQLite and PostgreSQL but for a few words (`columns`).
"""

from sqlalchemy import Connection, text

from sprachbund.db.views.attempts import ATTEMPTS
from sprachbund.db.views.benchmarks import BENCHMARK_SCORES, METRIC_NOTES, TRAINED_LANGUAGES
from sprachbund.db.views.columns import Column, Type, View
from sprachbund.db.views.compared import CONTRAST_CONTROLS, CONTRASTS, CONTROL_COMPARISON, SETTING_COMPARISON
from sprachbund.db.views.differences import PAIRED_DIFFERENCES
from sprachbund.db.views.evaluated import ALIGNMENT_RESULTS, RETRIEVAL_RESULTS
from sprachbund.db.views.experts import EXPERT_LAYERS, EXPERT_OVERLAP, TOP_UNITS
from sprachbund.db.views.languages import PLANNED_BRANCHES, PLANNED_LANGUAGES, TOKENISED_TEXTS
from sprachbund.db.views.planned import CHOSEN_CONTROLS, CHOSEN_SETTINGS, PLANNED_SETTINGS
from sprachbund.db.views.requested import ABX_RESULTS, PROBE_ABX, PROBE_ABX_POINTS, PROBE_RESULTS
from sprachbund.db.views.study import DISTANCE_CORRELATIONS, DISTANCE_TABLE, GAIN_SUMMARY, LANGUAGE_GAINS
from sprachbund.db.views.tested import TESTED_PAIRS
from sprachbund.db.views.work import EXPERIMENT_AUDIT, EXPERIMENT_HISTORY, JOB_STATUS, PLANNED_CELLS
from sprachbund.db.views.written import GENERATED_SAMPLES, SIDE_EFFECTS

__all__ = ["VIEWS", "Column", "Type", "View", "create_views", "drop_views"]

# In an order in which a view follows those it reads.
VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        RETRIEVAL_RESULTS,
        ALIGNMENT_RESULTS,
        ABX_RESULTS,
        PROBE_RESULTS,
        PROBE_ABX_POINTS,
        PROBE_ABX,
        SETTING_COMPARISON,
        CONTROL_COMPARISON,
        CONTRASTS,
        CONTRAST_CONTROLS,
        PAIRED_DIFFERENCES,
        SIDE_EFFECTS,
        GENERATED_SAMPLES,
        BENCHMARK_SCORES,
        METRIC_NOTES,
        TRAINED_LANGUAGES,
        EXPERT_OVERLAP,
        EXPERT_LAYERS,
        TOP_UNITS,
        TESTED_PAIRS,
        GAIN_SUMMARY,
        LANGUAGE_GAINS,
        DISTANCE_CORRELATIONS,
        DISTANCE_TABLE,
        PLANNED_LANGUAGES,
        PLANNED_BRANCHES,
        TOKENISED_TEXTS,
        PLANNED_SETTINGS,
        CHOSEN_SETTINGS,
        CHOSEN_CONTROLS,
        JOB_STATUS,
        ATTEMPTS,
        PLANNED_CELLS,
        EXPERIMENT_AUDIT,
        EXPERIMENT_HISTORY,
    )
}


def create_views(connection: Connection) -> None:
    """Create every view; they must not exist. Runs in the connection's transaction."""
    for name, view in VIEWS.items():
        connection.execute(text(f"CREATE VIEW {name} AS {_literal(view.text(connection.dialect.name))}"))


def drop_views(connection: Connection) -> None:
    """Drop every view that exists. Runs in the connection's transaction."""
    for name in reversed(VIEWS):
        connection.execute(text(f"DROP VIEW IF EXISTS {name}"))


def _literal(sql: str) -> str:
    """A colon would name a bound parameter."""
    return sql.replace(":", "\\:")
