"""AUROC, average precision, Cohen's d and the Mann–Whitney p against slow, obvious references and the peers."""

import math
import pickle
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu
from sklearn.metrics import average_precision_score, roc_auc_score

from sprachbund.catalogue.scorers import SCORERS as RULES
from sprachbund.errors import CorpusError, SpecError
from sprachbund_runners import scorers
from sprachbund_runners.scorers import NonFinite, RankedResponses, Scorer, Scores, Target, score_units
from sprachbund_runners.scorers.ranking import lay_out, rank_responses

BINARY = (Target(1, (0,)),)
ALL = ("auroc", "average_precision", "cohens_d", "mutual_information")
TINY = float(np.finfo(np.float32).smallest_subnormal)
HUGE = float(np.finfo(np.float32).max)
# Few distinct values, so that ties abound; both zeros, subnormals and the ends of the range among them.
AWKWARD = (-HUGE, -1.0, -TINY, -0.0, 0.0, TINY, 2 * TINY, 0.25, 1.0, HUGE)


def slow_auroc(positive: Sequence[float], negative: Sequence[float]) -> Fraction:
    """Every pair, one by one."""
    won = sum(Fraction(2 * (p > n) + (p == n), 2) for p in positive for n in negative)
    return won / (len(positive) * len(negative))


def slow_average_precision(positive: Sequence[float], negative: Sequence[float]) -> Fraction:
    """Precision at every distinct threshold, weighted by the gain in recall."""
    total, recall = Fraction(0), Fraction(0)
    for threshold in sorted({*positive, *negative}, reverse=True):
        hits = sum(p >= threshold for p in positive)
        misses = sum(n >= threshold for n in negative)
        total += (Fraction(hits, len(positive)) - recall) * Fraction(hits, hits + misses)
        recall = Fraction(hits, len(positive))
    return total


def slow_cohens_d(positive: Sequence[float], negative: Sequence[float]) -> float:
    def moments(side: Sequence[float]) -> tuple[Fraction, Fraction]:
        exact = [Fraction(x) for x in side]
        mean = sum(exact, Fraction(0)) / len(exact)
        return mean, sum(((x - mean) ** 2 for x in exact), Fraction(0))

    (mean_p, squares_p), (mean_n, squares_n) = moments(positive), moments(negative)
    variance = (squares_p + squares_n) / max(len(positive) + len(negative) - 2, 1)
    if mean_p == mean_n:
        return 0.0
    if variance == 0:
        return math.inf if mean_p > mean_n else -math.inf
    return math.copysign(math.sqrt((mean_p - mean_n) ** 2 / variance), mean_p - mean_n)


def same_bytes(a: Scores, b: Scores) -> bool:
    return all(
        x.tobytes() == y.tobytes()
        for x, y in [
            (a.minimum_auroc, b.minimum_auroc),
            (a.effect, b.effect),
            (a.p_value, b.p_value),
            *((a.values[name], b.values[name]) for name in a.values),
        ]
    )


def sample(kind: str, units: int, sentences: int, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    match kind:
        case "random":
            return rng.standard_normal((units, sentences)).astype(np.float32)
        case "half precision":
            return rng.standard_normal((units, sentences)).astype(np.float16).astype(np.float32)
        case "tied":
            return rng.integers(-2, 3, (units, sentences)).astype(np.float32)
        case "constant":
            return np.full((units, sentences), np.float32(0.1))
        case "zeros":
            return np.where(rng.random((units, sentences)) < 0.5, np.float32(-0.0), np.float32(0.0))
        case "subnormal":
            return (rng.integers(-3, 4, (units, sentences)) * TINY).astype(np.float32)
        case "awkward":
            return rng.choice(np.array(AWKWARD, dtype=np.float32), (units, sentences))
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["random", "half precision", "tied", "constant", "zeros", "subnormal", "awkward"])
@pytest.mark.parametrize("sentences", [2, 3, 255, 256, 257, 513, 1300])
def test_equal_to_scikit_learn(kind: str, sentences: int) -> None:
    units = 6
    responses = sample(kind, units, sentences)
    labels = np.random.default_rng(1).permutation(np.arange(sentences) % 4 == 0)
    scores = score_units(responses, labels, BINARY)
    for unit in range(units):
        row = responses[unit].astype(np.float64)
        assert scores.values["auroc"][0, unit] == pytest.approx(roc_auc_score(labels, row), rel=0, abs=1e-12)
        assert scores.values["average_precision"][0, unit] == pytest.approx(
            average_precision_score(labels, row), rel=0, abs=1e-12
        )


