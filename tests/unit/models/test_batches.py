from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sprachbund.errors import CorpusError, ModelError
from sprachbund_runners.models.batches import (
    MAX_PADDING,
    Batch,
    fewest_tokens,
    is_out_of_memory,
    make_batch,
    plan_batches,
    run_batches,
    tokenise,
)
from sprachbund_runners.models.embed import embed
from sprachbund_runners.models.hooks import run_forward
from sprachbund_runners.models.loading import LoadedModel


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 100))
def test_a_plan_covers_every_text_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = plan_batches(np.array(lengths, dtype=np.int64), budget)
    rows = [row for batch in batches for row in batch]
    assert sorted(rows) == list(range(len(lengths)))
    assert [lengths[row] for row in rows] == sorted(lengths, reverse=True)
    for batch in batches:
        assert len(batch) == 1 or max(lengths[row] for row in batch) * len(batch) <= budget


def slow_plan(lengths: list[int], budget: int) -> list[list[int]]:
    """Text after text: does it still fit, and is the batch still small or tight with it?"""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if batches:
            last = batches[-1]
            longest = lengths[last[0]]
            places = longest * (len(last) + 1)
            padding = places - sum(lengths[each] for each in last) - lengths[row]
            small = longest * len(last) < fewest_tokens(budget)
            if places <= budget and (small or padding <= MAX_PADDING * places):
                last.append(row)
                continue
        batches.append([row])
    return batches


many_lengths = st.lists(st.integers(1, 600), max_size=40).flatmap(
    lambda some: st.lists(st.integers(1, 30), max_size=40).map(lambda times: [n for n in some for _ in times])
)


@given(many_lengths, st.sampled_from([1, 700, 1024, 1025, 5000, 32_768]))
def test_a_plan_bounds_the_padding_of_every_batch_that_is_not_small(lengths: list[int], budget: int) -> None:
    batches = plan_batches(np.array(lengths, dtype=np.int64), budget)
    assert [batch.tolist() for batch in batches] == slow_plan(lengths, budget)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        found = [lengths[row] for row in batch]
        places = max(found) * len(found)
        assert len(batch) == 1 or places <= budget
        # Without its last text it had too few places to end, or its padding is within the bound.
        assert places - max(found) < fewest_tokens(budget) or 1 - sum(found) / places <= MAX_PADDING + 1e-12
    for batch, after in pairwise(batches):
        longest = lengths[batch[0]]
        full = longest * (len(batch) + 1) > budget
        places = longest * (len(batch) + 1)
        loose = sum(lengths[row] for row in batch) + lengths[after[0]] < (1 - MAX_PADDING) * places + 1e-9
        assert full or (loose and longest * len(batch) >= fewest_tokens(budget))


def test_a_small_budget_is_filled_to_a_quarter_a_large_one_to_what_keeps_a_gpu_busy() -> None:
    assert [fewest_tokens(budget) for budget in (1, 1024, 4096, 32_768)] == [0, 256, 1024, 1024]


def test_a_budget_below_one_is_refused() -> None:
    with pytest.raises(ModelError, match=r"max_tokens_per_batch is 0"):
        plan_batches(np.array([3]), 0)


def test_specials_and_token_choices(load_family: Callable[[str], LoadedModel]) -> None:
    loaded = load_family("bert")
    texts = tokenise(loaded, ["w1 w2 w3", "w4", "w5 nowhere"])
    assert [list(ids) for ids in texts.ids] == [[1, 5, 6, 7, 2], [1, 8, 2], [1, 9, 3, 2]]
    batch = make_batch(loaded, texts, np.array([0, 1, 2]))
    T, F = True, False
    expected = {
        "all": [[T, T, T, T, T], [T, T, T, F, F], [T, T, T, T, F]],
        "content": [[F, T, T, T, F], [F, T, F, F, F], [F, T, T, F, F]],
        "first": [[T, F, F, F, F], [T, F, F, F, F], [T, F, F, F, F]],
        "last": [[F, F, F, F, T], [F, F, T, F, F], [F, F, F, T, F]],
    }
    for tokens, mask in expected.items():
        assert batch.mask(tokens).tolist() == mask
        assert texts.counts(tokens).tolist() == [sum(row) for row in mask]
    with pytest.raises(ModelError, match=r"tokens 'contents' is not known; .*did you mean 'content'"):
        batch.mask("contents")


@pytest.mark.parametrize(("family", "limit"), [("xlm-roberta", 32), ("gpt2", 32), ("bloom", None)])
def test_truncation_is_counted_and_keeps_the_special_tokens(
    load_family: Callable[[str], LoadedModel], family: str, limit: int | None
) -> None:
    loaded = load_family(family)
    texts = tokenise(loaded, ["w1 " * 50, "w2 w3", "w4 " * 33])
    assert texts.max_length == loaded.max_length == limit
    assert texts.n_truncated == (0 if limit is None else 2)
    assert texts.lengths.max() == (limit or 50)
    if family == "xlm-roberta":
        assert (texts.ids[0][0], texts.ids[0][-1]) == (1, 2)
    shorter = tokenise(loaded, ["w1 " * 50, "w2 w3"], max_length=7)
    assert (shorter.lengths.tolist()[0], shorter.n_truncated) == (7, 1)
    report = embed(loaded, texts, ["final"]).report
    assert report.n_truncated == texts.n_truncated


