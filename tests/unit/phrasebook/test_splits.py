"""Splits: the same on every machine, apart from each other, without duplicates; test combinations unseen."""

import hashlib
import os
import subprocess
import sys
from random import Random
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from sprachbund.corpora import phrasebook as corpora
from sprachbund.corpora.phrasebook import TABLE
from sprachbund.errors import CorpusError
from sprachbund_runners.pretraining import phrasebook
from sprachbund_runners.pretraining.phrasebook import (
    LANGUAGES,
    combination,
    held_out,
    render,
    sentences,
    split,
    split_of,
)
from sprachbund_runners.pretraining.phrasebook.concepts import ACTS, AGENTS
from sprachbund_runners.pretraining.phrasebook.meaning import draw
from sprachbund_runners.pretraining.phrasebook.splits import SCENARIO_SIZE, scenario, table

# SHA-256 of a split's rows in all languages. If one changes, write the platform's table and train the demo
# model anew: it must not have seen a test sentence.
DIGESTS = {
    "fit": "b516d740b56cae961f4b5c00efba0a1c461c59c4743593de4fccdc1a9184076b",
    "select": "f8c10d8415a5afd1fd9d32c474469ad8866f88e1d7f0e5d3717f5021dd5de3b3",
    "test": "e3b3d6892e1b823493d001ad913ec4d6d791ffd3373eef28bf88606722cc7d56",
}
SPLITS = ("train", "fit", "select", "test")


def digest(name: str) -> str:
    rows = [row for language in LANGUAGES for row in sentences(name, language)]  # type: ignore[arg-type]
    return hashlib.sha256("\n".join("\t".join(row) for row in rows).encode()).hexdigest()


@pytest.mark.parametrize("name", ["fit", "select", "test"])
def test_the_text_of_a_split_never_changes(name: str) -> None:
    assert digest(name) == DIGESTS[name]


def test_the_platform_has_what_the_grammar_says() -> None:
    assert_frame_equal(pl.read_parquet(TABLE), table())
    for name in SPLITS:
        assert corpora.sentences(name, "deu_Latn") == sentences(name, "deu_Latn")
    assert corpora.sentences("test", "jpn_Jpan", 7) == sentences("test", "jpn_Jpan", 7)
    assert corpora.sentences("test", "jpn_Jpan", 0) == []
    assert corpora.SIZES == phrasebook.SIZES and corpora.LANGUAGES == phrasebook.LANGUAGES


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tets", "deu_Latn"), "no split 'tets', expected one of .*did you mean 'test'"),
        (("test", "deu_Latin"), "no language 'deu_Latin', .*did you mean 'deu_Latn'"),
        (("test", "deu_Latn", -1), "n is -1"),
    ],
)
def test_the_platform_refuses_what_it_does_not_have(arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(CorpusError, match=said):
        corpora.sentences(*arguments)


def test_another_process_with_another_hash_seed_draws_the_same() -> None:
    code = (
        "from sprachbund_runners.pretraining.phrasebook import sentences;"
        " print(ascii(sentences('select', 'jpn_Jpan', 40)))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4242"}
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ascii(sentences("select", "jpn_Jpan", 40))


def test_sizes() -> None:
    assert {name: len(split(name)) for name in SPLITS} == {
        "train": 20_000,
        "fit": 400,
        "select": 300,
        "test": 500,
    }


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_occurs_twice_in_a_split(name: phrasebook.SplitName, language: str) -> None:
    texts = [text.casefold() for _, text, _ in sentences(name, language)]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_of_one_split_occurs_in_another(language: str) -> None:
    texts = [text.casefold() for name in SPLITS for _, text, _ in sentences(name, language)]
    assert len(set(texts)) == len(texts) == 21_200


def test_at_least_twenty_thousand_meanings_all_told_apart_in_every_language() -> None:
    rng = Random(7)
    meanings = {draw(rng) for _ in range(25_000)}
    assert len(meanings) >= 20_000
    for language in LANGUAGES:
        assert len({render(meaning, language) for meaning in meanings}) == len(meanings)


def test_splits_are_disjoint_for_any_seed_and_size() -> None:
    drawn = {name: set(split(name, seed=3, n=700)) for name in SPLITS}
    for name, meanings in drawn.items():
        assert all(split_of(meaning) == name for meaning in meanings)
    assert set(split("fit")).isdisjoint(drawn["select"] | drawn["test"] | drawn["train"])
    assert split("fit", seed=3, n=100) != split("fit", n=100)


def test_combinations_of_the_test_split_are_seen_nowhere_else() -> None:
    elsewhere = {combination(m) for name in ("train", "fit", "select") for m in split(name)}  # type: ignore[arg-type]
    tested = {combination(m) for m in split("test")}
    assert tested.isdisjoint(elsewhere)
    assert {kind for kind, _, _ in tested} == {"agent-verb", "thing-place", "thing-thing"}
    # Every person and every verb occurs in training and in the test: only their pairing is new.
    for combinations in (elsewhere, tested):
        pairs = [(doer, verb) for kind, doer, verb in combinations if kind == "agent-verb"]
        assert {doer for doer, _ in pairs} == set(AGENTS)
        assert {verb for _, verb in pairs} == set(ACTS)


def test_training_documents_stay_in_the_train_split() -> None:
    rng = Random(1)
    meanings = [m for _ in range(200) for m in scenario(rng, "train", 4)]
    assert {split_of(m) for m in meanings} == {"train"}
    assert not any(held_out(m) for m in meanings)


def test_items_and_groups_align_across_languages() -> None:
    first = sentences("test", "eng_Latn")
    for language in LANGUAGES:
        rows = sentences("test", language)
        assert [(item, group) for item, _, group in rows] == [(item, group) for item, _, group in first]
    assert first[0][0] == "test-0000"
    groups = [group for _, _, group in first]
    assert all(groups.count(group) == SCENARIO_SIZE for group in set(groups))


def test_a_shorter_draw_is_the_beginning_of_a_longer_one() -> None:
    assert split("select", n=7) == split("select")[:7]
    assert sentences("select", "fra_Latn", 0) == []


def test_sentences_look_like_sentences() -> None:
    ends = {"eng_Latn": ".?", "spa_Latn": ".?", "deu_Latn": ".?", "fra_Latn": ".?", "jpn_Jpan": "。"}
    for language in LANGUAGES:
        for _, text, _ in sentences("test", language):
            assert text[-1] in ends[language]
            assert "  " not in text and " ." not in text and text == text.strip()
            assert text[0].isupper() or text[0] == "¿" or language == "jpn_Jpan"


def test_bad_requests_say_what_was_expected() -> None:
    with pytest.raises(CorpusError, match=r"no split 'tset'.*did you mean 'test'"):
        sentences("tset", "eng_Latn")  # type: ignore[arg-type]
    with pytest.raises(CorpusError, match=r"no language 'eng_Latin'.*did you mean 'eng_Latn'"):
        sentences("test", "eng_Latin")
    with pytest.raises(CorpusError, match="n is -1"):
        split("fit", n=-1)
