"""The same edit on the same model by other libraries: equal outputs, then time and memory beside ours, in one run.

    python benchmarks/peers.py [--rounds N] [--batch N] [--json]

The model is a random GPT-2 of 6 blocks of width 192 with the built-in tokenizer; the edit adds one vector to the output
of the fourth block, at all tokens. A peer must give our last hidden state to 1e-4 (sentence-transformers, which edits
nothing, our mean-pooled embeddings). Peers that are not installed, or that fail, are listed with the reason. Times are
the process's processor time, medians over rounds in which all take turns; memory is the peak of what torch allocated
beside the model during one pass.
"""

import argparse
import importlib.metadata
import json
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

import sprachbund
from sprachbund.corpora import phrasebook
from sprachbund_runners.interventions.low_rank import LowRank
from sprachbund_runners.models.embed import embed
from sprachbund_runners.models.hooks import run_forward
from sprachbund_runners.models.loading import load
from sprachbund_runners.models.steering import steering
from sprachbund_runners.worker import CPU_TOKENS

DEMO = Path(sprachbund.__file__).parent / "builtin" / "phrasebook-bloom"
BLOCK, WIDTH = 4, 192
Call = Callable[[], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Setup:
    """The model on disk, the batch, and the vector that is added to block 4's output."""

    folder: Path
    texts: list[str]
    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    vector: torch.Tensor

    def model(self) -> Any:
        found = GPT2LMHeadModel.from_pretrained(self.folder)
        found.config.use_cache = False
        return found.eval()


def make_setup(folder: Path, batch: int) -> Setup:
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(DEMO)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=WIDTH, n_layer=6, n_head=4, n_positions=256,
        bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    texts = [text for _, text, _ in phrasebook.sentences("test", "eng_Latn", batch)]
    # Of one length: what peers make of padding is not compared.
    ids = [tokenizer(text)["input_ids"] for text in texts]
    length = min(len(each) for each in ids)
    input_ids = torch.tensor([each[:length] for each in ids])
    return Setup(folder, texts, input_ids, torch.ones_like(input_ids), torch.randn(WIDTH) * 0.5)


@contextmanager
def ours(setup: Setup) -> Iterator[Call]:
    loaded = load(setup.folder)
    nothing = np.zeros((WIDTH, 0), dtype=np.float32)
    edit = LowRank("block", BLOCK, nothing, nothing, setup.vector.numpy())

    def call() -> torch.Tensor:
        found = run_forward(loaded.model, setup.input_ids, setup.attention_mask)
        assert found is not None
        return found

    with steering(loaded, [edit]):
        yield call


@contextmanager
def plain(setup: Setup) -> Iterator[Call]:
    base = setup.model().transformer
    yield lambda: base(input_ids=setup.input_ids, attention_mask=setup.attention_mask).last_hidden_state


@contextmanager
def with_pyvene(setup: Setup) -> Iterator[Call]:
    import pyvene

    class Add(pyvene.ConstantSourceIntervention):  # type: ignore[misc]
        def forward(self, base: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
            # Handed over with all tokens of a text in one row.
            return (base.unflatten(-1, (-1, WIDTH)) + setup.vector).view_as(base)

    config = pyvene.IntervenableConfig(
        [{"layer": BLOCK - 1, "component": "block_output", "intervention": Add(embed_dim=WIDTH)}]
    )
    model = setup.model().transformer
    intervenable = pyvene.IntervenableModel(config, model)
    inputs = {"input_ids": setup.input_ids, "attention_mask": setup.attention_mask}

    def call() -> torch.Tensor:
        _, changed = intervenable(inputs, unit_locations=None)
        found: torch.Tensor = changed.last_hidden_state
        return found

    yield call


@contextmanager
def with_nnsight(setup: Setup) -> Iterator[Call]:
    from nnsight import NNsight

    model = NNsight(setup.model().transformer)

    def call() -> torch.Tensor:
        with model.trace(input_ids=setup.input_ids, attention_mask=setup.attention_mask):
            output = model.h[BLOCK - 1].output
            if isinstance(output, tuple):
                output[0][:] = output[0] + setup.vector
            else:
                model.h[BLOCK - 1].output = output + setup.vector
            found = model.output.last_hidden_state.save()
        result: torch.Tensor = found
        return result

    yield call


@contextmanager
def with_transformer_lens(setup: Setup) -> Iterator[Call]:
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(
        "gpt2", hf_model=setup.model(), tokenizer=AutoTokenizer.from_pretrained(setup.folder), device="cpu"
    )
    seen: list[torch.Tensor] = []

    def add(value: torch.Tensor, hook: Any) -> torch.Tensor:
        return value + setup.vector

    def keep(value: torch.Tensor, hook: Any) -> torch.Tensor:
        seen[:] = [value]
        return value

    hooks = [(f"blocks.{BLOCK - 1}.hook_out", add), ("ln_final.hook_out", keep)]

    def call() -> torch.Tensor:
        bridge.run_with_hooks(setup.input_ids, fwd_hooks=hooks)
        return seen[0]

    yield call


@contextmanager
def with_repeng(setup: Setup) -> Iterator[Call]:
    from repeng import ControlModel, ControlVector

    model = ControlModel(setup.model(), [BLOCK - 1])
    model.set_control(ControlVector("gpt2", {BLOCK - 1: setup.vector.numpy()}))
    yield lambda: model.model.transformer(input_ids=setup.input_ids).last_hidden_state


@contextmanager
def with_steering_vectors(setup: Setup) -> Iterator[Call]:
    from steering_vectors import SteeringVector

    model = setup.model()
    with SteeringVector({BLOCK - 1: setup.vector}, "decoder_block").apply(model):
        yield (
            lambda: model.transformer(input_ids=setup.input_ids, attention_mask=setup.attention_mask).last_hidden_state
        )


@contextmanager
def our_embeddings(setup: Setup) -> Iterator[Call]:
    loaded = load(setup.folder)
    # Batches as runners make them on a CPU.
    asked: dict[str, Any] = {"layers": ["final"], "tokens": "all", "max_tokens_per_batch": CPU_TOKENS}
    yield lambda: torch.from_numpy(embed(loaded, setup.texts, **asked)["final"])


@contextmanager
def with_sentence_transformers(setup: Setup) -> Iterator[Call]:
    from sentence_transformers import SentenceTransformer, models

    word = models.Transformer(str(setup.folder))
    word.tokenizer.pad_token = word.tokenizer.pad_token or word.tokenizer.eos_token
    model = SentenceTransformer(modules=[word, models.Pooling(WIDTH, "mean")], device="cpu")
    yield lambda: model.encode(setup.texts, convert_to_tensor=True, batch_size=len(setup.texts))


EDITING: dict[str, Callable[[Setup], Any]] = {
    "pyvene": with_pyvene,
    "nnsight": with_nnsight,
    "transformer-lens": with_transformer_lens,
    "repeng": with_repeng,
    "steering-vectors": with_steering_vectors,
}
EMBEDDING: dict[str, Callable[[Setup], Any]] = {"sentence-transformers": with_sentence_transformers}


def peak_memory(call: Call) -> int:
    """Peak of the bytes that torch allocated during a call, beside what was there."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found, torch.inference_mode():
        call()
    held = peak = 0
    for event in found.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def compare(setup: Setup, base: str, makers: dict[str, Callable[[Setup], Any]], rounds: int) -> list[dict[str, Any]]:
    """Rows for `base` (ours) and every peer of `makers`; those that are absent or fail have a reason."""
    rows: list[dict[str, Any]] = []
    expected: torch.Tensor | None = None
    times: dict[str, list[float]] = {}
    for turn in range(rounds + 1):
        for name, make in makers.items():
            if turn and name not in times:
                continue
            try:
                with make(setup) as call, torch.inference_mode():
                    call()
                    start = time.process_time()
                    for _ in range(5):
                        found = call()
                    seconds = (time.process_time() - start) / 5
                    if not turn:
                        found = found.float().cpu().clone()
                        if name == base:
                            expected = found
                        elif name != "plain" and expected is not None:
                            difference = float((found.reshape(expected.shape) - expected).abs().max())
                            if not difference <= 1e-4:
                                raise ArithmeticError(f"gives another result: differs by {difference:.3g}")
                        rows.append({"who": name, "version": version(name), "memory": peak_memory(call)})
                        times[name] = []
                    else:
                        times[name].append(seconds)
            except Exception as error:  # however a peer fails, that is its result
                if name == base:
                    raise
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:150]
                rows.append({"who": name, "version": version(name), "reason": reason})
    for row in rows:
        if times.get(row["who"]):
            row["ms"] = 1000 * statistics.median(times[row["who"]])
            row["time_ratio"] = statistics.median(a / b for a, b in zip(times[row["who"]], times[base], strict=True))
    return rows


def version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description="The same edit by other libraries.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        setup = make_setup(Path(folder), options.batch)
        rows = compare(setup, "ours", {"ours": ours, "plain": plain, **EDITING}, options.rounds)
        more = compare(setup, "ours, embeddings", {"ours, embeddings": our_embeddings, **EMBEDDING}, options.rounds)
    if options.json:
        print(json.dumps({"batch": list(setup.input_ids.shape), "rows": rows + more}))
        return
    print("\n| who | version | ms | time × ours | peak memory × ours |\n| --- | --- | ---: | ---: | ---: |")
    for part in (rows, more):
        for row in part:
            who = f"| {row['who']} | {row['version'] or '–'}"
            if "ms" in row:
                print(f"{who} | {row['ms']:.1f} | {row['time_ratio']:.2f} | {row['memory'] / part[0]['memory']:.2f} |")
            else:
                print(f"{who} | {'not installed' if row['version'] is None else row['reason']} | | |")


if __name__ == "__main__":
    main()
