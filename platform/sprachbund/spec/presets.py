"""Presets: named parts of an experiment file. A user's own fields win over the preset's."""

from typing import Any

from sprachbund.errors import SpecError, nearest

PRESETS: dict[str, dict[str, Any]] = {
    # Sundar et al., ACL 2025 (arXiv 2502.15639): the method's choices, without its models and corpora.
    "steering-acl2025": {
        "experts": {
            "scorers": ["auroc"],
            "sites": ["mlp"],
            "pooling": "max",
            "tokens": "all",
        },
        "embeddings": {"layers": ["final"], "pooling": "mean", "tokens": "all"},
        "interventions": [
            "none",
            {
                "method": "experts",
                "k": [100, 500, 1000, 2000, 5000],
                "value": "mean",
                "value_from": "pooled",
                "tokens": "all",
                # The study gives the random units the experts' values.
                "controls": [{"variant": "uniform", "values": "experts", "seeds": 5}],
            },
        ],
    },
    # What we recommend before claiming an effect: both baselines, matched controls, a choice on `select`.
    "careful": {
        "experts": {"scorers": ["auroc"], "pooling": "max", "tokens": "content"},
        "interventions": [
            "none",
            "centring",
            "centring_transductive",
            {
                "method": "experts",
                "k": [0.01, 0.035, 0.1],
                "controls": ["random:profile x20", "random:shift x20", "wrong_language"],
            },
            {"method": "union", "k": 0.035, "controls": ["random:profile x20"]},
        ],
        "choose": {"metric": "top1", "over": ["k", "layer"]},
    },
}


def expand_preset(content: dict[str, Any], where: str) -> dict[str, Any]:
    """The experiment's fields with its preset's filled in below them; mappings merge, lists replace."""
    name = content.get("preset")
    if name is None:
        return content
    if not isinstance(name, str) or name not in PRESETS:
        known = ", ".join(PRESETS)
        raise SpecError(f"{where}: preset: found '{name}', expected one of {known}{nearest(str(name), PRESETS)}")
    return merge(PRESETS[name], content)


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`, mapping by mapping."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged
