"""Words as tokens and as embeddings, against loops over characters and texts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import BPE, Unigram
from transformers import BloomConfig, BloomModel, PreTrainedTokenizerFast

from sprachbund.corpora.conllu import word_spans
from sprachbund.errors import CorpusError, ModelError
from sprachbund_runners.models.batches import tokenise
from sprachbund_runners.models.embed import Variant, embed, embed_variants
from sprachbund_runners.models.loading import LoadedModel, load
from sprachbund_runners.models.words import align, word_pieces
from support.edits import scale

# Words as treebanks give them; languages without spaces, marks, emoji and tokens that tokenizers join.
SENTENCES = [
    ("„Die Größe“, sagte er.", ["„", "Die", "Größe", "“", ",", "sagte", "er", "."]),
    ("東京に行くのだ。", ["東京", "に", "行く", "の", "だ", "。"]),
    ("สวัสดีครับ ผม", ["สวัสดี", "ครับ", "ผม"]),
    ("don't  go 10 000 😀!", ["do", "n't", "go", "10 000", "😀", "!"]),
    ("हिन्दी में लिखा", ["हिन्दी", "में", "लिखा"]),
    ("a", ["a"]),
]
TEXTS = [text for text, _ in SENTENCES]
SPANS = [np.array(word_spans(text, words, "here")) for text, words in SENTENCES]


def byte_level() -> Tokenizer:
    made = Tokenizer(BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=["<pad>", "<s>"], initial_alphabet=alphabet)
    made.train_from_iterator(TEXTS * 3, trainer)
    return made


def metaspace() -> Tokenizer:
    made = Tokenizer(Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=90, special_tokens=["<pad>", "<s>", "<unk>"], unk_token="<unk>")
    made.train_from_iterator(TEXTS * 3, trainer)
    return made


@pytest.fixture(scope="module", params=[byte_level, metaspace], ids=["byte-level", "metaspace"])
def pieces_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A small random Bloom whose tokenizer cuts words into pieces."""
    folder: Path = tmp_path_factory.mktemp("pieces")
    made: Tokenizer = request.param()
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", pad_token="<pad>").save_pretrained(folder)
    torch.manual_seed(7)
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
    config = BloomConfig(vocab_size=made.get_vocab_size(), hidden_size=16, n_layer=2, n_head=2, **ids)
    model = BloomModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    return load(folder)


@settings(max_examples=200)
@given(st.data())
def test_pieces_are_the_tokens_that_have_a_character_of_the_word(data: st.DataObject) -> None:
    spans = data.draw(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 4)), min_size=1, max_size=6))
    tokens = data.draw(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 4), st.booleans()), max_size=9))
    words = np.array([(start, start + length) for start, length in spans])
    offsets = np.array([(start, start + length) for start, length, _ in tokens], dtype=np.int64).reshape(-1, 2)
    content = np.array([mark for *_, mark in tokens], dtype=bool)
    found = word_pieces(words, offsets, content)
    expected = [
        [
            number
            for number, (start, length, mark) in enumerate(tokens)
            if mark and set(range(start, start + length)) & set(range(*word))
        ]
        for word in words
    ]
    assert found.count.tolist() == [len(pieces) for pieces in expected]
    assert found.piece.tolist() == [piece for pieces in expected for piece in pieces]


def test_every_character_of_a_word_belongs_to_its_pieces(pieces_model: LoadedModel) -> None:
    aligned = align(pieces_model, TEXTS, SPANS)
    plain = tokenise(pieces_model, TEXTS)
    cut = 0
    for row, (text, spans) in enumerate(zip(TEXTS, SPANS, strict=True)):
        np.testing.assert_array_equal(aligned.ids[row], plain.ids[row])
        words = aligned.words[row]
        parts = np.split(words.piece, np.cumsum(words.count)[:-1])
        for (start, end), pieces in zip(spans, parts, strict=True):
            offsets = pieces_model.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
            owned = {place for piece in pieces for place in range(*offsets[piece])}
            assert {place for place in range(start, end) if not text[place].isspace()} <= owned
            assert not plain.special[row][pieces].any()
            cut += len(pieces) > 1
        # No content token is nobody's, unless it stands for white space alone.
        rest = set(np.flatnonzero(~plain.special[row])) - set(words.piece.tolist())
        assert all(not text[slice(*offsets[piece])].strip() for piece in rest)
    assert cut > 5


