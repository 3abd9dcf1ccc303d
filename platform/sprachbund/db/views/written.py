"""Views of what a model writes and predicts."""

from string import Template

from sprachbund.db.views.columns import Column, View, changed, of
from sprachbund.db.views.differences import BESIDE_EVALUATION, DELTA, INTERVAL, P
from sprachbund.db.views.evaluated import EVALUATED
from sprachbund.db.views.setting import setting_columns

# What a model writes or predicts has no layer; the baseline's evaluation is that of the same measure, languages
# and corpus in the same experiment.
SIDE_EFFECTS = View(
    "side_effects",
    "One number on what a setting makes the model write or predict: free generation, perplexity, translation, beside "
    "the baseline's.",
    (
        Template(
            """
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
    ON b.setting_id = xs.baseline_id AND b.measure = e.measure AND b.version = e.version
    AND b.layer IS NULL
    AND b.corpus_id IS NOT DISTINCT FROM e.corpus_id
    AND b.query_language IS NOT DISTINCT FROM e.query_language
    AND b.candidate_language IS NOT DISTINCT FROM e.candidate_language
    AND EXISTS (SELECT 1 FROM experiment_jobs bj WHERE bj.experiment_id = x.id AND bj.job_id = b.job_id)
LEFT JOIN metrics br ON br.evaluation_id = b.id AND br.name = r.name
$beside
WHERE xj.experiment_id = x.id
    AND e.job_id = xj.job_id
    AND e.measure IN ('generation', 'generated_language', 'perplexity', 'translation')
    AND xs.experiment_id = x.id AND xs.setting_id = e.setting_id
    AND s.id = xs.setting_id
    AND i.id = s.intervention_id
    AND m.id = s.model_id
    AND r.evaluation_id = e.id
"""
        ).substitute(beside=BESIDE_EVALUATION),
    ),
    (
        *setting_columns(
            "experiment model revision setting setting_key setting_ordinal method target k k_fraction strength control "
            "seed control_of"
        ),
        Column("measure", "e.measure", "text", "generation, generated_language, perplexity or translation"),
        Column(
            "language", "e.query_language", "text",
            "language of the text, identified in generations or translated from; NULL for all generations",
        ),
        Column(
            "into_language", "e.candidate_language", "text", "language translated into; NULL but for translation"
        ),
        Column(
            "of_target",
            """CASE WHEN i.target IS NULL OR e.query_language IS NULL THEN NULL
        WHEN coalesce(e.candidate_language, e.query_language) = i.target THEN 1 ELSE 0 END""",
            "flag",
            "1 if that is the setting's target, 0 if not; NULL without target or language",
        ),
        *changed(
            of(EVALUATED, "corpus split metric value ci_low ci_high baseline delta"),
            sql={"delta": DELTA},
            says={
                "corpus": "name of the corpus; NULL for free generation",
                "value": "value of the metric, of free generations over all seeds",
                "delta": "value minus baseline; where n_shared is not NULL, both on what both settings read",
            },
        ),
        *INTERVAL,
        P,
        Column(
            "n_shared", "d.n_items", "integer",
            "documents, samples or sentences that both settings read, seeds for distinct_n; NULL before the difference "
            "is computed, and for what has none",
        ),
        *changed(
            of(EVALUATED, "baseline_setting n_items n_groups"),
            says={
                "n_items": "samples, documents or sentences the value rests on",
                "n_groups": "what the interval resamples: samples, seeds, documents or their groups, sentences",
            },
        ),
        *of(EVALUATED, "numerics job"),
    ),
)  # fmt: skip

GENERATED_SAMPLES = View(
    "generated_samples",
    "One text that the model wrote under a setting: a free generation with its language, or a translation.",
    (
        """
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
""",
    ),
    (
        *setting_columns("experiment model setting setting_key setting_ordinal target control_of"),
        Column("seed", "g.seed", "integer", "seed of the free generation; NULL for translations"),
        Column("language", "ct.language", "text", "language translated from; NULL for free generation"),
        Column("into_language", "g.target_language", "text", "language translated into; NULL for free generation"),
        Column("sample", "w.sample", "integer", "number of the sample, from 0"),
        Column("item", "w.item", "text", "item of the corpus that was translated"),
        Column("text", "w.text", "text", "what the model wrote; of a translation its first line"),
        Column("n_tokens", "w.n_tokens", "integer", "tokens written, without the end token"),
        Column(
            "ended", "CASE WHEN w.ended THEN 1 ELSE 0 END", "flag", "1 if the model ended it before the limit of tokens"
        ),
        Column(
            "repetition", "w.repetition", "real",
            "share of repeated 4-grams of tokens; NULL with fewer than four tokens",
        ),
        Column(
            "label", "l.label", "text",
            "the language identifier's label; NULL without a letter, and for translations",
        ),
        Column("probability", "l.probability", "real", "the identifier's probability of that label"),
        Column(
            "degenerate", "CASE WHEN l.degenerate THEN 1 WHEN l.degenerate IS NULL THEN NULL ELSE 0 END", "flag",
            "1 if it has no letter or repeats more than repetition_limit; NULL for translations",
        ),
        Column("job", "g.job_id", "integer", "id of the job that computed the row"),
    ),
)  # fmt: skip
