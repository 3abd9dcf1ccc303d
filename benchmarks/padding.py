"""How many of the computed places are padding, on real text: per language and over all of them.

    python benchmarks/padding.py TATOEBA.parquet MODEL_FOLDER [--batch-tokens N ...]

TATOEBA.parquet has the columns lang, text and eng_text. No model is run: batches are planned as passes plan them.
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl

from sprachbund_runners.models.batches import plan_batches, tokenise
from sprachbund_runners.models.loading import load


def main() -> None:
    parser = argparse.ArgumentParser(description="Padding of Tatoeba's sentences in planned batches.")
    parser.add_argument("tatoeba", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--batch-tokens", type=int, nargs="+", default=[1024, 4096, 32_768])
    options = parser.parse_args()
    loaded = load(options.model)
    frame = pl.read_parquet(options.tatoeba)
    lengths = {
        str(language): [tokenise(loaded, part[column].to_list()).lengths for column in ("text", "eng_text")]
        for (language,), part in frame.partition_by("lang", as_dict=True).items()
    }
    everything = np.concatenate([each for both in lengths.values() for each in both])
    print(f"{options.model.name}, {len(lengths)} languages with English, {len(everything):,} sentences\n")
    print("| batch tokens | all in one pass | one pass per bilingual corpus | by count (32 unsorted sentences) |")
    print("| ---: | ---: | ---: | ---: |")
    for size in options.batch_tokens:
        tokens, places = zip(*(wasted(np.concatenate(both), size) for both in lengths.values()), strict=True)
        used, padded = wasted(everything, size)
        unsorted = sum(int(everything[n : n + 32].max()) * len(everything[n : n + 32])
                       for n in range(0, len(everything), 32))  # fmt: skip
        print(
            f"| {size:,} | {1 - used / padded:.1%} | {1 - sum(tokens) / sum(places):.1%}"
            f" | {1 - everything.sum() / unsorted:.1%} |"
        )


def wasted(lengths: np.ndarray, size: int) -> tuple[int, int]:
    """Tokens, and places that are computed for them."""
    return int(lengths.sum()), sum(int(lengths[rows].max()) * len(rows) for rows in plan_batches(lengths, size))


if __name__ == "__main__":
    main()
