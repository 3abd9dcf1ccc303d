"""Every pass on torch's `meta` device: a tensor left elsewhere raises, and so does a value asked for inside a pass.

Models that differ in structure, not every family: biases on attention (Bloom), rotary positions, sliding windows in
every other block, an encoder. Left out are GPT-2, Cohere, Qwen 2, Gemma 2 and BERT, whose blocks consist of the same
parts, and the other attention of each.
"""

import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from sprachbund_runners.export.merge import merge
from sprachbund_runners.generation.decoding import generate
from sprachbund_runners.interventions.edits import UnitAffine
from sprachbund_runners.interventions.low_rank import Edit, LowRank
from sprachbund_runners.language_modelling.scoring import likelihoods
from sprachbund_runners.models.embed import WORD, Variant, embed, embed_variants
from sprachbund_runners.models.host import to_host
from sprachbund_runners.models.loading import LoadedModel, load
from sprachbund_runners.models.respond import Request, respond
from sprachbund_runners.models.words import align
from support.placement import META, Misplaced, Placement, on_meta

MODELS = (("bloom", "eager"), ("llama", "sdpa"), ("cohere2", "eager"), ("xlm-roberta", "sdpa"))
WRITERS = (("bloom", "eager"), ("llama", "sdpa"))
LOOKS = 2
"""How often in a pass, at most."""


@pytest.fixture(scope="module")
def placed(model_folder: Callable) -> Callable[..., LoadedModel]:
    """(family, attention, head) → its model on `meta`, made once."""
    known: dict[tuple[str, str, bool], LoadedModel] = {}

    def get(family: str, attention: str = "eager", head: bool = False) -> LoadedModel:
        if (family, attention, head) not in known:
            known[family, attention, head] = on_meta(load(model_folder(family), attention=attention, head=head))
        return known[family, attention, head]

    return get


@pytest.fixture(params=MODELS, ids="-".join)
def model(request: pytest.FixtureRequest, placed: Callable) -> LoadedModel:
    return placed(*request.param)


@pytest.fixture(params=WRITERS, ids="-".join)
def writer(request: pytest.FixtureRequest, placed: Callable) -> LoadedModel:
    return placed(*request.param, head=True)


@pytest.fixture
def texts() -> list[str]:
    """Five texts of 1 to 9 words, in no order of length."""
    return [" ".join(f"w{(7 * row + place) % 40}" for place in range(n)) for row, n in enumerate((3, 1, 9, 8, 2))]


@pytest.fixture
def placement(request: pytest.FixtureRequest) -> Iterator[Placement]:
    loaded = request.getfixturevalue("model" if "model" in request.fixturenames else "writer")
    # With `sdpa` transformers asks for a value, whether the mask hides anything.
    with Placement(of_library=loaded.attention == "sdpa") as mode:
        yield mode


def unit_edit(site: str, block: int, tokens: str, a: float, bounded: bool = False) -> UnitAffine:
    unit = np.arange(5)
    fill = np.ones(5, dtype=np.float32)
    end = np.float32(0.5 if bounded else np.inf)
    return UnitAffine(site, block, unit, a * fill, 0.3 * fill, -end * fill, end * fill, tokens=tokens)


def direction(loaded: LoadedModel, site: str, block: int, tokens: str, rank: int = 2) -> LowRank:
    drawn = np.random.default_rng(block)
    width = loaded.architecture.site(site).width
    u, v = (drawn.standard_normal((width, rank)).astype(np.float32) for _ in "uv")
    return LowRank(site, block, u, v, drawn.standard_normal(width).astype(np.float32), tokens=tokens)


def edits(loaded: LoadedModel, tokens: str, first: int = 1) -> list[Edit]:
    """Every way by which an edit acts: set, scaled, within bounds, low-rank, a shift."""
    up = "mlp.hidden" if "mlp.hidden" in {site.name for site in loaded.architecture.sites} else "mlp.down"
    return [
        unit_edit(up, first, "all", 0.0),
        unit_edit("mlp.down", first, tokens, 2.0),
        unit_edit("attn.out", first, tokens, 0.5, bounded=True),
        direction(loaded, "block", 2, tokens),
        direction(loaded, "block", 3, "all", rank=0),
    ]


@pytest.mark.parametrize(("tokens", "pooling"), [("content", "max"), ("all", "weighted_mean"), ("first", "mean")])
def test_embedding_with_edits(
    model: LoadedModel, placement: Placement, texts: list[str], tokens: str, pooling: str
) -> None:
    layers = model.architecture.layers
    found = embed(
        model,
        texts,
        layers,
        pooling,
        tokens,
        edits(model, tokens if tokens != "first" else "last"),
        max_tokens_per_batch=20,
    )
    assert {layer: each.shape for layer, each in found.items()} == dict.fromkeys(layers, (5, 16))
    # Layers leave together when a batch is done.
    assert placement.departures == len(layers) * found.report.n_batches
    assert placement.looks <= LOOKS * found.report.n_batches


