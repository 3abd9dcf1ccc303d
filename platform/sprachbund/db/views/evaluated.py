"""The SELECT statements of the views, for SQLite and PostgreSQL alike.

They go from the experiment downwards (experiment → its jobs → rows of those jobs), so that a filter on the
experiment's name reads only its rows, through indexes. CROSS JOIN is meant: SQLite keeps the order of its
operands, and would otherwise cross all settings with all evaluations; to PostgreSQL it is an inner join.
"""

from string import Template

# Flags are integers: PostgreSQL and SQLite then compare them alike (chosen = 1).
_CHOSEN = """CASE WHEN EXISTS (
        SELECT 1 FROM choices ch CROSS JOIN experiment_jobs chj
        WHERE ch.setting_id = xs.setting_id AND ch.layer = $layer
            AND chj.job_id = ch.job_id AND chj.experiment_id = x.id) THEN 1 ELSE 0 END"""

_EVALUATED = Template(
    """
SELECT
    x.name AS experiment, m.name AS model, m.revision AS revision, i.method AS method,
    i.selection AS selection, i.direction AS direction, i.edit AS edit,
    i.score_site AS score_site, i.edit_site AS edit_site, i.target AS target, i.k AS k,
    i.k_fraction AS k_fraction, i.strength AS strength, i.control AS control, i.seed AS seed,
    xq.label AS query_setting, qs.key AS query_setting_key, e.query_language AS query_language,
    xo.label AS candidate_setting, cs.key AS candidate_setting_key,
    e.candidate_language AS candidate_language,
    CASE
        WHEN i.target IS NULL OR e.query_language IS NULL THEN NULL
        WHEN e.query_language = i.target AND e.candidate_language = i.target THEN 'both'
        WHEN e.query_language = i.target THEN 'query'
        WHEN e.candidate_language = i.target THEN 'candidate'
        ELSE 'neither'
    END AS target_side,
    e.query_layer AS layer, e.pooling AS pooling, e.tokens AS tokens,
    c.name AS corpus, c.collection AS collection, xc.role AS role,
    r.name AS metric, r.value AS value, r.ci_low AS ci_low, r.ci_high AS ci_high,
    br.value AS baseline, r.value - br.value AS delta,
    pt.p AS p, pt.q AS q,
    $chosen AS chosen,
    s.dtype || '/' || s.attention AS numerics, s.transform AS transform, s.side AS side,
    e.job_id AS job,
    xs.label AS setting, s.key AS setting_key, xs.ordinal AS setting_ordinal,
    xb.label AS baseline_setting, xp.label AS control_of, xs.choice_group AS choice_group,
    c.split AS split, xl.ordinal AS layer_ordinal, r.n_items AS n_items, r.n_groups AS n_groups,
    e.candidate_layer AS candidate_layer$more
FROM experiments x
CROSS JOIN experiment_jobs xj
CROSS JOIN evaluations e
CROSS JOIN experiment_layers xl
CROSS JOIN experiment_corpora xc
CROSS JOIN corpora c
CROSS JOIN experiment_settings xq
CROSS JOIN experiment_settings xo
CROSS JOIN experiment_settings xs
CROSS JOIN settings s
CROSS JOIN interventions i
CROSS JOIN models m
CROSS JOIN settings qs
CROSS JOIN settings cs
CROSS JOIN metrics r
LEFT JOIN experiment_settings xb ON xb.experiment_id = x.id AND xb.setting_id = xs.baseline_id
LEFT JOIN experiment_settings xp ON xp.experiment_id = x.id AND xp.setting_id = xs.control_of_id
LEFT JOIN evaluations b
    ON b.query_setting_id = xs.baseline_id AND b.candidate_setting_id = xs.baseline_id
    AND b.corpus_id = e.corpus_id AND b.measure = e.measure AND b.version = e.version
    AND b.query_layer = e.query_layer AND b.candidate_layer = e.candidate_layer
    AND b.pooling = e.pooling AND b.tokens = e.tokens
    AND $same
    AND EXISTS (SELECT 1 FROM experiment_jobs bj WHERE bj.experiment_id = x.id AND bj.job_id = b.job_id)
LEFT JOIN metrics br ON br.evaluation_id = b.id AND br.name = r.name
LEFT JOIN pair_tests pt ON pt.evaluation_id = e.id AND pt.metric = r.name
    AND EXISTS (SELECT 1 FROM experiment_jobs pj WHERE pj.experiment_id = x.id AND pj.job_id = pt.job_id)
WHERE xj.experiment_id = x.id
    AND e.job_id = xj.job_id
    AND xl.experiment_id = x.id AND xl.layer = e.query_layer
    AND xc.experiment_id = x.id AND xc.corpus_id = e.corpus_id AND xc.role <> 'fit'
    AND c.id = e.corpus_id
    AND xq.experiment_id = x.id AND xq.setting_id = e.query_setting_id
    AND xo.experiment_id = x.id AND xo.setting_id = e.candidate_setting_id
    AND xs.experiment_id = x.id AND xs.setting_id = CASE
        WHEN xo.baseline_id = e.query_setting_id THEN e.candidate_setting_id ELSE e.query_setting_id END
    AND s.id = xs.setting_id
    AND i.id = s.intervention_id
    AND m.id = s.model_id
    AND qs.id = e.query_setting_id
    AND cs.id = e.candidate_setting_id
    AND r.evaluation_id = e.id
    AND $measures
"""
)

