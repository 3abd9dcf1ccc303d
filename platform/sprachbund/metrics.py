"""Every number an evaluation may store, and the measures that yield them: names, bounds, directions, sources.

The planner and the views read this without the runner's libraries; `sprachbund_runners.evaluation` has the
functions, under the same names.
"""

from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", "none"]
IntervalKind = Literal["wilson", "bootstrap", "none"]
Scope = Literal["pair", "language", "space"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric name.

    unit: of the value (`share`, `cosine distance`, …). better: which way is an improvement; `none` where neither is
    one by itself. low, high: bounds, None if there is none. interval: how a level's interval is had.
    """

    name: str
    unit: str
    better: Better
    low: float | None
    high: float | None
    interval: IntervalKind
    description: str
    source: str


@dataclass(frozen=True, slots=True)
class Measure:
    """One kind of evaluation: what it looks at and which metrics it yields. The version joins the content key.

    scope: `pair` (two sides with aligned items), `language` (one side), `space` (all languages of a setting).
    directed: a pair's two directions have figures of their own.
    """

    name: str
    version: int
    scope: Scope
    directed: bool
    metrics: tuple[str, ...]
    description: str


_SUNDAR = "Sundar et al., ACL 2025"


def _metrics(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


METRICS: dict[str, Metric] = _metrics(
    Metric(
        "top1", "share", "higher", 0.0, 1.0, "wilson",
        "queries whose translation is the most similar candidate; a tie among m earns 1/m, equal texts are all gold",
        f"{_SUNDAR}, retrieval accuracy",
    ),
    Metric(
        "top5", "share", "higher", 0.0, 1.0, "wilson",
        "queries whose translation is among the 5 most similar candidates, ties broken by lot in expectation",
        "standard",
    ),
    Metric(
        "top10", "share", "higher", 0.0, 1.0, "wilson",
        "queries whose translation is among the 10 most similar candidates, ties broken by lot in expectation",
        "standard",
    ),
    Metric(
        "mrr", "share", "higher", 0.0, 1.0, "bootstrap",
        "mean of 1 / rank of the translation, in expectation over ties broken by lot",
        "standard",
    ),
    Metric(
        "meaning_abx", "share", "higher", 0.0, 1.0, "bootstrap",
        "share of candidates farther from the query than its translation, ties one half: 1 - (midrank - 1) / (N - 1); "
        "chance is .5",
        "de Seyssel et al., EMNLP 2025, as minimal pairs (our reading)",
    ),
    Metric(
        "language_abx", "share", "lower", 0.0, 1.0, "bootstrap",
        "share of items j closer to the query in its own language than in the other, ties one half; .5 means that "
        "language cannot be told",
        "de Seyssel et al., EMNLP 2025, as minimal pairs (our reading)",
    ),
    Metric(
        "paired_distance", "cosine distance", "none", 0.0, 2.0, "bootstrap",
        "mean distance of translations; falls by collapse as well as by alignment: read it beside distance_gap",
        f"{_SUNDAR}, distances",
    ),
    Metric(
        "unpaired_distance", "cosine distance", "none", 0.0, 2.0, "bootstrap",
        "mean distance of sentences that are not translations",
        "unpaired counterpart of paired_distance",
    ),
    Metric(
        "distance_gap", "cosine distance", "higher", -2.0, 2.0, "bootstrap",
        "unpaired_distance - paired_distance: alignment that collapse cannot feign",
        "unpaired counterpart of paired_distance",
    ),
    Metric(
        "centroid_distance", "cosine distance", "none", 0.0, 2.0, "none",
        "distance of the two languages' mean embeddings",
        f"{_SUNDAR}, Table 1 (centroid variant)",
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
        f"{_SUNDAR}, Table 1, all pairs",
    ),
    Metric(
        "to_medoid", "cosine distance", "none", 0.0, 2.0, "none",
        "distance of a language's mean to the medoid (the language mean with the least summed distance) of the same "
        "setting; undefined for the medoid itself",
        f"{_SUNDAR}, Table 1, to medoid",
    ),
    Metric(
        "to_medoid_of_others", "cosine distance", "none", 0.0, 2.0, "none",
        "distance of a language's mean to the medoid of the other languages; defined for every language",
        f"{_SUNDAR}, Table 1, to medoid (self excluded)",
    ),
    Metric(
        "to_frozen_medoid", "cosine distance", "none", 0.0, 2.0, "none",
        "distance of a language's mean to the mean of the language that was the medoid before the intervention",
        f"{_SUNDAR}, Table 1, to medoid (frozen)",
    ),
    Metric(
        "to_target", "cosine distance", "none", 0.0, 2.0, "none",
        "distance of a language's mean to the target's mean; undefined for the target itself",
        f"{_SUNDAR}, Table 1, to target",
    ),
    Metric(
        "is_medoid", "flag", "none", 0.0, 1.0, "none",
        "1 for the language whose mean has the least summed distance to the others under this setting",
        f"{_SUNDAR}, medoid of the space",
    ),
    Metric(
        "target_to_medoid", "cosine distance", "none", 0.0, 2.0, "none",
        "distance of the target's mean to the medoid of the other languages",
        f"{_SUNDAR}, Table 1, target to medoid",
    ),
    Metric(
        "others_to_medoid", "cosine distance", "none", 0.0, 2.0, "none",
        "mean distance of the means of languages other than the target to the medoid of the languages beside them",
        f"{_SUNDAR}, Table 1, others to medoid",
    ),
    Metric(
        "others_to_target", "cosine distance", "none", 0.0, 2.0, "none",
        "mean distance of the means of languages other than the target to the target's mean",
        f"{_SUNDAR}, Table 1, to target",
    ),
)  # fmt: skip

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            "retrieval", 1, "pair", True, ("top1", "top5", "top10", "mrr", "meaning_abx"),
            "rank of each translation among all candidates by cosine",
        ),
        Measure(
            "language_abx", 1, "pair", True, ("language_abx",),
            "does an item stand closer to its own language than to translations",
        ),
        Measure(
            "distances", 1, "pair", False,
            ("paired_distance", "unpaired_distance", "distance_gap", "centroid_distance"),
            "cosine distances between two languages",
        ),
        Measure(
            "spread", 1, "language", False,
            ("spread", "within_distance", "to_medoid", "to_medoid_of_others", "to_frozen_medoid", "is_medoid",
             "to_target"),
            "cosine distances within one language, and of its mean to the other languages'",
        ),
        Measure(
            "space", 1, "space", False,
            ("all_pairs_distance", "target_to_medoid", "others_to_medoid", "others_to_target"),
            "cosine distances among the means of all evaluated languages, summed up as in the study's Table 1",
        ),
    )
}  # fmt: skip
