"""python -m sprachbund_runners.pretraining.check DIR: does steering show in this checkpoint?

A second opinion on the platform's own demo, in plain transformers and numpy: none of the
platform's scorers, hooks or evaluations is used. Experts are fitted on non-parallel sentences (no meaning in
two languages), chosen by AUROC of the maximum over content tokens at `mlp.up` and `mlp.down`, and set to
their mean over the target's sentences at every token. Printed: top-1 retrieval on the test split, mean over
all ordered pairs of languages, at every layer.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from sprachbund_runners.pretraining.phrasebook import LANGUAGES, render, sentences, split

Floats = NDArray[np.float64]
FIT_PER_LANGUAGE = 300
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Model:
    """A checkpoint in float32 with its tokenizer and its sites: per block mlp.up, then mlp.down."""

    network: Any
    tokenizer: Any
    sites: tuple[nn.Module, ...]

    @property
    def widths(self) -> list[int]:
        return [int(site.out_features) for site in self.sites]


def load(folder: str) -> Model:
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    blocks = network.transformer.h
    sites = tuple(site for block in blocks for site in (block.mlp.dense_h_to_4h, block.mlp.dense_4h_to_h))
    return Model(network, tokenizer, sites)


@contextmanager
def hooks(model: Model, make: Callable[[int], Callable[[Tensor], Tensor | None]]) -> Iterator[None]:
    """Calls make(site index)(output) after each site; a tensor it returns replaces the output."""
    handles = []
    for index, site in enumerate(model.sites):
        react = make(index)
        handles.append(site.register_forward_hook(lambda _module, _inputs, output, react=react: react(output)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def batches(model: Model, texts: Sequence[str]) -> Iterator[tuple[Any, Tensor]]:
    """Encoded batches and the mask (rows, tokens) of content tokens."""
    for start in range(0, len(texts), _BATCH):
        encoded = model.tokenizer(
            list(texts[start : start + _BATCH]),
            padding=True,
            return_tensors="pt",
            return_special_tokens_mask=True,
        )
        content = encoded.pop("special_tokens_mask") == 0
        yield encoded, content & (encoded["attention_mask"] == 1)


@torch.inference_mode()
def responses(model: Model, texts: Sequence[str]) -> Floats:
    """(texts, units): the maximum of every unit over a text's content tokens."""
    found = []
    for encoded, content in batches(model, texts):
        parts: dict[int, Tensor] = {}

        def keep(index: int, parts: dict[int, Tensor] = parts, content: Tensor = content) -> Any:
            def react(output: Tensor) -> None:
                parts[index] = output.masked_fill(~content[:, :, None], float("-inf")).amax(1)

            return react

        with hooks(model, keep):
            model.network(**encoded)
        found.append(torch.cat([parts[index] for index in range(len(model.sites))], dim=1))
    return torch.cat(found).numpy().astype(np.float64)


@torch.inference_mode()
def embeddings(model: Model, texts: Sequence[str], edit: dict[int, float]) -> Floats:
    """(layers, texts, width): the mean over content tokens, with the units of `edit` set to its values."""
    values = torch.full((sum(model.widths),), float("nan"))
    values[list(edit)] = torch.tensor(list(edit.values()))
    parts = values.split(model.widths)

    def overwrite(index: int) -> Any:
        fixed = ~parts[index].isnan()
        return lambda output: torch.where(fixed, parts[index], output)

    found = []
    for encoded, content in batches(model, texts):
        with hooks(model, overwrite):
            states = model.network(**encoded, output_hidden_states=True).hidden_states
        weights = content[None, :, :, None].float()
        found.append((torch.stack(states) * weights).sum(2) / weights.sum(2))
    return torch.cat(found, dim=1).numpy().astype(np.float64)


def auroc(responses: Floats, positive: NDArray[np.bool_]) -> Floats:
    """(units,): the Mann-Whitney statistic of `responses` (sentences, units) with midranks for ties."""
    ranks = rankdata(responses, axis=0)
    n = int(positive.sum())
    sums: Floats = ranks[positive].sum(0)
    return (sums - n * (n + 1) / 2) / (n * (len(positive) - n))


