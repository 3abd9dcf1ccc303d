"""Cosine distances: of a pair, within a language, and among all languages of a setting."""

from sprachbund.measures.base import SUNDAR, Measure, Metric

METRICS: tuple[Metric, ...] = (
    Metric(
        "paired_distance", "cosine distance", "none", 0.0, 2.0, "bootstrap",
        "mean distance of translations; falls by collapse as well as by alignment: read it beside distance_gap",
        f"{SUNDAR}, distances", "compared",
    ),
    Metric(
        "unpaired_distance", "cosine distance", "none", 0.0, 2.0, "bootstrap",
        "mean distance of sentences that are not translations",
        "unpaired counterpart of paired_distance", "compared",
    ),
    Metric(
        "distance_gap", "cosine distance", "higher", -2.0, 2.0, "bootstrap",
        "unpaired_distance - paired_distance: alignment that collapse cannot feign",
        "unpaired counterpart of paired_distance", "chosen_by",
    ),
    Metric(
        "centroid_distance", "cosine distance", "none", 0.0, 2.0, "none",
        "distance of the two languages' mean embeddings",
        f"{SUNDAR}, Table 1 (centroid variant)",
    ),
    Metric(
        "spread", "cosine distance", "none", 0.0, 2.0, "none",
        "mean distance of a language's items to its mean; towards 0 is collapse",
        "standard",
    ),
    Metric(
        "within_distance", "cosine distance", "none", 0.0, 2.0, "none",
        "mean distance of two items of different text in one language; towards 0 is collapse",
        "standard",
    ),
    Metric(
        "all_pairs_distance", "cosine distance", "none", 0.0, 2.0, "none",
        "mean centroid distance over all pairs of different languages",
        f"{SUNDAR}, Table 1, all pairs",
    ),
    Metric(
        "to_medoid", "cosine distance", "none", 0.0, 2.0, "none",
        "distance of a language's mean to the medoid (the language mean with the least summed distance) of the same "
        "setting; undefined for the medoid itself",
        f"{SUNDAR}, Table 1, to medoid",
    ),
    Metric(
        "to_medoid_of_others", "cosine distance", "none", 0.0, 2.0, "none",
        "distance of a language's mean to the medoid of the other languages; defined for every language",
        f"{SUNDAR}, Table 1, to medoid (self excluded)",
    ),
    Metric(
        "to_frozen_medoid", "cosine distance", "none", 0.0, 2.0, "none",
        "distance of a language's mean to the mean of the language that was the medoid before the intervention",
        f"{SUNDAR}, Table 1, to medoid (frozen)",
    ),
    Metric(
        "to_target", "cosine distance", "none", 0.0, 2.0, "none",
        "distance of a language's mean to the target's mean; undefined for the target itself",
        f"{SUNDAR}, Table 1, to target",
    ),
    Metric(
        "is_medoid", "flag", "none", 0.0, 1.0, "none",
        "1 for the language whose mean has the least summed distance to the others under this setting",
        f"{SUNDAR}, medoid of the space",
    ),
    Metric(
        "target_to_medoid", "cosine distance", "none", 0.0, 2.0, "none",
        "distance of the target's mean to the medoid of the other languages",
        f"{SUNDAR}, Table 1, target to medoid",
    ),
    Metric(
        "others_to_medoid", "cosine distance", "none", 0.0, 2.0, "none",
        "mean distance of the means of languages other than the target to the medoid of the languages beside them",
        f"{SUNDAR}, Table 1, others to medoid",
    ),
    Metric(
        "others_to_target", "cosine distance", "none", 0.0, 2.0, "none",
        "mean distance of the means of languages other than the target to the target's mean",
        f"{SUNDAR}, Table 1, to target",
    ),
)  # fmt: skip

MEASURES: tuple[Measure, ...] = (
    Measure(
        "distances", 2, "pair", False,
        ("paired_distance", "unpaired_distance", "distance_gap", "centroid_distance"),
        "cosine distances between two languages",
        function="sprachbund_runners.evaluation.pair:distance_scores",
    ),
    Measure(
        "spread", 2, "language", False,
        ("spread", "within_distance", "to_medoid", "to_medoid_of_others", "to_frozen_medoid", "is_medoid",
         "to_target"),
        "cosine distances within one language, and of its mean to the other languages'",
    ),
    Measure(
        "space", 1, "space", False,
        ("all_pairs_distance", "target_to_medoid", "others_to_medoid", "others_to_target"),
        "cosine distances among the means of all evaluated languages, summed up as in the study's Table 1",
    ),
)  # fmt: skip