def test_many_variants_in_one_pass(model: LoadedModel, placement: Placement, texts: list[str]) -> None:
    variants = [Variant([]), Variant(edits(model, "content")), Variant(edits(model, "last", 2), np.array([1, 4]))]
    variants.append(Variant([unit_edit("mlp.down", 3, "all", 0.0)]))
    found = embed_variants(model, texts, ["1", "2", "final"], variants, max_tokens_per_batch=32)
    assert [each["2"].shape for each in found] == [(5, 16), (5, 16), (2, 16), (5, 16)]


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_embeddings_of_words(model: LoadedModel, placement: Placement, pooling: str) -> None:
    texts = ["w0 w1 w2", "w3 w4 w5 w6 w7"]
    spans = [np.array([[start.start(), start.end()] for start in re.finditer(r"\S+", text)]) for text in texts]
    found = embed(model, align(model, texts, spans), ["0", "final"], pooling, WORD, edits(model, "content"))
    assert found["final"].shape == (8, 16)


def test_responses_leave_once_a_batch(model: LoadedModel, placement: Placement, texts: list[str]) -> None:
    seen: list[tuple[int, str]] = []
    sites = ["mlp.down", "attn.out", "block"]
    requests = [
        Request(sites, pooling, tokens, lambda block, site, rows, values: seen.append((block, site)))
        for pooling, tokens in (("max", "content"), ("mean", "all"), ("mean", "last"))
    ]
    found = respond(model, texts, requests, edits(model, "content"), max_tokens_per_batch=20)
    assert len(seen) == 3 * 9 * found[0].report.n_batches
    # Seven results of each site and choice of tokens, the maximum of one.
    assert placement.departures == 9 * (7 + 6 + 6) * found[0].report.n_batches


@pytest.mark.parametrize(("temperature", "tokens"), [(0.0, "content"), (0.8, "last")])
def test_generation(writer: LoadedModel, placement: Placement, temperature: float, tokens: str) -> None:
    prompts = [np.array([1, 5, 6]), np.array([1])]
    uniform = np.full((2, 17), 0.5)
    found = generate(
        writer, prompts, max_new_tokens=17, temperature=temperature, top_p=0.9, uniform=uniform,
        edits=edits(writer, tokens),
    )  # fmt: skip
    assert [len(each) for each in found.ids] == [17, 17]
    # Looked at once before its end.
    assert placement.departures == 2


def test_likelihoods(writer: LoadedModel, placement: Placement) -> None:
    documents = [np.array([1, *range(4, 4 + n)]) for n in (1, 7, 14)]
    found = likelihoods(
        writer, documents, window=8, stride=3, special=frozenset({0, 1}), edits=edits(writer, "content"),
        max_tokens_per_batch=20,
    )  # fmt: skip
    assert found.n_tokens.tolist() == [1, 7, 14]
    assert placement.departures >= 2  # one a batch


def test_merging_and_the_merged_model(model_folder: Callable, texts: list[str]) -> None:
    loaded = on_meta(load(model_folder("bloom")))
    width = loaded.architecture.site("mlp.down").width
    changes: list[Edit] = [unit_edit("mlp.hidden", 1, "all", 0.5), unit_edit("mlp.down", 2, "all", 0.0)]
    changes.append(LowRank("mlp.down", 3, *[np.ones((width, 1), np.float32)] * 2, np.ones(width, np.float32)))
    # Once, before any pass, merging asks whether there is a shift and whether what it wrote is finite.
    with Placement(by={"merge"}):
        merge(loaded.model, loaded.architecture, changes)
    with Placement() as mode:
        embed(loaded, texts, ["1", "final"])
    assert mode.departures
    assert {each.device for each in loaded.model.parameters()} == {META}


def test_what_the_mode_refuses() -> None:
    here, there = torch.ones(3), torch.ones(3, device=META)
    with Placement():
        with pytest.raises(Misplaced, match="tensors on cpu and meta"):
            there.index_select(0, here.long())
        with pytest.raises(Misplaced, match="asked for"):
            there.sum().item()
        with pytest.raises(Misplaced, match="asked for"):
            bool(there.any())
        with pytest.raises(Misplaced, match="asked for"):
            there.nonzero()
        with pytest.raises(NotImplementedError):
            there[there > 0]
        with pytest.raises(Misplaced, match="not by `to_host`"):
            there.cpu()
        with pytest.raises(Misplaced, match="copied to the host"):
            here.copy_(there)
        assert to_host([there])[0].tolist() == [0, 0, 0]


def test_a_hook_that_asks_is_caught(placed: Callable, texts: list[str]) -> None:
    model = placed("bloom")
    module = model.model.base_model.h[0]
    with Placement():
        for ask in (lambda out: out[0].max().item(), lambda out: to_host([out[0]])):
            hook = module.register_forward_hook(lambda _m, _i, out, ask=ask: ask(out) and None)
            with pytest.raises(Misplaced):
                embed(model, texts, ["final"])
            hook.remove()
