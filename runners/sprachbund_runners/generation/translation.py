"""Translation by prompting: prompts from a template and examples, chrF and BLEU by sacrebleu."""

from collections.abc import Sequence
from dataclasses import dataclass

from sprachbund.languages import describe

RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Score:
    """A corpus score from 0 to 100 with sacrebleu's 95 % bootstrap interval over sentences (NaN for a single one).

    `signature` says how sacrebleu computed both.
    """

    value: float
    low: float
    high: float
    signature: str


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


def scores(hypotheses: Sequence[str], references: Sequence[str], target: str) -> dict[str, Score]:
    """chrF and BLEU of translations into `target`; BLEU splits Japanese and Chinese into characters.

    Raises ValueError where there is nothing to score.
    """
    from sacrebleu.metrics import BLEU, CHRF

    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(f"translation: {len(hypotheses)} translations of {len(references)} sentences")
    spaceless = describe(target).script in ("Jpan", "Hans", "Hant", "Hani", "Thai", "Khmr", "Laoo", "Mymr", "Tibt")
    metrics = {"chrf": CHRF(), "bleu": BLEU(tokenize="char" if spaceless else "13a")}
    found = {}
    for name, metric in metrics.items():
        score = metric.corpus_score(list(hypotheses), [list(references)], n_bootstrap=RESAMPLES)
        low = high = float("nan")
        if len(hypotheses) > 1:
            # The interval lies around the replicates' mean, also where that leaves the scale.
            low, high = max(0.0, float(score._mean - score._ci)), min(100.0, float(score._mean + score._ci))
        found[name] = Score(float(score.score), low, high, str(metric.get_signature()))
    return found