# Pairs have both languages: plain equality can use an index or a hash on either engine.
_SAME_PAIR = "b.query_language = e.query_language AND b.candidate_language = e.candidate_language"
_SAME_SCOPE = """b.query_language IS NOT DISTINCT FROM e.query_language
    AND b.candidate_language IS NOT DISTINCT FROM e.candidate_language
    AND b.scope_digest IS NOT DISTINCT FROM e.scope_digest"""
_CHOSEN_EVALUATED = Template(_CHOSEN).substitute(layer="e.query_layer")

RETRIEVAL_RESULTS = _EVALUATED.substitute(
    chosen=_CHOSEN_EVALUATED, same=_SAME_PAIR, measures="e.measure = 'retrieval'", more=""
)

ALIGNMENT_RESULTS = (
    _EVALUATED.substitute(
        chosen=_CHOSEN_EVALUATED,
        same=_SAME_PAIR,
        measures="e.measure NOT IN ('retrieval', 'abx', 'probe') AND e.candidate_language IS NOT NULL",
        more=", e.measure AS measure",
    )
    + "UNION ALL"
    + _EVALUATED.substitute(
        chosen=_CHOSEN_EVALUATED,
        same=_SAME_SCOPE,
        measures="e.measure NOT IN ('retrieval', 'abx', 'probe') AND e.candidate_language IS NULL",
        more=", e.measure AS measure",
    )
)

# What other modules of views are made of.
evaluated, same_scope, chosen_evaluated = _EVALUATED, _SAME_SCOPE, _CHOSEN_EVALUATED

