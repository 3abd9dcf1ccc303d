"""Differences of what is no comparison's business, as wants: what models write, ABX tasks, probes, own measures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sprachbund.spec.experiment import Spec
from sprachbund.work.keys import content_key
from sprachbund.work.payloads.base import Payload, TextInput
from sprachbund.work.payloads.difference import DIFFERENCE, DifferencePayload
from sprachbund.work.payloads.measure import ABX_EVALUATION, PROBE, AbxEvaluationPayload
from sprachbund.work.payloads.pairs import OWN_MEASURES, OwnMeasuresPayload
from sprachbund.work.payloads.write import GENERATION_EVALUATION, PERPLEXITY, TRANSLATION, TranslationPayload
from sprachbund.work.plan import PlanCorpus, PlannedSetting, Want, unique_wants

COMPARED = (PERPLEXITY, GENERATION_EVALUATION, TRANSLATION, ABX_EVALUATION, PROBE, OWN_MEASURES)
# Inputs by which two settings' evaluations differ although the same is asked of both.
_OF_SETTING = frozenset(("setting", "generations", "snapshots", "fit_snapshots"))


def difference_wants(
    spec: Spec,
    settings: Sequence[PlannedSetting],
    wants: Sequence[Want],
    corpora: Mapping[str, Sequence[PlanCorpus]],
) -> Iterator[Want]:
    """A want for every such evaluation of a setting whose baseline has it too."""
    baselines = {setting.key: setting.baseline for setting in settings}
    evaluated = [want for want in unique_wants(wants) if want.kind in COMPARED and _drawn(want.payload)]
    by_place = {_place(want): want for want in evaluated}
    texts = {text.key: text.as_documents for listed in corpora.values() for each in listed
             for text in each.texts.values()}  # fmt: skip
    statistics = spec.statistics
    assert statistics.resamples is not None  # settled before
    for want in evaluated:
        kind, setting, *place = _place(want)
        baseline = baselines.get(setting)
        reference = by_place.get((kind, baseline, *place))
        if baseline is None or reference is None:
            continue
        payload = DifferencePayload(
            evaluation=kind,
            setting=setting,
            baseline=baseline,
            of=want.subject,
            reference=reference.subject,
            units=_units(want.payload, texts),
            pairs=_pairs(want.payload, reference.payload),
            resamples=statistics.resamples,
            confidence=statistics.confidence,
            seed=spec.seed,
        )
        yield Want.of(DIFFERENCE, payload, f"{want.label} against the baseline's", want.layers)


def _drawn(payload: Payload) -> bool:
    """Whether there is something to draw: triples that were drawn themselves have a standard error instead."""
    if isinstance(payload, AbxEvaluationPayload):
        return payload.task.triples is None and payload.task.resamples > 0
    return True


def _place(want: Want) -> tuple[Any, ...]:
    """Kind and setting, then what the same evaluation of another setting has alike."""
    of = want.payload.evaluand
    assert of is not None
    asked = {name: value for name, value in want.payload.inputs.items() if name not in _OF_SETTING}
    return want.kind.name, of.setting, of.corpus, of.pooling, of.tokens, content_key("asked", 1, **asked)


def _units(payload: Payload, texts: Mapping[str, TextInput]) -> TextInput | None:
    return texts[payload.texts[0].key] if isinstance(payload, TranslationPayload) else None


def _pairs(*payloads: Payload) -> str | None:
    pairs = [[pair.key for pair in each.pairs] for each in payloads if isinstance(each, OwnMeasuresPayload)]
    return content_key("pairs", 1, keys=pairs) if pairs else None