@st.composite
def rows_with_languages(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """One to three units, one sentence or more of each of the languages 0…3, in any order."""
    languages = draw(st.permutations([0, 1, 2, 3, *draw(st.lists(st.integers(0, 3), max_size=20))]))
    response = st.sampled_from(AWKWARD) | st.floats(width=32, allow_nan=False, allow_infinity=False)
    size = len(languages)
    rows = draw(st.lists(st.lists(response, min_size=size, max_size=size), min_size=1, max_size=3))
    return np.array(rows, dtype=np.float32), np.array(languages, dtype=np.int16)


@settings(max_examples=150)
@given(rows_with_languages(), st.randoms(use_true_random=False))
def test_equal_to_slow_references(data: tuple[NDArray[np.float32], NDArray[np.int16]], random: object) -> None:
    responses, language_of = data
    # Overlapping lists, a target twice, a language (3) that some targets don't list.
    targets = (Target(0, (1, 2)), Target(1, (0,)), Target(0, (2, 3, 1)), Target(2, (3,)))
    scores = score_units(responses, language_of, targets, ALL)
    for t, target in enumerate(targets):
        for u, row in enumerate(responses):
            positive = row[language_of == target.positive].tolist()
            negative = row[np.isin(language_of, target.negatives)].tolist()
            assert scores.values["auroc"][t, u] == float(slow_auroc(positive, negative))
            assert scores.values["average_precision"][t, u] == pytest.approx(
                float(slow_average_precision(positive, negative)), rel=1e-13
            )
            assert scores.minimum_auroc[t, u] == float(
                min(slow_auroc(positive, row[language_of == n].tolist()) for n in target.negatives)
            )
            expected = slow_cohens_d(positive, negative)
            assert scores.values["cohens_d"][t, u] == pytest.approx(expected, rel=1e-9, abs=1e-12)
            assert scores.effect[t, u] == scores.values["cohens_d"][t, u]


@settings(max_examples=50)
@given(rows_with_languages(), st.randoms(use_true_random=False))
def test_the_order_of_sentences_changes_no_bit(
    data: tuple[NDArray[np.float32], NDArray[np.int16]], random: object
) -> None:
    responses, language_of = data
    order = np.array(random.sample(range(language_of.size), language_of.size))  # type: ignore[attr-defined]
    targets = (Target(0, (1, 2)), Target(3, (0, 1)))
    plain = score_units(responses, language_of, targets, ALL)
    assert same_bytes(plain, score_units(responses[:, order], language_of[order], targets, ALL))


@pytest.mark.parametrize("kind", ["random", "tied"])
def test_the_order_of_sentences_changes_no_bit_in_long_rows(kind: str) -> None:
    responses, language_of = sample(kind, 5, 1500), np.arange(1500) % 3
    order = np.random.default_rng(2).permutation(1500)
    targets = (Target(0, (1, 2)), Target(2, (0,)))
    plain = score_units(responses, language_of, targets, ALL)
    assert same_bytes(plain, score_units(responses[:, order], language_of[order], targets, ALL))


def test_codes_of_languages_and_the_order_of_negatives_change_no_bit() -> None:
    responses, language_of = sample("random", 20, 400), np.arange(400) % 4
    plain = score_units(responses, language_of, (Target(0, (1, 2, 3)),), ALL)
    renamed = np.array([7, 300, 5, -2], dtype=np.int16)[language_of]
    assert same_bytes(plain, score_units(responses, renamed, (Target(7, (-2, 300, 5)),), ALL))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("block_bytes", [1, 20_000])
def test_blocks_and_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch, threads: int, block_bytes: int) -> None:
    responses, language_of = sample("random", 33, 500), np.arange(500) % 3
    targets = (Target(0, (1, 2)), Target(1, (0, 2)))
    plain = score_units(responses, language_of, targets, ALL)
    monkeypatch.setattr(scorers, "BLOCK_BYTES", block_bytes)
    assert same_bytes(plain, score_units(responses, language_of, targets, ALL, threads=threads))


