"""What interventions are made from: unit statistics, expert sets and directions of the fit text, as wants."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sprachbund.catalogue import plugins
from sprachbund.errors import SpecError, nearest
from sprachbund.spec.experiment import Spec
from sprachbund.vocabulary import MLP_SITES, SITES
from sprachbund.work.kind import Kind
from sprachbund.work.payloads.base import Payload
from sprachbund.work.payloads.fit import (
    DIRECTION,
    EXPERT_SET,
    UNIT_STATISTICS,
    DirectionPayload,
    ExpertSetPayload,
    UnitStatisticsPayload,
)
from sprachbund.work.plan import PlanCorpus, PlanModel, Want

MOST_DEFAULT_NEGATIVES = 12


@dataclass(slots=True)
class FitInputs:
    """Wants over one model's fit text. Each method returns the subject it wants."""

    spec: Spec
    model: PlanModel
    fit: PlanCorpus | None
    wants: list[Want] = field(default_factory=list)
    # Statistics by language, sites and pooling: every setting asks for the same few.
    _statistics: dict[tuple[str, tuple[str, ...], str], str] = field(default_factory=dict)

    @property
    def sites(self) -> tuple[str, ...]:
        """Where units are scored in this model; SpecError for a site it does not have."""
        chosen: set[str] = set()
        for site in self.spec.experts.sites:
            if site == "mlp":
                chosen.update(each for each in MLP_SITES if each in self._had)
            else:
                self.check_site(site, "experts.sites", ", and mlp for all outputs of its MLP's linear modules")
                chosen.add(site)
        return tuple(sorted(chosen, key=SITES.index))

    @property
    def _had(self) -> set[str]:
        return {site for _, site, _ in self.model.units}

    @property
    def on(self) -> str:
        """What the text is called."""
        assert self.fit is not None
        return self.fit.name

    def check_site(self, site: str, where: str, more: str = "") -> None:
        """Refuse a site that the model lacks."""
        if site not in self._had:
            available = [each for each in SITES if each in self._had]
            raise SpecError(f"{where}: {self.model.name} has no {site}; available: {', '.join(available)}{more}")

    def check_blocks(self, blocks: Sequence[int] | None, where: str) -> None:
        """Refuse a block that the model lacks."""
        wrong = [block for block in blocks or () if not 1 <= block <= self.model.n_blocks]
        if wrong:
            raise SpecError(
                f"{where}.blocks: block {wrong[0]} does not exist; {self.model.name} has blocks 1 to"
                f" {self.model.n_blocks}"
            )

    def check_language(self, language: str, where: str) -> None:
        """Refuse a language without fit text."""
        assert self.fit is not None
        if language not in self.fit.texts:
            raise SpecError(
                f"{where}: '{language}' is not a language of the fit corpus {self.fit.name}"
                f" ({', '.join(sorted(self.fit.texts))}){nearest(language, self.fit.texts)}"
            )

    def languages(self, target: str) -> list[str]:
        """The target and its negatives."""
        return [target, *self.negatives(target)]

    def all_languages(self) -> list[str]:
        """Every language that some target is told from, where no single language is the target."""
        assert self.fit is not None
        if self.spec.targets:
            return sorted({language for target in self.spec.targets for language in self.languages(target)})
        first = min(self.fit.texts)
        return sorted(set(self.spec.experts.negatives or (first, *self.negatives(first))))

    def negatives(self, target: str) -> list[str]:
        """The stated negatives of a language (its own left out), or all other languages of `fit`."""
        assert self.fit is not None
        stated = self.spec.experts.negatives
        if stated is None:
            if len(self.fit.texts) > MOST_DEFAULT_NEGATIVES:
                raise SpecError(
                    f"experts.negatives is missing: {self.fit.name} has {len(self.fit.texts)} languages; list those"
                    " that the target is told from (the default, all of them, ends at"
                    f" {MOST_DEFAULT_NEGATIVES} languages)"
                )
            pool = list(self.fit.texts)
        else:
            pool = list(stated)
        chosen = [language for language in dict.fromkeys(pool) if language != target]
        for language in chosen:
            self.check_language(language, "experts.negatives")
        if not chosen:
            raise SpecError(f"experts.negatives: no language is left to tell {target} from")
        return sorted(chosen)

    def statistics(self, language: str, sites: Sequence[str] | None = None, pooling: str | None = None) -> str:
        """One language's responses and moments at these sites (by default those where units are scored)."""
        asked = (language, tuple(sites or self.sites), pooling or self.spec.experts.pooling)
        if asked not in self._statistics:
            self._statistics[asked] = self._new_statistics(*asked)
        return self._statistics[asked]

    def _new_statistics(self, language: str, sites: tuple[str, ...], pooling: str) -> str:
        assert self.fit is not None
        payload = UnitStatisticsPayload(
            numerics=self.model.numerics,
            corpus=self.fit.key,
            text=self.fit.texts[language].as_sentences,
            sites=sites,
            pooling=pooling,
            tokens=self.spec.experts.tokens,
        )
        return self._want(UNIT_STATISTICS, payload, f"units of {self.model.name} on {self.on} {language}")

    def expert_set(self, language: str, scorer: str, sites: Sequence[str] | None = None) -> str:
        """All units of these sites ranked by how well they tell this language from its negatives."""
        chosen = tuple(sites or self.sites)
        version = plugins.scorer_version(scorer, "experts.scorers")
        payload = ExpertSetPayload(
            model=self.model.fingerprint,
            target=language,
            scorer=scorer,
            scorer_version=version,
            statistics={each: self.statistics(each, chosen) for each in self.languages(language)},
            sites=chosen,
            pooling=self.spec.experts.pooling,
            tokens=self.spec.experts.tokens,
        )
        return self._want(EXPERT_SET, payload, f"{scorer} experts of {language} on {self.on}")

    def direction(
        self, method: str, target: str, others: Sequence[str], site: str, block: int, pooling: str, rank: int | None
    ) -> str:
        """A direction that tells `target` from `others` at one site of one block."""
        payload = DirectionPayload(
            model=self.model.fingerprint,
            method=method,
            target=target,
            statistics={each: self.statistics(each, (site,), pooling) for each in (target, *others)},
            site=site,
            block=block,
            rank=rank,
        )
        return self._want(DIRECTION, payload, f"{method} of {target} at {site} of block {block} on {self.on}")

    def _want(self, kind: Kind, payload: Payload, label: str) -> str:
        self.wants.append(Want.of(kind, payload, label))
        return self.wants[-1].subject
