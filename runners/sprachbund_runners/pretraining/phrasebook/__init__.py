"""The grammar of the phrasebook: a `Meaning` is drawn first, and then said in each language by a grammar of its own.

What it says is in the platform's data, for all to read without it; `python -m sprachbund_runners.pretraining.phrasebook
FILE` writes that table anew, and a test holds the two equal.
"""

from sprachbund_runners.pretraining.phrasebook.meaning import Meaning, combination, held_out, split_of
from sprachbund_runners.pretraining.phrasebook.render import LANGUAGES, render
from sprachbund_runners.pretraining.phrasebook.splits import SEED, SIZES, SplitName, scenario, sentences, split

__all__ = [
    "LANGUAGES",
    "SEED",
    "SIZES",
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
