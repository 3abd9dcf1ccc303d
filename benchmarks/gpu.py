"""Bloom-7B on a GPU: embedding and expert throughput beside the device's matrix rate, and peak memory, in one run.

    python benchmarks/gpu.py [--device cuda] [--tiny] [--sentences N] [--batch-tokens N]

The weights are random numbers made on the device in the shape of the published configuration (30 blocks, width 4,096,
250,880 tokens), in bfloat16; token ids are random, sentence lengths follow the length distribution of FLORES sentences
in Bloom tokens (log-normal, mean near 42, at most 200). The floor is 2 FLOPs per token and parameter in the blocks (a
look-up costs none); the matrix rate is the best of a few shapes of plain bfloat16 products, measured first. `--tiny`
is a model of two small blocks for trying the script anywhere: `--tiny --device cpu`.

Then the stacked similarity product of one language with 21 others, in one product and in 21, and from these parts an
estimate of the whole steering study: 22 languages, 500 settings, 32 layers, 3 models, each setting in its own pass.

Prints one Markdown table and these two lines.
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import BloomConfig, BloomModel, PreTrainedTokenizerFast

from sprachbund.models.architectures import describe
from sprachbund_runners.interventions.edits import UnitAffine
from sprachbund_runners.interventions.low_rank import Edit
from sprachbund_runners.models.batches import TokenisedTexts, plan_batches
from sprachbund_runners.models.embed import Variant, embed, embed_variants
from sprachbund_runners.models.loading import LoadedModel, verify
from sprachbund_runners.models.respond import Request, respond
from sprachbund_runners.scorers import Target, score_units

BLOOM_7B = {"vocab_size": 250_880, "hidden_size": 4096, "n_layer": 30, "n_head": 32}
TINY = {"vocab_size": 1000, "hidden_size": 64, "n_layer": 2, "n_head": 4}
SITES = ["mlp.up", "mlp.down"]

Work = Callable[[TokenisedTexts], object]


def make_model(shape: dict[str, int], device: torch.device) -> LoadedModel:
    """A model with random weights, made on the device."""
    config = BloomConfig(**shape, use_cache=False)
    config._attn_implementation = "eager"
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            torch.manual_seed(0)
            model = BloomModel(config)
    finally:
        torch.set_default_dtype(before)
    model.requires_grad_(False).eval()
    architecture = describe(config.to_dict())
    verify(model, architecture)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"<unk>": 0}, unk_token="<unk>")))
    return LoadedModel(
        model, tokenizer, architecture, "random", torch.device(device), torch.bfloat16, "eager", 3, "config", None
    )


def make_texts(n: int, vocabulary: int) -> TokenisedTexts:
    """Random token ids in sentences as long as those of FLORES."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(3.65, 0.4, n).round().astype(int), 5, 200)
    ids = tuple(rng.integers(4, vocabulary, length) for length in lengths)
    return TokenisedTexts(ids, tuple(np.zeros(len(each), dtype=np.bool_) for each in ids), 0, None)


def matrix_rate(device: torch.device, size: int) -> float:
    """FLOPs per second of plain bfloat16 products, the best of three shapes."""
    best = 0.0
    for rows in (size, 2 * size, 4 * size):
        a, b = (torch.randn(*s, device=device, dtype=torch.bfloat16) for s in ((rows, size), (size, 4 * size)))
        a @ b
        seconds = timed(device, lambda a=a, b=b: [a @ b for _ in range(10)])  # type: ignore[misc]
        best = max(best, 10 * 2 * rows * size * 4 * size / seconds)
    return best


def timed(device: torch.device, function: Callable[[], object]) -> float:
    synchronise(device)
    start = time.perf_counter()
    function()
    synchronise(device)
    return time.perf_counter() - start


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_gib(device: torch.device) -> float:
    """Peak memory since the last reset: of the device, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def some_edits(loaded: LoadedModel, first_block: int, seed: int) -> list[Edit]:
    """3.5 % of the units of `SITES` set to a value, from a block on."""
    rng = np.random.default_rng(seed)
    blocks = range(first_block, loaded.architecture.n_blocks + 1)
    return [
        UnitAffine(part.site, part.block, rng.permutation(part.width)[: max(1, part.width * 35 // 1000)], 0.0, 0.1)
        for part in loaded.architecture.units(SITES, blocks)
    ]


def experts(loaded: LoadedModel, texts: TokenisedTexts, batch_tokens: int) -> None:
    """What finding experts of one target takes: one pass that pools every unit, then AUROC of each."""
    pooled: dict[tuple[int, str], np.ndarray] = {}
    language = np.arange(len(texts)) % 6

    def sink(block: int, site: str, rows: np.ndarray, values: np.ndarray) -> None:
        key = block, site
        if key not in pooled:
            pooled[key] = np.empty((len(texts), values.shape[1]), dtype=np.float32)
        pooled[key][rows] = values

    respond(loaded, texts, [Request(SITES, "max", "all", sink)], max_tokens_per_batch=batch_tokens)
    for values in pooled.values():
        score_units(np.ascontiguousarray(values.T), language, [Target(0, (1, 2, 3, 4, 5))])


def stacked_ranks(queries: torch.Tensor, candidates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Candidates above the translation, of many languages in one product, both directions; int64 [languages, n] each.

    queries: [n, d] of one language; candidates: [languages, n, d]; of length one, row i translates row i.
    """
    languages, n, width = candidates.shape
    similarity = (queries @ candidates.reshape(-1, width).T).view(n, languages, n)
    gold = similarity.diagonal(dim1=0, dim2=2)
    forward = (similarity > gold.T.unsqueeze(2)).sum(dim=2).T
    return forward, (similarity > gold.unsqueeze(0)).sum(dim=0)


