"""Views on benchmarks' conventions, on what must be known of single metrics, and on what models were trained on."""

# Which metric a benchmark averages, over which ordered language pairs.
_CONVENTIONS = """
    SELECT 'study_top1' AS convention, 'top1' AS metric, 'all' AS pairs
    UNION ALL SELECT 'meaning_abx', 'meaning_abx', 'all'
    UNION ALL SELECT 'mteb_f1', 'bitext_f1', 'all'
    UNION ALL SELECT 'mteb_f1_into_english', 'bitext_f1', 'into_english'
    UNION ALL SELECT 'mteb_accuracy', 'bitext_accuracy', 'all'
    UNION ALL SELECT 'xtreme_into_english', 'bitext_accuracy', 'into_english'
    UNION ALL SELECT 'xtreme_from_english', 'bitext_accuracy', 'from_english'
    UNION ALL SELECT 'xsim', 'xsim', 'all'
    UNION ALL SELECT 'xsim_into_english', 'xsim', 'into_english'
    UNION ALL SELECT 'xsim_text_into_english', 'xsim_text', 'into_english'
    UNION ALL SELECT 'csls_top1', 'csls_top1', 'all'
    UNION ALL SELECT 'mexa', 'mexa', 'into_english'
"""

_SCORES = """
    SELECT x.name AS experiment, m.name AS model, m.revision AS revision, xs.label AS setting, s.key AS setting_key,
        xs.ordinal AS setting_ordinal, coalesce(c.collection, c.name) AS corpus, c.split AS split, xc.role AS role,
        e.query_layer AS layer, xl.ordinal AS layer_ordinal, e.query_language AS query_language,
        e.candidate_language AS candidate_language, r.name AS metric, r.value AS value
    FROM experiments x
    CROSS JOIN experiment_jobs xj
    CROSS JOIN evaluations e
    CROSS JOIN experiment_layers xl
    CROSS JOIN experiment_corpora xc
    CROSS JOIN corpora c
    CROSS JOIN experiment_settings xs
    CROSS JOIN settings s
    CROSS JOIN models m
    CROSS JOIN metrics r
    WHERE xj.experiment_id = x.id
        AND e.job_id = xj.job_id AND e.measure = 'retrieval'
        AND xl.experiment_id = x.id AND xl.layer = e.query_layer
        AND xc.experiment_id = x.id AND xc.corpus_id = e.corpus_id AND xc.role <> 'fit'
        AND c.id = e.corpus_id
        AND xs.experiment_id = x.id AND xs.setting_id = e.query_setting_id
        AND s.id = xs.setting_id
        AND m.id = s.model_id
        AND r.evaluation_id = e.id
"""

BENCHMARK_SCORES = f"""
SELECT
    q.experiment AS experiment, q.model AS model, q.revision AS revision, q.setting AS setting,
    q.setting_key AS setting_key, q.setting_ordinal AS setting_ordinal, q.corpus AS corpus, q.split AS split,
    q.role AS role, k.convention AS convention, q.layer AS layer, q.layer_ordinal AS layer_ordinal,
    avg(q.value) AS value, count(*) AS n_pairs
FROM ({_SCORES}) q
JOIN ({_CONVENTIONS}) k ON k.metric = q.metric
WHERE k.pairs = 'all'
    OR (k.pairs = 'into_english' AND q.candidate_language = 'eng_Latn' AND q.query_language <> 'eng_Latn')
    OR (k.pairs = 'from_english' AND q.query_language = 'eng_Latn' AND q.candidate_language <> 'eng_Latn')
GROUP BY q.experiment, q.model, q.revision, q.setting, q.setting_key, q.setting_ordinal, q.corpus, q.split, q.role,
    k.convention, q.layer, q.layer_ordinal
UNION ALL
SELECT
    p.experiment, p.model, p.revision, p.setting, p.setting_key, p.setting_ordinal, p.corpus, p.split, p.role,
    o.convention, CAST(NULL AS VARCHAR(8)), CAST(NULL AS INTEGER),
    avg(CASE WHEN o.convention = 'mexa_mean_layers' THEN p.mean_value ELSE p.max_value END), count(*)
FROM (
    SELECT q.experiment, q.model, q.revision, q.setting, q.setting_key, q.setting_ordinal, q.corpus, q.split, q.role,
        q.query_language, avg(q.value) AS mean_value, max(q.value) AS max_value
    FROM ({_SCORES}) q
    WHERE q.metric = 'mexa' AND q.candidate_language = 'eng_Latn' AND q.query_language <> 'eng_Latn'
    GROUP BY q.experiment, q.model, q.revision, q.setting, q.setting_key, q.setting_ordinal, q.corpus, q.split,
        q.role, q.query_language
) p
CROSS JOIN (SELECT 'mexa_mean_layers' AS convention UNION ALL SELECT 'mexa_max_layers') o
GROUP BY p.experiment, p.model, p.revision, p.setting, p.setting_key, p.setting_ordinal, p.corpus, p.split, p.role,
    o.convention
"""  # noqa: S608

