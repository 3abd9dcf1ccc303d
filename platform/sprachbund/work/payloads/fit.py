"""What jobs on the fit text are asked: unit statistics, expert sets, directions, interventions."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sprachbund.vocabulary import How
from sprachbund.work.kind import Kind
from sprachbund.work.payloads.base import Numerics, Part, Payload, TextInput


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitStatisticsPayload(Payload):
    """Responses and moments of all units of some sites over one language's text."""

    numerics: Numerics
    corpus: str
    text: TextInput
    sites: tuple[str, ...]
    pooling: str
    tokens: str

    @property
    def inputs(self) -> dict[str, Any]:
        return {
            **asdict(self.numerics),
            "text": self.text.identity,
            "sites": self.sites,
            "pooling": self.pooling,
            "tokens": self.tokens,
        }

    @property
    def shared(self) -> dict[str, Any]:
        """One pass serves every site and pooling."""
        return {**asdict(self.numerics), "corpus": self.corpus}

    @property
    def runs(self) -> Numerics:
        return self.numerics

    def sentences(self, sizes: Mapping[str, int]) -> int:
        return sizes[self.text.key]


UNIT_STATISTICS = Kind(
    "unit_statistics", 2, 10, "pooled responses and moments of every unit over one language's fit text",
    UnitStatisticsPayload, run="sprachbund_runners.jobs.fit.unit_statistics:run", needs_model=True,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertSetPayload(Payload):
    """All units ranked for a target. `statistics`: those of the target and of every negative, by language."""

    model: str
    target: str
    scorer: str
    scorer_version: int
    statistics: Mapping[str, str]
    sites: tuple[str, ...]
    pooling: str
    tokens: str

    @property
    def negatives(self) -> list[str]:
        """The languages that the target is told from, sorted."""
        return sorted(language for language in self.statistics if language != self.target)

    @property
    def inputs(self) -> dict[str, Any]:
        return {
            "scorer": self.scorer,
            "scorer_version": self.scorer_version,
            "target": self.statistics[self.target],
            "negatives": sorted(self.statistics[each] for each in self.negatives),
        }

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(self.statistics.values())

    @property
    def shared(self) -> dict[str, Any]:
        return {"texts": sorted(self.statistics.values())}


EXPERT_SET = Kind(
    "expert_set", 1, 20, "all units ranked by one scorer for one target language",
    ExpertSetPayload, run="sprachbund_runners.jobs.fit.expert_set:run",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertOverlapPayload(Payload):
    """Units that expert sets share among their first k, at every k of `ks`."""

    sets: tuple[str, ...]
    ks: tuple[int, ...]

    @property
    def inputs(self) -> dict[str, Any]:
        return {"sets": self.sets, "ks": self.ks}

    @property
    def needs(self) -> tuple[str, ...]:
        return self.sets


EXPERT_OVERLAP = Kind(
    "expert_overlap", 1, 90, "units that expert sets share among their top k",
    ExpertOverlapPayload, run="sprachbund_runners.jobs.fit.expert_overlap:run",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionPayload(Payload):
    """A direction that tells the target from the other languages of `statistics`, at one site of one block."""

    model: str
    method: str
    target: str
    statistics: Mapping[str, str]
    site: str
    block: int
    rank: int | None

    @property
    def others(self) -> list[str]:
        """The languages that the target is told from, sorted."""
        return sorted(language for language in self.statistics if language != self.target)

    @property
    def inputs(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "site": self.site,
            "block": self.block,
            "rank": self.rank,
            "target": self.statistics[self.target],
            "others": {each: self.statistics[each] for each in self.others},
        }

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(self.statistics.values())

    @property
    def shared(self) -> dict[str, Any]:
        return {"statistics": dict(self.statistics)}


DIRECTION = Kind(
    "direction", 1, 25, "a direction at one site of one block that tells languages apart",
    DirectionPayload, run="sprachbund_runners.jobs.fit.direction:run",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Control(Part):
    """What makes an intervention a control of another."""

    variant: str
    values: str
    label: str


@dataclass(frozen=True, slots=True)
class Incremental(Part):
    """What fitting with earlier edits on needs: texts of sources and target by language, run anew for every place."""

    texts: Mapping[str, TextInput]
    numerics: Numerics
    pooling: str
    tokens: str

    @property
    def inputs(self) -> dict[str, Any]:
        return {
            "fit": "incremental",
            "texts": {language: text.identity for language, text in self.texts.items()},
            "model_dtype": self.numerics.dtype,
            "attention": self.numerics.attention,
            "pooling": self.pooling,
            "fit_tokens": self.tokens,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedUnits(Part):
    """Which units are edited, and by what their edits are computed.

    how, k, q, effect: the rule that takes units from a ranking, of these sites. edit_sites: where each of the sites is
    edited instead, unit by unit, None where it is edited itself. experts, statistics: by language. sources: the
    languages whose activations are moved. incremental: None where all edits are fitted at once.
    """

    how: How
    k: int | float | None
    q: float | None
    effect: float | None
    sites: tuple[str, ...]
    value: str | None
    value_from: str | None
    experts: Mapping[str, str]
    statistics: Mapping[str, str]
    sources: tuple[str, ...]
    edit_sites: tuple[str, ...] | None = None
    incremental: Incremental | None = None

    @property
    def inputs(self) -> dict[str, Any]:
        return {
            "selection": {"how": self.how, "q": self.q, "effect": self.effect},
            "k": self.k,
            "sites": self.sites,
            "value": self.value,
            "value_from": self.value_from,
            "experts": dict(self.experts),
            "statistics": dict(self.statistics),
            "sources": self.sources,
            **({} if self.edit_sites is None else {"edit_sites": self.edit_sites}),
            **({"fit": "at_once"} if self.incremental is None else self.incremental.inputs),
        }

    @property
    def needs(self) -> tuple[str, ...]:
        return (*self.experts.values(), *self.statistics.values())

    @property
    def shared(self) -> dict[str, Any]:
        return {"experts": dict(self.experts)}


@dataclass(frozen=True, slots=True)
class DirectionPlace(Part):
    """A direction and where it is applied."""

    site: str
    block: int
    direction: str


@dataclass(frozen=True, slots=True)
class EditedDirections(Part):
    """Along which directions vectors are edited, by input language."""

    method: str
    places: Mapping[str, tuple[DirectionPlace, ...]]

    @property
    def keys(self) -> list[str]:
        """The directions, in the order of their places."""
        return [place.direction for places in self.places.values() for place in places]

    @property
    def inputs(self) -> dict[str, Any]:
        places = {
            language: [[place.site, place.block, place.direction] for place in places]
            for language, places in self.places.items()
        }
        return {"direction": self.method, "directions": places}

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(self.keys)

    @property
    def shared(self) -> dict[str, Any]:
        return {"directions": self.keys}


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionsInOrder(Part):
    """Directions fitted place by place, in the order of a pass, with the edits of earlier places on.

    first: the language that is told from `others`, by input language. places: (block, site, width).
    """

    method: str
    rank: int | None
    first: str
    others: Mapping[str, tuple[str, ...]]
    places: tuple[tuple[int, str, int], ...]
    incremental: Incremental

    @property
    def inputs(self) -> dict[str, Any]:
        return {
            "direction": self.method,
            "rank": self.rank,
            "first": self.first,
            "others": dict(self.others),
            "places": [[site, block] for block, site, _ in self.places],
            **self.incremental.inputs,
        }

    @property
    def needs(self) -> tuple[str, ...]:
        return ()

    @property
    def shared(self) -> dict[str, Any]:
        return self.incremental.inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class InterventionPayload(Payload):
    """The edits of an intervention: of single units, or along directions.

    toward: the language that edits steer to. maps: input languages with edits of their own, or `*`. seed: what a random
    control draws with.
    """

    model: str
    method: str
    base_method: str
    edit: str
    strength: float | None
    target: str | None
    toward: str | None
    maps: tuple[str, ...]
    blocks: tuple[int, ...] | None
    tokens: str
    control: Control | None
    seed: tuple[int, int] | None
    edited: EditedUnits | EditedDirections | DirectionsInOrder

    @property
    def inputs(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "base_method": self.base_method,
            "edit": self.edit,
            "strength": self.strength,
            "target": self.target,
            "toward": self.toward,
            "maps": self.maps,
            "blocks": self.blocks,
            "tokens": self.tokens,
            "control": None if self.control is None else asdict(self.control),
            "seed": self.seed,
            **self.edited.inputs,
        }

    @property
    def needs(self) -> tuple[str, ...]:
        return self.edited.needs

    @property
    def shared(self) -> dict[str, Any]:
        return self.edited.shared

    @property
    def runs(self) -> Numerics | None:
        if isinstance(self.edited, EditedDirections) or self.edited.incremental is None:
            return None
        return self.edited.incremental.numerics


INTERVENTION = Kind(
    "intervention", 3, 30, "the edits of one intervention, made from its inputs",
    InterventionPayload, run="sprachbund_runners.jobs.fit.intervention:run",
)  # fmt: skip
