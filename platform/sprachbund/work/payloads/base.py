"""What the payloads of all kinds have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict


class Part:
    """A payload or a part of one: when read from JSON, a field that it does not have is an error."""

    __slots__ = ()
    __pydantic_config__ = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Numerics(Part):
    """A model, by its fingerprint, and how it is computed with: `dtype` is the type of its weights."""

    model: str
    dtype: str
    attention: str


@dataclass(frozen=True, slots=True)
class TextInput(Part):
    """A stored text by its `key`, which tells all of it, and the `identity` of what the work depends on of it.

    A pass depends on the sentences alone, intervals on their groups too. So a label that is named later makes nothing
    anew but what asks for labels.
    """

    key: str
    identity: str


@dataclass(frozen=True, slots=True)
class Evaluand(Part):
    """What evaluations are of: a setting and, where they have them, a corpus and how its sentences are pooled."""

    setting: str
    corpus: str | None = None
    pooling: str | None = None
    tokens: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload(Part, ABC):
    """What a job is asked. Texts, snapshots and the like are named by their keys, languages by their codes."""

    @property
    @abstractmethod
    def inputs(self) -> dict[str, Any]:
        """What enters the key of the job's subject.

        Results are found by their keys: an input is called here what it was called when its kind's first results
        were stored, also where the attribute has another name now (`dtype` of embeddings: `stored_dtype`).
        """

    @property
    def needs(self) -> tuple[str, ...]:
        """Subjects of the work that must be done before."""
        return ()

    @property
    def shared(self) -> Mapping[str, Any] | None:
        """What jobs of this kind have in common that one pass may serve; None where each runs by itself."""
        return None

    @property
    def runs(self) -> Numerics | None:
        """The model that the job runs, for runners that have one loaded."""
        return None

    @property
    def evaluand(self) -> Evaluand | None:
        """What the job's evaluations are of, where it makes any."""
        return None

    @property
    def text_keys(self) -> tuple[str, ...]:
        """The texts that its results are of."""
        return ()

    @property
    def snapshot_keys(self) -> tuple[str, ...]:
        """The snapshots that its results are of."""
        return ()

    def sentences(self, sizes: Mapping[str, int]) -> int:
        """How many it runs through a model, given the number of items of every text."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layered(Payload):
    """A payload of work that has layers: `layers` are those of the job, which no key of a subject has."""

    layers: tuple[str, ...] = ()