def test_arrays_need_not_be_contiguous() -> None:
    responses, language_of = sample("random", 10, 300), np.arange(300) % 2
    plain = score_units(responses, language_of, BINARY, ALL)
    assert same_bytes(plain, score_units(np.asfortranarray(responses), language_of, BINARY, ALL))
    wide = np.repeat(responses, 2, axis=1)
    assert same_bytes(plain, score_units(wide[:, ::2], language_of, BINARY, ALL))


def test_many_targets_equal_one_at_a_time() -> None:
    responses, language_of = sample("half precision", 8, 700), np.arange(700) % 7
    targets = [Target(code, tuple(n for n in range(6) if n != code)) for code in range(5)]
    together = score_units(responses, language_of, targets, ALL)
    for t, target in enumerate(targets):
        alone = score_units(responses, language_of, [target], ALL)
        for name in ALL:
            np.testing.assert_array_equal(together.values[name][t], alone.values[name][0])
        np.testing.assert_array_equal(together.p_value[t], alone.p_value[0])
        np.testing.assert_array_equal(together.minimum_auroc[t], alone.minimum_auroc[0])


@pytest.mark.parametrize("kind", ["random", "tied", "constant", "awkward"])
@pytest.mark.parametrize("sentences", [8, 60, 600])
def test_p_equals_scipy(kind: str, sentences: int) -> None:
    responses, language_of = sample(kind, 6, sentences), np.arange(sentences) % 4
    responses[0] += (language_of == 0) * np.float32(0.5)
    targets = (Target(0, (1, 2)), Target(3, (0, 1, 2)))
    scores = score_units(responses, language_of, targets, ())
    for t, target in enumerate(targets):
        for u, row in enumerate(responses.astype(np.float64)):
            expected = mannwhitneyu(
                row[language_of == target.positive],
                row[np.isin(language_of, target.negatives)],
                method="asymptotic",
            ).pvalue
            assert scores.p_value[t, u] == pytest.approx(expected, rel=1e-10, abs=1e-300)


def test_a_perfect_expert_an_anti_expert_and_a_mute_unit() -> None:
    labels = np.arange(100) < 30
    responses = np.stack([labels, -1.0 * labels, 0 * labels]).astype(np.float32)
    scores = score_units(responses, labels, BINARY)
    np.testing.assert_array_equal(scores.values["auroc"][0], [1.0, 0.0, 0.5])
    np.testing.assert_array_equal(scores.values["average_precision"][0], [1.0, 0.3, 0.3])
    np.testing.assert_array_equal(scores.effect[0], [np.inf, -np.inf, 0.0])
    assert scores.p_value[0, 2] == 1.0
    assert scores.p_value[0, 0] == scores.p_value[0, 1] < 1e-20


def test_counts_of_sentences() -> None:
    scores = score_units(sample("random", 1, 10), np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 5]), (Target(1, (0, 2)),))
    assert (scores.n_positive.tolist(), scores.n_negative.tolist()) == ([2], [7])


