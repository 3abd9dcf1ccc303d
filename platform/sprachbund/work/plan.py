"""From a resolved experiment to content-keyed work: wants first, then jobs for what nobody has done yet.

A *want* names a piece of work without its layers and pairs (its subject). `jobs.jobs_for` turns wants into jobs given
what jobs already exist per subject, so that one more layer, language or target costs only itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sprachbund.vocabulary import SteeredSide, layer_order
from sprachbund.work.keys import content_key
from sprachbund.work.kind import Kind
from sprachbund.work.payloads.base import Numerics, Payload, TextInput
from sprachbund.work.payloads.compare import ForeignPair


@dataclass(frozen=True, slots=True)
class PlanText:
    """One language of one corpus: the key of its ingested text, and of parts of it.

    sentences: of the sentences alone; documents: of these and their groups.
    """

    key: str
    sentences: str
    documents: str
    language: str
    n_items: int

    @property
    def as_sentences(self) -> TextInput:
        """The text for a pass."""
        return TextInput(self.key, self.sentences)

    @property
    def as_whole(self) -> TextInput:
        """The text where its labels or words are asked for."""
        return TextInput(self.key, self.key)

    @property
    def as_documents(self) -> TextInput:
        """The text where items or groups of them are drawn for intervals."""
        return TextInput(self.key, self.documents)


@dataclass(frozen=True, slots=True)
class PlanCorpus:
    """A corpus in one role. `group` is what comparisons average over: the collection, or the corpus itself."""

    key: str
    name: str
    group: str
    kind: str
    split: str
    texts: Mapping[str, PlanText]
    # What ABX tasks and probes may name: item, language, group where every item has one, and the source's own.
    labels: tuple[str, ...] = ("item", "language")
    # Labels of words, where it has words.
    word_labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanModel:
    """What planning needs of a model: identity, numerics, and its units as (block, site, width)."""

    fingerprint: str
    name: str
    n_blocks: int
    units: tuple[tuple[int, str, int], ...]
    dtype: str
    attention: str
    # The layers there are vectors of, where an encoder that ran elsewhere stands in a model's place.
    imported_layers: tuple[str, ...] = ()

    @property
    def numerics(self) -> Numerics:
        """The model as jobs compute with it."""
        return Numerics(self.fingerprint, self.dtype, self.attention)

    @property
    def layers(self) -> tuple[str, ...]:
        """All layers of embeddings: 0, 1 … n_blocks, final."""
        return self.imported_layers or (*(str(number) for number in range(self.n_blocks + 1)), "final")

    def n_units(self, sites: Sequence[str], blocks: Sequence[int] | None) -> int:
        """Units at these sites in these blocks (all blocks if None)."""
        return sum(width for block, site, width in self.units if site in sites and (blocks is None or block in blocks))


@dataclass(frozen=True, slots=True)
class Want:
    """A piece of work somebody asked for. `layers` None: the work has no layers of its own."""

    kind: Kind
    subject: str
    label: str
    bundle: str
    payload: Payload
    model: str | None = None
    layers: tuple[str, ...] | None = None
    # Which layers the needed work must cover, where this work has none of its own.
    needs_layers: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls,
        kind: Kind,
        payload: Payload,
        label: str,
        layers: tuple[str, ...] | None = None,
        needs_layers: tuple[str, ...] | None = None,
    ) -> "Want":
        """The want that a payload says: subject, needs, model and bundle follow from it."""
        subject = kind_key(kind, payload)
        shared, runs = payload.shared, payload.runs
        return cls(
            kind=kind,
            subject=subject,
            label=label,
            bundle=subject if shared is None else content_key("bundle", 1, kind=kind.name, **shared),
            payload=payload,
            model=None if runs is None else runs.model,
            layers=layers,
            needs_layers=needs_layers,
        )


@dataclass(frozen=True, slots=True)
class PlannedIntervention:
    """An intervention row to be: its identity, columns and inputs (role, key, kind)."""

    key: str
    method: str
    target: str | None = None
    k: int | None = None
    k_fraction: float | None = None
    strength: float | None = None
    control: str | None = None
    seed: int | None = None
    scorer: str | None = None
    score_site: str | None = None
    edit_site: str | None = None
    edit_tokens: str | None = None
    edit: str | None = None
    selection: str | None = None
    direction: str | None = None
    value: str | None = None
    value_from: str | None = None
    # Whether its edits differ by input language, which then has to be known.
    per_language: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ChoiceGroup:
    """Settings of which one is chosen: the group's identity, and what people call it."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class PlannedSetting:
    """A setting of the experiment and its place in the comparison. `name`: the label without the model."""

    key: str
    label: str
    name: str
    model: PlanModel
    intervention: PlannedIntervention
    transform: str
    transform_parameters: Mapping[str, Any]
    side: SteeredSide
    baseline: str | None
    control_of: str | None
    choice: ChoiceGroup | None
    # Which of its controls it is: a seed's, or a language's.
    member: str | None = None

    @property
    def edits(self) -> str | None:
        """The intervention whose edits are on; None where nothing is edited."""
        return None if self.intervention.key == NONE.key else self.intervention.key


@dataclass(frozen=True, slots=True)
class KnownJob:
    """A job of the database that has the wanted subject; `pairs`: the sides of what it covers, by the pairs' keys."""

    key: str
    layers: tuple[str, ...] | None
    pairs: Mapping[str, tuple[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A job to insert."""

    key: str
    kind: Kind
    subject: str
    bundle: str
    label: str
    model: str | None
    payload: Payload
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobPlan:
    """New jobs in an order in which needs come first, and the keys of existing jobs that are used.

    foreign: pairs of those that are none of the plan's.
    """

    new: tuple[PlannedJob, ...]
    existing: tuple[str, ...]
    foreign: tuple[ForeignPair, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Every job the experiment resolves to."""
        return tuple(job.key for job in self.new) + self.existing


def unique_wants(wants: Iterable[Want]) -> list[Want]:
    """One want per subject, layers united, order kept: several settings may share a snapshot."""
    merged: dict[str, Want] = {}
    for want in wants:
        before = merged.get(want.subject)
        if before is None:
            merged[want.subject] = want
        elif before.layers is not None and want.layers is not None and before.layers != want.layers:
            layers = tuple(sorted({*before.layers, *want.layers}, key=layer_order))
            merged[want.subject] = replace(before, layers=layers)
    return list(merged.values())


def setting_key(model: PlanModel, intervention: str, transform: str, parameters: Mapping[str, Any], side: str) -> str:
    """The identity of model + intervention + transform + steered side + numerics."""
    return content_key(
        "setting",
        1,
        model=model.fingerprint,
        intervention=intervention,
        transform=transform,
        transform_parameters=dict(parameters),
        side=side,
        dtype=model.dtype,
        attention=model.attention,
    )


def kind_key(kind: Kind, payload: Payload) -> str:
    """A subject: the content key of a kind of work and its logical inputs."""
    return content_key(kind.name, kind.version, **payload.inputs)


NONE = PlannedIntervention(key=content_key("intervention", 1, method="none"), method="none")
