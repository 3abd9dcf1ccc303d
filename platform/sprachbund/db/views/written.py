"""The SELECT statements of the views on what a model writes and predicts (see `view_sql` for their manner)."""

# What a model writes or predicts has no layer; the baseline's evaluation is that of the same measure, languages
# and corpus in the same experiment.
SIDE_EFFECTS = """
SELECT
    x.name AS experiment, m.name AS model, m.revision AS revision, xs.label AS setting, s.key AS setting_key,
    xs.ordinal AS setting_ordinal, i.method AS method, i.target AS target, i.k AS k, i.k_fraction AS k_fraction,
    i.strength AS strength, i.control AS control, i.seed AS seed, xp.label AS control_of,
    e.measure AS measure, e.query_language AS language, e.candidate_language AS into_language,
    CASE WHEN i.target IS NULL OR e.query_language IS NULL THEN NULL
        WHEN coalesce(e.candidate_language, e.query_language) = i.target THEN 1 ELSE 0 END AS of_target,
    c.name AS corpus, c.split AS split,
    r.name AS metric, r.value AS value, r.ci_low AS ci_low, r.ci_high AS ci_high,
    br.value AS baseline, r.value - br.value AS delta, xb.label AS baseline_setting,
    r.n_items AS n_items, r.n_groups AS n_groups,
    s.dtype || '/' || s.attention AS numerics, e.job_id AS job
FROM experiments x
CROSS JOIN experiment_jobs xj
CROSS JOIN evaluations e
CROSS JOIN experiment_settings xs
CROSS JOIN settings s
CROSS JOIN interventions i
CROSS JOIN models m
CROSS JOIN metrics r
LEFT JOIN corpora c ON c.id = e.corpus_id
LEFT JOIN experiment_settings xb ON xb.experiment_id = x.id AND xb.setting_id = xs.baseline_id
LEFT JOIN experiment_settings xp ON xp.experiment_id = x.id AND xp.setting_id = xs.control_of_id
LEFT JOIN evaluations b
    ON b.query_setting_id = xs.baseline_id AND b.measure = e.measure AND b.version = e.version
    AND b.query_layer IS NULL
    AND b.corpus_id IS NOT DISTINCT FROM e.corpus_id
    AND b.query_language IS NOT DISTINCT FROM e.query_language
    AND b.candidate_language IS NOT DISTINCT FROM e.candidate_language
    AND EXISTS (SELECT 1 FROM experiment_jobs bj WHERE bj.experiment_id = x.id AND bj.job_id = b.job_id)
LEFT JOIN metrics br ON br.evaluation_id = b.id AND br.name = r.name
WHERE xj.experiment_id = x.id
    AND e.job_id = xj.job_id
    AND e.measure IN ('generation', 'generated_language', 'perplexity', 'translation')
    AND xs.experiment_id = x.id AND xs.setting_id = e.query_setting_id
    AND s.id = xs.setting_id
    AND i.id = s.intervention_id
    AND m.id = s.model_id
    AND r.evaluation_id = e.id
"""

GENERATED_SAMPLES = """
SELECT
    x.name AS experiment, m.name AS model, xs.label AS setting, s.key AS setting_key,
    xs.ordinal AS setting_ordinal, i.target AS target, xp.label AS control_of, g.seed AS seed,
    ct.language AS language, g.target_language AS into_language, w.sample AS sample, w.item AS item,
    w.text AS text, w.n_tokens AS n_tokens, CASE WHEN w.ended THEN 1 ELSE 0 END AS ended,
    w.repetition AS repetition, l.label AS label, l.probability AS probability,
    CASE WHEN l.degenerate THEN 1 WHEN l.degenerate IS NULL THEN NULL ELSE 0 END AS degenerate, g.job_id AS job
FROM experiments x
CROSS JOIN experiment_jobs xj
CROSS JOIN generations g
CROSS JOIN experiment_settings xs
CROSS JOIN settings s
CROSS JOIN interventions i
CROSS JOIN models m
CROSS JOIN generated_texts w
LEFT JOIN experiment_settings xp ON xp.experiment_id = x.id AND xp.setting_id = xs.control_of_id
LEFT JOIN corpus_texts ct ON ct.id = g.corpus_text_id
LEFT JOIN text_labels l ON l.generation_id = w.generation_id AND l.sample = w.sample
    AND EXISTS (SELECT 1 FROM experiment_jobs lj WHERE lj.experiment_id = x.id AND lj.job_id = l.job_id)
WHERE xj.experiment_id = x.id
    AND g.job_id = xj.job_id
    AND xs.experiment_id = x.id AND xs.setting_id = g.setting_id
    AND s.id = xs.setting_id
    AND i.id = s.intervention_id
    AND m.id = s.model_id
    AND w.generation_id = g.id
"""
