"""Training text: short documents of phrasebook sentences, one per row of tokens."""

from collections.abc import Iterator
from itertools import islice
from random import Random

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from sprachbund_runners.pretraining.phrasebook import LANGUAGES, render, scenario
from sprachbund_runners.pretraining.tokenizer import END, PADDING

SENTENCES = 4
_CHUNK = 2_000


def documents(seed: int, parallel_share: float) -> Iterator[str]:
    """Endless documents of the phrasebook's "train" split, one sentence a line.

    A share of them says one meaning in all five languages, in random order: what aligns the languages in
    the model. The others are scenarios of four sentences in one language.
    """
    rng = Random(seed)
    while True:
        if rng.random() < parallel_share:
            (meaning,) = scenario(rng, "train", 1)
            yield "\n".join(render(meaning, language) for language in rng.sample(LANGUAGES, len(LANGUAGES)))
        else:
            language = rng.choice(LANGUAGES)
            yield "\n".join(render(meaning, language) for meaning in scenario(rng, "train", SENTENCES))


def rows(texts: Iterator[str], tokenizer: PreTrainedTokenizerFast, count: int, length: int) -> NDArray[np.int64]:
    """(count, length) token ids: `<s>`, a document, `</s>`; longer ones are cut, shorter ones padded."""
    filled = np.full((count, length), PADDING, dtype=np.int64)
    for start in range(0, count, _CHUNK):
        chunk = list(islice(texts, min(_CHUNK, count - start)))
        for offset, ids in enumerate(tokenizer(chunk)["input_ids"]):
            kept = [*ids, END][:length]
            filled[start + offset, : len(kept)] = kept
    return filled
