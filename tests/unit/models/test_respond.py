from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sprachbund.errors import ModelError
from sprachbund_runners.models import respond as responding
from sprachbund_runners.models.batches import make_batch, tokenise
from sprachbund_runners.models.hooks import observing, resolve, run_forward
from sprachbund_runners.models.loading import LoadedModel
from sprachbund_runners.models.moments import TokenMoments, merge_all
from sprachbund_runners.models.respond import Request, Responses, Sink, respond
from support.edits import set_to

Pooled = dict[tuple[int, str], NDArray[np.float32]]


def table_of(texts: list[str]) -> tuple[Pooled, Sink]:
    """An empty table of pooled responses and the sink that fills it, each row once."""
    pooled: Pooled = {}

    def sink(block: int, site: str, rows: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        assert values.dtype == np.float32
        table = pooled.setdefault((block, site), np.full((len(texts), values.shape[1]), np.nan, dtype=np.float32))
        assert np.isnan(table[rows]).all()
        table[rows] = values

    return pooled, sink


def collect(
    loaded: LoadedModel,
    texts: list[str],
    sites: Sequence[str],
    pooling: str,
    tokens: str,
    blocks: Sequence[int] | None = None,
    **options: Any,
) -> tuple[Pooled, Responses]:
    pooled, sink = table_of(texts)
    (responses,) = respond(loaded, texts, [Request(sites, pooling, tokens, sink, blocks)], **options)
    return pooled, responses


def token_activations(loaded: LoadedModel, text: str, tokens: str) -> dict[tuple[int, str], NDArray[np.float64]]:
    """One text alone, without padding: [chosen tokens, width] for each site; the slow reference."""
    batch = make_batch(loaded, tokenise(loaded, [text]), np.array([0]))
    keep = batch.mask(tokens)[0]
    seen: dict[tuple[int, str], NDArray[np.float64]] = {}
    architecture = loaded.architecture
    with (
        torch.inference_mode(),
        observing(
            loaded.model,
            architecture,
            architecture.site_names,
            lambda block, site, x: seen.update({(block, site): x[0][keep].double().numpy()}),
        ),
    ):
        run_forward(loaded.model, batch.input_ids, batch.attention_mask)
    return seen


@pytest.mark.parametrize(
    ("pooling", "tokens"), [("mean", "content"), ("max", "all"), ("max", "content"), ("mean", "last")]
)
def test_responses_and_moments_equal_the_slow_way(
    loaded: LoadedModel, texts: list[str], pooling: str, tokens: str
) -> None:
    pooled, responses = collect(loaded, texts, loaded.architecture.site_names, pooling, tokens, max_tokens_per_batch=35)
    assert responses.report.n_batches > 2
    slow = [token_activations(loaded, text, tokens) for text in texts]
    for place, table in pooled.items():
        reduce = np.mean if pooling == "mean" else np.max
        expected = np.stack([reduce(found[place], axis=0) for found in slow])
        np.testing.assert_allclose(table, expected, rtol=1e-5, atol=1e-5)
        every = np.concatenate([found[place] for found in slow])
        moments = responses.moments[place]
        assert moments.count == len(every) == responses.token_counts.sum()
        np.testing.assert_allclose(moments.mean, every.mean(axis=0), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(moments.variance, every.var(axis=0), rtol=2e-5, atol=1e-6)
        # Alone and in a batch an activation may fall on either side of 0 by rounding.
        sure = (np.abs(every) > 1e-5).all(axis=0)
        assert sure.mean() > 0.9
        assert responses.positive[place].dtype == np.int64
        np.testing.assert_array_equal(responses.positive[place][sure], (every > 0).sum(axis=0)[sure])
    assert list(pooled) == [
        (part.block, part.site) for part in loaded.architecture.units(loaded.architecture.site_names)
    ]


def test_one_pass_for_several_requests_is_several_passes(
    loaded: LoadedModel, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [
        (("mlp.up", "mlp.down"), "max", "content", None),
        (("block",), "mean", "content", None),
        (("mlp.up",), "mean", "content", [2]),
        (("mlp.up",), "max", "all", None),
        (("block", "mlp.up"), "mean", "last", [1]),
    ]
    tables = [table_of(texts) for _ in asked]
    requests = [
        Request(sites, pooling, tokens, sink, blocks)
        for (sites, pooling, tokens, blocks), (_, sink) in zip(asked, tables, strict=True)
    ]
    passes = 0
    run = responding.run_batches

    def counted(*arguments: Any) -> Any:
        nonlocal passes
        passes += 1
        return run(*arguments)

    monkeypatch.setattr(responding, "run_batches", counted)
    together = respond(loaded, texts, requests, max_tokens_per_batch=40)
    assert passes == 1
    for (pooled, _), responses, (sites, pooling, tokens, blocks) in zip(tables, together, asked, strict=True):
        alone, expected = collect(loaded, texts, sites, pooling, tokens, blocks=blocks, max_tokens_per_batch=40)
        assert list(pooled) == list(alone) == list(responses.moments) == list(responses.positive)
        np.testing.assert_array_equal(responses.token_counts, expected.token_counts)
        for place, table in pooled.items():
            np.testing.assert_array_equal(table, alone[place])
            np.testing.assert_array_equal(responses.moments[place].mean, expected.moments[place].mean)
            np.testing.assert_array_equal(responses.moments[place].m2, expected.moments[place].m2)
            np.testing.assert_array_equal(responses.positive[place], expected.positive[place])


def test_batches_change_nothing(loaded: LoadedModel, texts: list[str]) -> None:
    runs = [collect(loaded, texts, ["mlp.up"], "mean", "content", max_tokens_per_batch=size) for size in (1, 40, 999)]
    for pooled, responses in runs[1:]:
        for place, table in pooled.items():
            np.testing.assert_allclose(table, runs[0][0][place], rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(responses.moments[place].m2, runs[0][1].moments[place].m2, rtol=1e-5, atol=1e-5)


def test_chosen_blocks_only_and_the_pass_ends_there(bloom: LoadedModel, texts: list[str]) -> None:
    ran: list[int] = []
    handle = resolve(bloom.model, "h.2").register_forward_hook(lambda *_: ran.append(3))
    try:
        pooled, _ = collect(bloom, texts, ["mlp.hidden", "mlp.up"], "max", "all", blocks=[2])
    finally:
        handle.remove()
    assert list(pooled) == [(2, "mlp.up"), (2, "mlp.hidden")]
    assert ran == []


def test_responses_under_an_intervention(bloom: LoadedModel, texts: list[str]) -> None:
    edit = set_to("mlp.up", 2, [3], 1.5)
    pooled, responses = collect(bloom, texts, ["mlp.up"], "mean", "content", intervention=[edit])
    assert (pooled[2, "mlp.up"][:, 3] == 1.5).all()
    moments = responses.moments[2, "mlp.up"]
    assert (moments.mean[3], moments.m2[3]) == (1.5, 0.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(("budget", "longest", "place"), [(12, 10, 0), (10_000, 13, 2)])
def test_activations_that_are_not_finite_are_named(
    bloom: LoadedModel, texts: list[str], value: float, budget: int, longest: int, place: int
) -> None:
    """Only the text with 10 words (item 9, the third longest), alone or with all others; only unit 5 of block 2."""

    def spoil(_module: torch.nn.Module, _args: object, output: torch.Tensor) -> None:
        if output.shape[1] == longest:
            output[place, 4, 5] = value

    handle = resolve(bloom.model, "h.1.mlp.dense_h_to_4h").register_forward_hook(spoil)
    try:
        with pytest.raises(ModelError, match=r"unit 5 of mlp.up in block 2 is not finite on item 9"):
            collect(bloom, texts, ["mlp.up"], "max", "all", max_tokens_per_batch=budget)
    finally:
        handle.remove()


def test_no_texts_and_unknown_words_are_refused(bloom: LoadedModel) -> None:
    with pytest.raises(ModelError, match=r"no texts given"):
        collect(bloom, [], ["mlp.up"], "max", "all")
    with pytest.raises(ModelError, match=r"pooling 'maxx' is not known; .*did you mean 'max'"):
        collect(bloom, ["w1"], ["mlp.up"], "maxx", "all")
    with pytest.raises(ModelError, match=r"site 'mlp.ups' does not exist .*did you mean 'mlp.up'"):
        collect(bloom, ["w1"], ["mlp.ups"], "max", "all")
    with pytest.raises(ModelError, match=r"tokens 'contents' is not known; .*did you mean 'content'"):
        collect(bloom, ["w1"], ["mlp.up"], "max", "contents")
    with pytest.raises(ModelError, match=r"nothing requested"):
        respond(bloom, ["w1"], [])


def test_moments_of_parts_merge_to_those_of_the_whole(rng: np.random.Generator) -> None:
    values = rng.normal(1e4, 1, (50, 4))
    parts = [
        TokenMoments(len(part), part.mean(axis=0), part.var(axis=0) * len(part))
        for part in np.split(values, [1, 7, 30])
    ]
    empty = TokenMoments(0, np.zeros(4), np.zeros(4))
    whole = merge_all([empty, *parts, empty])
    assert whole.count == 50
    np.testing.assert_allclose(whole.mean, values.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(whole.variance, values.var(axis=0), rtol=1e-9)
    with pytest.raises(ModelError, match=r"cannot be merged"):
        whole.merge(TokenMoments(1, np.zeros(3), np.zeros(3)))


def test_moments_survive_a_mean_far_from_zero(
    load_family: Callable[[str], LoadedModel], texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shift of 1,000 standard deviations: squares of raw float32 values would leave no digit of the variance."""
    gpt2 = load_family("gpt2")
    bias = resolve(gpt2.model, "h.0.mlp.c_fc").bias
    plain = collect(gpt2, texts, ["mlp.up"], "mean", "all", blocks=[1], max_tokens_per_batch=30)[1]
    monkeypatch.setattr(bias, "data", bias.data + 1000.0)
    moved = collect(gpt2, texts, ["mlp.up"], "mean", "all", blocks=[1], max_tokens_per_batch=30)[1]
    np.testing.assert_allclose(
        moved.moments[1, "mlp.up"].variance, plain.moments[1, "mlp.up"].variance, rtol=2e-3, atol=1e-6
    )


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)
