"""Retrieval and minimal-pair ABX of one language pair."""

from sprachbund.metrics.base import SUNDAR, Measure, Metric

METRICS: tuple[Metric, ...] = (
    Metric(
        "top1", "share", "higher", 0.0, 1.0, "wilson",
        "queries whose translation is the most similar candidate; a tie among m earns 1/m, equal texts are all gold",
        f"{SUNDAR}, retrieval accuracy",
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
)  # fmt: skip

MEASURES: tuple[Measure, ...] = (
    Measure(
        "retrieval", 1, "pair", True, ("top1", "top5", "top10", "mrr", "meaning_abx"),
        "rank of each translation among all candidates by cosine",
    ),
    Measure(
        "language_abx", 1, "pair", True, ("language_abx",),
        "does an item stand closer to its own language than to translations",
    ),
)  # fmt: skip
