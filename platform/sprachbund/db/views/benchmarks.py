"""Views on benchmarks' conventions, on what must be known of single metrics, and on what models were trained on."""

from sprachbund.db.views.asked import asked
from sprachbund.db.views.columns import Column, Source, View, changed, of
from sprachbund.db.views.evaluated import EVALUATED
from sprachbund.db.views.pairs import by_measure, by_metric, rows_of_pairs
from sprachbund.db.views.setting import setting_columns

# Which metric a benchmark averages, over which ordered language pairs.
_SCORED_BY = (
    ("study_top1", "top1", "all"),
    ("meaning_abx", "meaning_abx", "all"),
    ("mteb_f1", "bitext_f1", "all"),
    ("mteb_f1_into_english", "bitext_f1", "into_english"),
    ("mteb_accuracy", "bitext_accuracy", "all"),
    ("xtreme_into_english", "bitext_accuracy", "into_english"),
    ("xtreme_from_english", "bitext_accuracy", "from_english"),
    ("xsim", "xsim", "all"),
    ("xsim_into_english", "xsim", "into_english"),
    ("xsim_text_into_english", "xsim_text", "into_english"),
    ("csls_top1", "csls_top1", "all"),
    ("mexa", "mexa", "into_english"),
)
_CONVENTIONS = " UNION ALL ".join(
    f"SELECT '{convention}' AS convention, '{metric}' AS metric, '{pairs}' AS pairs"
    for convention, metric, pairs in _SCORED_BY
)
_WHO = ("experiment", "model", "revision", "setting", "setting_key", "setting_ordinal", "corpus", "split", "role")
_SCORED = ", ".join(f"q.{name}" for name in _WHO)
_METRICS = sorted({metric for _, metric, _ in _SCORED_BY})
_SCORES = f"""
    SELECT x.name AS experiment, xs.model AS model, m.revision AS revision, xs.label AS setting, s.key AS setting_key,
        xs.ordinal AS setting_ordinal, coalesce(c.collection, c.name) AS corpus, c.split AS split, xc.role AS role,
        e.layer AS layer, xl.ordinal AS layer_ordinal, e.query_language AS query_language,
        e.candidate_language AS candidate_language, r.name AS metric, {by_metric(_METRICS, "e.{}".format)} AS value
    {rows_of_pairs("CROSS JOIN metric_names r")} AND r.name IN ({", ".join(f"'{metric}'" for metric in _METRICS)})
"""
_AT_A_LAYER = f"""
FROM (
    SELECT {_SCORED}, k.convention AS convention, q.layer AS layer, q.layer_ordinal AS layer_ordinal, q.value AS value
    FROM ({_SCORES}) q
    JOIN ({_CONVENTIONS}) k ON k.metric = q.metric
    WHERE q.value IS NOT NULL AND (k.pairs = 'all'
        OR (k.pairs = 'into_english' AND q.candidate_language = 'eng_Latn' AND q.query_language <> 'eng_Latn')
        OR (k.pairs = 'from_english' AND q.query_language = 'eng_Latn' AND q.candidate_language <> 'eng_Latn'))
) q
GROUP BY {_SCORED}, q.convention, q.layer, q.layer_ordinal
"""  # noqa: S608 - our own names
_OVER_LAYERS = f"""
FROM (
    SELECT {_SCORED}, o.convention AS convention, CAST(NULL AS VARCHAR(8)) AS layer,
        CAST(NULL AS INTEGER) AS layer_ordinal,
        CASE WHEN o.convention = 'mexa_mean_layers' THEN avg(q.value) ELSE max(q.value) END AS value
    FROM ({_SCORES}) q
    CROSS JOIN (SELECT 'mexa_mean_layers' AS convention UNION ALL SELECT 'mexa_max_layers') o
    WHERE q.metric = 'mexa' AND q.value IS NOT NULL
        AND q.candidate_language = 'eng_Latn' AND q.query_language <> 'eng_Latn'
    GROUP BY {_SCORED}, q.query_language, o.convention
) q
GROUP BY {_SCORED}, q.convention, q.layer, q.layer_ordinal
"""  # noqa: S608 - our own names

