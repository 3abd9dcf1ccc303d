"""Views of a comparison's numbers: a setting against its baseline, its controls, and pair by pair."""

from string import Template

from sprachbund.db.views.adjusted import adjusted, family_kind
from sprachbund.db.views.asked import current
from sprachbund.db.views.columns import Column, View, changed, of
from sprachbund.db.views.evaluated import EVALUATED, FAMILY_SIZE
from sprachbund.db.views.setting import chosen
from sprachbund.db.views.study import FIT_ERROR, GAINS
from sprachbund.measures import RATIO_FLOOR, WITH_RATIO

_FROM = Template(
    """
FROM experiments x
CROSS JOIN experiment_jobs xj
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
) xr ON xr.experiment_id = x.id AND xr.role = c.role AND xr.corpus = c.corpus
    AND xr.split = c.split
LEFT JOIN experiment_settings xp ON xp.experiment_id = x.id AND xp.setting_id = xs.control_of_id
$joins
WHERE xj.experiment_id = x.id
    AND c.job_id = xj.job_id
    AND $current
    AND xl.experiment_id = x.id AND xl.layer = c.layer
    AND xs.experiment_id = x.id AND xs.setting_id = c.setting_id
    AND s.id = c.setting_id
    AND i.id = s.intervention_id
    AND m.id = s.model_id
    AND c.contrast IS $contrast
"""
)
_BASELINE = "JOIN experiment_settings xb ON xb.experiment_id = x.id AND xb.setting_id = c.baseline_id"


def _from(*joins: str, contrast: str = "NULL") -> str:
    return _FROM.substitute(current=current("c"), joins="\n".join(joins), contrast=contrast)


def _adjusted(column: str) -> str:
    return adjusted(column, "adjusted_comparisons", "comparison_id", "c.id", "c")


_COMPARED = (
    *changed(
        EVALUATED,
        sql={
            "query_language": "CAST(NULL AS VARCHAR(16))",
            "candidate_language": "CAST(NULL AS VARCHAR(16))",
            "target_side": "CASE c.scope WHEN 'target_query' THEN 'query' WHEN 'target_candidate' THEN 'candidate'\n"
            "        WHEN 'without_target' THEN 'neither' END",
            "layer": "c.layer",
            "pooling": "x.spec -> 'embeddings' ->> 'pooling'",
            "tokens": "x.spec -> 'embeddings' ->> 'tokens'",
            "corpus": "c.corpus",
            "collection": "xr.collection",
            "role": "xr.role",
            "chosen": chosen("c.layer").sql,
            "job": "c.job_id",
            "split": "c.split",
            **{name: f"c.{name}" for name in ("metric", "value", "ci_low", "ci_high", "n_items", "n_groups")},
            **{name: f"c.{name}" for name in ("baseline", "delta", "p")},
            "q": _adjusted("a.q"),
        },
        says={
            "query_language": "always NULL: a mean over pairs",
            "candidate_language": "always NULL: a mean over pairs",
            "target_side": "side of the target language in the scope's pairs; NULL for scope all",
            "corpus": "name of the corpus, or of the collection of bilingual corpora",
            "collection": "the collection, if it is one",
            "value": "mean of the metric over the language pairs of the scope",
            "p": "p-value of the paired difference to the baseline",
            "q": "that p-value adjusted for multiplicity within its family; NULL where nothing can differ",
            "n_groups": "groups (documents) of those items, drawn or not; NULL where the text has none",
        },
    ),
    Column("scope", "c.scope", "text", "pairs averaged: all, target_query, target_candidate, without_target"),
    Column("n_pairs", "c.n_pairs", "integer", "language pairs averaged"),
    Column("unit", "c.unit", "text", "what intervals and tests draw: item or group"),
    Column("median", "c.median", "real", "median over the pairs"),
)

_RATIO = (
    Column(
        "ratio",
        f"CASE WHEN c.baseline >= {RATIO_FLOOR} AND c.metric IN ({', '.join(map(repr, WITH_RATIO))})\n"
        "        THEN c.value / c.baseline END", "real",
        f"value over baseline; NULL where that is below {RATIO_FLOOR}, or may be negative",
    ),
    Column("ratio_ci_low", "c.ratio_ci_low", "real", "lower end of the ratio's interval, by the difference's draws"),
    Column("ratio_ci_high", "c.ratio_ci_high", "real", "upper end of the ratio's interval"),
)  # fmt: skip

_FLOORS = (
    Column("p_floor", "c.p_floor", "real", "the least p that so many draws can give"),
    Column(
        "q_at_floor",
        _adjusted("CASE WHEN a.q <= f.q_floor OR (f.q_floor IS NULL AND c.p <= c.p_floor) THEN 1 ELSE 0 END"),
        "flag",
        "1 where more draws could give a smaller q: read it as at most",
    ),
)  # fmt: skip

_FIT_INTERVAL = (
    Column(
        "fit_low", "c.fit_low", "real",
        "lower end of the difference's interval over items and fit samples; NULL without fit_error",
    ),
    Column("fit_high", "c.fit_high", "real", "upper end of that interval"),
)  # fmt: skip

_CONTROL_P = (
    Column(
        "control_p", "(SELECT max(cc.p) FROM control_comparisons cc WHERE cc.comparison_id = c.id)", "real",
        "largest p over the setting's control variants; too small in setting_comparison where results picked the layer",
    ),
    Column(
        "n_control_variants",
        "(SELECT count(*) FROM control_comparisons cc WHERE cc.comparison_id = c.id)", "integer",
        "control variants that were compared with",
    ),
)  # fmt: skip

