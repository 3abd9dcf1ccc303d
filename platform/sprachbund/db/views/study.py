"""The SELECT statements of the views over language pairs and experts: what the steering study's tables are made of.

Written as those of `view_sql`: from the experiment downwards, CROSS JOIN where SQLite has to keep the order.
"""

from string import Template

_ABOUT = """
    x.name AS experiment, m.name AS model, m.revision AS revision, i.method AS method,
    i.selection AS selection, i.direction AS direction, i.edit AS edit, i.strength AS strength,
    i.target AS target, i.k AS k, i.k_fraction AS k_fraction, s.transform AS transform, s.side AS side,
    xs.label AS setting, s.key AS setting_key, xs.ordinal AS setting_ordinal, xb.label AS baseline_setting,
    g.corpus AS corpus, g.split AS split, j.payload ->> 'role' AS role,
    g.layer AS layer, xl.ordinal AS layer_ordinal,
    CASE WHEN EXISTS (
        SELECT 1 FROM choices ch CROSS JOIN experiment_jobs chj
        WHERE ch.setting_id = xs.setting_id AND ch.layer = g.layer
            AND chj.job_id = ch.job_id AND chj.experiment_id = x.id) THEN 1 ELSE 0 END AS chosen,"""

_OVER_PAIRS = Template(
    """
SELECT$about
    $columns
    g.job_id AS job
FROM experiments x
CROSS JOIN experiment_jobs xj
CROSS JOIN jobs j
CROSS JOIN $table g
CROSS JOIN experiment_layers xl
CROSS JOIN experiment_settings xs
CROSS JOIN settings s
CROSS JOIN interventions i
CROSS JOIN models m
JOIN experiment_settings xb ON xb.experiment_id = x.id AND xb.setting_id = g.baseline_id
WHERE xj.experiment_id = x.id
    AND j.id = xj.job_id
    AND g.job_id = xj.job_id
    AND xl.experiment_id = x.id AND xl.layer = g.layer
    AND xs.experiment_id = x.id AND xs.setting_id = g.setting_id
    AND s.id = g.setting_id
    AND i.id = s.intervention_id
    AND m.id = s.model_id
"""
)

GAIN_SUMMARY = _OVER_PAIRS.substitute(
    about=_ABOUT,
    table="gain_summaries",
    columns="""g.metric AS metric, g.scope AS scope, g.n_pairs AS n_pairs, g.n_languages AS n_languages,
    g.median AS median_gain, g.median_low AS median_low, g.median_high AS median_high,
    g.n_gaining AS n_gaining, g.least AS least_gain, g.greatest AS greatest_gain,
    g.mean AS mean_gain, g.mean_low AS mean_low, g.mean_high AS mean_high, g.mean_p AS mean_p,
    g.query_variance AS query_variance, g.candidate_variance AS candidate_variance,
    g.residual_variance AS residual_variance,""",
)

DISTANCE_CORRELATIONS = _OVER_PAIRS.substitute(
    about=_ABOUT,
    table="correlations",
    columns="""g.accuracy AS accuracy, g.distance AS distance, g.y AS y, g.x AS x,
    g.n_pairs AS n_pairs, g.n_languages AS n_languages,
    g.value AS value, g.ci_low AS ci_low, g.ci_high AS ci_high,
    g.slope AS slope, g.slope_low AS slope_low, g.slope_high AS slope_high, g.slope_p AS slope_p,""",
)

