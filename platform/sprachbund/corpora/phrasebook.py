"""The built-in corpus: a phrasebook of generated sentences, parallel in five languages.

    >>> from sprachbund.corpora import phrasebook
    >>> phrasebook.sentences("test", "deu_Latn", n=1)

A meaning is said in each language by a small grammar of its own: `sprachbund_runners.pretraining.phrasebook`, which
wrote what is read here. All splits are parallel; for a non-parallel fit take other items for each language (say, every
fifth one).
"""

from functools import cache
from pathlib import Path

import polars as pl

from sprachbund.errors import CorpusError, nearest

LANGUAGES = ("eng_Latn", "spa_Latn", "deu_Latn", "fra_Latn", "jpn_Jpan")
SIZES = {"train": 20_000, "fit": 400, "select": 300, "test": 500}
TABLE = Path(__file__).parents[1] / "data" / "phrasebook.parquet"


def sentences(split: str, language: str, n: int | None = None) -> list[tuple[str, str, str]]:
    """(item, text, group) of the first n of a split, all by default; the same items, in the same order, everywhere.

    Groups are the scenarios that sentences were written in, five each: the unit to resample. Splits share no meaning;
    "test" has only combinations of subject and verb that no other split has. Raises CorpusError for an unknown split
    or language, or a negative n.
    """
    for what, word, known in (("split", split, SIZES), ("language", language, LANGUAGES)):
        if word not in known:
            raise CorpusError(
                f"phrasebook: no {what} '{word}', expected one of {', '.join(known)}{nearest(word, known)}"
            )
    if n is not None and n < 0:
        raise CorpusError(f"phrasebook: n is {n}, expected 0 or more")
    of_split = _read().filter(pl.col("split") == split)
    return of_split.head(SIZES[split] if n is None else n).select("item", language, "group").rows()


@cache
def _read() -> pl.DataFrame:
    return pl.read_parquet(TABLE)