def similarity_seconds(device: torch.device, languages: int, items: int, width: int) -> tuple[float, float]:
    """Seconds of one language's pairs with `languages` others: in one product, and one product a pair.

    Medians of five turns after one that is not counted: the first product of a shape chooses kernels and takes memory.
    """
    torch.manual_seed(0)
    made = torch.nn.functional.normalize(torch.randn(languages + 1, items, width, device=device), dim=-1)
    ways: list[Callable[[], object]] = [
        lambda: stacked_ranks(made[0], made[1:]),
        lambda: [stacked_ranks(made[0], each[None]) for each in made[1:]],
    ]
    turns = [[timed(device, way) for way in ways] for _ in range(6)][1:]
    together, apart = (statistics.median(times) for times in zip(*turns, strict=True))
    return together, apart


def grid_hours(embedding: float, similarity: float) -> tuple[float, float]:
    """Hours of snapshots and of similarity of the steering study, by seconds of one setting over one language's
    sentences and of one language's pairs with 21 others at one layer."""
    languages, settings, layers, models = 22, 500, 32, 3
    # Every pair once: half of a language's pairs with all others.
    pairs = languages / 2 * settings * layers * models * similarity
    return languages * settings * models * embedding / 3600, pairs / 3600


def main() -> None:
    parser = argparse.ArgumentParser(description="Throughput of Bloom-7B in shape, on one device.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="two small blocks, to try the script")
    parser.add_argument("--sentences", type=int, default=None)
    parser.add_argument("--variants", type=int, default=8)
    parser.add_argument("--batch-tokens", type=int, default=None)
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("torch sees no CUDA device here; try --tiny --device cpu")
    device = torch.device(options.device)
    sentences = options.sentences or (48 if options.tiny else 5982)
    shape = TINY if options.tiny else BLOOM_7B
    batch_tokens = options.batch_tokens or (1024 if options.tiny else 32_768)
    loaded = make_model(shape, device)
    texts = make_texts(sentences, shape["vocab_size"])
    n_tokens = int(texts.lengths.sum())
    padded = sum(int(texts.lengths[rows].max()) * len(rows) for rows in plan_batches(texts.lengths, batch_tokens))
    in_blocks = sum(parameter.numel() for parameter in loaded.model.h.parameters())
    rate = matrix_rate(device, 256 if options.tiny else 8192)
    layers = [str(loaded.architecture.n_blocks // 2), "final"]
    half = loaded.architecture.n_blocks // 2 + 1
    edits = some_edits(loaded, 1, 0)
    sweep = [Variant(some_edits(loaded, half, number)) for number in range(options.variants)]

    def single(each: list[Edit]) -> Work:
        return lambda some: embed(
            loaded, some, layers, tokens="all", intervention=each, max_tokens_per_batch=batch_tokens
        )

    work: list[tuple[str, int, Work]] = [
        ("embedding", 1, single([])),
        ("embedding, 3.5 % of the units set", 1, single(edits)),
        (
            f"{options.variants} settings from block {half} on, one pass",
            options.variants,
            lambda some: embed_variants(loaded, some, layers, sweep, tokens="all", max_tokens_per_batch=batch_tokens),
        ),
        ("experts: responses and AUROC of one target", 1, lambda some: experts(loaded, some, batch_tokens)),
    ]
    few = make_texts(min(64, sentences), shape["vocab_size"])
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(
        f"{name}, torch {torch.__version__}, bfloat16: {shape['n_layer']} blocks of width {shape['hidden_size']},"
        f" {in_blocks / 1e9:.2f} G parameters in blocks; {len(texts):,} sentences, {n_tokens:,} tokens, batches of"
        f" {batch_tokens:,} tokens, padding {1 - n_tokens / padded:.1%}; matrix rate {rate / 1e12:.3g} TFLOP/s\n"
    )
    print(f"| on {name} | s | tokens/s (all settings) | share of the matrix rate | peak memory, GiB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    measured = {}
    for what, n, function in work:
        function(few)  # compiles, and takes memory
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        seconds = measured[what] = timed(device, lambda function=function: function(texts))  # type: ignore[misc]
        # Against one setting after another: what is shared counts as if it had been computed for each.
        share = 2 * in_blocks * n * n_tokens / seconds / rate
        print(f"| {what} | {seconds:#.3g} | {n * n_tokens / seconds:,.0f} | {share:.0%} | {peak_gib(device):.1f} |")

    items, width = (64, 64) if options.tiny else (1012, 4096)
    together, apart = similarity_seconds(device, 21, items, width)
    floor = 2 * 21 * items * items * width / together / 1e12
    print(
        f"\nSimilarity of {items:,} items of one language with 21 others, width {width:,}, float32, on {name}:"
        f" {1000 * together:.2f} ms in one product ({floor:.3g} TFLOP/s), {1000 * apart:.2f} ms in 21"
    )
    of_language = measured[work[1][0]] * items / len(texts)
    snapshots, pairs = grid_hours(of_language, together)
    print(
        f"Estimate from these parts, 22 languages × 500 settings × 32 layers × 3 models of this shape:"
        f" {snapshots:.1f} h of snapshots, {pairs:.1f} h of similarity"
    )


if __name__ == "__main__":
    main()
