"""What a sweep costs: n settings over one corpus in one pass, beside n passes with one setting each, in one run.

    python benchmarks/sweep.py [--settings N ...] [--first-block N ...] [--rounds N] [--threads N] [--json]

`full`: a corpus whose batches one setting fills. `small`: a few sentences, so that one setting leaves batches almost
empty. Settings edit random units (k = 3.5 % of `mlp.up` and `mlp.down`) from the first, the fourth or the last block
on; what lies below is shared. Both ways give the same embeddings (checked to 1e-5) and take turns; times are the
process's processor time, a ratio is the median over rounds.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

import sprachbund
from sprachbund.corpora import phrasebook
from sprachbund_runners.interventions.edits import UnitAffine
from sprachbund_runners.interventions.low_rank import Edit
from sprachbund_runners.models.batches import TokenisedTexts, tokenise
from sprachbund_runners.models.embed import Variant, embed, embed_variants
from sprachbund_runners.models.loading import LoadedModel, load

DEMO = Path(sprachbund.__file__).parent / "builtin" / "phrasebook-bloom"


def settings(loaded: LoadedModel, n: int, first_block: int, share: float = 0.035) -> list[list[Edit]]:
    """n settings that set, scale or shift other random units each, from `first_block` on."""
    blocks = range(first_block, loaded.architecture.n_blocks + 1)
    found: list[list[Edit]] = []
    for number in range(n):
        rng = np.random.default_rng(number)
        found.append([])
        for part in loaded.architecture.units(["mlp.up", "mlp.down"], blocks):
            unit = rng.permutation(part.width)[: max(1, round(share * part.width))]
            drawn = rng.uniform(0.5, 1.5, len(unit))
            a, b = ((0.0, drawn), (drawn, 0.0), (1.0, drawn))[number % 3]
            found[-1].append(UnitAffine(part.site, part.block, unit, a, b))
    return found


def corpus(loaded: LoadedModel, n: int) -> TokenisedTexts:
    """n sentences of the phrasebook's test split, of all languages."""
    each = -(-n // len(phrasebook.LANGUAGES))
    texts = [text for lang in phrasebook.LANGUAGES for _, text, _ in phrasebook.sentences("test", lang, each)]
    return tokenise(loaded, texts[:n])


def measure(
    loaded: LoadedModel, texts: TokenisedTexts, edits: list[list[Edit]], batch_tokens: int, rounds: int
) -> tuple[float, float, float]:
    """Seconds one at a time, seconds together, median ratio."""
    layers = loaded.architecture.layers
    variants = [Variant(each) for each in edits]
    ratios, apart, together = [], [], []
    for turn in range(rounds + 1):
        start = time.process_time()
        single = [embed(loaded, texts, layers, intervention=e, max_tokens_per_batch=batch_tokens) for e in edits]
        middle = time.process_time()
        joint = embed_variants(loaded, texts, layers, variants, max_tokens_per_batch=batch_tokens)
        end = time.process_time()
        if turn == 0:
            for one, other in zip(single, joint, strict=True):
                for layer in layers:
                    difference = float(np.abs(one[layer] - other[layer]).max() / np.abs(one[layer]).max())
                    if difference > 1e-5:
                        sys.exit(f"layer {layer} differs by {difference}")
            continue
        apart.append(middle - start)
        together.append(end - middle)
        ratios.append(together[-1] / apart[-1])
    return statistics.median(apart), statistics.median(together), statistics.median(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of many settings in one pass, beside one at a time.")
    parser.add_argument("--model", type=Path, default=DEMO)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--settings", type=int, nargs="+", default=[2, 8, 32])
    parser.add_argument("--first-block", type=int, nargs="+", help="default: the first, the fourth and the last")
    parser.add_argument("--full", type=int, default=300, help="sentences of the corpus that fills batches")
    parser.add_argument("--small", type=int, default=4, help="sentences of the corpus that does not")
    parser.add_argument("--batch-tokens", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    loaded = load(options.model, dtype=options.dtype, device=options.device)
    n_blocks = loaded.architecture.n_blocks
    rows: list[dict[str, float | str]] = []
    for name, n_texts in (("full", options.full), ("small", options.small)):
        texts = corpus(loaded, n_texts)
        rounds = options.rounds if name == "full" else 5 * options.rounds
        for n in options.settings:
            for first in options.first_block or sorted({1, min(4, n_blocks), n_blocks}):
                apart, together, ratio = measure(
                    loaded, texts, settings(loaded, n, first), options.batch_tokens, rounds
                )
                rows.append(
                    {"batches": name, "settings": n, "first_block": first, "apart": apart, "together": together,
                     "ratio": ratio}
                )  # fmt: skip
    if options.json:
        print(json.dumps({"model": options.model.name, "rows": rows}))
        return
    print(
        f"{options.model.name}, {n_blocks} blocks; full: {options.full} sentences, small: {options.small}, batches of"
        f" {options.batch_tokens} tokens, {options.threads} thread(s)"
    )
    print("\n| batches | settings | first edited block | one at a time, s | together, s | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        print(
            f"| {row['batches']} | {row['settings']} | {row['first_block']} | {row['apart']:.3f}"
            f" | {row['together']:.3f} | {row['ratio']:.2f} |"
        )


if __name__ == "__main__":
    main()
