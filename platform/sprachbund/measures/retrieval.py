"""Retrieval and minimal-pair ABX of one language pair."""

from sprachbund.measures import chance
from sprachbund.measures.base import SUNDAR, Measure, Metric

MARGIN = "Artetxe and Schwenk, ACL 2019"
MTEB = "MTEB, bitext mining"
# The metric whose hits are tested pair by pair.
TESTED = "top1"

METRICS: tuple[Metric, ...] = (
    Metric(
        "top1", "share", "higher", 0.0, 1.0, "wilson",
        "queries whose translation is the most similar candidate; a tie among m earns 1/m, equal texts are all gold",
        f"{SUNDAR}, retrieval accuracy", "chosen_by", chance=chance.top(1),
    ),
    Metric(
        "top5", "share", "higher", 0.0, 1.0, "wilson",
        "queries whose translation is among the 5 most similar candidates, ties broken by lot in expectation",
        "standard", "chosen_by", chance=chance.top(5),
    ),
    Metric(
        "top10", "share", "higher", 0.0, 1.0, "wilson",
        "queries whose translation is among the 10 most similar candidates, ties broken by lot in expectation",
        "standard", "chosen_by", chance=chance.top(10),
    ),
    Metric(
        "mrr", "share", "higher", 0.0, 1.0, "bootstrap",
        "mean of 1 / rank of the translation, in expectation over ties broken by lot",
        "standard", "chosen_by", chance=chance.reciprocal_rank,
    ),
    Metric(
        "meaning_abx", "share", "higher", 0.0, 1.0, "bootstrap",
        "share of candidates farther from the query than its translation, ties one half: 1 - (midrank - 1) / (N - 1); "
        "chance is .5",
        "de Seyssel et al., EMNLP 2025, as minimal pairs (our reading)", "chosen_by", chance=chance.rivals_behind,
    ),
    Metric(
        "margin_ratio_top1", "share", "higher", 0.0, 1.0, "wilson",
        "top1 by cos(x, y) / mean cosine of both sides' 4 nearest, over all candidates; undefined where such a mean is "
        "not positive, as is normal after centring",
        f"{MARGIN}, ratio margin", "chosen_by", chance=chance.top(1),
    ),
    Metric(
        "margin_distance_top1", "share", "higher", 0.0, 1.0, "wilson",
        "top1 by cos(x, y) - mean cosine of both sides' 4 nearest, over all candidates",
        f"{MARGIN}, distance margin", "chosen_by", chance=chance.top(1),
    ),
    Metric(
        "csls_top1", "share", "higher", 0.0, 1.0, "wilson",
        "top1 by 2 cos(x, y) - r(x) - r(y), r the mean cosine of a side's 10 nearest, over all candidates",
        "Conneau et al., ICLR 2018", "chosen_by", chance=chance.top(1),
    ),
    Metric(
        "xsim", "share", "lower", 0.0, 1.0, "wilson",
        "queries whose best by ratio margin among their 4 nearest candidates is not the one of the same index; "
        "undefined where margin_ratio_top1 is",
        "LASER, xSIM", "chosen_by", chance=chance.wrong_index,
    ),
    Metric(
        "xsim_text", "share", "lower", 0.0, 1.0, "wilson",
        "xsim, but any candidate of the translation's text is right (normalised texts)",
        "LASER, xSIM with eval_text", "chosen_by", chance=chance.wrong_text,
    ),
    Metric(
        "bitext_accuracy", "share", "higher", 0.0, 1.0, "wilson",
        "queries whose most similar candidate is the one of the same index, also among equal texts",
        f"{MTEB}, accuracy", "chosen_by", chance=chance.index,
    ),
    Metric(
        "bitext_precision", "share", "higher", 0.0, 1.0, "bootstrap",
        "mean over candidates as classes of hit / queries that predict it, 0 without a hit",
        f"{MTEB}, weighted precision",
    ),
    Metric(
        "bitext_recall", "share", "higher", 0.0, 1.0, "wilson",
        "mean over candidates as classes of hit: equals bitext_accuracy, every class having one item",
        f"{MTEB}, weighted recall", chance=chance.index,
    ),
    Metric(
        "bitext_f1", "share", "higher", 0.0, 1.0, "bootstrap",
        "mean over candidates as classes of 2 / (1 + queries that predict it) where hit, else 0: punishes hubs",
        f"{MTEB}, weighted F1", "chosen_by",
    ),
    Metric(
        "mexa", "share", "higher", 0.0, 1.0, "wilson",
        "items whose similarity to their translation is strictly above all others in its row and its column; the same "
        "in both directions; undefined for one item",
        "Kargaran et al., MEXA, 2025", "chosen_by",
    ),
    Metric(
        "language_abx", "share", "lower", 0.0, 1.0, "bootstrap",
        "share of items j closer to the query in its own language than in the other, ties one half; .5 means that "
        "language cannot be told",
        "de Seyssel et al., EMNLP 2025, as minimal pairs (our reading)", "compared", chance=0.5,
    ),
)  # fmt: skip

MEASURES: tuple[Measure, ...] = (
    Measure(
        "retrieval", 3, "pair", True,
        ("top1", "top5", "top10", "mrr", "meaning_abx", "margin_ratio_top1", "margin_distance_top1", "csls_top1",
         "xsim", "xsim_text", "bitext_accuracy", "bitext_precision", "bitext_recall", "bitext_f1", "mexa"),
        "rank of each translation among all candidates by cosine and by margin, by several benchmarks' conventions",
        function="sprachbund_runners.evaluation.retrieval_scores:retrieval_scores",
    ),
    Measure(
        "language_abx", 2, "pair", True, ("language_abx",),
        "does an item stand closer to its own language than to translations",
        function="sprachbund_runners.evaluation.pair:language_abx_scores",
    ),
)  # fmt: skip
