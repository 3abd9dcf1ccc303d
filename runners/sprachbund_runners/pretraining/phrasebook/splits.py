"""Scenarios and splits: lists of meanings that any Python on any machine draws alike."""

from functools import lru_cache
from random import Random
from typing import Literal

import polars as pl

from sprachbund.errors import CorpusError, nearest
from sprachbund_runners.pretraining.phrasebook.concepts import AGENTS, PLACES, TIMES
from sprachbund_runners.pretraining.phrasebook.meaning import Meaning, draw, pick, split_of
from sprachbund_runners.pretraining.phrasebook.render import LANGUAGES, render

SplitName = Literal["train", "fit", "select", "test"]
SIZES: dict[str, int] = {"train": 20_000, "fit": 400, "select": 300, "test": 500}
SCENARIO_SIZE = 5
SEED = 20261121


def scenario(rng: Random, split: str, size: int) -> list[Meaning]:
    """`size` meanings of one split around one person, place and time: a small document.

    Each sentence keeps the person and the place with probability 1/2 each, the time with 3/10.
    """
    agent, place, time = pick(rng, AGENTS), pick(rng, PLACES), pick(rng, tuple(TIMES))
    meanings: list[Meaning] = []
    while len(meanings) < size:
        # The coins are tossed anew after a rejection, or an agent with no held-out verb would never end.
        kept = (
            agent if rng.random() < 0.5 else "",
            place if rng.random() < 0.5 else "",
            time if rng.random() < 0.3 else "",
        )
        meaning = draw(rng, *kept)
        if split_of(meaning) == split:
            meanings.append(meaning)
    return meanings


@lru_cache(maxsize=8)
def _scenarios(split: str, seed: int, count: int) -> tuple[tuple[Meaning, ...], ...]:
    """`count` scenarios in which no text occurs twice, in any language."""
    rng = Random(f"{split} {seed}")
    found: list[tuple[Meaning, ...]] = []
    seen: set[str] = set()
    while len(found) < count:
        candidate = scenario(rng, split, SCENARIO_SIZE)
        texts = {render(meaning, language) for meaning in candidate for language in LANGUAGES}
        if len(texts) == len(candidate) * len(LANGUAGES) and seen.isdisjoint(texts):
            seen |= texts
            found.append(tuple(candidate))
    return tuple(found)


def split(name: SplitName, seed: int = SEED, n: int | None = None) -> list[Meaning]:
    """The meanings of a split: 400 "fit", 300 "select", 500 "test", 20,000 "train" unless `n` says otherwise.

    The first n of a longer draw are the shorter draw. Splits share no meaning whatever the seeds and
    sizes, since a meaning's content decides its split (`meaning.split_of`); "test" has only combinations
    that no other split has. Raises CorpusError for an unknown split or a negative n.
    """
    return [meaning for meaning, _ in _grouped(name, seed, n)]


def sentences(split: SplitName, language: str, n: int | None = None) -> list[tuple[str, str, str]]:
    """(item, text, group) of a split in a language: the same items, in the same order, in every language.

    Items are "test-0000"…, groups the scenarios that sentences were written in ("test-scenario-000"…), five
    sentences each: the unit to resample. Raises CorpusError for an unknown split or language.
    """
    return [
        (f"{split}-{index:04d}", render(meaning, language), f"{split}-scenario-{group:03d}")
        for index, (meaning, group) in enumerate(_grouped(split, SEED, n))
    ]


def table() -> pl.DataFrame:
    """Every split whole: columns split, item, group, and a text in each language."""
    frames = []
    for name in ("fit", "select", "test", "train"):
        said = {language: sentences(name, language) for language in LANGUAGES}
        first = said[LANGUAGES[0]]
        texts = {language: [text for _, text, _ in rows] for language, rows in said.items()}
        names = {"split": [name] * len(first), "item": [item for item, _, _ in first]}
        frames.append(pl.DataFrame({**names, "group": [group for _, _, group in first], **texts}))
    return pl.concat(frames)


def _grouped(name: str, seed: int, n: int | None) -> list[tuple[Meaning, int]]:
    if name not in SIZES:
        raise CorpusError(f"phrasebook: no split {name!r}, expected one of {', '.join(SIZES)}{nearest(name, SIZES)}")
    wanted = SIZES[name] if n is None else n
    if wanted < 0:
        raise CorpusError(f"phrasebook: n is {wanted}, expected 0 or more")
    scenarios = _scenarios(name, seed, -(-wanted // SCENARIO_SIZE))
    return [(meaning, group) for group, meanings in enumerate(scenarios) for meaning in meanings][:wanted]
