"""What each column of the views over language pairs and experts holds, in the views' order."""

from sprachbund.db.views.evaluated_columns import COLUMNS_OF_A_SETTING

_ABOUT = {
    name: COLUMNS_OF_A_SETTING[name]
    for name in (
        "experiment", "model", "revision", "method", "selection", "direction", "edit", "strength", "target", "k",
        "k_fraction", "transform", "side", "setting", "setting_key", "setting_ordinal", "baseline_setting", "corpus",
        "split", "role", "layer", "layer_ordinal", "chosen",
    )
}  # fmt: skip
_PAIRS = {
    "n_pairs": "language pairs",
    "n_languages": "languages of these pairs",
}
_JOB = {"job": "id of the comparison that computed the row"}

GAIN_SUMMARY = {
    **_ABOUT,
    "corpus": "name of the corpus, or of the collection of bilingual corpora",
    "metric": "name of the metric; a gain is its value minus the baseline's, whichever way is better",
    "scope": "pairs summed up: all, target_query, target_candidate, without_target",
    **_PAIRS,
    "median_gain": "median gain over the pairs: read this first",
    "median_low": "lower end of its interval, languages resampled; NULL for fewer than 3 languages",
    "median_high": "upper end of that interval",
    "n_gaining": "pairs whose gain is above 0",
    "least_gain": "smallest gain of a pair",
    "greatest_gain": "greatest gain of a pair: the luckiest of many, biased upwards",
    "mean_gain": "mean gain with query and candidate languages as crossed random effects; NULL for fewer than 3 pairs",
    "mean_low": "lower end of its interval",
    "mean_high": "upper end of that interval",
    "mean_p": "its two-sided p",
    "query_variance": "variance between query languages; of a metric without direction: between languages",
    "candidate_variance": "variance between candidate languages",
    "residual_variance": "variance left to single pairs",
    **_JOB,
}

DISTANCE_CORRELATIONS = {
    **_ABOUT,
    "corpus": "name of the corpus, or of the collection of bilingual corpora",
    "accuracy": "metric meant by accuracy",
    "distance": "metric meant by distance",
    "y": "accuracy_after, accuracy_before, distance_after or gain (accuracy after minus before)",
    "x": "distance_after, distance_before or distance_drop (before minus after)",
    "n_pairs": "language pairs: ordered ones with accuracy, unordered ones of two distances",
    "n_languages": "languages of these pairs",
    "value": "Pearson's correlation over the pairs",
    "ci_low": "lower end of its interval, languages resampled",
    "ci_high": "upper end of that interval",
    "slope": "change of y per unit of x with languages as crossed random effects; of gain: of accuracy_after, with "
    "accuracy_before beside x. NULL where it cannot be estimated",
    "slope_low": "lower end of its interval",
    "slope_high": "upper end of that interval",
    "slope_p": "its two-sided p",
    **_JOB,
}

DISTANCE_TABLE = {
    **{
        name: COLUMNS_OF_A_SETTING[name]
        for name in (
            "experiment", "model", "method", "edit", "strength", "target", "k", "control", "transform", "setting",
            "setting_ordinal", "control_of", "corpus", "role", "layer", "layer_ordinal",
        )
    },
    **{
        f"{name}_{when}": f"{meaning}, {side}"
        for name, meaning in (
            ("all_pairs", "mean distance between the languages' means, all pairs"),
            ("target_to_medoid", "distance of the target's mean to the medoid of the others; NULL without target"),
            ("others_to_medoid", "mean distance of the others' means to the medoid; NULL without target"),
            ("to_target", "mean distance of the others' means to the target's; NULL without target"),
        )
        for when, side in (("before", "of the baseline"), ("after", "of the setting"))
    },
}  # fmt: skip

EXPERT_LAYERS = {
    "experiment": "name of the experiment",
    "model": "name of the model",
    "revision": "the model's revision",
    "target": "target of the expert set",
    "scorer": "scorer of the expert set",
    "k": "units from the top, at most 5,000: every k for which a setting of the experiment edits the top k of this"
    " set over all its blocks and sites (methods experts, union and own; selection top)",
    "block": "block, from 1",
    "site": "site",
    "experts": "how many of the top k are there",
    "share": "that number / k",
    "mean_score": "mean score of these experts",
    "least_score": "smallest score of these experts",
    "n_units": "units that were ranked",
    "expert_set_key": "content key of the expert set",
    "job": "id of the job that ranked them",
}
