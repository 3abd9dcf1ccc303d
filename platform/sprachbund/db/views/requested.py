"""Views of what is evaluated on request with a task of its own: ABX, probes, and how the two go together."""

from string import Template

from sprachbund.db.views.evaluated import chosen_evaluated, evaluated, same_scope
from sprachbund.db.views.evaluated_columns import ALIGNMENT_RESULTS as _ALIGNMENT

_TASK = """,
    m.family AS family, m.step AS step,
    (SELECT k.name FROM evaluation_tasks k WHERE k.key = e.scope_digest) AS task,
    (SELECT k.parameters ->> '{parameter}' FROM evaluation_tasks k WHERE k.key = e.scope_digest) AS {parameter},
    e.scope_digest AS task_key"""


def _of(measure: str, parameter: str) -> str:
    return evaluated.substitute(
        chosen=chosen_evaluated,
        same=same_scope,
        measures=f"e.measure = '{measure}'",
        more=_TASK.format(parameter=parameter),
    )


ABX_RESULTS = _of("abx", "distance")
PROBE_RESULTS = _of("probe", "label")

PROBE_ABX_POINTS = """
SELECT
    b.experiment AS experiment, b.model AS model, b.family AS family, b.step AS step,
    b.setting AS setting, b.setting_ordinal AS setting_ordinal, b.method AS method, b.transform AS transform,
    b.control AS control, b.layer AS layer, b.layer_ordinal AS layer_ordinal,
    b.pooling AS pooling, b.tokens AS tokens, b.corpus AS corpus, b.role AS role,
    b.task AS probe, b.metric AS probe_metric, b.value AS probe_value,
    b.ci_low AS probe_ci_low, b.ci_high AS probe_ci_high,
    a.task AS abx_task, a.metric AS abx_metric, a.value AS abx_value, a.ci_low AS abx_ci_low, a.ci_high AS abx_ci_high
FROM probe_results b
JOIN abx_results a ON a.experiment = b.experiment AND a.setting_key = b.setting_key AND a.layer = b.layer
    AND a.corpus = b.corpus AND a.split = b.split AND a.role = b.role
    AND (b.tokens = 'word' OR (a.pooling = b.pooling AND a.tokens = b.tokens))
WHERE a.query_language IS NULL AND b.query_language IS NULL
    AND a.metric IN ('abx', 'abx_weighted') AND b.metric IN ('probe_accuracy', 'probe_macro_f1')
"""

_CORRELATION = Template(
    """
SELECT
    p.experiment AS experiment, '$over' AS over, $model AS model, $family AS family, $setting AS setting,
    $layer AS layer, p.pooling AS pooling, p.tokens AS tokens, p.corpus AS corpus, p.role AS role,
    p.probe AS probe, p.probe_metric AS probe_metric, p.abx_task AS abx_task, p.abx_metric AS abx_metric,
    corr(p.probe_value, p.abx_value) AS correlation, count(*) AS n_points,
    count(DISTINCT p.model) AS n_models, count(DISTINCT p.layer) AS n_layers,
    count(DISTINCT p.setting) AS n_settings
FROM probe_abx_points p
WHERE $which
GROUP BY p.experiment, p.pooling, p.tokens, p.corpus, p.role, p.probe, p.probe_metric, p.abx_task, p.abx_metric$by
"""
)
_UNSTEERED = "p.method = 'none' AND p.transform = 'none' AND p.family IS NOT NULL"


def _correlation(over: str, by: tuple[str, ...], which: str) -> str:
    columns = {
        name: f"p.{name}" if name in by else "CAST(NULL AS TEXT)" for name in ("model", "family", "setting", "layer")
    }
    return _CORRELATION.substitute(over=over, which=which, by="".join(f", p.{name}" for name in by), **columns)


PROBE_ABX = "UNION ALL".join(
    (
        _correlation("layers", ("model", "setting"), "p.experiment IS NOT NULL"),
        _correlation("settings", ("model", "layer"), "p.control IS NULL"),
        _correlation("checkpoints", ("family", "layer"), _UNSTEERED),
        _correlation("layers and checkpoints", ("family",), _UNSTEERED),
    )
)

_SWEEP = {
    "family": "the model's family: checkpoints of one training run share it",
    "step": "the model's step in its family",
}
_ON_REQUEST = {
    **_ALIGNMENT,
    "query_language": "language; NULL for all languages together",
    "p": "always NULL: compare the stored draws, which are the same for every setting",
    "q": "always NULL",
}
_ON_REQUEST.pop("measure")

ABX_RESULTS_COLUMNS = {
    **_ON_REQUEST,
    "query_language": "language of x, where the task fixes it; NULL for all languages together",
    "candidate_language": "language of b (and of a, unless the task is ON language), where it is not that of x",
    **_SWEEP,
    "task": "the task: ON by BY across ACROSS, and the distance if it is not the angular one",
    "distance": "angular, cosine or euclidean",
    "task_key": "the task over these languages with its distance, sampling and seed",
}
PROBE_RESULTS_COLUMNS = {
    **_ON_REQUEST,
    "candidate_language": "always NULL",
    **_SWEEP,
    "tokens": "tokens that were pooled: all, content, last, first; word: the pieces of each word, which then is a row",
    "task": "the label that is probed, `of words` where a row is a word",
    "label": "the label alone",
    "task_key": "the probe over these languages with its folds, seeds and regularisation",
}
_COMMON = {
    "pooling": "how a sentence's tokens became one embedding",
    "tokens": "tokens that were pooled; word: those of each word, of probes of words",
    "corpus": "name of the corpus",
    "role": "role of the corpus",
    "probe": "label that is probed",
    "probe_metric": "probe_accuracy or probe_macro_f1, over all languages",
    "abx_task": "ABX task",
    "abx_metric": "abx or abx_weighted, over all languages",
}
PROBE_ABX_POINTS_COLUMNS = {
    "experiment": "name of the experiment",
    "model": "name of the model",
    **_SWEEP,
    "setting": "label of the setting",
    "setting_ordinal": "place of the setting in the experiment",
    "method": "the setting's method",
    "transform": "the setting's post-hoc transform",
    "control": "variant of the control; NULL for a setting that is no control",
    "layer": "layer of the embeddings",
    "layer_ordinal": "place of the layer: sort by this",
    **{name: _COMMON[name] for name in ("pooling", "tokens", "corpus", "role", "probe", "probe_metric")},
    "probe_value": "value of the probe",
    "probe_ci_low": "lower end of its interval",
    "probe_ci_high": "upper end of its interval",
    "abx_task": _COMMON["abx_task"],
    "abx_metric": _COMMON["abx_metric"],
    "abx_value": "value of the ABX task",
    "abx_ci_low": "lower end of its interval",
    "abx_ci_high": "upper end of its interval",
}
PROBE_ABX_COLUMNS = {
    "experiment": "name of the experiment",
    "over": "what the points are: layers (of one setting), settings (at one layer, controls left out), checkpoints "
    "(unsteered models of one family at one layer), layers and checkpoints",
    "model": "name of the model; NULL over checkpoints",
    "family": "family of the checkpoints; NULL otherwise",
    "setting": "label of the setting, over layers",
    "layer": "layer, over settings or checkpoints",
    **_COMMON,
    "correlation": "Pearson's; NULL if either does not vary. Points of one model are not independent: a description, "
    "not a test",
    "n_points": "points",
    "n_models": "models among them",
    "n_layers": "layers among them",
    "n_settings": "settings among them",
}