SETTING_COMPARISON = View(
    "setting_comparison",
    "One setting against one baseline on one metric and layer: the macro mean over the language pairs of a scope, the "
    "paired difference with its interval, p and q, and the control p beside it.",
    (
        _from(_BASELINE),
    ),
    (
        *_COMPARED,
        Column("delta_ci_low", "c.delta_ci_low", "real", "lower end of the difference's interval"),
        Column("delta_ci_high", "c.delta_ci_high", "real", "upper end of the difference's interval"),
        *_RATIO,
        *_FLOORS,
        *FIT_ERROR,
        *_FIT_INTERVAL,
        *changed([FAMILY_SIZE], sql={"family_size": _adjusted("f.size")}),
        Column(
            "family_kind", f"CASE WHEN xs.control_of_id IS NULL THEN {family_kind('c.layer')} END", "text",
            "the tests that the family is of: steered, of settings that edit; transforms, of those that edit nothing "
            "up to this layer; NULL where nothing can differ (layers before the first edited block), and of controls",
        ),
        Column(
            "threshold", _adjusted("f.threshold"), "real",
            "a p up to here counts as found in the family, given what else is found there (of max_t: the critical |T| "
            "as a normal deviate's p); NULL where draws are too few for any",
        ),
        Column("item_error", "c.item_error", "real", "standard error of delta over what is drawn"),
        Column("item_degrees", "c.item_degrees", "integer", "its degrees of freedom"),
        Column(
            "n_differing", "c.n_differing", "integer",
            "items (groups, where these are drawn) on which the setting and its baseline differ at all",
        ),
        *_CONTROL_P,
    ),
)  # fmt: skip

_CONTROLS = "JOIN control_comparisons cc ON cc.comparison_id = c.id"
CONTROL_COMPARISON = View(
    "control_comparison",
    "One steered setting against the distribution of one variant of its controls; here baseline, delta and p are "
    "those of the controls.",
    (_from(_CONTROLS),),
    (
        *changed(
            _COMPARED,
            sql={
                "control": "cc.control",
                "seed": "CAST(NULL AS BIGINT)",
                "baseline": "cc.control_mean",
                "delta": "c.value - cc.control_mean",
                "p": "cc.p",
                "q": "CAST(NULL AS DOUBLE PRECISION)",
                "baseline_setting": "CAST(NULL AS TEXT)",
            },
            says={
                "control": "variant of the controls compared with",
                "seed": "always NULL: a distribution over seeds",
                "baseline": "mean over the controls",
                "delta": "value minus the controls' mean, in the metric's points",
                "p": "(1 + controls at least as good) / (1 + controls)",
                "q": "always NULL: the control p is not adjusted",
                "baseline_setting": "always NULL: a distribution of settings",
            },
        ),
        Column("n_controls", "cc.n_controls", "integer", "controls of this variant"),
        Column("control_low", "cc.control_low", "real", "lowest value among the controls"),
        Column("control_high", "cc.control_high", "real", "highest value among the controls"),
    ),
)

_AGAINST = (
    Column("contrast", "c.contrast", "text", "asked: the spec compares the two; best: each was chosen on select"),
    Column("against", "xb.label", "text", "label of the setting it is held against"),
    Column("against_key", "sb.key", "text", "content key of that setting"),
    Column("against_layer", "c.baseline_layer", "text", "layer of that setting: another where both were chosen"),
)
_OTHER = f"{_BASELINE}\nJOIN settings sb ON sb.id = c.baseline_id"

CONTRASTS = View(
    "contrasts",
    "One setting at one layer against any other than its own baseline at that layer: two settings that the spec "
    "compares, or what was chosen on select against what was chosen of a baseline (best against best). Numbers are as "
    "in setting_comparison and gain_summary; baseline and delta are of the setting it is held against.",
    (_from(_OTHER, contrast="NOT NULL"),),
    (
        *of(_COMPARED, "experiment model setting setting_key setting_ordinal target layer layer_ordinal"),
        *_AGAINST,
        *of(_COMPARED, "corpus split role metric scope value ci_low ci_high baseline delta"),
        Column("delta_ci_low", "c.delta_ci_low", "real", "lower end of the difference's interval, over items"),
        Column("delta_ci_high", "c.delta_ci_high", "real", "upper end of the difference's interval"),
        *FIT_ERROR,
        *_FIT_INTERVAL,
        *_RATIO,
        *of(_COMPARED, "p q"),
        *_FLOORS,
        *changed([FAMILY_SIZE], sql={"family_size": _adjusted("f.size")}),
        *GAINS,
        *_CONTROL_P,
        *of(_COMPARED, "n_pairs n_items n_groups unit choice_key job"),
    ),
)

CONTRAST_CONTROLS = View(
    "contrast_controls",
    "What was chosen of a setting's group against the distribution of one variant of its controls, of which every "
    "member chose its setting and layer by the same rule; baseline, delta and p are those of the controls.",
    (_from(_CONTROLS, _OTHER, contrast="NOT NULL"),),
    (
        *of(
            CONTROL_COMPARISON.columns,
            "experiment model setting setting_key setting_ordinal target layer layer_ordinal",
        ),
        *_AGAINST,
        *of(CONTROL_COMPARISON.columns, "corpus split role metric scope control value baseline delta p"),
        *of(CONTROL_COMPARISON.columns, "n_controls control_low control_high"),
    ),
)