# A comparison names a corpus or a collection and its job the role: a split may have two roles.
_COMPARED = Template(
    """
SELECT
    x.name AS experiment, m.name AS model, m.revision AS revision, i.method AS method,
    i.selection AS selection, i.direction AS direction, i.edit AS edit,
    i.score_site AS score_site, i.edit_site AS edit_site, i.target AS target, i.k AS k,
    i.k_fraction AS k_fraction, i.strength AS strength, $control AS control, $seed AS seed,
    xs.label AS query_setting, s.key AS query_setting_key, CAST(NULL AS VARCHAR(16)) AS query_language,
    xs.label AS candidate_setting, s.key AS candidate_setting_key,
    CAST(NULL AS VARCHAR(16)) AS candidate_language,
    CASE c.scope WHEN 'target_query' THEN 'query' WHEN 'target_candidate' THEN 'candidate'
        WHEN 'without_target' THEN 'neither' END AS target_side,
    c.layer AS layer,
    x.spec -> 'embeddings' ->> 'pooling' AS pooling, x.spec -> 'embeddings' ->> 'tokens' AS tokens,
    c.corpus AS corpus, xr.collection AS collection, xr.role AS role,
    c.metric AS metric, c.value AS value, c.ci_low AS ci_low, c.ci_high AS ci_high,
    $tested,
    $chosen AS chosen,
    s.dtype || '/' || s.attention AS numerics, s.transform AS transform, s.side AS side,
    c.job_id AS job,
    xs.label AS setting, s.key AS setting_key, xs.ordinal AS setting_ordinal,
    $baseline_setting AS baseline_setting, xp.label AS control_of, xs.choice_group AS choice_group,
    c.split AS split, xl.ordinal AS layer_ordinal, c.n_items AS n_items, c.n_groups AS n_groups,
    c.scope AS scope, c.n_pairs AS n_pairs, c.median AS median,
    $more
FROM experiments x
CROSS JOIN experiment_jobs xj
CROSS JOIN jobs j
CROSS JOIN comparisons c
CROSS JOIN experiment_layers xl
CROSS JOIN experiment_settings xs
CROSS JOIN settings s
CROSS JOIN interventions i
CROSS JOIN models m
JOIN (
    SELECT DISTINCT xc.experiment_id AS experiment_id, xc.role AS role, k.collection AS collection,
        k.split AS split, coalesce(k.collection, k.name) AS corpus
    FROM experiment_corpora xc JOIN corpora k ON k.id = xc.corpus_id
) xr ON xr.experiment_id = x.id AND xr.role = j.payload ->> 'role' AND xr.corpus = c.corpus
    AND xr.split = c.split
LEFT JOIN experiment_settings xp ON xp.experiment_id = x.id AND xp.setting_id = xs.control_of_id
$joins
WHERE xj.experiment_id = x.id
    AND j.id = xj.job_id
    AND c.job_id = xj.job_id
    AND xl.experiment_id = x.id AND xl.layer = c.layer
    AND xs.experiment_id = x.id AND xs.setting_id = c.setting_id
    AND s.id = c.setting_id
    AND i.id = s.intervention_id
    AND m.id = s.model_id
"""
)
_CHOSEN_COMPARED = Template(_CHOSEN).substitute(layer="c.layer")

SETTING_COMPARISON = _COMPARED.substitute(
    control="i.control",
    seed="i.seed",
    tested="c.baseline AS baseline, c.delta AS delta, c.p AS p, c.q AS q",
    chosen=_CHOSEN_COMPARED,
    baseline_setting="xb.label",
    more="""c.delta_ci_low AS delta_ci_low, c.delta_ci_high AS delta_ci_high, c.family_size AS family_size,
    (SELECT max(cc.p) FROM control_comparisons cc WHERE cc.comparison_id = c.id) AS control_p,
    (SELECT count(*) FROM control_comparisons cc WHERE cc.comparison_id = c.id) AS n_control_variants""",
    joins="JOIN experiment_settings xb ON xb.experiment_id = x.id AND xb.setting_id = c.baseline_id",
)

CONTROL_COMPARISON = _COMPARED.substitute(
    control="cc.control",
    seed="CAST(NULL AS BIGINT)",
    tested="cc.control_mean AS baseline, c.value - cc.control_mean AS delta, cc.p AS p, "
    "CAST(NULL AS DOUBLE PRECISION) AS q",
    chosen=_CHOSEN_COMPARED,
    baseline_setting="CAST(NULL AS TEXT)",
    more="cc.n_controls AS n_controls, cc.control_low AS control_low, cc.control_high AS control_high",
    joins="JOIN control_comparisons cc ON cc.comparison_id = c.id",
)

