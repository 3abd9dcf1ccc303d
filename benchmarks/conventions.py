"""One snapshot by every convention: the table of docs/conventions.md.

    python benchmarks/conventions.py [--model FOLDER] [--layer LAYER] [--json]

Embeds the phrasebook's test text (500 items, five languages) with the built-in model, unsteered, and reads all scores
of a layer from one similarity pass per language pair. Averages are over ordered pairs, or over languages into English.
"""

import argparse
import json
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

import sprachbund
from sprachbund.corpora import read_corpora
from sprachbund.corpora.source import CorpusSource
from sprachbund.corpora.text import gold_groups
from sprachbund_runners.evaluation.distances import language_vectors
from sprachbund_runners.evaluation.pair import language_abx_scores
from sprachbund_runners.evaluation.retrieval_scores import retrieval_scores
from sprachbund_runners.models.embed import embed
from sprachbund_runners.models.loading import load

PIVOT = "eng_Latn"
BUILTIN = Path(sprachbund.__file__).parent / "builtin" / "phrasebook-bloom"
# Name, metric, which ordered pairs.
CONVENTIONS = (
    ("study top-1, all pairs", "top1", "all"),
    ("study top-1, into English", "top1", "into"),
    ("XTREME Tatoeba, into English", "bitext_accuracy", "into"),
    ("XTREME Tatoeba, as its code asks (from English)", "bitext_accuracy", "from"),
    ("MTEB bitext F1, into English", "bitext_f1", "into"),
    ("xSIM error, into English", "xsim", "into"),
    ("1 - xSIM, into English", "xsim", "into"),
    ("top-1 by ratio margin, all candidates, into English", "margin_ratio_top1", "into"),
    ("CSLS top-1, into English", "csls_top1", "into"),
    ("MEXA, this layer", "mexa", "into"),
    ("meaning ABX, all pairs", "meaning_abx", "all"),
    ("language ABX, all pairs (.5: mixed)", "language_abx", "all"),
)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=BUILTIN)
    parser.add_argument("--layer", default="3")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args(arguments)

    torch.set_num_threads(2)
    corpus = read_corpora(CorpusSource(builtin="phrasebook", split="test"))[0]
    loaded = load(options.model)
    layers = loaded.architecture.layers
    embedded = {code: embed(loaded, corpus.texts[code].texts, layers) for code in corpus.languages}
    groups = {code: gold_groups(corpus.texts[code].texts) for code in corpus.languages}

    found: dict[str, dict[tuple[str, str], dict[str, float]]] = {}
    for layer in layers:
        sides = {code: language_vectors(embedded[code][layer], groups[code]) for code in corpus.languages}
        scores = found.setdefault(layer, {})
        for one, other in combinations(corpus.languages, 2):
            if layer != options.layer and PIVOT not in (one, other):
                continue
            both = retrieval_scores(sides[one], sides[other])
            abx = language_abx_scores(sides[one], sides[other])
            for pair, items in (
                ((one, other), {**both.forward, **abx.forward}),
                ((other, one), {**both.backward, **abx.backward}),
            ):
                scores[pair] = {name: float(values.mean()) for name, values in items.items()}

    def mean(metric: str, pairs: str) -> float:
        inside = {
            "all": lambda pair: True,
            "into": lambda pair: pair[1] == PIVOT,
            "from": lambda pair: pair[0] == PIVOT,
        }[pairs]
        return float(np.mean([each[metric] for pair, each in found[options.layer].items() if inside(pair)]))

    table = {name: mean(metric, pairs) for name, metric, pairs in CONVENTIONS}
    table["1 - xSIM, into English"] = 1 - table["xSIM error, into English"]
    by_language = [
        [found[layer][code, PIVOT]["mexa"] for layer in layers] for code in corpus.languages if code != PIVOT
    ]
    table["MEXA, mean over layers"] = float(np.mean([np.mean(each) for each in by_language]))
    table["MEXA, best layer per language"] = float(np.mean([max(each) for each in by_language]))
    if options.json:
        print(json.dumps({"layer": options.layer, "items": len(corpus), "scores": table}, indent=2))
        return
    print(f"{options.model.name}, phrasebook test, {len(corpus)} items, layer {options.layer}, one snapshot")
    for name, value in table.items():
        print(f"  {name:52s} {value:.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
