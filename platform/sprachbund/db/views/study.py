"""Views over language pairs: what the steering study's tables are made of."""

from string import Template

from sprachbund.db.views.asked import current, planned
from sprachbund.db.views.columns import Column, View, changed, of
from sprachbund.db.views.evaluated import EVALUATED
from sprachbund.db.views.setting import chosen, setting_columns

_FROM = Template(
    """
FROM experiments x
CROSS JOIN experiment_jobs xj
CROSS JOIN $table
CROSS JOIN experiment_layers xl
CROSS JOIN experiment_settings xs
CROSS JOIN settings s
CROSS JOIN interventions i
CROSS JOIN models m
JOIN experiment_settings xb ON xb.experiment_id = x.id AND xb.setting_id = c.baseline_id
WHERE xj.experiment_id = x.id
    AND c.job_id = xj.job_id
    AND $current
    AND xl.experiment_id = x.id AND xl.layer = c.layer
    AND xs.experiment_id = x.id AND xs.setting_id = c.setting_id
    AND s.id = c.setting_id
    AND i.id = s.intervention_id
    AND m.id = s.model_id
"""
)
_SETTING = setting_columns(
    "experiment model revision method selection direction edit strength target k k_fraction transform side setting "
    "setting_key setting_ordinal baseline_setting"
)
_PLACE = changed(
    of(EVALUATED, "corpus split role layer layer_ordinal chosen"),
    sql={
        "corpus": "c.corpus",
        "split": "c.split",
        "role": "c.role",
        "layer": "c.layer",
        "chosen": chosen("c.layer").sql,
    },
    says={"corpus": "name of the corpus, or of the collection of bilingual corpora"},
)
_N_LANGUAGES = Column("n_languages", "c.n_languages", "integer", "languages of these pairs")
_JOB = Column("job", "c.job_id", "integer", "id of the comparison that computed the row")

FIT_ERROR = (
    Column(
        "n_fit_resamples", "c.n_fit_resamples", "integer",
        "random halves of the fit text that the setting was fitted on anew; NULL for none",
    ),
    Column(
        "fit_error", "c.fit_error", "real",
        "standard error of the difference due to the sample that experts, values or directions are fitted on",
    ),
)  # fmt: skip

# What differences pair by pair come to.
GAINS = (
    _N_LANGUAGES,
    Column("median_gain", "c.median_gain", "real", "median gain over the pairs"),
    Column(
        "median_low", "c.median_low", "real",
        "lower end of its interval, languages resampled; NULL for fewer than 8 languages",
    ),
    Column("median_high", "c.median_high", "real", "upper end of that interval"),
    Column(
        "n_gaining", "c.n_gaining", "integer",
        "pairs that get better, by more than 1e-6; NULL where neither way of the metric is better",
    ),
    Column("least_gain", "c.least_gain", "real", "smallest gain of a pair"),
    Column(
        "greatest_gain", "c.greatest_gain", "real", "greatest gain of a pair: the luckiest of many, biased upwards"
    ),
    Column(
        "mean_gain", "c.mean_gain", "real",
        "mean gain with query and candidate languages as crossed random effects; NULL for fewer than 3 pairs",
    ),
    Column("mean_low", "c.mean_low", "real", "lower end of its interval"),
    Column("mean_high", "c.mean_high", "real", "upper end of that interval"),
    Column("mean_p", "c.mean_p", "real", "its two-sided p"),
    Column("mean_error", "c.mean_error", "real", "its standard error, over languages"),
    Column("mean_degrees", "c.mean_degrees", "integer", "degrees of freedom of that"),
    Column("item_error", "c.item_error", "real", "standard error of the mean difference over items (or groups) alone"),
    Column("item_degrees", "c.item_degrees", "integer", "degrees of freedom of that"),
    Column(
        "population_low", "c.population_low", "real",
        "lower end of the mean gain's interval over languages and items (and fit samples, where fit_error is there): "
        "read it before mean_low, and before "
        "delta_ci_low of setting_comparison, which are of these items, or of these languages, alone",
    ),
    Column("population_high", "c.population_high", "real", "upper end of that interval"),
    Column("population_p", "c.population_p", "real", "two-sided p of the mean gain over the same"),
    Column(
        "query_variance", "c.query_variance", "real",
        "variance between query languages; of a metric without direction: between languages",
    ),
    Column("candidate_variance", "c.candidate_variance", "real", "variance between candidate languages"),
    Column("residual_variance", "c.residual_variance", "real", "variance left to single pairs"),
)  # fmt: skip

GAIN_SUMMARY = View(
    "gain_summary",
    "Differences of one setting to its baseline pair by pair, summed up: median and mean over language pairs, with "
    "intervals that know pairs share languages. There is no row where the metric is undefined for one of the pairs: "
    "nothing is compared there.",
    (
        _FROM.substitute(table="comparisons c", current=current("c"))
        + "    AND c.contrast IS NULL AND c.median_gain IS NOT NULL",
    ),
    (
        *_SETTING,
        *_PLACE,
        Column(
            "metric", "c.metric", "text",
            "name of the metric; a gain is its value minus the baseline's, whichever way is better",
        ),
        Column("scope", "c.scope", "text", "pairs summed up: all, target_query, target_candidate, without_target"),
        Column("n_pairs", "c.n_pairs", "integer", "language pairs"),
        Column("n_items", "c.n_items", "integer", "items the gains rest on"),
        Column(
            "n_groups", "c.n_groups", "integer",
            "groups (documents) of those items, drawn or not; NULL where the text has none",
        ),
        *GAINS,
        *FIT_ERROR,
        _JOB,
    ),
)  # fmt: skip

LANGUAGE_GAINS = View(
    "language_gains",
    "What one language gains by a setting: the difference to its baseline, averaged over the languages it is paired "
    "with.",
    (
        _FROM.substitute(table="comparisons c\nCROSS JOIN comparison_languages g", current=current("c"))
        + "    AND g.comparison_id = c.id",
    ),
    (
        *_SETTING,
        *_PLACE,
        Column("metric", "c.metric", "text", "name of the metric; a gain is its value minus the baseline's"),
        Column("language", "g.language", "text", "the language"),
        Column(
            "language_side", "g.side", "text",
            "side of the pairs that it is on: query, candidate, either (both together; all there is of metrics without "
            "direction)",
        ),
        Column("n_partners", "g.n_partners", "integer", "languages it is paired with"),
        Column("n_items", "g.n_items", "integer", "items of these pairs"),
        Column("n_groups", "g.n_groups", "integer", "what items are drawn by: groups, or items"),
        Column("value", "g.value", "real", "mean of the metric over the partners"),
        Column("gain", "g.gain", "real", "mean over the partners of the difference to the baseline"),
        Column(
            "gain_low", "g.low", "real",
            "lower end of its interval, for partner languages and items like these, language by language (of many, "
            "some miss); with one partner about that partner alone",
        ),
        Column("gain_high", "g.high", "real", "upper end of that interval"),
        Column(
            "partner_error", "g.partner_error", "real", "standard error over partners alone; NULL with a single partner"
        ),
        Column("item_error", "g.item_error", "real", "standard error over items alone"),
        Column("degrees", "g.degrees", "integer", "degrees of freedom of the interval's t"),
        _JOB,
    ),
)  # fmt: skip

DISTANCE_CORRELATIONS = View(
    "distance_correlations",
    "One correlation of retrieval accuracy and distance over language pairs, before and after steering (the steering "
    "study's Table 2).",
    (_FROM.substitute(table="correlations c", current=current("c")),),
    (
        *_SETTING,
        *_PLACE,
        Column("accuracy", "c.accuracy", "text", "metric meant by accuracy"),
        Column("distance", "c.distance", "text", "metric meant by distance"),
        Column(
            "y", "c.y", "text", "accuracy_after, accuracy_before, distance_after or gain (accuracy after minus before)"
        ),
        Column("x", "c.x", "text", "distance_after, distance_before or distance_drop (before minus after)"),
        Column(
            "n_pairs", "c.n_pairs", "integer",
            "language pairs: ordered ones with accuracy, unordered ones of two distances",
        ),
        _N_LANGUAGES,
        Column("value", "c.value", "real", "Pearson's correlation over the pairs"),
        Column("ci_low", "c.ci_low", "real", "lower end of its interval, languages resampled"),
        Column("ci_high", "c.ci_high", "real", "upper end of that interval"),
        Column(
            "slope", "c.slope", "real",
            "change of y per unit of x with languages as crossed random effects; of gain: of accuracy_after, with "
            "accuracy_before beside x. NULL where it cannot be estimated",
        ),
        Column("slope_low", "c.slope_low", "real", "lower end of its interval"),
        Column("slope_high", "c.slope_high", "real", "upper end of that interval"),
        Column("slope_p", "c.slope_p", "real", "its two-sided p"),
        _JOB,
    ),
)  # fmt: skip

