"""Prompts, and scores equal to sacrebleu's own."""

import math

import numpy as np
import pytest
import sacrebleu

from sprachbund_runners.generation.translation import first_line, prompts, scores, segment_counts

TEMPLATE = "{source_language}: {source}\n{target_language}: {target}\n\n"


def test_prompts_show_the_examples_and_end_before_the_translation() -> None:
    found = prompts(TEMPLATE, "eng_Latn", "deu_Latn", [("One.", "Eins."), ("{two}", "{zwei}")], ["Three."])
    assert found == ["English: One.\nGerman: Eins.\n\nEnglish: {two}\nGerman: {zwei}\n\nEnglish: Three.\nGerman:"]
    assert prompts("{source}\n{target}\n", "eng_Latn", "deu_Latn", [], ["A.", "B."]) == ["A.\n", "B.\n"]


def test_scores_are_sacrebleus() -> None:
    hypotheses = ["the cat sat on the mat", "", "a small bird sings in the old tree"] * 5
    references = ["the cat is on the mat", "hello", "a little bird sings in the old tree"] * 5
    found = scores(hypotheses, references, "eng_Latn")
    assert found["chrf"].value == pytest.approx(sacrebleu.corpus_chrf(hypotheses, [references]).score)
    assert found["bleu"].value == pytest.approx(sacrebleu.corpus_bleu(hypotheses, [references]).score)
    for score in found.values():
        assert 0 <= score.low < score.value < score.high <= 100
        assert "version:" + sacrebleu.__version__ in score.signature
        assert "bs:500" in score.signature
    own = sacrebleu.metrics.CHRF().corpus_score(hypotheses, [references], n_bootstrap=500)
    assert (found["chrf"].low, found["chrf"].high) == pytest.approx((own._mean - own._ci, own._mean + own._ci))
    less = scores(hypotheses, references, "eng_Latn", 0.6)
    assert all(less[name].high - less[name].low < score.high - score.low for name, score in found.items())


def test_draws_without_a_match_beside_draws_with_one_have_an_interval() -> None:
    hypotheses, references = ["zzz", "zzz", "zzz", "the cat"], ["a dog", "a bird", "a fish", "the cat"]
    found = scores(hypotheses, references, "eng_Latn")["bleu"]
    # Some of 500 draws of four sentences miss the only match, most hold it.
    assert found.value == pytest.approx(sacrebleu.corpus_bleu(hypotheses, [references]).score)
    assert 0 <= found.low <= found.high <= 100


def test_languages_without_spaces_are_split_into_characters() -> None:
    japanese = scores(["猫が好きです"], ["猫が嫌いです"], "jpn_Jpan")["bleu"]
    assert "tok:char" in japanese.signature
    assert japanese.value > 0
    assert math.isnan(japanese.low)
    assert scores(["猫が好きです"], ["猫が嫌いです"], "eng_Latn")["bleu"].value == 0


@pytest.mark.parametrize("target", ["eng_Latn", "jpn_Jpan"])
def test_scores_of_counts_are_those_of_the_drawn_sentences(target: str) -> None:
    hypotheses = ["the cat sat on the mat", "", "a small bird sings in the old tree", "zzz", "the cat"]
    references = ["the cat is on the mat", "hello", "a little bird sings in the old tree", "a dog", "the cat"]
    counts = np.array([[1, 1, 1, 1, 1], [0, 0, 3, 1, 1], [0, 5, 0, 0, 0], [2, 0, 0, 0, 3]])
    for name, found in segment_counts(hypotheses, references, target).items():
        for row, score in zip(counts, found.score((counts @ found.counts).astype(float)), strict=True):
            drawn = [place for place, times in enumerate(row) for _ in range(times)]
            again = scores([hypotheses[place] for place in drawn], [references[place] for place in drawn], target)
            assert score == pytest.approx(again[name].value)


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 translations"):
        scores([], [], "eng_Latn")


@pytest.mark.parametrize(("text", "expected"), [("", ""), ("\n  eins \nzwei", "eins"), ("eins", "eins"), (" \n", "")])
def test_the_first_line_is_the_translation(text: str, expected: str) -> None:
    assert first_line(text) == expected
