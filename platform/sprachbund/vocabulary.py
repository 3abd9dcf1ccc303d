"""Every closed word of the platform, once: sites, tokens, pooling, layers, roles, metrics to rank by."""

from collections.abc import Iterable
from typing import Literal

SITES = ("mlp.up", "mlp.gate", "mlp.hidden", "mlp.down", "attn.out", "block")
"""Every site, in the order of the flat unit axis inside a block."""

FINAL = "final"


def sort_layers(layers: Iterable[str]) -> list[str]:
    """Layers in reading order: by number, `final` last."""
    return sorted(layers, key=lambda layer: (layer == FINAL, int(layer) if layer != FINAL else 0))


def layer_order(layer: str) -> tuple[int, int]:
    """Sort key of layers: numbers first in their order, `final` last."""
    return (1, 0) if layer == "final" else (0, int(layer))


# Stands for the outputs of all linear modules of the MLP that a model has: the gate too, where there is one.
MLP_SITES: tuple[str, ...] = ("mlp.up", "mlp.gate", "mlp.down")
# Metrics of one direction of a pair whose items can be compared pairwise.
RankingMetric = Literal[
    "top1", "top5", "top10", "mrr", "meaning_abx", "margin_ratio_top1", "margin_distance_top1", "csls_top1",
    "xsim", "xsim_text", "bitext_accuracy", "bitext_f1", "mexa",
]  # fmt: skip
Layer = str
Role = Literal["fit", "select", "test"]


Site = Literal["mlp.up", "mlp.gate", "mlp.hidden", "mlp.down", "attn.out", "block"]
Pooling = Literal["mean", "max"]
EmbeddingPooling = Literal["mean", "max", "weighted_mean"]
Tokens = Literal["all", "content", "last", "first"]
# Which side of a language pair a setting steers.
SteeredSide = Literal["both", "query", "candidate"]
# Distances of ABX tasks.
Distance = Literal["angular", "cosine", "euclidean"]
