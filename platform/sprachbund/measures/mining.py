"""Mining: F1 on one corpus with the threshold tuned on `select`, from pair evaluations that exist anyway."""

from collections.abc import Mapping, Sequence

from sprachbund.measures.base import Measure, Metric
from sprachbund.work.payloads.measure import MINING, MiningPayload, PairEvaluationPayload
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
    """One want for every setting and language pair that is evaluated on `select` and on `test`.

    Settings that steer one side only have no pairs mined from both sides, and controls no `select`.
    """
    roles = {role: {corpus.key for corpus in corpora.get(role, ())} for role in ("select", "test")}
    evaluated: dict[str, dict[tuple[str, ...], tuple[Want, PairEvaluationPayload]]] = {"select": {}, "test": {}}
    for want in wants:
        pair = want.payload
        if isinstance(pair, PairEvaluationPayload) and pair.side == "both":
            for role, keys in roles.items():
                if pair.corpus in keys:
                    evaluated[role][pair.setting, *pair.languages] = want, pair
    found = []
    for place, (want, pair) in evaluated["test"].items():
        tuned_on, _ = evaluated["select"].get(place, (want, pair))
        if tuned_on.subject != want.subject:
            found.append(_mining(want, pair, tuned_on.subject))
    return found


def _mining(want: Want, pair: PairEvaluationPayload, tuned_on: str) -> Want:
    payload = MiningPayload(
        setting=pair.setting,
        corpus=pair.corpus,
        languages=pair.languages,
        pooling=pair.pooling,
        tokens=pair.tokens,
        group=pair.group,
        split=pair.split,
        pairs=want.subject,
        tuned_on=tuned_on,
        version=MINED.version,
    )
    return Want.of(MINING, payload, f"mining of {want.label}", want.layers)