# The baseline has no target: what Table 1 says of one is had from its distances per language and per pair.
_OF_BASELINE = Template(
    """(SELECT avg(r.value) FROM evaluations b CROSS JOIN metrics r
        WHERE b.setting_id = xs.baseline_id
            AND b.corpus_id = e.corpus_id AND b.layer = e.layer AND b.pooling = e.pooling
            AND b.tokens = e.tokens AND b.measure = '$measure'
            AND r.evaluation_id = b.id AND r.name = '$metric' AND $which
            AND $planned)"""
)
_TO_TARGET_OF_BASELINE = f"""(SELECT avg(b.centroid_distance) FROM evaluands v CROSS JOIN pair_results b
        WHERE v.setting_id = xs.baseline_id
            AND v.corpus_id = e.corpus_id AND v.pooling = e.pooling AND v.tokens = e.tokens
            AND b.evaluand_id = v.id AND b.layer = e.layer
            AND (b.query_language = i.target OR b.candidate_language = i.target)
            AND {planned("b")})"""  # noqa: S608 - our own names


def _of_baseline(measure: str, metric: str, which: str = "") -> str:
    """SQL: the mean of a metric of the baseline's space or languages."""
    which = f"b.scope_digest = e.scope_digest{which}"
    return _OF_BASELINE.substitute(measure=measure, metric=metric, which=which, planned=planned("b"))


def _before_and_after(name: str, says: str, of_baseline: str, after: str) -> tuple[Column, Column]:
    """A distance of the baseline and of the setting (its metric)."""
    own = f"(SELECT r.value FROM metrics r WHERE r.evaluation_id = e.id AND r.name = '{after}')"  # noqa: S608
    return (
        Column(f"{name}_before", of_baseline, "real", f"{says}, of the baseline"),
        Column(f"{name}_after", own, "real", f"{says}, of the setting"),
    )


DISTANCE_TABLE = View(
    "distance_table",
    "Distances among the languages' means under one setting at one layer, before and after (the steering study's "
    "Table 1).",
    (
        """
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
    AND xl.experiment_id = x.id AND xl.layer = e.layer
    AND xc.experiment_id = x.id AND xc.corpus_id = e.corpus_id AND xc.role <> 'fit'
    AND c.id = e.corpus_id
    AND xs.experiment_id = x.id AND xs.setting_id = e.setting_id AND xs.baseline_id IS NOT NULL
    AND s.id = xs.setting_id
    AND i.id = s.intervention_id
    AND m.id = s.model_id
""",
    ),
    (
        *setting_columns(
            "experiment model method edit strength target k control transform setting setting_ordinal control_of"
        ),
        *of(EVALUATED, "corpus role layer layer_ordinal"),
        *_before_and_after(
            "all_pairs", "mean distance between the languages' means, all pairs",
            _of_baseline("space", "all_pairs_distance"), "all_pairs_distance",
        ),
        *_before_and_after(
            "target_to_medoid", "distance of the target's mean to the medoid of the others; NULL without target",
            _of_baseline("spread", "to_medoid_of_others", " AND b.query_language = i.target"), "target_to_medoid",
        ),
        *_before_and_after(
            "others_to_medoid", "mean distance of the others' means to the medoid; NULL without target",
            _of_baseline("spread", "to_medoid_of_others", " AND b.query_language <> i.target"), "others_to_medoid",
        ),
        *_before_and_after(
            "to_target", "mean distance of the others' means to the target's; NULL without target",
            _TO_TARGET_OF_BASELINE, "others_to_target",
        ),
    ),
)  # fmt: skip