def test_no_units() -> None:
    scores = score_units(np.empty((0, 4), np.float32), np.array([0, 1, 0, 1]), BINARY)
    assert scores.values["auroc"].shape == (1, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("threads", [1, 2])
def test_responses_that_are_not_finite(monkeypatch: pytest.MonkeyPatch, value: float, threads: int) -> None:
    monkeypatch.setattr(scorers, "BLOCK_BYTES", 1)  # a row a block
    responses, language_of = sample("random", 20, 12), np.arange(12) % 3
    responses[11, 4] = responses[17, 3] = value
    with pytest.raises(NonFinite, match=r"unit row 11 to sentence 4 is -?(nan|inf)") as caught:
        score_units(responses, language_of, BINARY, threads=threads)
    assert (caught.value.row, caught.value.sentence) == (11, 4)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (str(again), again.row) == (str(caught.value), 11)


def test_sentences_of_unlisted_languages_are_not_read() -> None:
    responses, language_of = sample("random", 4, 30), np.arange(30) % 3
    plain = score_units(responses, language_of, BINARY)
    responses[:, language_of == 2] = np.nan
    assert same_bytes(plain, score_units(responses, language_of, BINARY))


@pytest.mark.parametrize(
    ("language_of", "missing"),
    [([0, 0, 0], "no sentence of it"), ([1, 1, 1], "no sentence of its negative, language 0")],
)
def test_a_single_class_is_an_error(language_of: list[int], missing: str) -> None:
    with pytest.raises(CorpusError, match=f"target spa_Latn: {missing}"):
        score_units(sample("random", 1, 3), np.array(language_of), (Target(1, (0,), "spa_Latn"),))


def test_malformed_targets() -> None:
    with pytest.raises(SpecError, match="language 1: negatives are empty"):
        Target(1, ())
    with pytest.raises(SpecError, match="contain the target itself"):
        Target(1, (0, 1))
    with pytest.raises(SpecError, match="twice"):
        Target(1, (0, 0))
    with pytest.raises(SpecError, match="none given"):
        score_units(sample("random", 1, 3), np.array([0, 1, 0]), ())


def test_malformed_arrays() -> None:
    language_of = np.array([0, 1, 0])
    with pytest.raises(ValueError, match="expected float32"):
        score_units(np.zeros((2, 3)), language_of, BINARY)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="3 codes for 4 sentences"):
        score_units(np.zeros((2, 4), np.float32), language_of, BINARY)
    with pytest.raises(ValueError, match="1-D array of integers"):
        score_units(np.zeros((2, 3), np.float32), np.array([0.0, 1.0, 0.0]), BINARY)  # type: ignore[arg-type]


def test_an_unknown_scorer() -> None:
    with pytest.raises(SpecError, match="did you mean 'auroc'"):
        score_units(sample("random", 1, 4), np.array([0, 1, 0, 1]), BINARY, ("aurok",))


def test_a_scorer_of_ones_own() -> None:
    def greatest_is_positive(ranked: RankedResponses) -> NDArray[np.float64]:
        return (ranked.languages[:, -1] == ranked.layout.positive[:, None]).astype(np.float64)

    own = Scorer("greatest", "ranks", greatest_is_positive)
    responses = np.array([[1, 2, 3, 4], [4, 3, 2, 1]], dtype=np.float32)
    scores = score_units(responses, np.array([0, 0, 1, 1]), BINARY, (own, "auroc"))
    assert scores.values["greatest"].tolist() == [[1.0, 0.0]]
    flat = Scorer("flat", "ranks", lambda ranked: np.zeros((1, 1)))
    with pytest.raises(ValueError, match=r"scorer flat: returned shape \[1, 1\]"):
        score_units(responses, np.array([0, 0, 1, 1]), BINARY, (flat,))


@pytest.mark.parametrize("kind", ["random", "awkward"])
@pytest.mark.parametrize("sentences", [3, 256, 257, 512, 513, 1027, 5000])
def test_ranked_responses_are_sorted_with_their_languages(kind: str, sentences: int) -> None:
    responses = sample(kind, 3, sentences)
    codes = np.array([0, 1, 4])
    language_of = codes[np.arange(sentences) % 3]
    ranked = rank_responses(responses, lay_out(language_of, (Target(1, (0, 4)),)))
    for row in range(3):
        expected = sorted(zip((responses[row] + np.float32(0)).tolist(), language_of.tolist(), strict=True))
        found = zip(ranked.responses[row].tolist(), codes[ranked.languages[row]].tolist(), strict=True)
        assert list(found) == expected


def test_registered_scorers_stay_within_their_bounds() -> None:
    responses, labels = sample("tied", 200, 50), np.arange(50) % 5 == 0
    by_rank = tuple(name for name, scorer in scorers.SCORERS.items() if scorer.reads == "ranks")
    scores = score_units(responses, labels, BINARY, by_rank)
    for name in by_rank:
        assert scorers.SCORERS[name].name == name
        low, high = RULES[name].bounds
        assert ((scores.values[name] >= low) & (scores.values[name] <= high)).all()


def test_only_scorers_that_read_ranks_go_by_ranks() -> None:
    with pytest.raises(ValueError, match="l1_probe reads responses, not ranks"):
        score_units(sample("random", 1, 4), np.array([0, 1, 0, 1]), BINARY, ("l1_probe",))