def reference(loaded: LoadedModel, text: str, spans: np.ndarray) -> dict[str, np.ndarray]:
    """Words' means from the model's own hidden states, one text alone."""
    encoded = loaded.tokenizer(text, return_offsets_mapping=True, return_tensors="pt")
    offsets = encoded.pop("offset_mapping")[0].tolist()
    with torch.no_grad():
        states = loaded.model(encoded["input_ids"], output_hidden_states=True).hidden_states
    found: dict[str, list[np.ndarray]] = {"0": [], "1": [], "final": []}
    for start, end in spans.tolist():
        pieces = [n for n, (a, b) in enumerate(offsets) if n > 0 and any(start <= place < end for place in range(a, b))]
        for layer, number in (("0", 0), ("1", 1), ("final", -1)):
            found[layer].append(states[number][0, pieces].double().mean(0).numpy())
    return {layer: np.array(rows) for layer, rows in found.items()}


@pytest.mark.parametrize("budget", [1, 30, 4096])
def test_embeddings_of_words_equal_the_mean_over_their_pieces(pieces_model: LoadedModel, budget: int) -> None:
    aligned = align(pieces_model, TEXTS, SPANS)
    found = embed(pieces_model, aligned, ["0", "1", "final"], tokens="word", max_tokens_per_batch=budget)
    expected = [reference(pieces_model, text, spans) for text, spans in zip(TEXTS, SPANS, strict=True)]
    for layer, values in found.items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, np.concatenate([each[layer] for each in expected]), atol=2e-5)


def test_variants_have_the_words_of_their_own_texts(pieces_model: LoadedModel) -> None:
    aligned = align(pieces_model, TEXTS, SPANS)
    edits = [
        [],
        [scale("mlp.down", 2, np.arange(4), 3.0)],
        [scale("mlp.down", 1, np.arange(9), -1.0)],
    ]
    rows = [np.array([4, 0, 2]), np.array([1, 3, 0, 5]), np.arange(len(TEXTS))]
    variants = [Variant(each, chosen) for each, chosen in zip(edits, rows, strict=True)]
    found = embed_variants(pieces_model, aligned, ["0", "1", "2"], variants, "mean", "word", max_tokens_per_batch=64)
    for each, chosen, embeddings in zip(edits, rows, found, strict=True):
        own = align(pieces_model, [TEXTS[row] for row in chosen], [SPANS[row] for row in chosen])
        alone = embed(pieces_model, own, ["0", "1", "2"], tokens="word", intervention=each)
        for layer, values in alone.items():
            assert values.shape == (sum(len(SPANS[row]) for row in chosen), 16)
            np.testing.assert_allclose(embeddings[layer], values, atol=2e-5)
        assert embeddings.report.n_texts == len(chosen)


def test_words_without_a_token_are_named(pieces_model: LoadedModel) -> None:
    with pytest.raises(CorpusError, match=r"^item 1: word \d+, '.+', has no token of its own \(the text was cut"):
        align(pieces_model, ["a", "Die Größe sagte er"], [SPANS[5], np.array([[0, 3], [4, 9], [10, 15], [16, 18]])], 4)


def test_a_word_that_the_tokenizer_drops_is_named(load_family: Callable[[str], LoadedModel]) -> None:
    loaded = load_family("bloom")
    with pytest.raises(CorpusError, match=r"^item 0: word 2, ' ', has no token of its own \(the tokenizer drops it\)$"):
        align(loaded, ["w1 w2"], [np.array([[0, 2], [2, 3], [3, 5]])])


def test_refusals(pieces_model: LoadedModel) -> None:
    with pytest.raises(ModelError, match="expected texts with their words"):
        embed(pieces_model, TEXTS, ["0"], tokens="word")
    with pytest.raises(ModelError, match="pooling 'weighted_mean' is not known; expected mean, max"):
        embed(pieces_model, align(pieces_model, TEXTS, SPANS), ["0"], pooling="weighted_mean", tokens="word")
    with pytest.raises(ModelError, match="tokens 'wrod'"):
        embed(pieces_model, TEXTS, ["0"], tokens="wrod")
