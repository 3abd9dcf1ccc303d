"""Translation by prompting: prompts from a template and examples, chrF and BLEU by sacrebleu."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund.languages.table import describe

RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Score:
    """A corpus score from 0 to 100 with sacrebleu's bootstrap interval over sentences (NaN for a single one).

    `signature` says how sacrebleu computed both.
    """

    value: float
    low: float
    high: float
    signature: str


class _Floats:
    """Mixed into sacrebleu's metrics (2.6), whose draws are 0.0 without a match and float32 with one: the mean over
    both kinds raises TypeError. `drawn`: the score itself and then those of the draws."""

    drawn: list[float]

    def _compute_score_from_stats(self, stats: Any) -> Any:
        computed = super()._compute_score_from_stats(stats)  # type: ignore[misc]
        computed.score = float(computed.score)
        self.drawn.append(computed.score)
        return computed


def prompts(
    template: str, source: str, target: str, examples: Sequence[tuple[str, str]], sentences: Sequence[str]
) -> list[str]:
    """One prompt per sentence: the examples filled into the template, then the sentence up to its translation.

    template has `{source}` and, after it, `{target}`, and may name the languages by `{source_language}` and
    `{target_language}` (English names). The prompt ends right before `{target}`, without the spaces before it, since
    tokenizers put a space at the beginning of a word.
    """
    names = {"source_language": describe(source).name, "target_language": describe(target).name}
    shown = "".join(template.format(source=text, target=translation, **names) for text, translation in examples)
    opening = template.partition("{target}")[0]
    return [(shown + opening.format(source=sentence, **names)).rstrip(" ") for sentence in sentences]


def first_line(text: str) -> str:
    """A translation as written: its first line that is not empty, without spaces around it."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _metrics(target: str) -> dict[str, Any]:
    """sacrebleu's metrics of translations into `target`; BLEU splits languages without spaces into characters."""
    from sacrebleu.metrics import BLEU, CHRF

    class Bleu(_Floats, BLEU):
        pass

    class Chrf(_Floats, CHRF):
        pass

    spaceless = describe(target).script in ("Jpan", "Hans", "Hant", "Hani", "Thai", "Khmr", "Laoo", "Mymr", "Tibt")
    found: dict[str, Any] = {"chrf": Chrf(), "bleu": Bleu(tokenize="char" if spaceless else "13a")}
    for metric in found.values():
        metric.drawn = []
    return found


def scores(
    hypotheses: Sequence[str], references: Sequence[str], target: str, confidence: float = 0.95
) -> dict[str, Score]:
    """chrF and BLEU of translations into `target`.

    Raises ValueError where there is nothing to score.
    """
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(f"translation: {len(hypotheses)} translations of {len(references)} sentences")
    found = {}
    for name, metric in _metrics(target).items():
        score = metric.corpus_score(list(hypotheses), [list(references)], n_bootstrap=RESAMPLES)
        low = high = float("nan")
        if len(hypotheses) > 1:
            # sacrebleu's interval, which knows 95 % alone: half the replicates' range around their mean, also where
            # that leaves the scale.
            drawn = sorted(metric.drawn[1:])
            cut = int(len(drawn) * (1 - confidence) / 2 + 1e-9)
            half = (drawn[len(drawn) - cut - 1] - drawn[cut]) / 2
            low, high = max(0.0, fmean(drawn) - half), min(100.0, fmean(drawn) + half)
        found[name] = Score(float(score.score), low, high, str(metric.get_signature()))
    return found


@dataclass(frozen=True, slots=True)
class SegmentCounts:
    """What a corpus score is made of: counts int64 [segments, columns], and the score of their sums."""

    counts: NDArray[np.int64]
    metric: Any

    def score(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """The corpus scores [r] of sums [r, columns]."""
        rows = sums.round().astype(np.int64).tolist()
        return np.array([self.metric._compute_score_from_stats(row).score for row in rows], np.float64)


def segment_counts(hypotheses: Sequence[str], references: Sequence[str], target: str) -> dict[str, SegmentCounts]:
    """The counts behind chrF and BLEU of translations into `target`, sentence by sentence."""
    return {
        name: SegmentCounts(
            np.array(metric._extract_corpus_statistics(list(hypotheses), [list(references)]), np.int64), metric
        )
        for name, metric in _metrics(target).items()
    }
