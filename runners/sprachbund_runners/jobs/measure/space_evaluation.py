"""Space evaluations: medoid, spread and distances among all languages of one setting (Table 1 of the study)."""

from collections.abc import Iterator, Sequence

import numpy as np
from sqlalchemy import Connection

from sprachbund.queue import Claim
from sprachbund.work.payloads.measure import SpaceEvaluationPayload
from sprachbund_runners.evaluation.distances import SpaceDistances, space_distances
from sprachbund_runners.evaluation.pair import spread_values
from sprachbund_runners.evaluation.scores import Level
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.embed.embedded import Embedded
from sprachbund_runners.jobs.evaluation_rows import EvaluationRow, write_evaluations
from sprachbund_runners.jobs.serving import one_by_one


def run(claims: Sequence[Claim[SpaceEvaluationPayload]], context: Context) -> Iterator[Outcome]:
    """Claims on one corpus share the vectors of the baseline, whose medoid is the frozen one."""
    embedded = Embedded(context)
    return one_by_one(claims, context, lambda claim: _space(claim, embedded), "measuring spaces")


def _space(claim: Claim[SpaceEvaluationPayload], embedded: Embedded) -> Outcome:
    payload = claim.payload
    languages, target, scope = payload.languages, payload.target, payload.scope_digest
    rows: list[EvaluationRow] = []
    for layer in payload.layers:
        vectors = {language: embedded.vectors(payload, language, layer) for language in languages}
        n_items = next(iter(vectors.values())).unit.n
        per_language = {
            language: {name: _level(value, n_items) for name, value in spread_values(each).items()}
            for language, each in vectors.items()
        }
        # Means that vanish (text centred on itself) have no direction: there is no space to measure.
        if all(each.centroid is not None for each in vectors.values()):
            frozen = space_distances({each: embedded.frozen(payload, each, layer).centroid for each in languages})
            space = space_distances({each: vectors[each].centroid for each in languages}, frozen.medoid)
            for place, language in enumerate(languages):
                per_language[language] |= _language_distances(space, place, target, n_items)
            rows.append(EvaluationRow("space", None, None, layer, _space_levels(space, target, n_items), scope=scope))
        rows += [
            EvaluationRow("spread", language, None, layer, metrics, scope=scope)
            for language, metrics in per_language.items()
        ]

    def write(connection: Connection) -> None:
        write_evaluations(connection, claim, rows)

    return Outcome(claim, write)


def _level(value: float, n_items: int) -> Level:
    return Level(float(value), float("nan"), float("nan"), n_items, n_items)


def _language_distances(space: SpaceDistances, place: int, target: str | None, n_items: int) -> dict[str, Level]:
    assert space.to_frozen_medoid is not None
    found = {
        "to_medoid": space.to_medoid[place],
        "to_medoid_of_others": space.to_medoid_of_others[place],
        "to_frozen_medoid": space.to_frozen_medoid[place],
        "is_medoid": float(space.languages[place] == space.medoid),
    }
    if target is not None:
        found["to_target"] = space.to_target(target)[place]
    return {name: _level(value, n_items) for name, value in found.items()}


def _space_levels(space: SpaceDistances, target: str | None, n_items: int) -> dict[str, Level]:
    """The columns of the study's Table 1, for this setting's target."""
    found = {"all_pairs_distance": space.all_pairs}
    if target is not None:
        place = space.languages.index(target)
        to_medoid = space.to_medoid_of_others
        found["target_to_medoid"] = float(to_medoid[place])
        found["others_to_medoid"] = space.mean_over_others(to_medoid, target)
        found["others_to_target"] = float(np.nanmean(space.to_target(target)))
    return {name: _level(value, n_items) for name, value in found.items()}