BENCHMARK_SCORES = View(
    "benchmark_scores",
    "One setting's score by one benchmark's convention at one layer: a mean over language pairs. All come from the "
    "same similarities.",
    (_AT_A_LAYER, _OVER_LAYERS),
    (
        *changed(
            (*setting_columns(" ".join(_WHO[:6])), *of(EVALUATED, " ".join(_WHO[6:]))),
            sql={name: f"q.{name}" for name in _WHO},
            says={"corpus": "name of the corpus, or of the collection of bilingual corpora"},
        ),
        Column(
            "convention", "q.convention", "text",
            "whose way of scoring (docs/conventions.md, One snapshot, every convention)",
        ),
        Column(
            "layer", "q.layer", "text",
            "layer of the embeddings; NULL where layers are averaged or the best is taken per language",
        ),
        Column("layer_ordinal", "q.layer_ordinal", "integer", "place of the layer"),
        Column("value", "avg(q.value)", "real", "mean over the language pairs of the convention"),
        Column("n_pairs", "count(*)", "integer", "ordered language pairs averaged (with English: languages)"),
    ),
)  # fmt: skip

_NAMED = """
JOIN experiment_layers xl ON xl.experiment_id = x.id AND xl.layer = e.layer
JOIN experiment_settings xs ON xs.experiment_id = x.id AND xs.setting_id = {of}.setting_id
JOIN settings s ON s.id = xs.setting_id
JOIN models m ON m.id = s.model_id
JOIN corpora c ON c.id = {of}.corpus_id
"""
METRIC_NOTES = View(
    "metric_notes",
    "What must be known of one metric of one evaluation: why it has no value, or that it was approximated.",
    (
        Source(
            f"""
FROM experiments x
JOIN experiment_jobs xj ON xj.experiment_id = x.id
JOIN pair_results e ON e.job_id = xj.job_id AND {asked("e")}
JOIN evaluands v ON v.id = e.evaluand_id
JOIN pair_notes n ON n.result_id = e.id
{_NAMED.format(of="v")}""",
            {"measure": by_measure("n.metric")},
        ),
        f"""
FROM experiments x
JOIN experiment_jobs xj ON xj.experiment_id = x.id
JOIN evaluations e ON e.job_id = xj.job_id AND {asked("e")}
JOIN evaluation_notes n ON n.evaluation_id = e.id
{_NAMED.format(of="e")}""",
    ),
    (
        *setting_columns("experiment model revision setting setting_key"),
        Column("measure", "e.measure", "text", "measure that the metric belongs to"),
        *of(EVALUATED, "query_language candidate_language layer corpus split"),
        Column("metric", "n.metric", "text", "metric that the note is about"),
        Column("note", "n.note", "text", "why it has no value here, or how it was approximated"),
        Column("job", "e.job_id", "integer", "id of the job that computed the evaluation"),
    ),
)

TRAINED_LANGUAGES = View(
    "trained_languages",
    "Whether a model's published list of training languages has a language of the experiment.",
    (
        """
FROM experiments x
JOIN experiment_settings xs ON xs.experiment_id = x.id
JOIN settings s ON s.id = xs.setting_id
JOIN models m ON m.id = s.model_id
JOIN experiment_corpora xc ON xc.experiment_id = x.id
JOIN corpus_texts w ON w.corpus_id = xc.corpus_id
GROUP BY x.name, xs.model, m.revision, w.language
""",
    ),
    (
        *setting_columns("experiment model revision"),
        Column(
            "language", "w.language", "text",
            "language of one of the experiment's corpora: join it to query_language or candidate_language",
        ),
        Column(
            "family", "max((SELECT max(f.family) FROM model_languages f WHERE f.model_id = m.id))", "text",
            "published list that the model falls under; NULL if none is known",
        ),
        Column(
            "trained",
            """max(CASE
        WHEN NOT EXISTS (SELECT 1 FROM model_languages f WHERE f.model_id = m.id) THEN NULL
        WHEN EXISTS (SELECT 1 FROM model_languages f WHERE f.model_id = m.id AND f.language = w.language) THEN 1
        ELSE 0
    END)""",
            "flag",
            "1 if the list has the language, 0 if not, NULL if there is no list",
        ),
    ),
)  # fmt: skip