@pytest.mark.parametrize("family", ["bloom", "llama", "bert"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [("", "item 2: no content tokens"), ("  \n ", "item 2: no content"), (None, "item 2: found NoneType")],
)
def test_texts_without_content_are_refused(
    load_family: Callable[[str], LoadedModel], family: str, bad: object, message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        tokenise(load_family(family), ["w1", "w2", bad, ""])  # type: ignore[list-item]


def test_a_foreign_tokenizer_is_refused(bloom: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bloom.model, "get_input_embeddings", lambda: torch.nn.Embedding(10, 16))
    with pytest.raises(ModelError, match=r"item 1: token id 24, but the model has 10 embeddings"):
        tokenise(bloom, ["w1", "w20"])


@pytest.mark.parametrize(("pooling", "tokens"), [("mean", "content"), ("max", "all")])
def test_padding_batch_size_and_order_change_nothing(
    loaded: LoadedModel, texts: list[str], pooling: str, tokens: str
) -> None:
    layers = loaded.architecture.layers
    alone = [embed(loaded, [text], layers, pooling, tokens, max_tokens_per_batch=1) for text in texts]
    order = np.random.default_rng(3).permutation(len(texts))
    for budget in (20, 10_000):
        together = embed(loaded, texts, layers, pooling, tokens, max_tokens_per_batch=budget)
        shuffled = embed(loaded, [texts[row] for row in order], layers, pooling, tokens, max_tokens_per_batch=budget)
        for layer in layers:
            reference = np.concatenate([vectors[layer] for vectors in alone])
            np.testing.assert_allclose(together[layer], reference, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(shuffled[layer], reference[order], rtol=1e-5, atol=1e-5)


def test_same_batches_same_bytes(loaded: LoadedModel, texts: list[str]) -> None:
    first, second = (embed(loaded, texts, ["1", "final"], max_tokens_per_batch=30) for _ in range(2))
    assert first.report == second.report
    assert first.report.digest != embed(loaded, texts, ["1"], max_tokens_per_batch=60).report.digest
    assert all(first[layer].tobytes() == second[layer].tobytes() for layer in first)


def test_the_report_counts_padding_and_progress(bloom: LoadedModel) -> None:
    done: list[int] = []
    report = embed(bloom, ["w1", "w1 w2 w3", "w1 w2"], ["0"], max_tokens_per_batch=16, progress=done.append).report
    assert (report.n_texts, report.n_tokens, report.n_padded_tokens, report.n_batches) == (3, 6, 7, 2)
    assert done == [2, 1]


def test_running_out_of_memory_halves_batches(loaded: LoadedModel, texts: list[str]) -> None:
    """A block that cannot take more than three texts of any length at once."""
    expected = embed(loaded, texts, ["0", "2", "final"], max_tokens_per_batch=10_000)
    sizes: list[int] = []

    def refuse(_module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        sizes.append(len(args[0]))
        if len(args[0]) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    path = loaded.architecture.blocks.replace("{i}", "1")
    handle = loaded.model.get_submodule(path).register_forward_pre_hook(refuse)
    try:
        found = embed(loaded, texts, ["0", "2", "final"], max_tokens_per_batch=10_000)
    finally:
        handle.remove()
    assert sizes == [11, 6, 3, 3, 5, 3, 2]
    assert found.report.n_halvings == 3
    assert found.report.n_batches == 4
    for layer in expected:
        np.testing.assert_allclose(found[layer], expected[layer], rtol=1e-5, atol=1e-5)


def test_after_running_out_of_memory_later_batches_are_split_before_they_run(bloom: LoadedModel) -> None:
    shapes: list[tuple[int, ...]] = []

    def forward(batch: Batch) -> None:
        shapes.append(tuple(batch.input_ids.shape))
        if batch.input_ids.numel() > 12:
            raise torch.OutOfMemoryError("no")

    rows: list[int] = []
    texts = tokenise(bloom, ["w1 w2 w3 w4"] * 12)
    report = run_batches(bloom, texts, forward, lambda batch, _: rows.extend(batch.rows), max_tokens_per_batch=16)
    assert shapes == [(4, 4)] + [(2, 4)] * 6
    assert (report.n_halvings, report.n_batches) == (1, 6)
    assert sorted(rows) == list(range(12))


def test_one_sentence_that_does_not_fit_is_named(bloom: LoadedModel, texts: list[str]) -> None:
    def forward(batch: Batch) -> None:
        if batch.input_ids.shape[1] > 10:
            raise torch.OutOfMemoryError("no")

    with pytest.raises(ModelError, match=r"item 2: one sentence of 13 tokens does not fit into the memory of 'cpu'"):
        run_batches(bloom, tokenise(bloom, texts), forward, lambda *_: None)


def test_other_errors_are_not_swallowed(bloom: LoadedModel) -> None:
    def forward(_: Batch) -> None:
        raise RuntimeError("shape mismatch")

    assert is_out_of_memory(torch.OutOfMemoryError("CUDA"))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (allocated …)"))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate …"))
    assert not is_out_of_memory(ValueError("out of memory"))
    with pytest.raises(RuntimeError, match=r"shape mismatch"):
        run_batches(bloom, tokenise(bloom, ["w1"]), forward, lambda *_: None)


def test_padding_is_on_the_right_and_positions_do_not_see_it(load_family: Callable[[str], LoadedModel]) -> None:
    """XLM-R counts positions from the padding id: another one would shift real tokens."""
    loaded = load_family("xlm-roberta")
    batch = make_batch(loaded, tokenise(loaded, ["w1 w2", "w1 w2 w3 w4"]), np.array([0, 1]))
    assert batch.input_ids[0].tolist() == [1, 5, 6, 2, 0, 0]
    alone = make_batch(loaded, tokenise(loaded, ["w1 w2"]), np.array([0]))
    with torch.inference_mode():
        padded, plain = (run_forward(loaded.model, part.input_ids, part.attention_mask) for part in (batch, alone))
    assert padded is not None and plain is not None
    torch.testing.assert_close(padded[0, :4], plain[0], rtol=1e-5, atol=1e-5)