EXPERT_OVERLAP = """
SELECT
    x.name AS experiment, m.name AS model, m.revision AS revision,
    a.target AS target, b.target AS other_target, a.scorer AS scorer, b.scorer AS other_scorer,
    CAST(a.sites AS TEXT) AS score_site, a.pooling AS pooling, a.tokens AS tokens,
    o.k AS k, CAST(o.k AS DOUBLE PRECISION) / a.n_units AS k_fraction,
    o.shared AS shared, o.jaccard AS jaccard,
    CAST(o.k AS DOUBLE PRECISION) * o.k / a.n_units AS expected_shared,
    o.tied_at_cut AS tied_at_cut, a.key AS expert_set_key, b.key AS other_set_key, o.job_id AS job
FROM experiments x
JOIN experiment_jobs xj ON xj.experiment_id = x.id
JOIN expert_overlaps o ON o.job_id = xj.job_id
JOIN expert_sets a ON a.id = o.expert_set_id
JOIN expert_sets b ON b.id = o.other_set_id
JOIN models m ON m.id = a.model_id
"""

JOB_STATUS = """
WITH RECURSIVE blocked(job_id) AS (
    SELECT d.job_id FROM jobs n JOIN job_edges d ON d.needs_id = n.id JOIN jobs w ON w.id = d.job_id
    WHERE n.state IN ('failed', 'cancelled') AND NOT d.soft AND w.state = 'queued'
    UNION
    SELECT d.job_id FROM blocked f JOIN job_edges d ON d.needs_id = f.job_id JOIN jobs w ON w.id = d.job_id
    WHERE NOT d.soft AND w.state = 'queued'
)
SELECT
    x.name AS experiment, j.id AS job, j.key AS key, j.kind AS kind, j.version AS version, j.label AS label,
    j.model AS model, j.state AS state,
    CASE
        WHEN j.state <> 'queued' THEN j.state
        WHEN j.id IN (SELECT f.job_id FROM blocked f) THEN 'blocked'
        WHEN EXISTS (SELECT 1 FROM job_edges d JOIN jobs n ON n.id = d.needs_id
            WHERE d.job_id = j.id AND n.state <> 'done' AND NOT (d.soft AND (
                n.state IN ('failed', 'cancelled') OR n.id IN (SELECT f.job_id FROM blocked f)))) THEN 'waiting'
        ELSE 'ready'
    END AS status,
    j.priority AS priority, j.attempt AS attempt, j.failures AS failures, j.losses AS losses,
    w.name AS runner, j.created_ms AS created_ms, t.started_ms AS started_ms,
    j.finished_ms AS finished_ms, (t.finished_ms - t.started_ms) / 1000.0 AS seconds, j.error AS error
FROM experiments x
JOIN experiment_jobs xj ON xj.experiment_id = x.id
JOIN jobs j ON j.id = xj.job_id
LEFT JOIN job_attempts t ON t.job_id = j.id AND t.attempt = j.attempt
LEFT JOIN runners w ON w.id = coalesce(j.runner_id, t.runner_id)
"""

_CELLS = Template(
    """(SELECT count(*) FROM experiment_jobs cj JOIN jobs n ON n.id = cj.job_id
        CROSS JOIN JSON_ROWS(n.payload -> 'layers') AS planned_layer(value)
        JOIN experiment_layers cl ON cl.experiment_id = cj.experiment_id AND cl.layer = planned_layer.value
        WHERE cj.experiment_id = x.id AND n.kind IN ('pair_evaluation', 'space_evaluation')$state)"""
)

