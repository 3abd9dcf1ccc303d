"""Meanings: what a sentence says, before any language has its words; how they are drawn and kept apart."""

import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from random import Random
from typing import TypeVar

from sprachbund_runners.pretraining.phrasebook.concepts import (
    ACTS,
    ADJECTIVES,
    AGENTS,
    COMPARISONS,
    NUMBERS,
    PLACES,
    PRICES,
    QUALITIES,
    THINGS,
    TIMES,
    TRANSFERS,
    VERBS,
)

Item = TypeVar("Item")

# The ten sentence frames with their shares in percent.
FRAMES: dict[str, int] = {
    "action": 26,  # The waiter bought a red lamp at the market yesterday.
    "reason": 10,  # The girl is sad because she lost the umbrella.
    "wish": 12,  # The doctor wants to sell the old clock tomorrow.
    "stock": 7,  # There are three black hens in the courtyard.
    "where": 8,  # Where did Clara find the small egg yesterday?
    "compare": 7,  # The red lamp is heavier than the white chair.
    "paid": 7,  # Oscar paid 40 euros for a large mirror in Vienna.
    "gift": 8,  # The baker gave the prince two pears last summer.
    "denial": 7,  # The driver did not forget the book on the ship.
    "belief": 8,  # The artist thinks that Elena stole the new bicycle.
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """One thing that can be said. Fields hold concept names (`concepts`); "" and 0 where a frame has none.

    `agent` is the subject, `other` the second person (receiver in "gift", doer in "belief"), `determiner`
    "the", "a" or a number word, `thing2` and `adjective2` the other side of "compare".
    """

    frame: str
    agent: str = ""
    other: str = ""
    verb: str = ""
    determiner: str = ""
    adjective: str = ""
    thing: str = ""
    adjective2: str = ""
    thing2: str = ""
    quality: str = ""
    place: str = ""
    time: str = ""
    price: int = 0


def pick(rng: Random, items: Sequence[Item]) -> Item:
    """One of `items`, by `rng.random()` alone: the one draw Python promises never to change for a seed."""
    return items[int(rng.random() * len(items))]


def combination(meaning: Meaning) -> tuple[str, str, str]:
    """The pair of concepts that the test split holds out: kind of pair, first, second.

    Who does what in the frames with a doer (all tenses and frames alike), what is where in "stock", what
    is compared with what in "compare".
    """
    if meaning.frame == "stock":
        return ("thing-place", meaning.thing, meaning.place)
    if meaning.frame == "compare":
        return ("thing-thing", meaning.thing, meaning.thing2)
    doer = meaning.other if meaning.frame == "belief" else meaning.agent
    return ("agent-verb", doer, meaning.verb)


_POSITIONS: dict[str, tuple[dict[str, int], dict[str, int]]] = {
    kind: ({name: i for i, name in enumerate(first)}, {name: i for i, name in enumerate(second)})
    for kind, first, second in (
        ("agent-verb", AGENTS, ACTS),
        ("thing-place", tuple(THINGS), PLACES),
        ("thing-thing", tuple(THINGS), tuple(THINGS)),
    )
}


def held_out(meaning: Meaning) -> bool:
    """Whether this meaning's combination belongs to the test split: a tenth of every kind, spread evenly."""
    kind, first, second = combination(meaning)
    firsts, seconds = _POSITIONS[kind]
    return (7 * firsts[first] + 3 * seconds[second]) % 10 == 0


def split_of(meaning: Meaning) -> str:
    """The one split a meaning can appear in, decided by its content: held-out combinations are "test"; of
    the rest an eighth is "fit", an eighth "select" and three quarters "train", by a SHA-256 digest."""
    if held_out(meaning):
        return "test"
    byte = hashlib.sha256("|".join(map(str, astuple(meaning))).encode()).digest()[0]
    return "fit" if byte < 32 else "select" if byte < 64 else "train"


_THINGS_OF = {verb: [t for t, kind in THINGS.items() if kind in use.classes] for verb, use in VERBS.items()}
_ADJECTIVES_OF = {t: [a for a, kinds in ADJECTIVES.items() if kind in kinds] for t, kind in THINGS.items()}
_VERBS_OF = {
    "past": list(VERBS),
    "future": [verb for verb, use in VERBS.items() if use.wanted],
    "habit": [verb for verb, use in VERBS.items() if use.habitual],
}
_FRAME_TABLE = [frame for frame, share in FRAMES.items() for _ in range(share)]


def draw(rng: Random, agent: str = "", place: str = "", time: str = "") -> Meaning:
    """A random meaning of any split; a given agent, place or time is used where the frame can take it."""
    frame = pick(rng, _FRAME_TABLE)
    who = agent or pick(rng, AGENTS)
    where = place or pick(rng, PLACES)
    if frame == "stock":
        thing = pick(rng, tuple(THINGS))
        return Meaning(frame, determiner=pick(rng, NUMBERS), adjective=_adjective(rng, thing), thing=thing, place=where)
    if frame == "compare":
        return _comparison(rng)
    if frame == "paid":
        thing = pick(rng, tuple(THINGS))
        return _with_thing(rng, Meaning(frame, who, verb="pay", thing=thing, place=where, price=pick(rng, PRICES)))
    if frame == "gift":
        other = _someone_else(rng, who)
        thing = pick(rng, tuple(THINGS))
        when = _time(rng, time, ("past",))
        return _with_thing(rng, Meaning(frame, who, other, pick(rng, TRANSFERS), thing=thing, time=when))
    tenses = {"action": ("past", "habit", "future"), "where": ("past", "future"), "wish": ("future",)}
    when = _time(rng, time, tenses[frame]) if frame in tenses else ""
    verb = pick(rng, _VERBS_OF[TIMES[when].tense if when else "past"])
    thing = pick(rng, _THINGS_OF[verb])
    if frame == "belief":
        return _with_thing(rng, Meaning(frame, who, _someone_else(rng, who), verb, thing=thing))
    if frame == "reason":
        return _with_thing(rng, Meaning(frame, who, verb=verb, thing=thing, quality=pick(rng, QUALITIES)))
    if frame == "denial":
        adjective = _adjective(rng, thing)
        return Meaning(frame, who, verb=verb, determiner="the", adjective=adjective, thing=thing, place=where)
    base = Meaning(frame, who, verb=verb, thing=thing, place=where if frame == "action" else "", time=when)
    return _with_thing(rng, base)


def _with_thing(rng: Random, meaning: Meaning) -> Meaning:
    """Adds a determiner (definite, indefinite and counted in equal shares) and perhaps an adjective."""
    determiner = pick(rng, ("the", "a", pick(rng, NUMBERS)))
    return replace(meaning, determiner=determiner, adjective=_adjective(rng, meaning.thing))


def _adjective(rng: Random, thing: str, without: str = "") -> str:
    """An adjective that suits `thing`, or none in three of ten draws."""
    if rng.random() < 0.3:
        return ""
    return pick(rng, [adjective for adjective in _ADJECTIVES_OF[thing] if adjective != without])


def _comparison(rng: Random) -> Meaning:
    quality = pick(rng, COMPARISONS)
    thing = pick(rng, tuple(THINGS))
    thing2 = pick(rng, [other for other in THINGS if other != thing])
    adjective = _adjective(rng, thing, without=quality)
    adjective2 = _adjective(rng, thing2, without=quality)
    return Meaning(
        "compare",
        determiner="the",
        adjective=adjective,
        thing=thing,
        adjective2=adjective2,
        thing2=thing2,
        quality=quality,
    )


def _someone_else(rng: Random, who: str) -> str:
    return pick(rng, [other for other in AGENTS if other != who])


def _time(rng: Random, wanted: str, tenses: tuple[str, ...]) -> str:
    """`wanted` if it has one of the tenses, else a random time that has."""
    if wanted and TIMES[wanted].tense in tenses:
        return wanted
    return pick(rng, [time for time, use in TIMES.items() if use.tense in tenses])
