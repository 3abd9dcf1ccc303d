"""What collecting unit responses and moments costs beside a plain forward pass to the same depth, in one run.

    python benchmarks/collecting.py [--model FOLDER] [--sites SITE ...] [--sentences N] [--batch-tokens N] [--json]

Both passes run the same batches of phrasebook sentences and end at the same place; the collecting one also writes
pooled responses to a file, as a job does. `hooks` ends there too and only calls an empty function at every site. The
passes take turns; each time is the processor time of one thread, the least of all turns, so that a busy machine
distorts little.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import sprachbund
from sprachbund.corpora import phrasebook
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.files.tensors import TensorSpool
from sprachbund_runners.models.batches import Batch, TokenisedTexts, run_batches, tokenise
from sprachbund_runners.models.hooks import observing, run_forward
from sprachbund_runners.models.loading import LoadedModel, load
from sprachbund_runners.models.respond import Request, respond

DEMO = Path(sprachbund.__file__).parent / "builtin" / "phrasebook-bloom"


def plain(loaded: LoadedModel, texts: TokenisedTexts, sites: list[str], batch_tokens: int, hooks: bool) -> None:
    """A pass that reads nothing, and ends at the last site; with `hooks` it passes an empty one at every site."""
    last = loaded.architecture.units(sites)[-1]
    watched = (sites, None) if hooks else ([last.site], [last.block])

    def forward(batch: Batch) -> None:
        run_forward(loaded.model, batch.input_ids, batch.attention_mask)

    with observing(loaded.model, loaded.architecture, watched[0], lambda *_: None, watched[1], stop=True):
        run_batches(loaded, texts, forward, lambda *_: None, batch_tokens)


def collect(
    loaded: LoadedModel, texts: TokenisedTexts, asked: list[tuple[str, str]], sites: list[str], batch_tokens: int
) -> None:
    """A pass that collects once for every (pooling, tokens) in `asked`."""
    parts = loaded.architecture.units(sites)
    shapes = {f"{n}/{p.block}.{p.site}": (len(texts), p.width) for p in parts for n in range(len(asked))}
    with tempfile.TemporaryDirectory() as folder, TensorSpool(ArtifactStore(folder), shapes) as spool:

        def sink_of(number: int) -> Callable[[int, str, NDArray[np.int64], NDArray[np.float32]], None]:
            def sink(block: int, site: str, rows: NDArray[np.int64], values: NDArray[np.float32]) -> None:
                spool[f"{number}/{block}.{site}"][rows] = values

            return sink

        requests = [Request(sites, pooling, tokens, sink_of(number)) for number, (pooling, tokens) in enumerate(asked)]
        respond(loaded, texts, requests, max_tokens_per_batch=batch_tokens)


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of collecting unit responses, beside a plain pass.")
    parser.add_argument("--model", type=Path, default=DEMO)
    parser.add_argument("--sites", nargs="+", default=["mlp.up", "mlp.down"])
    parser.add_argument("--sentences", type=int, default=900)
    parser.add_argument("--batch-tokens", type=int, default=1024)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load(options.model)
    texts = tokenise(loaded, some_texts(options.sentences))
    sites, size = list(options.sites), options.batch_tokens
    content = ("max", "content")
    work: dict[str, Callable[[], None]] = {
        "plain": lambda: plain(loaded, texts, sites, size, hooks=False),
        "hooks": lambda: plain(loaded, texts, sites, size, hooks=True),
        "max over content tokens": lambda: collect(loaded, texts, [content], sites, size),
        "mean over content tokens": lambda: collect(loaded, texts, [("mean", "content")], sites, size),
        "both from one pass": lambda: collect(loaded, texts, [content, ("mean", "content")], sites, size),
        "max over content and over all": lambda: collect(loaded, texts, [content, ("max", "all")], sites, size),
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(options.turns + 1):
        for name, function in work.items():
            start = time.process_time()
            function()
            if turn:  # the first one warms up and compiles
                times[name].append(time.process_time() - start)
    rows = [
        {
            "work": name,
            "seconds": min(found),
            "more_than_plain": min(found) / min(times["plain"]) - 1,
        }
        for name, found in times.items()
    ]
    n_tokens = int(texts.lengths.sum())
    if options.json:
        print(json.dumps({"model": options.model.name, "sites": sites, "tokens": n_tokens, "rows": rows}))
        return
    print(f"{options.model.name}: {len(texts)} sentences, {n_tokens} tokens, sites {', '.join(sites)}, one thread")
    for row in rows:
        print(f"{row['seconds']:>8.3f} s  {row['more_than_plain']:>+7.1%}  {row['work']}")


def some_texts(n: int) -> list[str]:
    """n sentences of the phrasebook's fit split, every language in turn."""
    each = [
        [text for _, text, _ in phrasebook.sentences("train", language, -(-n // len(phrasebook.LANGUAGES)))]
        for language in phrasebook.LANGUAGES
    ]
    return [text for row in zip(*each, strict=True) for text in row][:n]


if __name__ == "__main__":
    main()