EXPERIMENT_AUDIT = Template(
    """
SELECT
    x.name AS experiment, x.revision AS experiment_revision, x.submitted_ms AS submitted_ms,
    CASE WHEN x.cancelled THEN 1 ELSE 0 END AS cancelled,
    $expected AS expected_cells, $done AS done_cells, $expected - $done AS missing_cells,
    count(j.job) AS expected_jobs,
    count(CASE WHEN j.status = 'done' THEN 1 END) AS done_jobs,
    count(CASE WHEN j.status = 'running' THEN 1 END) AS running_jobs,
    count(CASE WHEN j.status IN ('ready', 'waiting') THEN 1 END) AS queued_jobs,
    count(CASE WHEN j.status = 'failed' THEN 1 END) AS failed_jobs,
    count(CASE WHEN j.status = 'blocked' THEN 1 END) AS blocked_jobs,
    count(CASE WHEN j.status = 'cancelled' THEN 1 END) AS cancelled_jobs,
    coalesce(sum(j.failures), 0) AS failures, coalesce(sum(j.losses), 0) AS losses,
    (SELECT count(*) FROM experiment_settings xs WHERE xs.experiment_id = x.id) AS n_settings,
    (SELECT count(*) FROM experiment_settings xs WHERE xs.experiment_id = x.id
        AND xs.control_of_id IS NOT NULL) AS n_controls,
    (SELECT count(*) FROM experiment_layers xl WHERE xl.experiment_id = x.id) AS n_layers,
    (SELECT sum(CAST(o.value ->> 'texts' AS INTEGER)) FROM JSON_FIELDS(x.audit -> 'overlap') o)
        AS overlap_texts,
    (SELECT sum(CAST(o.value ->> 'groups' AS INTEGER)) FROM JSON_FIELDS(x.audit -> 'overlap') o)
        AS overlap_groups,
    x.audit ->> 'overlap' AS overlap, x.audit ->> 'dropped' AS dropped,
    (SELECT count(DISTINCT s.dtype || '/' || s.attention) FROM experiment_settings xs
        JOIN settings s ON s.id = xs.setting_id WHERE xs.experiment_id = x.id) AS n_numerics,
    (SELECT JOIN_TEXT(n.numerics, ', ') FROM (
        SELECT DISTINCT s.dtype || '/' || s.attention AS numerics FROM experiment_settings xs
        JOIN settings s ON s.id = xs.setting_id WHERE xs.experiment_id = x.id
        ORDER BY 1) n) AS numerics,
    (SELECT count(DISTINCT CAST(t.environment AS TEXT)) FROM experiment_jobs xj
        JOIN job_attempts t ON t.job_id = xj.job_id
        WHERE xj.experiment_id = x.id AND t.outcome = 'done') AS n_environments,
    (SELECT count(*) FROM experiment_jobs xj JOIN choices ch ON ch.job_id = xj.job_id
        WHERE xj.experiment_id = x.id) AS n_choices,
    (SELECT count(*) FROM experiment_jobs xj JOIN choices ch ON ch.job_id = xj.job_id
        WHERE xj.experiment_id = x.id AND ch.tied) AS tied_choices,
    (SELECT count(DISTINCT xs.choice_group) FROM experiment_settings xs
        WHERE xs.experiment_id = x.id AND NOT EXISTS (
            SELECT 1 FROM experiment_jobs xj JOIN choices ch ON ch.job_id = xj.job_id
            JOIN experiment_settings xc ON xc.experiment_id = x.id AND xc.setting_id = ch.setting_id
            WHERE xj.experiment_id = x.id AND xc.choice_group = xs.choice_group)) AS undecided_groups,
    (SELECT JOIN_TEXT(n.choice, '; ') FROM (
        SELECT xs.label || ' at ' || ch.layer AS choice FROM experiment_jobs xj
        JOIN choices ch ON ch.job_id = xj.job_id
        JOIN experiment_settings xs ON xs.experiment_id = x.id AND xs.setting_id = ch.setting_id
        WHERE xj.experiment_id = x.id
        ORDER BY 1) n) AS choices
FROM experiments x
LEFT JOIN job_status j ON j.experiment = x.name
GROUP BY x.id, x.name
"""
).substitute(expected=_CELLS.substitute(state=""), done=_CELLS.substitute(state=" AND n.state = 'done'"))
