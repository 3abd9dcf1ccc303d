"""Views of what is evaluated on request with a task of its own: ABX, probes, and how the two go together."""

from sprachbund.db.views.columns import Column, View, changed, of
from sprachbund.db.views.differences import BESIDE_EVALUATION, DELTA, INTERVAL, P
from sprachbund.db.views.evaluated import CHANCE, EVALUATED, of_scopes
from sprachbund.db.views.setting import setting_columns

_SWEEP = setting_columns("family step")
_ON_REQUEST = changed(
    EVALUATED,
    sql={"delta": DELTA, "p": P.sql},
    says={
        "query_language": "language; NULL for all languages together",
        "p": P.says,
        "q": "always NULL",
    },
)


def _of_task(expression: str) -> str:
    return f"(SELECT {expression} FROM evaluation_tasks k WHERE k.key = e.scope_digest)"  # noqa: S608 - our own names


ABX_RESULTS = View(
    "abx_results",
    "One number of one ABX task over label columns: of all languages together, of one, or of one language against "
    "another.",
    (of_scopes("e.measure = 'abx'", BESIDE_EVALUATION),),
    (
        *changed(
            _ON_REQUEST,
            says={
                "query_language": "language of x, where the task fixes it; NULL for all languages together",
                "candidate_language": "language of b (and of a, unless the task is ON language), where it is not that "
                "of x",
            },
        ),
        *INTERVAL,
        *_SWEEP,
        Column(
            "task", _of_task("k.name"), "text",
            "the task: ON by BY across ACROSS, and the distance if it is not the angular one",
        ),
        Column("distance", _of_task("k.parameters ->> 'distance'"), "text", "angular, cosine or euclidean"),
        Column(
            "task_key", "e.scope_digest", "text",
            "the task over these languages with its distance, sampling and seed",
        ),
        CHANCE,
    ),
)  # fmt: skip

PROBE_RESULTS = View(
    "probe_results",
    "One number of the logistic probes for one label: of all languages together, or of one.",
    (of_scopes("e.measure = 'probe'", BESIDE_EVALUATION),),
    (
        *changed(
            _ON_REQUEST,
            says={
                "candidate_language": "always NULL",
                "tokens": "tokens that were pooled: all, content, last, first; word: the pieces of each word, which "
                "then is a row",
            },
        ),
        *INTERVAL,
        *_SWEEP,
        Column(
            "task", _of_task("k.name"), "text", "the label that is probed, `of words` where a row is a word"
        ),
        Column("label", _of_task("k.parameters ->> 'label'"), "text", "the label alone"),
        Column(
            "task_key", "e.scope_digest", "text",
            "the probe over these languages with its folds, seeds and regularisation",
        ),
    ),
)  # fmt: skip

