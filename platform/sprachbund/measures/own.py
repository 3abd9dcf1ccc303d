"""Measures that users register (`sprachbund.catalogue.plugins`): their metric names are theirs, `name@digest`."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

from sprachbund.catalogue import plugins
from sprachbund.errors import SpecError, nearest
from sprachbund.measures.base import Measure, Metric
from sprachbund.work.payloads.pairs import (
    OWN_MEASURES,
    EmbeddedPairsPayload,
    OwnMeasuresPayload,
    PairEvaluationPayload,
    pair_key,
)
from sprachbund.work.plan import Want, unique_wants

METRICS: tuple[Metric, ...] = ()

OWN = Measure(
    "own",
    2,
    "pair",
    False,
    (),
    "measures of your own (docs/plugins.md): one metric each, called by its name and the digest of its source",
    optional=True,
)
MEASURES: tuple[Measure, ...] = (OWN,)


def measure_wants(
    wants: Sequence[Want], names: Sequence[str], units: Mapping[str, str], confidence: float
) -> list[Want]:
    """A want for every setting, corpus and measure; those of a setting and corpus share a bundle.

    units: what intervals draw, by the key of the corpus.

    Raises SpecError for a measure that is not registered.
    """
    known = plugins.measures()
    for name in names:
        if name not in known:
            raise SpecError(
                f"evaluations.measures: '{name}' is not registered in this process: give --plugin FILE.py, the file"
                f" that registers it, or register it before (ws.register(…, kind='measure')){nearest(name, known)}"
            )
    found = []
    for want in unique_wants(wants):
        if isinstance(want.payload, PairEvaluationPayload):
            for name in sorted(set(names)):
                payload = _payload(want.payload, name, units[want.payload.corpus], confidence)
                found.append(Want.of(OWN_MEASURES, payload, f"{name} of {want.label}", want.layers))
    return found


def _payload(evaluated: PairEvaluationPayload, measure: str, unit: str, confidence: float) -> OwnMeasuresPayload:
    shared = {each.name: getattr(evaluated, each.name) for each in fields(EmbeddedPairsPayload)}
    payload = OwnMeasuresPayload(**shared, measure=measure, version=OWN.version, unit=unit, confidence=confidence)
    pairs = (replace(pair, key=pair_key(OWN_MEASURES, pair=pair.key, **payload.asked)) for pair in evaluated.pairs)
    return replace(payload, pairs=tuple(pairs))
