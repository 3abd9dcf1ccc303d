"""Words of texts as tokens: which pieces each word consists of, by where characters stand."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sprachbund.errors import CorpusError, ModelError
from sprachbund_runners.models.batches import TokenisedTexts, WordPieces, tokenise
from sprachbund_runners.models.loading import LoadedModel


def align(
    loaded: LoadedModel,
    texts: Sequence[str],
    spans: Sequence[NDArray[np.int64]],
    max_length: int | None = None,
) -> TokenisedTexts:
    """The texts' tokens with the pieces of their words; spans: int64 [n_words, 2] of each text, in its characters.

    Every content token that has a character of a word is one of its pieces, so that a token across two words belongs
    to both. White space that a token has beside a word does not matter.

    Raises ModelError where the tokenizer does not tell where its tokens stand, CorpusError naming the word where a
    word has no token (the text was cut before it, or the tokenizer drops its characters), and what `tokenise` raises.
    """
    if not loaded.tokenizer.is_fast:
        raise ModelError("embeddings of words need a fast tokenizer, which tells where its tokens stand")
    tokenised = tokenise(loaded, texts, max_length)
    limit = tokenised.max_length
    encoded = loaded.tokenizer(
        list(texts),
        padding=False,
        truncation=limit is not None,
        max_length=limit,
        return_attention_mask=False,
        return_offsets_mapping=True,
        verbose=False,
    )
    words = []
    for row, offsets in enumerate(encoded["offset_mapping"]):
        if not np.array_equal(encoded["input_ids"][row], tokenised.ids[row]):
            raise ModelError(f"item {row}: the tokenizer gives other tokens when asked where they stand")
        places = np.array(offsets, dtype=np.int64).reshape(-1, 2)
        pieces = word_pieces(spans[row], places, ~tokenised.special[row])
        lost = np.flatnonzero(pieces.count == 0)
        if len(lost):
            start, end = spans[row][lost[0]]
            why = "the text was cut before it" if start >= places[:, 1].max() else "the tokenizer drops it"
            raise CorpusError(
                f"item {row}: word {lost[0] + 1}, {texts[row][start:end]!r}, has no token of its own ({why})"
            )
        words.append(pieces)
    return TokenisedTexts(tokenised.ids, tokenised.special, tokenised.n_truncated, limit, tuple(words))


def word_pieces(spans: NDArray[np.int64], offsets: NDArray[np.int64], content: NDArray[np.bool_]) -> WordPieces:
    """Of one text: spans int64 [n_words, 2] and offsets int64 [n_tokens, 2] are half-open ranges of characters;
    content: bool [n_tokens], which tokens count. A word's pieces are those whose range meets its own.
    """
    starts, ends = spans[:, :1], spans[:, 1:]
    meets = (offsets[:, 0] < ends) & (offsets[:, 1] > starts) & (offsets[:, 0] < offsets[:, 1]) & content
    return WordPieces(np.nonzero(meets)[1].astype(np.int64), meets.sum(axis=1).astype(np.int64))