METRIC_NOTES = """
SELECT
    x.name AS experiment, m.name AS model, m.revision AS revision, xs.label AS setting, s.key AS setting_key,
    e.measure AS measure, e.query_language AS query_language, e.candidate_language AS candidate_language,
    e.query_layer AS layer, c.name AS corpus, c.split AS split, n.metric AS metric, n.note AS note,
    e.job_id AS job
FROM experiments x
JOIN experiment_jobs xj ON xj.experiment_id = x.id
JOIN evaluations e ON e.job_id = xj.job_id
JOIN evaluation_notes n ON n.evaluation_id = e.id
JOIN experiment_layers xl ON xl.experiment_id = x.id AND xl.layer = e.query_layer
JOIN experiment_settings xs ON xs.experiment_id = x.id AND xs.setting_id = e.query_setting_id
JOIN settings s ON s.id = xs.setting_id
JOIN models m ON m.id = s.model_id
JOIN corpora c ON c.id = e.corpus_id
"""

TRAINED_LANGUAGES = """
SELECT DISTINCT
    x.name AS experiment, m.name AS model, m.revision AS revision, w.language AS language,
    (SELECT max(f.family) FROM model_languages f WHERE f.model_id = m.id) AS family,
    CASE
        WHEN NOT EXISTS (SELECT 1 FROM model_languages f WHERE f.model_id = m.id) THEN NULL
        WHEN EXISTS (SELECT 1 FROM model_languages f WHERE f.model_id = m.id AND f.language = w.language) THEN 1
        ELSE 0
    END AS trained
FROM experiments x
JOIN experiment_settings xs ON xs.experiment_id = x.id
JOIN settings s ON s.id = xs.setting_id
JOIN models m ON m.id = s.model_id
JOIN experiment_corpora xc ON xc.experiment_id = x.id
JOIN corpus_texts w ON w.corpus_id = xc.corpus_id
"""

_SETTING = {
    "experiment": "name of the experiment",
    "model": "name of the model",
    "revision": "the model's revision",
    "setting": "label of the setting",
    "setting_key": "content key of the setting",
}

COLUMNS = {
    "benchmark_scores": {
        **_SETTING,
        "setting_ordinal": "place of the setting in the experiment",
        "corpus": "name of the corpus, or of the collection of bilingual corpora",
        "split": "split of the corpus",
        "role": "what the corpus is used for in the experiment: select or test",
        "convention": "whose way of scoring (docs/conventions.md, One snapshot, every convention)",
        "layer": "layer of the embeddings; NULL where layers are averaged or the best is taken per language",
        "layer_ordinal": "place of the layer",
        "value": "mean over the language pairs of the convention",
        "n_pairs": "ordered language pairs averaged (with English: languages)",
    },
    "metric_notes": {
        **_SETTING,
        "measure": "measure that the metric belongs to",
        "query_language": "language of the queries",
        "candidate_language": "language of the candidates",
        "layer": "layer of the embeddings",
        "corpus": "name of the corpus",
        "split": "split of the corpus",
        "metric": "metric that the note is about",
        "note": "why it has no value here, or how it was approximated",
        "job": "id of the job that computed the evaluation",
    },
    "trained_languages": {
        "experiment": "name of the experiment",
        "model": "name of the model",
        "revision": "the model's revision",
        "language": "language of one of the experiment's corpora: join it to query_language or candidate_language",
        "family": "published list that the model falls under; NULL if none is known",
        "trained": "1 if the list has the language, 0 if not, NULL if there is no list",
    },
}
