"""How many of the computed places are padding, on real text: in passes as runners make them, and in others.

    python benchmarks/padding.py TATOEBA.parquet MODEL_FOLDER [--batch-tokens N ...]

TATOEBA.parquet has the columns lang, text and eng_text. No model is run: passes are cut and batches planned by the very
functions that runners call, here for the snapshots of one setting in bundles of 256 jobs.
"""

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

from sprachbund.work.payloads.base import TextInput
from sprachbund_runners.jobs.embed.snapshot import passes
from sprachbund_runners.models.batches import plan_batches, tokenise
from sprachbund_runners.models.loading import LoadedModel, load
from sprachbund_runners.worker import BUNDLE


def main() -> None:
    parser = argparse.ArgumentParser(description="Padding of Tatoeba's sentences in planned batches.")
    parser.add_argument("tatoeba", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--batch-tokens", type=int, nargs="+", default=[1024, 4096, 32_768])
    options = parser.parse_args()
    loaded = load(options.model)
    frame = pl.read_parquet(options.tatoeba)
    sentences = {
        f"{language} {column}": part[column].to_list()
        for (language,), part in frame.partition_by("lang", as_dict=True, maintain_order=True).items()
        for column in ("text", "eng_text")
    }
    lengths = {name: tokenise(loaded, texts).lengths for name, texts in sentences.items()}
    everything = np.concatenate(list(lengths.values()))
    names = list(lengths)
    print(f"{options.model.name}, {len(lengths) // 2} languages with English, {len(everything):,} sentences\n")
    print("| batch tokens | as runners pass | batches | all in one pass | a pass per bilingual corpus | 32 unsorted |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for size in options.batch_tokens:
        run = as_run(loaded, sentences, size)
        bilingual = [np.concatenate([lengths[a], lengths[b]]) for a, b in zip(names[::2], names[1::2], strict=True)]
        unsorted = [everything[n : n + 32] for n in range(0, len(everything), 32)]
        print(
            f"| {size:,} | {waste(run, size):.1%} | {sum(len(plan_batches(each, size)) for each in run):,}"
            f" | {waste([everything], size):.1%} | {waste(bilingual, size):.1%}"
            f" | {1 - everything.sum() / sum(int(each.max()) * len(each) for each in unsorted):.1%} |"
        )


def as_run(loaded: LoadedModel, sentences: dict[str, list[str]], size: int) -> list[np.ndarray]:
    """Lengths of the texts of every pass that a runner with batches of `size` tokens makes."""
    layers = ["0", *map(str, range(1, loaded.architecture.n_blocks + 1)), "final"]
    claims: list[Any] = [
        SimpleNamespace(payload=SimpleNamespace(numerics=None, layers=layers, text=TextInput(name, name)))
        for name in sentences
    ]
    context: Any = SimpleNamespace(
        model=lambda *_: loaded,
        text=lambda name: SimpleNamespace(sentences=SimpleNamespace(texts=sentences[name])),
        max_tokens=size,
    )
    bundles = (claims[start : start + BUNDLE] for start in range(0, len(claims), BUNDLE))
    found = [part for bundle in bundles for part in passes(bundle, context)]
    return [np.concatenate([text.lengths for text in part.texts.values()]) for part in found]


def waste(lengths_of: list[np.ndarray], size: int) -> float:
    """Share of the computed places that is padding."""
    tokens, places = zip(*(wasted(lengths, size) for lengths in lengths_of), strict=True)
    return 1 - sum(tokens) / sum(places)


def wasted(lengths: np.ndarray, size: int) -> tuple[int, int]:
    """Tokens, and places that are computed for them."""
    return int(lengths.sum()), sum(int(lengths[rows].max()) * len(rows) for rows in plan_batches(lengths, size))


if __name__ == "__main__":
    main()
