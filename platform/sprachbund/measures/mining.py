"""Mining: F1 on one corpus with the threshold tuned on `select`, from pair evaluations that exist anyway."""

from collections.abc import Mapping, Sequence

from sprachbund.measures.base import Measure, Metric
from sprachbund.work.keys import content_key
from sprachbund.work.kinds import MINING, PAIR_EVALUATION
from sprachbund.work.plan import PlanCorpus, Want, kind_key

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

_FIELDS = ("query_setting", "candidate_setting", "corpus", "languages", "pooling", "tokens")


def mining_wants(wants: Sequence[Want], corpora: Mapping[str, Sequence[PlanCorpus]]) -> list[Want]:
    """One want for every setting and language pair that is evaluated on `select` and on `test`.

    Settings that steer one side only have no pairs mined from both sides, and controls no `select`.
    """
    roles = {role: {corpus.key for corpus in corpora.get(role, ())} for role in ("select", "test")}
    evaluated: dict[str, dict[tuple[str, ...], Want]] = {"select": {}, "test": {}}
    for want in wants:
        if want.kind is PAIR_EVALUATION and want.payload.get("side", "both") == "both":
            place = (str(want.payload["query_setting"]), *want.payload["languages"])
            for role, keys in roles.items():
                if want.payload["corpus"] in keys:
                    evaluated[role][place] = want
    return [
        _mining(want, evaluated["select"][place])
        for place, want in evaluated["test"].items()
        if place in evaluated["select"] and evaluated["select"][place].subject != want.subject
    ]


def _mining(want: Want, tuned_on: Want) -> Want:
    subject = kind_key(MINING, pairs=want.subject, tuned_on=tuned_on.subject, measure=MINED.version)
    return Want(
        kind=MINING,
        subject=subject,
        label=f"mining of {want.label}",
        bundle=content_key("bundle", 1, kind="mining", pairs=want.bundle),
        payload={
            **{name: want.payload[name] for name in _FIELDS},
            "pairs": want.subject,
            "tuned_on": tuned_on.subject,
        },
        layers=want.layers,
        needs=(want.subject, tuned_on.subject),
    )
