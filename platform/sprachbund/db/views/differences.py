"""Differences of what is no comparison's business: beside their evaluations, and in a view of their own."""

from string import Template

from sprachbund.db.views.asked import current
from sprachbund.db.views.columns import Column, View, changed, of
from sprachbund.db.views.evaluated import EVALUATED
from sprachbund.db.views.setting import setting_columns

_BESIDE = Template(
    """LEFT JOIN evaluation_differences d ON d.evaluation_key = e.key AND d.metric = r.name
    AND d.baseline_id = xs.baseline_id
    AND EXISTS (SELECT 1 FROM experiment_jobs dj WHERE dj.experiment_id = x.id AND dj.job_id = d.job_id)
    AND $current"""
)
BESIDE_EVALUATION = _BESIDE.substitute(current=current("d"))
"""SQL: the difference `d` of the metric `r` of the evaluation `e`, of the setting `xs` of the experiment `x`."""

DELTA = "coalesce(d.value - d.baseline, r.value - br.value)"
INTERVAL = (
    Column(
        "delta_ci_low", "d.delta_ci_low", "real",
        "lower end of the difference's interval, both settings resampled together; NULL where too little can be drawn",
    ),
    Column("delta_ci_high", "d.delta_ci_high", "real", "upper end of the difference's interval"),
)  # fmt: skip
P = Column("p", "d.p", "real", "two-sided p of the paired difference to the baseline; adjusted for nothing")

PAIRED_DIFFERENCES = View(
    "paired_differences",
    "One number of a setting and its baseline's on the items that both read, where no comparison has it: what a model "
    "writes and predicts, ABX tasks, probes, and registered measures over all pairs.",
    (
        f"""
FROM experiments x
CROSS JOIN experiment_jobs xj
CROSS JOIN evaluation_differences d
CROSS JOIN experiment_settings xs
CROSS JOIN settings s
CROSS JOIN interventions i
CROSS JOIN models m
LEFT JOIN corpora c ON c.id = d.corpus_id
LEFT JOIN experiment_settings xb ON xb.experiment_id = x.id AND xb.setting_id = d.baseline_id
LEFT JOIN experiment_settings xp ON xp.experiment_id = x.id AND xp.setting_id = xs.control_of_id
LEFT JOIN experiment_layers xl ON xl.experiment_id = x.id AND xl.layer = d.layer
WHERE xj.experiment_id = x.id
    AND d.job_id = xj.job_id
    AND {current("d")}
    AND (d.layer IS NULL OR xl.layer IS NOT NULL)
    AND xs.experiment_id = x.id AND xs.setting_id = d.setting_id
    AND s.id = xs.setting_id
    AND i.id = s.intervention_id
    AND m.id = s.model_id
""",
    ),
    (
        *setting_columns(
            "experiment model revision setting setting_key setting_ordinal method target k k_fraction strength control "
            "seed control_of"
        ),
        Column("measure", "d.measure", "text", "measure that yields the metric"),
        Column(
            "task",
            "(SELECT k.name FROM evaluations e JOIN evaluation_tasks k ON k.key = e.scope_digest\n"
            "        WHERE e.key = d.evaluation_key)", "text",
            "the ABX task or the label that is probed; NULL for other measures",
        ),
        Column(
            "language", "d.query_language", "text", "language that the number is about; NULL for all languages or pairs"
        ),
        Column("other_language", "d.candidate_language", "text", "language translated into, or compared with"),
        Column("layer", "d.layer", "text", "layer of the embeddings; NULL for what a model writes"),
        *setting_columns("layer_ordinal"),
        *of(EVALUATED, "corpus split"),
        *changed(
            of(EVALUATED, "metric value baseline delta"),
            sql={"metric": "d.metric", "value": "d.value", "baseline": "d.baseline", "delta": "d.value - d.baseline"},
            says={
                "value": "value of the metric on these items",
                "baseline": "the baseline's on the same items",
                "delta": "value minus baseline, in the metric's points",
            },
        ),
        *INTERVAL,
        P,
        *changed(
            of(EVALUATED, "n_items n_groups baseline_setting numerics job"),
            sql={"n_items": "d.n_items", "n_groups": "d.n_groups", "job": "d.job_id"},
            says={
                "n_items": "documents, samples, sentences or rows that both settings read",
                "n_groups": "what is drawn: these, their groups or items, or seeds",
            },
        ),
    ),
)  # fmt: skip