def top1(spaces: dict[str, Floats]) -> Floats:
    """(layers,): share of sentences whose translation is nearest by cosine, mean over ordered pairs."""
    unit = {name: space / np.linalg.norm(space, axis=-1, keepdims=True) for name, space in spaces.items()}
    levels = []
    for query in unit:
        for candidate in unit:
            if query != candidate:
                similar = unit[query] @ unit[candidate].swapaxes(1, 2)
                levels.append((similar.argmax(2) == np.arange(similar.shape[1])).mean(1))
    mean: Floats = np.mean(levels, axis=0)
    return mean


def same_profile(units: NDArray[np.int64], model: Model, rng: np.random.Generator) -> NDArray[np.int64]:
    """As many random other units of every site as `units` has there."""
    ends = np.cumsum(model.widths)
    site = np.searchsorted(ends, units, side="right")
    picked = []
    for index, width in enumerate(model.widths):
        own = units[site == index]
        others = np.setdiff1d(np.arange(ends[index] - width, ends[index]), own)
        picked.append(rng.choice(others, size=min(len(own), len(others)), replace=False))
    return np.concatenate(picked)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sprachbund_runners.pretraining.check",
        description="Top-1 retrieval of a BLOOM checkpoint on the phrasebook with and without steering.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("folder", help="the checkpoint")
    parser.add_argument("--share", type=float, default=0.035, help="of all units that are fixed")
    parser.add_argument("--random", type=int, default=3, help="random selections for each target")
    parser.add_argument("--items", type=int, default=500, help="test sentences a language")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    model = load(given.folder)
    texts = {name: [text for _, text, _ in sentences("test", name, given.items)] for name in LANGUAGES}

    fit = split("fit", n=FIT_PER_LANGUAGE * len(LANGUAGES))
    labels = np.repeat(np.arange(len(LANGUAGES)), FIT_PER_LANGUAGE)
    pooled = responses(model, [render(m, LANGUAGES[label]) for m, label in zip(fit, labels, strict=True)])
    count = round(given.share * pooled.shape[1])

    def steered(units: NDArray[np.int64], target: int) -> Floats:
        means = pooled[labels == target].mean(0)
        edit = {int(unit): float(means[unit]) for unit in units}
        return top1({name: embeddings(model, texts[name], edit) for name in LANGUAGES})

    plain = {name: embeddings(model, texts[name], {}) for name in LANGUAGES}
    layers = [*map(str, range(len(plain[LANGUAGES[0]]) - 1)), "final"]
    print("| setting | " + " | ".join(layers) + " |\n|" + " --- |" * (len(layers) + 1), flush=True)

    def row(name: str, levels: Floats) -> None:
        print(f"| {name} | " + " | ".join(f"{level:.3f}".lstrip("0") for level in levels) + " |", flush=True)

    row("none", top1(plain))
    controls = []
    for target, name in enumerate(LANGUAGES):
        scores = auroc(pooled, labels == target)
        experts = np.argsort(-scores, kind="stable")[:count]
        row(f"experts {name}", steered(experts, target))
        draws = [
            steered(same_profile(experts, model, np.random.default_rng(seed)), target) for seed in range(given.random)
        ]
        controls.append((f"random, same profile, {name}", np.mean(draws, axis=0) if draws else None))
    for label, levels in controls:
        if levels is not None:
            row(label, levels)
    fitted = {
        name: embeddings(model, [render(m, name) for m, label in zip(fit, labels, strict=True) if label == index], {})
        for index, name in enumerate(LANGUAGES)
    }
    row("centring (on fit)", top1({n: s - fitted[n].mean(1, keepdims=True) for n, s in plain.items()}))
    row("centring (on test)", top1({n: s - s.mean(1, keepdims=True) for n, s in plain.items()}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
