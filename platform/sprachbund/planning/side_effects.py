"""What side effects an experiment wants measured: settings crossed with seeds, languages and pairs."""

from collections.abc import Mapping, Sequence

from sprachbund.corpora.corpus import code_of
from sprachbund.measures.generation import generation_wants
from sprachbund.measures.perplexity import perplexity_wants
from sprachbund.measures.translation import translation_wants
from sprachbund.measures.written import Written
from sprachbund.planning.side_texts import targets_of
from sprachbund.spec.experiment import Spec
from sprachbund.work.plan import PlanCorpus, PlanModel, PlannedSetting, Want


def side_effect_wants(
    spec: Spec, model: PlanModel, settings: Sequence[PlannedSetting], corpora: Mapping[str, Sequence[PlanCorpus]]
) -> list[Want]:
    """Wants of one model's settings.

    Left out are settings with a transform, which changes embeddings only, and those that steer one side of a pair,
    which are the same model as where both are steered.
    """
    asked = spec.side_effects
    if asked is None:
        return []
    measured = [
        each
        for each in settings
        if each.transform == "none"
        and each.side == "both"
        and (asked.controls or each.control_of is None)
        and (asked.settings == "all" or each.edits is not None)
    ]
    written = Written(model, spec.statistics.confidence)
    for setting in measured:
        # Texts written freely have no input language that could choose among an intervention's edits.
        if asked.generation is not None and not setting.intervention.per_language:
            generation_wants(written, setting, asked.generation, _studied(spec, corpora))
        if asked.perplexity is not None:
            perplexity_wants(written, setting, asked.perplexity, corpora["perplexity"][0])
        if asked.translation is not None:
            translation_wants(written, setting, asked.translation, corpora["translation"][0])
    return written.found


def _studied(spec: Spec, corpora: Mapping[str, Sequence[PlanCorpus]]) -> list[str]:
    """The targets and the languages that results are reported on."""
    found = set(targets_of(spec))
    for corpus in corpora.get("test", ()):
        found.update(code for code in map(code_of, corpus.texts) if spec.languages is None or code in spec.languages)
    return sorted(found)
