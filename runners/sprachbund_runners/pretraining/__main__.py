"""python -m sprachbund_runners.pretraining --out DIR"""

import argparse
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch

from sprachbund_runners.pretraining.bloom import Bloom, Shape
from sprachbund_runners.pretraining.checkpoint import save
from sprachbund_runners.pretraining.documents import documents, rows
from sprachbund_runners.pretraining.tokenizer import train_tokenizer
from sprachbund_runners.pretraining.training import Recipe, train


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not 1 or more")
    return value


def say(line: str) -> None:
    print(line, flush=True)


def parser() -> argparse.ArgumentParser:
    recipe, shape = Recipe(), Shape(vocabulary=2000)
    made = argparse.ArgumentParser(
        prog="python -m sprachbund_runners.pretraining",
        description="Train the phrasebook demo model (a small BLOOM) from scratch. The defaults made the "
        "shipped one: 34 minutes on two cores that had other work too.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    made.add_argument("--out", type=Path, required=True, help="folder to write; must be empty or new")
    made.add_argument("--steps", type=positive, default=recipe.steps, help="optimiser steps")
    made.add_argument("--rows", type=positive, default=recipe.rows, help="documents a step")
    made.add_argument("--width", type=positive, default=shape.width, help="embedding width")
    made.add_argument("--blocks", type=positive, default=shape.blocks, help="transformer blocks")
    made.add_argument("--heads", type=positive, default=shape.heads, help="attention heads")
    made.add_argument("--vocabulary", type=positive, default=shape.vocabulary, help="tokenizer entries")
    made.add_argument("--tokenizer-documents", type=positive, default=12_000, help="it is trained on these")
    made.add_argument("--learning-rate", type=float, default=recipe.learning_rate, help="peak")
    made.add_argument("--seed", type=int, default=recipe.seed, help="of weights and documents")
    made.add_argument("--threads", type=positive, default=2, help="CPU threads")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    interface = parser()
    given = interface.parse_args(arguments)
    if given.width % given.heads:
        interface.error(f"--width {given.width} is not a multiple of --heads {given.heads}")
    if given.out.exists() and (not given.out.is_dir() or any(given.out.iterdir())):
        interface.error(f"--out {given.out} exists and is not an empty folder")
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    recipe = Recipe(steps=given.steps, rows=given.rows, learning_rate=given.learning_rate, seed=given.seed)

    say(f"tokenizer: {given.vocabulary} entries from {given.tokenizer_documents} documents")
    sample = islice(documents(recipe.seed + 1, parallel_share=0.0), given.tokenizer_documents)
    tokenizer = train_tokenizer(sample, given.vocabulary)
    count = recipe.steps * recipe.rows
    say(f"documents: {count} rows of {recipe.length} tokens")
    tokens = rows(documents(recipe.seed + 2, recipe.parallel_share), tokenizer, count, recipe.length)
    model = Bloom(Shape(len(tokenizer), given.width, given.blocks, given.heads))
    say(f"model: {sum(p.numel() for p in model.parameters()):,} parameters")
    train(model, tokens, recipe, say)
    given.out.mkdir(parents=True, exist_ok=True)
    save(model, tokenizer, given.out)
    say(f"saved {given.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
