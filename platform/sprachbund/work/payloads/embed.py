"""What jobs that embed text are asked."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

from sprachbund.work.kind import Kind
from sprachbund.work.payloads.base import Layered, Numerics, TextInput


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPayload(Layered):
    """Embeddings of one text under one setting.

    intervention: the edits that are on, None for none. group, split: the corpora it is embedded beside. imported: its
    vectors come from an encoder that ran elsewhere. stored_dtype: the type that embeddings are stored in.
    """

    setting: str
    numerics: Numerics
    intervention: str | None
    group: str
    split: str
    text: TextInput
    language: str
    pooling: str
    tokens: str
    stored_dtype: str
    imported: bool

    @property
    def inputs(self) -> dict[str, Any]:
        return {
            "setting": self.setting,
            # Where words stand is no part of the sentences.
            "text": self.text.key if self.tokens == "word" else self.text.identity,
            "pooling": self.pooling,
            "tokens": self.tokens,
            "dtype": self.stored_dtype,
        }

    @property
    def needs(self) -> tuple[str, ...]:
        return () if self.intervention is None else (self.intervention,)

    @property
    def shared(self) -> dict[str, Any]:
        """All settings of a model: their texts go through it together."""
        return {"model": astuple(self.numerics), "corpus": self.group, "split": self.split}

    @property
    def runs(self) -> Numerics:
        return self.numerics

    def sentences(self, sizes: Mapping[str, int]) -> int:
        return sizes[self.text.key]


SNAPSHOT = Kind(
    "snapshot", 1, 40, "embeddings of one corpus language under one setting",
    SnapshotPayload, run="sprachbund_runners.jobs.embed.snapshot:run", needs_model=True,
)  # fmt: skip
