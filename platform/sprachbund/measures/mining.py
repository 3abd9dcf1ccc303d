"""Wants of mining: F1 on one corpus with the threshold tuned on `select`, from pair evaluations that exist anyway."""

from collections.abc import Mapping, Sequence

from sprachbund.measures import MEASURES
from sprachbund.work.kinds import MINING
from sprachbund.work.payloads.measure import MiningPayload, PairEvaluationPayload
from sprachbund.work.plan import PlanCorpus, Want


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
        version=MEASURES["mining"].version,
    )
    return Want.of(MINING, payload, f"mining of {want.label}", want.layers)