_OWN = "(SELECT r.value FROM metrics r WHERE r.evaluation_id = e.id AND r.name = '$metric')"
# The baseline has no target: what Table 1 says of one is had from its distances per language and per pair.
_BASELINE = Template(
    """(SELECT avg(r.value) FROM evaluations b CROSS JOIN metrics r
        WHERE b.query_setting_id = xs.baseline_id AND b.candidate_setting_id = xs.baseline_id
            AND b.corpus_id = e.corpus_id AND b.query_layer = e.query_layer AND b.pooling = e.pooling
            AND b.tokens = e.tokens AND b.measure = '$measure'
            AND r.evaluation_id = b.id AND r.name = '$metric' AND $which
            AND EXISTS (SELECT 1 FROM experiment_jobs bj WHERE bj.experiment_id = x.id AND bj.job_id = b.job_id))"""
)
_SAME_SCOPE = "b.scope_digest = e.scope_digest"
_BEFORE = {
    "all_pairs": ("space", "all_pairs_distance", _SAME_SCOPE),
    "target_to_medoid": ("spread", "to_medoid_of_others", f"{_SAME_SCOPE} AND b.query_language = i.target"),
    "others_to_medoid": ("spread", "to_medoid_of_others", f"{_SAME_SCOPE} AND b.query_language <> i.target"),
    "to_target": (
        "distances", "centroid_distance", "(b.query_language = i.target OR b.candidate_language = i.target)"
    ),
}  # fmt: skip
_AFTER = {
    "all_pairs": "all_pairs_distance",
    "target_to_medoid": "target_to_medoid",
    "others_to_medoid": "others_to_medoid",
    "to_target": "others_to_target",
}
_DISTANCES = ",\n    ".join(
    f"{_BASELINE.substitute(measure=measure, metric=metric, which=which)} AS {name}_before,\n    "
    f"{Template(_OWN).substitute(metric=_AFTER[name])} AS {name}_after"
    for name, (measure, metric, which) in _BEFORE.items()
)
DISTANCE_TABLE = f"""
SELECT
    x.name AS experiment, m.name AS model, i.method AS method, i.edit AS edit, i.strength AS strength,
    i.target AS target, i.k AS k, i.control AS control, s.transform AS transform,
    xs.label AS setting, xs.ordinal AS setting_ordinal, xp.label AS control_of,
    c.name AS corpus, xc.role AS role, e.query_layer AS layer, xl.ordinal AS layer_ordinal,
    {_DISTANCES}
FROM experiments x
CROSS JOIN experiment_jobs xj
CROSS JOIN evaluations e
CROSS JOIN experiment_layers xl
CROSS JOIN experiment_corpora xc
CROSS JOIN corpora c
CROSS JOIN experiment_settings xs
CROSS JOIN settings s
CROSS JOIN interventions i
CROSS JOIN models m
LEFT JOIN experiment_settings xp ON xp.experiment_id = x.id AND xp.setting_id = xs.control_of_id
WHERE xj.experiment_id = x.id
    AND e.job_id = xj.job_id AND e.measure = 'space'
    AND xl.experiment_id = x.id AND xl.layer = e.query_layer
    AND xc.experiment_id = x.id AND xc.corpus_id = e.corpus_id AND xc.role <> 'fit'
    AND c.id = e.corpus_id
    AND xs.experiment_id = x.id AND xs.setting_id = e.query_setting_id AND xs.baseline_id IS NOT NULL
    AND s.id = xs.setting_id
    AND i.id = s.intervention_id
    AND m.id = s.model_id
"""  # noqa: S608 - made of fixed names

EXPERT_LAYERS = """
SELECT
    x.name AS experiment, m.name AS model, m.revision AS revision, a.target AS target, a.scorer AS scorer,
    n.k AS k, u.block AS block, u.site AS site, count(*) AS experts,
    CAST(count(*) AS DOUBLE PRECISION) / n.k AS share,
    avg(u.score) AS mean_score, min(u.score) AS least_score, a.n_units AS n_units,
    a.key AS expert_set_key, a.job_id AS job
FROM experiments x
CROSS JOIN experiment_jobs xj
CROSS JOIN expert_sets a
CROSS JOIN (
    SELECT DISTINCT xs.experiment_id AS experiment_id, s.model_id AS model_id, i.k AS k, ii.input_key AS input_key
    FROM experiment_settings xs
    JOIN settings s ON s.id = xs.setting_id
    JOIN interventions i ON i.id = s.intervention_id
    JOIN intervention_inputs ii ON ii.intervention_id = i.id AND ii.role = 'select' AND ii.input_kind = 'expert_set'
    WHERE i.k <= 5000 AND i.control IS NULL
        AND i.method IN ('experts', 'union', 'own') AND i.selection = 'top'
        AND i.edit_site = i.score_site AND (i.parameters ->> 'blocks') IS NULL
) n
CROSS JOIN expert_units u
CROSS JOIN models m
WHERE xj.experiment_id = x.id
    AND a.job_id = xj.job_id
    AND n.experiment_id = x.id AND n.model_id = a.model_id AND n.input_key = a.key
    AND u.expert_set_id = a.id AND u.rank <= n.k
    AND m.id = a.model_id
GROUP BY x.name, m.name, m.revision, a.target, a.scorer, n.k, u.block, u.site, a.n_units, a.key, a.job_id
"""
