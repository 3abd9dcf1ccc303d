"""All evaluated languages of one claim as one table: a row per sentence, with its labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from sprachbund.db import tables as t
from sprachbund.queue import Claim
from sprachbund.submission import upsert
from sprachbund_runners.jobs.context import Context
from sprachbund_runners.jobs.embedded import Embedded


@dataclass(frozen=True)
class Labelled:
    """labels: name → [n]; `item` and `language` always, `group` where every sentence has one.
    unit: [n], what intervals draw: the item, or the group where the experiment says so.
    """

    languages: tuple[str, ...]
    labels: Mapping[str, Sequence[str]]
    unit: Sequence[str]

    @classmethod
    def of(cls, claim: Claim, context: Context) -> "Labelled":
        """The texts of the claim's languages, in their order."""
        payload = claim.payload
        texts = [context.text(payload["texts"][language]) for language in payload["languages"]]
        labels: dict[str, list[str]] = {"item": [], "language": []}
        grouped = all(text.groups is not None for text in texts)
        for text in texts:
            labels["item"] += text.sentences.items
            labels["language"] += [text.language] * len(text.sentences)
            for name, values in text.sentences.labels.items():
                labels.setdefault(name, []).extend(values)
            if grouped:
                labels.setdefault("group", []).extend(text.groups or ())
        return cls(tuple(payload["languages"]), labels, labels[payload["unit"]])

    @property
    def n(self) -> int:
        return len(self.unit)

    @cached_property
    def language(self) -> NDArray[np.str_]:
        """[n]"""
        return np.asarray(self.labels["language"])

    def embeddings(self, claim: Claim, embedded: Embedded, layer: str) -> NDArray[np.float32]:
        """float32 [n, d] at a layer."""
        return np.concatenate([embedded.embeddings(claim, language, layer) for language in self.languages])

    def multiplicities(self, resamples: int, seed: int) -> NDArray[np.float64] | None:
        """float64 [resamples, n]: how often each row's unit is drawn; None for none. The same for every setting."""
        if resamples == 0:
            return None
        names, place = np.unique(np.asarray(self.unit), return_inverse=True)
        drawn = np.random.default_rng(seed)
        counts = drawn.multinomial(len(names), np.full(len(names), 1.0 / len(names)), size=resamples)
        return counts.astype(np.float64)[:, place.reshape(-1)]

    @cached_property
    def items(self) -> NDArray[np.int64]:
        """int64 [n]: the same number for an item in every language."""
        return np.unique(np.asarray(self.labels["item"]), return_inverse=True)[1].reshape(-1).astype(np.int64)


def write_task(connection: Connection, claim: Claim, measure: str) -> None:
    """The row that says what the claim's evaluations were asked for."""
    payload = claim.payload
    row = {
        "key": payload["scope"],
        "measure": measure,
        "name": payload["task_name"],
        "parameters": payload["task"],
        "languages": payload["languages"],
    }
    upsert(connection, t.EvaluationTask, row, ["key"], [])
