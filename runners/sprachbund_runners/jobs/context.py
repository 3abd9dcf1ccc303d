"""What a job kind gets to work with: the database, the files, loaded models, and a way to report progress."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, select

from sprachbund.corpora.text import TextSet, from_parquet, gold_groups
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.errors import ArtifactError, LostArtifactError, ModelError, SprachbundError
from sprachbund.files.artifacts import ArtifactStore, Stored
from sprachbund.files.tensors import load_tensors, save_tensors
from sprachbund.queue import Claim
from sprachbund.work.payloads.base import Numerics

if TYPE_CHECKING:
    from sprachbund_runners.models.loading import LoadedModel

log = logging.getLogger("sprachbund.runner")

KEPT_TEXTS = 512


class Evicted(ArtifactError):
    """A file this job needs was evicted: the job that made it has to run again, and others maybe as well."""

    def __init__(self, message: str, made_by: int) -> None:
        super().__init__(message)
        self.made_by = made_by


class NotReady(SprachbundError):
    """What this job needs is made again since it was claimed: the job is given back and waits for it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished job: `write` stores its rows inside the transaction that finishes it."""

    claim: Claim[Any]
    write: Callable[[Connection], None]
    batch_plan: str | None = None
    # Texts that were cut to the model's longest input.
    n_truncated: int = 0


Run = Callable[[Sequence[Claim[Any]], "Context"], Iterator[Outcome]]


class Progress(Protocol):
    """Where long work reports to: `start(label, total)` gives a function that adds finished steps.

    Work inside other work starts its own; `clear` ends whatever is open.
    """

    def start(self, label: str, total: int) -> Callable[[int], None]: ...

    def clear(self) -> None: ...


@dataclass(frozen=True)
class Text:
    """An ingested text of one corpus language."""

    id: int
    key: str
    corpus_id: int
    language: str
    sentences: TextSet

    @cached_property
    def gold(self) -> NDArray[np.int64]:
        """int64 [n]: equal where normalised texts are equal."""
        return gold_groups(self.sentences.texts)

    @cached_property
    def groups(self) -> list[str] | None:
        """The groups (documents), or None where a sentence has none."""
        groups = self.sentences.groups
        return None if any(group is None for group in groups) else [str(group) for group in groups]


@dataclass(slots=True)
class Context:
    """One runner's view of the workspace. Models and texts stay in memory between bundles."""

    engine: Engine
    store: ArtifactStore
    progress: Progress
    device: str = "cpu"
    max_tokens: int = 1024
    stop: threading.Event = field(default_factory=threading.Event)
    _model: "tuple[Numerics, LoadedModel] | None" = None
    _texts: "OrderedDict[str, Text]" = field(default_factory=OrderedDict)

    def reading(self) -> Any:
        """A read-only transaction."""
        return reading(self.engine)

    def check_stop(self) -> None:
        """Raise KeyboardInterrupt once somebody asked this runner to stop."""
        if self.stop.is_set():
            raise KeyboardInterrupt

    @property
    def loaded_model(self) -> str | None:
        """Fingerprint of the model in memory."""
        return None if self._model is None else self._model[0].model

    def model(self, numerics: Numerics, head: bool = False) -> "LoadedModel":
        """The model with these numerics, loaded once; raises ModelError if its folder is gone or changed.

        With `head` it predicts tokens too; a model that does serves those who ask for one without as well.
        """
        # Comparing needs no torch.
        from sprachbund_runners.models.loading import load

        fingerprint = numerics.model
        if self._model is not None and self._model[0] == numerics and (self._model[1].has_head or not head):
            return self._model[1]
        with self.reading() as connection:
            row = connection.execute(select(t.Model).where(t.Model.fingerprint == fingerprint)).one()
        self._model = None
        if not Path(row.path).exists():
            raise ModelError(
                f"model '{row.name}' is not at {row.path} any more: submit the experiment again from where it is"
            )
        loaded = load(
            row.path,
            dtype=numerics.dtype,
            device=self.device,
            attention=numerics.attention,
            trust_remote_code=bool(row.config["trust_remote_code"]),
            declared=row.config["declared"],
            head=head,
        )
        if loaded.fingerprint != fingerprint.partition("+")[0]:
            raise ModelError(
                f"model '{row.name}' at {row.path} has changed since submission (fingerprint"
                f" {loaded.fingerprint[:20]}…, expected {fingerprint[:20]}…): submit the experiment again"
            )
        self._model = (numerics, loaded)
        return loaded

    def text(self, key: str) -> Text:
        """The ingested text with this key."""
        if key in self._texts:
            self._texts.move_to_end(key)
            return self._texts[key]
        with self.reading() as connection:
            row = connection.execute(
                select(t.CorpusText, t.Artifact.uri, t.Artifact.digest, t.Corpus.split)
                .join(t.Artifact, t.Artifact.id == t.CorpusText.artifact_id)
                .join(t.Corpus, t.Corpus.id == t.CorpusText.corpus_id)
                .where(t.CorpusText.key == key)
            ).one()
        try:
            content = self.store.fetch(row.uri, row.digest).read_bytes()
        except LostArtifactError as error:
            raise LostArtifactError(f"{error}: a text, which submitting the experiment again stores") from None
        sentences = from_parquet(content, row.language, row.split, expected=row.fingerprint)
        self._texts[key] = Text(row.id, key, row.corpus_id, row.language, sentences)
        while len(self._texts) > KEPT_TEXTS:
            self._texts.popitem(last=False)
        return self._texts[key]

    def artifact(self, connection: Connection, artifact_id: int, made_by: int | None = None) -> Path:
        """A local path of a stored file; Evicted (naming the job that makes it) if it was evicted."""
        row = connection.execute(select(t.Artifact).where(t.Artifact.id == artifact_id)).one()
        if made_by is None:
            return self.store.fetch(row.uri, row.digest)
        if row.state == "present":
            try:
                return self.store.fetch(row.uri, row.digest)
            except LostArtifactError as error:
                log.warning("%s; it is made again", error)
                self.store.evict(self.engine, [artifact_id])
        raise Evicted(f"artifact {row.uri} was evicted", made_by)

    def file(self, artifact_id: int, made_by: int | None = None) -> Path:
        """As `artifact`, by a transaction of its own."""
        with self.reading() as connection:
            return self.artifact(connection, artifact_id, made_by)

    def tensors(self, connection: Connection, artifact_id: int, made_by: int | None = None,
                names: Iterable[str] | None = None) -> dict[str, NDArray[Any]]:  # fmt: skip
        """Tensors of a stored file, all or the named ones."""
        return load_tensors(self.artifact(connection, artifact_id, made_by), names)

    def save(self, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> Stored:
        """Store tensors as one content-addressed safetensors file."""
        return save_tensors(self.store, tensors, metadata)
