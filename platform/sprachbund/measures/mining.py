"""Mining: F1 on one corpus with the threshold tuned on `select`, from pair evaluations that exist anyway."""

from collections.abc import Iterator, Mapping, Sequence

from sprachbund.measures.base import Measure, Metric
from sprachbund.work.payloads.pairs import MINING, MinedPair, MiningPayload, PairEvaluationPayload, pair_key
from sprachbund.work.plan import PlanCorpus, Want

METRICS: tuple[Metric, ...] = (
    Metric(
        "mining_f1", "share", "higher", 0.0, 1.0, "none",
        "F1 of the pairs mined by ratio margin (best of 4 nearest from both sides, each text once) that score at least "
        "the threshold tuned on select",
        "BUCC 2018, as in LASER",
    ),
    Metric(
        "mining_precision", "share", "higher", 0.0, 1.0, "none",
        "share of the mined pairs that are translations", "BUCC 2018, as in LASER",
    ),
    Metric(
        "mining_recall", "share", "higher", 0.0, 1.0, "none",
        "share of the translation pairs that are mined", "BUCC 2018, as in LASER",
    ),
    Metric(
        "mining_threshold", "ratio margin", "none", None, None, "none",
        "the threshold with the best F1 on select, halfway to the next lower score", "BUCC 2018, as in LASER",
    ),
)  # fmt: skip

MINED = Measure(
    "mining", 1, "pair", False,
    ("mining_f1", "mining_precision", "mining_recall", "mining_threshold"),
    "translation pairs found among all sentences, above a threshold tuned on other text",
)  # fmt: skip
MEASURES: tuple[Measure, ...] = (MINED,)


def mining_wants(wants: Sequence[Want], corpora: Mapping[str, Sequence[PlanCorpus]]) -> list[Want]:
    """Wants of the pairs that are evaluated on `select` and on `test`: one for every setting and corpus of `test`.

    Settings that steer one side only have no pairs mined from both sides, and controls no `select`.
    """
    evaluated: dict[str, list[tuple[Want, PairEvaluationPayload]]] = {}
    for want in wants:
        if isinstance(want.payload, PairEvaluationPayload) and want.payload.side == "both":
            evaluated.setdefault(want.payload.corpus, []).append((want, want.payload))
    select, test = (
        [each for corpus in corpora.get(role, ()) for each in evaluated.get(corpus.key, ())]
        for role in ("select", "test")
    )
    # Where a pair's threshold is told: the subject of its evaluation and its key.
    thresholds = {
        (payload.setting, pair.sides): (want.subject, pair.key) for want, payload in select for pair in payload.pairs
    }
    return [mined for want, payload in test for mined in _of(want, payload, thresholds)]


def _of(
    want: Want, evaluated: PairEvaluationPayload, thresholds: Mapping[tuple[str, tuple[str, str]], tuple[str, str]]
) -> Iterator[Want]:
    """Of the pairs of one setting and corpus, by the corpus that tells their thresholds; no text tells its own."""
    by_subject: dict[str, list[MinedPair]] = {}
    for pair in evaluated.pairs:
        subject, tuned_on = thresholds.get((evaluated.setting, pair.sides), (want.subject, ""))
        if subject != want.subject:
            key = pair_key(MINING, scored=pair.key, tuned_on=tuned_on, measure=MINED.version)
            by_subject.setdefault(subject, []).append(MinedPair(*pair.sides, key, pair.key, tuned_on))
    for subject, pairs in by_subject.items():
        payload = MiningPayload(
            setting=evaluated.setting,
            corpus=evaluated.corpus,
            pooling=evaluated.pooling,
            tokens=evaluated.tokens,
            group=evaluated.group,
            split=evaluated.split,
            pairs=tuple(pairs),
            scored=want.subject,
            tuned_on=subject,
            version=MINED.version,
        )
        yield Want.of(MINING, payload, f"mining of {want.label}", want.layers)
