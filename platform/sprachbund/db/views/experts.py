"""Views of expert sets: where their units are, and which they share."""

from sprachbund.db.views.columns import Column, View, changed
from sprachbund.db.views.setting import setting_columns

_MODEL = changed(
    setting_columns("experiment model revision"),
    sql={"model": "m.name"},
    says={"model": "name of the model, as it was first submitted"},
)
_SET = (
    Column("target", "a.target", "text", "target of the expert set"),
    Column("scorer", "a.scorer", "text", "scorer of the expert set"),
)
_PLACE = (
    Column("block", "u.block", "integer", "block, from 1"),
    Column("site", "u.site", "text", "site"),
)
_RANKED = (
    Column("n_units", "a.n_units", "integer", "units that were ranked"),
    Column("expert_set_key", "a.key", "text", "content key of the expert set"),
    Column("job", "a.job_id", "integer", "id of the job that ranked them"),
)

EXPERT_OVERLAP = View(
    "expert_overlap",
    "How many of their top k units two expert sets of one model share.",
    (
        """
FROM experiments x
JOIN experiment_jobs xj ON xj.experiment_id = x.id
JOIN expert_overlaps o ON o.job_id = xj.job_id
JOIN expert_sets a ON a.id = o.expert_set_id
JOIN expert_sets b ON b.id = o.other_set_id
JOIN models m ON m.id = a.model_id
""",
    ),
    (
        *_MODEL,
        Column("target", "a.target", "text", "target of the first expert set"),
        Column("other_target", "b.target", "text", "target of the second expert set"),
        Column("scorer", "a.scorer", "text", "scorer of the first expert set"),
        Column("other_scorer", "b.scorer", "text", "scorer of the second expert set"),
        Column("score_site", "CAST(a.sites AS TEXT)", "json", "sites whose units were scored, as a JSON list"),
        Column("pooling", "a.pooling", "text", "how a sentence's tokens became one response"),
        Column("tokens", "a.tokens", "text", "tokens that were pooled"),
        Column("k", "o.k", "integer", "units taken from the top of each set"),
        Column("k_fraction", "CAST(o.k AS DOUBLE PRECISION) / a.n_units", "real", "k as a share of all units"),
        Column("shared", "o.shared", "integer", "units in both"),
        Column("jaccard", "o.jaccard", "real", "shared units / units in either"),
        Column(
            "expected_shared", "CAST(o.k AS DOUBLE PRECISION) * o.k / a.n_units", "real",
            "units that two random choices of k would share on average: k² / units",
        ),
        Column("tied_at_cut", "o.tied_at_cut", "integer", "units tied in score at the k-th place"),
        Column("expert_set_key", "a.key", "text", "content key of the first expert set"),
        Column("other_set_key", "b.key", "text", "content key of the second expert set"),
        Column("job", "o.job_id", "integer", "id of the job that computed the row"),
    ),
)  # fmt: skip

EXPERT_LAYERS = View(
    "expert_layers",
    "How the top k experts of one target are spread over one site of one block.",
    (
        """
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
""",
    ),
    (
        *_MODEL,
        *_SET,
        Column(
            "k", "n.k", "integer",
            "units from the top, at most 5,000: every k for which a setting of the experiment edits the top k of this"
            " set over all its blocks and sites (methods experts, union and own; selection top)",
        ),
        *_PLACE,
        Column("experts", "count(*)", "integer", "how many of the top k are there"),
        Column("share", "CAST(count(*) AS DOUBLE PRECISION) / n.k", "real", "that number / k"),
        Column("mean_score", "avg(u.score)", "real", "mean score of these experts"),
        Column("least_score", "min(u.score)", "real", "smallest score of these experts"),
        *_RANKED,
    ),
)  # fmt: skip

TOP_UNITS = View(
    "top_units",
    "One of the first 5,000 units of one expert set: where it is, its score, and how it responds to the target.",
    (
        """
FROM experiments x
CROSS JOIN experiment_jobs xj
CROSS JOIN expert_sets a
CROSS JOIN expert_units u
CROSS JOIN models m
WHERE xj.experiment_id = x.id
    AND a.job_id = xj.job_id
    AND u.expert_set_id = a.id
    AND m.id = a.model_id
    AND EXISTS (
        SELECT 1 FROM experiment_settings xs
        JOIN settings s ON s.id = xs.setting_id
        JOIN intervention_inputs ii ON ii.intervention_id = s.intervention_id
        WHERE xs.experiment_id = x.id AND ii.input_key = a.key
    )
""",
    ),
    (
        *_MODEL,
        *_SET,
        Column("rank", "u.rank", "integer", "place in the ranking, from 1"),
        *_PLACE,
        Column("unit", "u.unit", "integer", "number of the unit in its site, from 0"),
        Column("score", "u.score", "real", "the scorer's value, by which units are ranked"),
        Column(
            "effect", "u.effect", "real",
            "Cohen's d of the responses, the target against its negatives",
        ),
        Column("p", "u.p", "real", "two-sided p of the Mann–Whitney test of the two"),
        Column("minimum_auroc", "u.minimum_auroc", "real", "least AUROC of the target against one language alone"),
        Column("pooled_mean", "u.pooled_mean", "real", "mean pooled response over the target's fit sentences"),
        Column("token_mean", "u.token_mean", "real", "mean response over the tokens of these sentences"),
        Column("n_positives", "a.n_positives", "integer", "the target's sentences that units were scored on"),
        Column("n_negatives", "a.n_negatives", "integer", "sentences of the other languages"),
        Column("negatives", "CAST(a.negatives AS TEXT)", "json", "the other languages, as a JSON list"),
        Column(
            "token_count_auroc", "a.token_count_auroc", "real",
            "AUROC of the mere number of tokens: how far sentence length alone separates the target",
        ),
        *_RANKED,
    ),
)  # fmt: skip
