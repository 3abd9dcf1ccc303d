"""What steering costs: the model with hooks, and with merged weights, beside the plain forward pass, in one run.

    python benchmarks/steering.py [--model FOLDER] [--batch N] [--k SHARE] [--rounds N] [--threads N] [--json]

One batch of phrasebook sentences of similar length goes through the model in every way once per round, in an order that
changes from round to round. Times are the process's processor time (on a GPU: synchronised wall time); a ratio is the
median over rounds of the quotient of neighbours in one round, so that a busy machine distorts little. Merged weights
and hooks are first checked to give the same final hidden state.
"""

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import sprachbund
from sprachbund.corpora import phrasebook
from sprachbund.models.architectures import UnitBlock
from sprachbund_runners.export.merge import merge
from sprachbund_runners.interventions.edits import UnitAffine
from sprachbund_runners.interventions.low_rank import Edit, LowRank
from sprachbund_runners.models.batches import Batch, make_batch, tokenise
from sprachbund_runners.models.hooks import run_forward
from sprachbund_runners.models.loading import LoadedModel, load
from sprachbund_runners.models.steering import steering

DEMO = Path(sprachbund.__file__).parent / "builtin" / "phrasebook-bloom"


def a_batch(loaded: LoadedModel, n: int) -> Batch:
    """n neighbours in length among the phrasebook's test sentences."""
    texts = [
        text for language in phrasebook.LANGUAGES for _, text, _ in phrasebook.sentences("test", language, max(n, 100))
    ]
    tokenised = tokenise(loaded, texts)
    middle = len(texts) // 2
    rows = np.argsort(tokenised.lengths, kind="stable")[middle : middle + n]
    return make_batch(loaded, tokenised, rows)


def chosen_units(loaded: LoadedModel, share: float, seed: int) -> list[tuple[UnitBlock, np.ndarray]]:
    """A random share of the units of `mlp.up` and `mlp.down`, per block and site."""
    rng = np.random.default_rng(seed)
    units = loaded.architecture.units(["mlp.up", "mlp.down"])
    return [(part, rng.permutation(part.width)[: max(1, round(share * part.width))]) for part in units]


def ways_to_edit(loaded: LoadedModel, share: float) -> dict[str, list[Edit]]:
    """The edits whose cost is measured."""
    chosen, rng = chosen_units(loaded, share, 0), np.random.default_rng(1)
    hidden, blocks = loaded.architecture.hidden_size, range(1, loaded.architecture.n_blocks + 1)

    def low_rank(rank: int) -> list[Edit]:
        u, v = rng.normal(0, 0.01, (2, hidden, rank))
        return [LowRank("block", block, u, v, np.full(hidden, 0.01)) for block in blocks]

    def drawn(unit: np.ndarray) -> np.ndarray:
        return rng.uniform(0.5, 1.5, len(unit))

    return {
        "set": [UnitAffine(p.site, p.block, unit, 0.0, drawn(unit)) for p, unit in chosen],
        "scale": [UnitAffine(p.site, p.block, unit, drawn(unit), 0.0) for p, unit in chosen],
        "shift": [UnitAffine(p.site, p.block, unit, 1.0, drawn(unit)) for p, unit in chosen],
        "set, content tokens": [
            UnitAffine(p.site, p.block, unit, 0.0, drawn(unit), tokens="content") for p, unit in chosen
        ],
        "scale inside bounds": [
            UnitAffine(p.site, p.block, unit, 0.5, 0.1, -1.0, 1.0)  # type: ignore[arg-type]
            for p, unit in chosen
        ],
        "direction, rank 1": low_rank(1),
        "projection, rank 8": low_rank(8),
        "scale all units": [
            UnitAffine(p.site, p.block, np.arange(p.width), 0.9, 0.0)
            for p in loaded.architecture.units(["mlp.up", "mlp.down"])
        ],
        "transport, whole sites": [
            UnitAffine(p.site, p.block, np.arange(p.width), 0.9, 0.01, -1.0, 1.0)  # type: ignore[arg-type]
            for p in loaded.architecture.units(["mlp.up", "mlp.down"])
        ],
    }


def measure(loaded: LoadedModel, batch: Batch, share: float, rounds: int) -> list[dict[str, float | str]]:
    ways = ways_to_edit(loaded, share)
    merged = replace(loaded, model=copy.deepcopy(loaded.model))
    merge(merged.model, merged.architecture, ways["set"])
    work: dict[str, tuple[LoadedModel, Sequence[Edit]]] = {"plain": (loaded, ())}
    work |= {f"hooks: {name}": (loaded, edits) for name, edits in ways.items()}
    work["merged: set"] = (merged, ())

    def final(model: LoadedModel, edits: Sequence[Edit]) -> torch.Tensor:
        with torch.inference_mode(), steering(model, edits, batch.mask) if edits else nullcontext():
            found = run_forward(model.model, batch.input_ids, batch.attention_mask)
        assert found is not None
        return found

    differs = float((final(*work["merged: set"]) - final(*work["hooks: set"])).abs().max())
    if differs > 1e-3:
        sys.exit(f"merged weights and hooks differ by {differs}")
    times: dict[str, list[float]] = {name: [] for name in work}
    names = list(work)
    for turn in range(rounds + 3):
        for place in range(len(names)):
            name = names[(place + turn) % len(names)]
            model, edits = work[name]
            with torch.inference_mode(), steering(model, edits, batch.mask) if edits else nullcontext():
                start = now(loaded.device)
                run_forward(model.model, batch.input_ids, batch.attention_mask)
                seconds = now(loaded.device) - start
            if turn >= 3:
                times[name].append(seconds)
    return [
        {
            "work": name,
            "ms": 1000 * statistics.median(found),
            "ratio": statistics.median(a / b for a, b in zip(found, times["plain"], strict=True)),
        }
        for name, found in times.items()
    ]


def now(device: torch.device) -> float:
    """Processor time of this process, or the wall's once the device has caught up."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of steering beside a plain forward pass.")
    parser.add_argument("--model", type=Path, default=DEMO)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--k", type=float, default=0.035, help="share of the units that is edited")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    loaded = load(options.model, dtype=options.dtype, device=options.device)
    batch = a_batch(loaded, options.batch)
    rows = measure(loaded, batch, options.k, options.rounds)
    shape = list(batch.input_ids.shape)
    if options.json:
        print(json.dumps({"model": options.model.name, "batch": shape, "k": options.k, "rows": rows}))
        return
    print(
        f"{options.model.name}, batch {shape[0]} x {shape[1]} tokens, k = {options.k:.1%}, {options.threads} thread(s)"
    )
    print("\n| pass | ms | × plain |\n| --- | ---: | ---: |")
    for row in rows:
        print(f"| {row['work']} | {row['ms']:.1f} | {row['ratio']:.3f} |")


if __name__ == "__main__":
    main()
