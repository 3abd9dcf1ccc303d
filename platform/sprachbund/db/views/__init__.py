"""The views that analysts query: `create_views`, `drop_views` and what every view and column means.

Views are not part of the schema's revisions: `sprachbund db upgrade` drops and recreates them. Their SQL is
the same text on SQLite and PostgreSQL but for the words in `_DIALECTS`. Flags are the integers 0 and 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from sprachbund.db.views import benchmarks as benchmark_views
from sprachbund.db.views import evaluated as view_sql
from sprachbund.db.views import evaluated_columns as columns_of
from sprachbund.db.views import requested as view_tasks
from sprachbund.db.views import study as view_sql_study
from sprachbund.db.views import study_columns
from sprachbund.db.views import written as view_sql_output
from sprachbund.db.views import written_columns as output_columns
from sprachbund.errors import DatabaseError

# What the two engines spell differently: the elements of a JSON array or object, and joining distinct texts.
_DIALECTS: dict[str, dict[str, str]] = {
    "sqlite": {
        "JSON_ROWS(": "json_each(",
        "JSON_FIELDS(": "json_each(",
        "AS planned_layer(value)": "AS planned_layer",
        "JOIN_TEXT(": "group_concat(",
    },
    "postgresql": {
        "JSON_ROWS(": "jsonb_array_elements_text(",
        "JSON_FIELDS(": "jsonb_each(",
        "JOIN_TEXT(": "string_agg(",
    },
}


@dataclass(frozen=True, slots=True)
class View:
    """One view: its SELECT, what a row is, and what each column holds (in the view's order)."""

    sql: str
    description: str
    columns: Mapping[str, str]

    def text(self, dialect: str) -> str:
        """The SELECT for an engine (`sqlite` or `postgresql`); raises DatabaseError for any other."""
        if dialect not in _DIALECTS:
            raise DatabaseError(f"no views for database '{dialect}'; expected sqlite or postgresql")
        sql = self.sql
        for portable, native in _DIALECTS[dialect].items():
            sql = sql.replace(portable, native)
        return sql


# In an order in which a view follows those it reads.
VIEWS: dict[str, View] = {
    "retrieval_results": View(
        view_sql.RETRIEVAL_RESULTS,
        "One retrieval metric of one ordered language pair: query setting and language against candidate "
        "setting and language, at one layer.",
        columns_of.RETRIEVAL_RESULTS,
    ),
    "alignment_results": View(
        view_sql.ALIGNMENT_RESULTS,
        "One number on the embedding space: distances of an unordered language pair (sides in alphabetical "
        "order), the geometry of one language, or of the whole space (languages are NULL).",
        columns_of.ALIGNMENT_RESULTS,
    ),
    "abx_results": View(
        view_tasks.ABX_RESULTS,
        "One number of one ABX task over label columns: of all languages together, of one, or of one language "
        "against another.",
        view_tasks.ABX_RESULTS_COLUMNS,
    ),
    "probe_results": View(
        view_tasks.PROBE_RESULTS,
        "One number of the logistic probes for one label: of all languages together, or of one.",
        view_tasks.PROBE_RESULTS_COLUMNS,
    ),
    "probe_abx_points": View(
        view_tasks.PROBE_ABX_POINTS,
        "A probe and an ABX task of one setting at one layer side by side, all languages together.",
        view_tasks.PROBE_ABX_POINTS_COLUMNS,
    ),
    "probe_abx": View(
        view_tasks.PROBE_ABX,
        "How a probe and an ABX task go together over layers, settings and checkpoints.",
        view_tasks.PROBE_ABX_COLUMNS,
    ),
    "setting_comparison": View(
        view_sql.SETTING_COMPARISON,
        "One setting against one baseline on one metric and layer: the macro mean over the language pairs of "
        "a scope, the paired difference with its interval, p and q, and the control p beside it.",
        columns_of.SETTING_COMPARISON,
    ),
    "control_comparison": View(
        view_sql.CONTROL_COMPARISON,
        "One steered setting against the distribution of one variant of its controls; here baseline, delta "
        "and p are those of the controls.",
        columns_of.CONTROL_COMPARISON,
    ),
    "side_effects": View(
        view_sql_output.SIDE_EFFECTS,
        "One number on what a setting makes the model write or predict: free generation, perplexity, translation, "
        "beside the baseline's.",
        output_columns.SIDE_EFFECTS,
    ),
    "generated_samples": View(
        view_sql_output.GENERATED_SAMPLES,
        "One text that the model wrote under a setting: a free generation with its language, or a translation.",
        output_columns.GENERATED_SAMPLES,
    ),
    "benchmark_scores": View(
        benchmark_views.BENCHMARK_SCORES,
        "One setting's score by one benchmark's convention at one layer: a mean over language pairs. All come "
        "from the same similarities.",
        benchmark_views.COLUMNS["benchmark_scores"],
    ),
    "metric_notes": View(
        benchmark_views.METRIC_NOTES,
        "What must be known of one metric of one evaluation: why it has no value, or that it was approximated.",
        benchmark_views.COLUMNS["metric_notes"],
    ),
    "trained_languages": View(
        benchmark_views.TRAINED_LANGUAGES,
        "Whether a model's published list of training languages has a language of the experiment.",
        benchmark_views.COLUMNS["trained_languages"],
    ),
    "expert_overlap": View(
        view_sql.EXPERT_OVERLAP,
        "How many of their top k units two expert sets of one model share.",
        columns_of.EXPERT_OVERLAP,
    ),
    "expert_layers": View(
        view_sql_study.EXPERT_LAYERS,
        "How the top k experts of one target are spread over one site of one block.",
        study_columns.EXPERT_LAYERS,
    ),
    "gain_summary": View(
        view_sql_study.GAIN_SUMMARY,
        "Differences of one setting to its baseline pair by pair, summed up: median and mean over language pairs, "
        "with intervals that know pairs share languages.",
        study_columns.GAIN_SUMMARY,
    ),
    "distance_correlations": View(
        view_sql_study.DISTANCE_CORRELATIONS,
        "One correlation of retrieval accuracy and distance over language pairs, before and after steering "
        "(the steering study's Table 2).",
        study_columns.DISTANCE_CORRELATIONS,
    ),
    "distance_table": View(
        view_sql_study.DISTANCE_TABLE,
        "Distances among the languages' means under one setting at one layer, before and after (the steering "
        "study's Table 1).",
        study_columns.DISTANCE_TABLE,
    ),
    "job_status": View(
        view_sql.JOB_STATUS,
        "One job of an experiment and how it stands; a job that several experiments use has a row in each.",
        columns_of.JOB_STATUS,
    ),
    "experiment_audit": View(
        view_sql.EXPERIMENT_AUDIT,
        "One experiment: what was planned, done, failed and chosen, and what was found when it was planned. "
        "A cell is one layer of one pair or space evaluation.",
        columns_of.EXPERIMENT_AUDIT,
    ),
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


def views_markdown() -> str:
    """The reference page docs/views.md, made from `VIEWS`."""
    parts = [
        "# Views",
        "",
        "What `sprachbund query` and `ws.query` read. Every result view shows only rows that the experiment's "
        "plan resolved to, at the layers it asks for, so that versions never mix. Filter by `experiment` "
        "first. Flags are 0 or 1, times are epoch milliseconds, layers are text (`'0'`, `'1'` … `'final'`): "
        "sort by `layer_ordinal`.",
        "",
        "This page is made from `sprachbund.db.views.VIEWS`; a test keeps the two equal.",
    ]
    for name, view in VIEWS.items():
        parts += ["", f"## {name}", "", view.description, "", "| column | meaning |", "| --- | --- |"]
        parts += [f"| `{column}` | {meaning} |" for column, meaning in view.columns.items()]
    return "\n".join(parts) + "\n"
