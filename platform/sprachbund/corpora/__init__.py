"""Corpora: aligned sentences, read from files, from `datasets` or from the built-in phrasebook."""

from sprachbund.corpora.corpus import Corpus
from sprachbund.corpora.overlap import Overlap, overlap
from sprachbund.corpora.readers import read_corpora
from sprachbund.corpora.source import Columns, CorpusSource, DatasetSource
from sprachbund.corpora.text import Sentence, TextSet, fingerprint, gold_groups, normalise

__all__ = [
    "Columns",
    "Corpus",
    "CorpusSource",
    "DatasetSource",
    "Overlap",
    "Sentence",
    "TextSet",
    "fingerprint",
    "gold_groups",
    "normalise",
    "overlap",
    "read_corpora",
]
