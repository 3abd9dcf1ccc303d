"""The plain-torch BLOOM equals transformers', and its training pieces do what they say."""

import math
from itertools import pairwise
from random import Random

import pytest
import torch
from torch.nn import functional
from transformers.models.bloom.modeling_bloom import build_alibi_tensor

from sprachbund_runners.pretraining.bloom import Bloom, Shape, alibi_slopes, attention_bias
from sprachbund_runners.pretraining.checkpoint import as_transformers
from sprachbund_runners.pretraining.documents import documents, rows
from sprachbund_runners.pretraining.phrasebook import LANGUAGES, render, scenario
from sprachbund_runners.pretraining.tokenizer import BEGIN, END, PADDING, train_tokenizer
from sprachbund_runners.pretraining.training import Recipe, learning_rate, train

SHAPE = Shape(vocabulary=97, width=24, blocks=3, heads=4)


def random_model(shape: Shape, seed: int = 0) -> Bloom:
    """With large weights everywhere, biases and norms too, so that no term can hide in a zero."""
    torch.manual_seed(seed)
    model = Bloom(shape)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.mark.parametrize("heads", [4, 6])
def test_logits_equal_transformers(heads: int) -> None:
    model = random_model(Shape(SHAPE.vocabulary, SHAPE.width, SHAPE.blocks, heads))
    ids = torch.randint(4, SHAPE.vocabulary, (3, 17))
    with torch.inference_mode():
        expected = as_transformers(model)(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        found = model(ids)
    assert expected.abs().max() > 1
    torch.testing.assert_close(found, expected, rtol=2e-6, atol=2e-6 * float(expected.abs().max()))


def test_right_padding_changes_no_logit_before_it() -> None:
    model = random_model(SHAPE)
    ids = torch.randint(4, SHAPE.vocabulary, (2, 9))
    padded = torch.cat([ids, torch.full((2, 5), PADDING)], dim=1)
    with torch.inference_mode():
        torch.testing.assert_close(model(padded)[:, :9], model(ids), rtol=0, atol=1e-5)


@pytest.mark.parametrize("heads", [1, 2, 3, 4, 6, 8, 12])
def test_alibi_equals_transformers(heads: int) -> None:
    length = 7
    expected = build_alibi_tensor(torch.ones(1, length), heads, torch.float32)[:, 0]
    torch.testing.assert_close(alibi_slopes(heads)[:, None] * torch.arange(length), expected)
    bias = attention_bias(heads, length)
    assert bias[:, 2, 3:].eq(float("-inf")).all() and bias[:, 2, :3].isfinite().all()


def test_loss_is_the_mean_over_tokens_that_are_not_padding() -> None:
    model = random_model(SHAPE)
    ids = torch.randint(4, SHAPE.vocabulary, (3, 8))
    ids[0, 5:] = PADDING
    ids[2, 2:] = PADDING
    with torch.inference_mode():
        found = model.loss(ids, PADDING)
        logits = model(ids)
        singles = [
            functional.cross_entropy(logits[row, position], ids[row, position + 1])
            for row in range(3)
            for position in range(7)
            if ids[row, position + 1] != PADDING
        ]
    assert len(singles) == 4 + 7 + 1
    torch.testing.assert_close(found, torch.stack(singles).mean())


def test_the_learning_rate_warms_up_and_falls_to_its_share() -> None:
    recipe = Recipe(steps=1000, learning_rate=1.0, warmup=50, final_share=0.05)
    rates = [learning_rate(recipe, step) for step in range(1000)]
    assert rates[0] == pytest.approx(1 / 50)
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates[-1] == pytest.approx(0.05, abs=0.001)
    assert all(later < earlier for earlier, later in pairwise(rates[60:]))


def test_documents_are_reproducible_and_parallel_as_asked() -> None:
    def first(seed: int, share: float) -> list[str]:
        stream = documents(seed, share)
        return [next(stream) for _ in range(30)]

    assert first(1, 0.4) == first(1, 0.4) != first(2, 0.4)
    assert all(len(text.split("\n")) == 4 for text in first(1, 0.0))
    rng = Random(3)
    rng.random()  # the toss between the kinds of documents
    (meaning,) = scenario(rng, "train", 1)
    assert set(first(3, 1.0)[0].split("\n")) == {render(meaning, language) for language in LANGUAGES}


def test_rows_begin_end_and_pad() -> None:
    tokenizer = train_tokenizer(["a short line", "a longer line of text"], 300)
    texts = ["a", "a short line\nof text", "words " * 50]
    found = rows(iter(texts), tokenizer, 3, 24)
    assert found.shape == (3, 24)
    assert found[:, 0].tolist() == [BEGIN] * 3
    assert found[0, 2:].tolist() == [END] + [PADDING] * 21
    assert tokenizer.decode(found[1], skip_special_tokens=True) == texts[1]
    assert END not in found[2] and PADDING not in found[2]


def test_pieces_never_cross_japanese_scripts() -> None:
    lines = ["猫はケーキを見ました"] * 50
    tokenizer = train_tokenizer(lines, 320)
    pieces = [tokenizer.decode([index]) for index in tokenizer(lines[0])["input_ids"]]
    assert pieces == ["<s>", "猫", "は", "ケーキ", "を", "見", "ました"]


def test_training_learns_and_repeats_itself() -> None:
    stream = documents(1, 0.0)
    tokenizer = train_tokenizer((next(stream) for _ in range(60)), 400)
    recipe = Recipe(steps=40, rows=4, length=32, warmup=5, learning_rate=2e-2)
    tokens = rows(documents(2, 0.5), tokenizer, 160, recipe.length)
    runs = []
    for _ in range(2):
        torch.manual_seed(0)
        model = Bloom(Shape(len(tokenizer), 16, 1, 2))
        runs.append(train(model, tokens, recipe, lambda line: None))
    assert runs[0] == runs[1]
    assert runs[0][0] == pytest.approx(math.log(len(tokenizer)), rel=0.1)
    assert sum(runs[0][-5:]) < 0.9 * sum(runs[0][:5])
    with pytest.raises(ValueError, match="159 rows of tokens, expected steps × rows = 160"):
        train(Bloom(SHAPE), tokens[:159], recipe, lambda line: None)
