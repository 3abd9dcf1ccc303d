"""Rows with labels: what probes keep together, and what bootstrap draws are made of."""

import numpy as np
import pytest

from sprachbund.corpora.text import TextSet
from sprachbund_runners.evaluation.abx import AbxTask, abx_groups, abx_vectors, joined_draws, score_group
from sprachbund_runners.jobs.context import Text
from sprachbund_runners.jobs.measure.labelled import Labelled


def table(groups):
    """Five items in two languages; the third and the last have the same German text."""
    texts = []
    for language, sentences in (("eng_Latn", "abcde"), ("deu_Latn", "vwxyX")):
        rows = [(str(item), text, group) for item, (text, group) in enumerate(zip(sentences, groups, strict=True))]
        texts.append(Text(0, language, 0, language, TextSet.of(language, "test", rows)))
    items = [item for text in texts for item in text.sentences.items]
    labels = {"item": items, "language": ["eng_Latn"] * 5 + ["deu_Latn"] * 5}
    return Labelled(("eng_Latn", "deu_Latn"), labels, items, texts)


@pytest.mark.parametrize(
    ("groups", "together"),
    [
        ([None] * 5, [0, 1, 2, 3, 2]),
        (["p", "p", "q", "r", "r"], [0, 0, 1, 1, 1]),  # r and q share a text
        (["p", "p", "q", "r", None], [0, 1, 2, 3, 2]),  # not every sentence has one
    ],
)
def test_folds_keep_items_documents_and_equal_texts_together(groups, together):
    assert table(groups).folds.tolist() == together * 2


def test_draws_come_in_parts_that_are_the_whole():
    rows = table([None] * 5)
    (whole,) = rows.multiplicities(50, 3)
    parts = list(rows.multiplicities(50, 3, n_bytes=8 * rows.n * 7))
    assert [len(part) for part in parts] == [7] * 7 + [1]
    assert (np.concatenate(parts) == whole).all()
    assert (whole[:, :5] == whole[:, 5:]).all() and (whole.sum(axis=1) == 10).all()
    assert list(rows.multiplicities(0, 3)) == [None]
    vectors = abx_vectors(np.random.default_rng(0).standard_normal((10, 4)), "angular")
    for group in abx_groups(AbxTask("item", across=("language",)), rows.labels):
        once = score_group(vectors, group, whole, rows.items)
        joined = joined_draws([score_group(vectors, group, part, rows.items) for part in parts])
        assert joined.value == once.value
        for name in ("draws", "weighted_wins", "weighted_triples", "items"):
            np.testing.assert_allclose(getattr(joined, name), getattr(once, name), rtol=1e-12)