PROBE_ABX_POINTS = View(
    "probe_abx_points",
    "A probe and an ABX task of one setting at one layer side by side, all languages together.",
    (
        """
FROM probe_results b
JOIN abx_results a ON a.experiment = b.experiment AND a.setting_key = b.setting_key AND a.layer = b.layer
    AND a.corpus = b.corpus AND a.split = b.split AND a.role = b.role
    AND (b.tokens = 'word' OR (a.pooling = b.pooling AND a.tokens = b.tokens))
WHERE a.query_language IS NULL AND b.query_language IS NULL
    AND a.metric IN ('abx', 'abx_weighted') AND b.metric IN ('probe_accuracy', 'probe_macro_f1')
""",
    ),
    (
        Column("experiment", "b.experiment", "text", "name of the experiment"),
        Column("model", "b.model", "text", "name of the model"),
        *changed(_SWEEP, sql={"family": "b.family", "step": "b.step"}),
        Column("setting", "b.setting", "text", "label of the setting"),
        Column("setting_ordinal", "b.setting_ordinal", "integer", "place of the setting in the experiment"),
        Column("method", "b.method", "text", "the setting's method"),
        Column("transform", "b.transform", "text", "the setting's post-hoc transform"),
        Column("control", "b.control", "text", "variant of the control; NULL for a setting that is no control"),
        Column("layer", "b.layer", "text", "layer of the embeddings"),
        Column("layer_ordinal", "b.layer_ordinal", "integer", "place of the layer: sort by this"),
        Column("pooling", "b.pooling", "text", "how a sentence's tokens became one embedding"),
        Column("tokens", "b.tokens", "text", "tokens that were pooled; word: those of each word, of probes of words"),
        Column("corpus", "b.corpus", "text", "name of the corpus"),
        Column("role", "b.role", "text", "role of the corpus"),
        Column("probe", "b.task", "text", "label that is probed"),
        Column("probe_metric", "b.metric", "text", "probe_accuracy or probe_macro_f1, over all languages"),
        Column("probe_value", "b.value", "real", "value of the probe"),
        Column("probe_ci_low", "b.ci_low", "real", "lower end of its interval"),
        Column("probe_ci_high", "b.ci_high", "real", "upper end of its interval"),
        Column("abx_task", "a.task", "text", "ABX task"),
        Column("abx_metric", "a.metric", "text", "abx or abx_weighted, over all languages"),
        Column("abx_value", "a.value", "real", "value of the ABX task"),
        Column("abx_ci_low", "a.ci_low", "real", "lower end of its interval"),
        Column("abx_ci_high", "a.ci_high", "real", "upper end of its interval"),
    ),
)

# One group of points for each way of going over them; a CASE is NULL where the points of a group differ in it.
_GROUPS = """
FROM probe_abx_points p
JOIN (
    SELECT 'layers' AS points UNION ALL SELECT 'settings' UNION ALL SELECT 'checkpoints'
    UNION ALL SELECT 'layers and checkpoints'
) o ON o.points = 'layers' OR (o.points = 'settings' AND p.control IS NULL)
    OR (o.points IN ('checkpoints', 'layers and checkpoints')
        AND p.method = 'none' AND p.transform = 'none' AND p.family IS NOT NULL)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
"""


def _over(column: str, *points: str) -> str:
    return f"CASE WHEN o.points IN ({', '.join(map(repr, points))}) THEN p.{column} END"


PROBE_ABX = View(
    "probe_abx",
    "How a probe and an ABX task go together over layers, settings and checkpoints.",
    (_GROUPS,),
    (
        Column("experiment", "p.experiment", "text", "name of the experiment"),
        Column(
            "over", "o.points", "text",
            "what the points are: layers (of one setting), settings (at one layer, controls left out), checkpoints "
            "(unsteered models of one family at one layer), layers and checkpoints",
        ),
        Column("model", _over("model", "layers", "settings"), "text", "name of the model; NULL over checkpoints"),
        Column(
            "family", _over("family", "checkpoints", "layers and checkpoints"), "text",
            "family of the checkpoints; NULL otherwise",
        ),
        Column("setting", _over("setting", "layers"), "text", "label of the setting, over layers"),
        Column("layer", _over("layer", "settings", "checkpoints"), "text", "layer, over settings or checkpoints"),
        *changed(
            of(
                PROBE_ABX_POINTS.columns,
                "pooling tokens corpus role probe probe_metric abx_task abx_metric",
            ),
            sql={
                name: f"p.{name}"
                for name in (
                    "pooling", "tokens", "corpus", "role", "probe", "probe_metric", "abx_task", "abx_metric"
                )
            },
        ),
        Column(
            "correlation", "corr(p.probe_value, p.abx_value)", "real",
            "Pearson's; NULL if either does not vary. Points of one model are not independent: a description, not a "
            "test",
        ),
        Column("n_points", "count(*)", "integer", "points"),
        Column("n_models", "count(DISTINCT p.model)", "integer", "models among them"),
        Column("n_layers", "count(DISTINCT p.layer)", "integer", "layers among them"),
        Column("n_settings", "count(DISTINCT p.setting)", "integer", "settings among them"),
    ),
)  # fmt: skip
