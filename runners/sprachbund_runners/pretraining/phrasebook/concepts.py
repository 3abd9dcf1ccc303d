"""What the phrasebook can talk about: concepts without words, and which of them go together.

Every concept is named by an English lemma. The order of the tuples matters: `meaning.held_out` counts
positions in them, so append rather than insert, and raise `VERSION` of the package when a table changes.
"""

from dataclasses import dataclass
from typing import Literal

Tense = Literal["past", "habit", "future"]

PEOPLE = (
    "waiter", "teacher", "doctor", "gardener", "pupil", "grandmother", "captain", "singer", "neighbour",
    "baker", "boy", "girl", "detective", "artist", "farmer", "prince", "journalist", "driver",
)  # fmt: skip
NAMES = ("Clara", "Victor", "Elena", "Oscar", "Julia", "Simon")
AGENTS = PEOPLE + NAMES

# Classes: t things, w things to wear, r things to read, p fresh food, f other food, a animals.
THINGS: dict[str, str] = {
    "lamp": "t", "clock": "t", "umbrella": "t", "chair": "t", "bicycle": "t", "basket": "t", "mirror": "t",
    "fan": "t", "coat": "w", "scarf": "w", "dress": "w", "book": "r", "letter": "r", "magazine": "r",
    "postcard": "r", "pear": "p", "lemon": "p", "cake": "f", "sausage": "f", "egg": "p", "horse": "a",
    "donkey": "a", "hen": "a",
}  # fmt: skip

# Adjectives and the classes that they go with in all five languages (a horse is not 古い).
ADJECTIVES: dict[str, str] = {
    "red": "tw", "blue": "tw", "white": "twa", "black": "twa", "yellow": "tw", "small": "twrpfa",
    "large": "twrpfa", "old": "twr", "new": "twr", "pretty": "twra", "strange": "twrpfa",
    "expensive": "twrpfa",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class VerbUse:
    """Where a verb fits: classes of its object, whether one does it regularly, whether one wants to."""

    classes: str
    habitual: bool
    wanted: bool


VERBS: dict[str, VerbUse] = {
    "buy": VerbUse("twrpfa", True, True),
    "sell": VerbUse("twrpfa", True, True),
    "find": VerbUse("twrpfa", False, True),
    "lose": VerbUse("twr", False, False),
    "paint": VerbUse("twpfa", True, True),
    "hide": VerbUse("twrpf", False, True),
    "photograph": VerbUse("twpfa", True, True),
    "wash": VerbUse("wp", True, True),
    "repair": VerbUse("t", True, True),
    "carry": VerbUse("trpf", True, True),
    "eat": VerbUse("pf", True, True),
    "read": VerbUse("r", True, True),
    "forget": VerbUse("twr", False, False),
    "choose": VerbUse("twrpfa", True, True),
    "steal": VerbUse("twrpfa", False, True),
    # No animals: Spanish would want its personal "a" before a pet.
    "look for": VerbUse("twr", True, True),
}
TRANSFERS = ("give", "lend", "send", "show")
ACTS = (*VERBS, *TRANSFERS, "pay")

QUALITIES = ("tired", "glad", "sad", "angry", "proud", "nervous", "worried", "surprised")
COMPARISONS = ("heavy", "expensive", "pretty", "strange", "small", "large")
NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
PRICES = (10, 15, 25, 40, 60, 80, 100, 150, 300)

PLACES = (
    "courtyard", "airport", "café", "castle", "square", "kitchen", "market", "ship", "theatre", "beach",
    "cellar", "church", "fountain", "library", "Lisbon", "Vienna",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TimeUse:
    """The tense a time asks for, and whether it opens the sentence (in the frames that allow it)."""

    tense: Tense
    opens: bool


TIMES: dict[str, TimeUse] = {
    "yesterday": TimeUse("past", False),
    "last Saturday": TimeUse("past", False),
    "three days ago": TimeUse("past", True),
    "last summer": TimeUse("past", True),
    "this morning": TimeUse("past", False),
    "yesterday evening": TimeUse("past", True),
    "every day": TimeUse("habit", False),
    "every Sunday": TimeUse("habit", True),
    "in winter": TimeUse("habit", True),
    "every evening": TimeUse("habit", False),
    "tomorrow": TimeUse("future", False),
    "next week": TimeUse("future", False),
    "next month": TimeUse("future", True),
    "this evening": TimeUse("future", False),
}
