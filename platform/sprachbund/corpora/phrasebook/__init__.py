"""The built-in corpus: a phrasebook of generated sentences, parallel in five languages.

    >>> from sprachbund.corpora import phrasebook
    >>> phrasebook.sentences("test", "deu_Latn", n=1)

A `Meaning` is drawn first and then said in each language by its own small grammar. All splits are parallel;
for a non-parallel fit take other items for each language (say, every fifth one).
"""

from sprachbund.corpora.phrasebook.meaning import Meaning, combination, held_out, split_of
from sprachbund.corpora.phrasebook.render import LANGUAGES, render
from sprachbund.corpora.phrasebook.splits import SEED, SIZES, SplitName, scenario, sentences, split

VERSION = 1
"""Raised whenever a table or a rule changes what `sentences` yields."""

__all__ = [
    "LANGUAGES",
    "SEED",
    "SIZES",
    "VERSION",
    "Meaning",
    "SplitName",
    "combination",
    "held_out",
    "render",
    "scenario",
    "sentences",
    "split",
    "split_of",
]
