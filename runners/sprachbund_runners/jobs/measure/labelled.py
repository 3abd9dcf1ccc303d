"""All evaluated languages of one claim as one table: a row per sentence, or per word, with its labels."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from sprachbund.corpora.text import NO_LABEL, gold_groups
from sprachbund.db import tables as t
from sprachbund.db.rows import upsert
from sprachbund.work.payloads.measure import AbxEvaluationPayload, EmbeddingsPayload, ProbePayload, RequestedPayload
from sprachbund_runners.evaluation.folds import fold_units
from sprachbund_runners.jobs.context import Context, Text
from sprachbund_runners.jobs.embed.embedded import Embedded

# Of bootstrap draws held at once; scoring holds some copies of them.
DRAWN_BYTES = 1 << 26


@dataclass(frozen=True)
class Labelled:
    """labels: name → [n]; `item` and `language` always, `group` where every sentence has one.
    unit: [n], what intervals draw: the item, or the group where the experiment says so.
    texts: those of the languages, in their order.
    rows: language → which rows of its snapshot these are, of words that have the label asked for; None for all.
    """

    languages: tuple[str, ...]
    labels: Mapping[str, Sequence[str]]
    unit: Sequence[str]
    texts: Sequence[Text]
    rows: Mapping[str, NDArray[np.int64]] | None = None

    @classmethod
    def of(cls, payload: RequestedPayload, context: Context) -> "Labelled":
        """The texts of the payload's languages, in their order; of a task on words, their words."""
        if isinstance(payload, ProbePayload) and payload.task.level == "word":
            return cls._of_words(payload, context)
        texts = [context.text(payload.texts[language].key) for language in payload.languages]
        labels: dict[str, list[str]] = {"item": [], "language": []}
        grouped = all(text.groups is not None for text in texts)
        for text in texts:
            labels["item"] += text.sentences.items
            labels["language"] += [text.language] * len(text.sentences)
            for name, values in text.sentences.labels.items():
                labels.setdefault(name, []).extend(values)
            if grouped:
                labels.setdefault("group", []).extend(text.groups or ())
        return cls(payload.languages, labels, labels[payload.unit], texts)

    @classmethod
    def _of_words(cls, payload: ProbePayload, context: Context) -> "Labelled":
        """A word has its sentence's labels and its own; one without the label asked for is left out."""
        asked = payload.task.label
        labels: dict[str, list[str]] = {}
        rows: dict[str, NDArray[np.int64]] = {}
        for language in payload.languages:
            text = context.text(payload.texts[language].key)
            n_words = [len(spans) for spans in text.sentences.words]
            of_sentences = {
                "item": text.sentences.items,
                "language": [text.language] * len(n_words),
                **text.sentences.labels,
                **({} if text.groups is None else {"group": text.groups}),
            }
            here = {name: np.repeat(np.asarray(values), n_words) for name, values in of_sentences.items()}
            for name, of_words in text.sentences.word_labels.items():
                here[name] = np.asarray([label for sentence in of_words for label in sentence])
            rows[language] = np.flatnonzero(here[asked] != NO_LABEL)
            for name in {asked, "item", "language", payload.unit}:
                labels.setdefault(name, []).extend(here[name][rows[language]].tolist())
        texts = [context.text(payload.texts[language].key) for language in payload.languages]
        return cls(payload.languages, labels, labels[payload.unit], texts, rows)

    @property
    def n(self) -> int:
        return len(self.unit)

    @cached_property
    def language(self) -> NDArray[np.str_]:
        """[n]"""
        return np.asarray(self.labels["language"])

    @cached_property
    def folds(self) -> NDArray[np.int64]:
        """int64 [n]: what a probe must not see both sides of, the same number for rows that belong together.

        An item in all languages; a group (document) with all its items wherever every sentence has one, whatever
        intervals draw; equal texts, and whatever is connected through these.
        """
        sentences = [text.sentences for text in self.texts]
        parts: list[Sequence[Hashable]] = [
            [item for each in sentences for item in each.items],
            gold_groups([text for each in sentences for text in each.texts]).tolist(),
        ]
        groups = [text.groups for text in self.texts]
        if all(each is not None for each in groups):
            parts.append([group for each in groups for group in each or ()])
        found = fold_units(*parts)
        if self.rows is None:
            return found
        starts = np.cumsum([len(each) for each in sentences])[:-1]
        return np.concatenate(
            [
                np.repeat(own, [len(spans) for spans in each.words])[self.rows[language]]
                for language, each, own in zip(self.languages, sentences, np.split(found, starts), strict=True)
            ]
        )

    def embeddings(self, payload: EmbeddingsPayload, embedded: Embedded, layer: str) -> NDArray[np.float32]:
        """float32 [n, d] at a layer."""
        rows = self.rows
        return np.concatenate(
            [
                embedded.embeddings(payload, language, layer)[... if rows is None else rows[language]]
                for language in self.languages
            ]
        )

    def multiplicities(
        self, resamples: int, seed: int, n_bytes: int = DRAWN_BYTES
    ) -> Iterator[NDArray[np.float64] | None]:
        """float64 [draws, n]: how often each row's unit is drawn, the same for every setting; None once for none.

        All draws together are [resamples, n]; they come some `n_bytes` at a time.
        """
        if resamples == 0:
            yield None
            return
        names, place = np.unique(np.asarray(self.unit), return_inverse=True)
        drawn = np.random.default_rng(seed)
        step = max(1, n_bytes // (8 * self.n))
        for start in range(0, resamples, step):
            size = min(step, resamples - start)
            counts = drawn.multinomial(len(names), np.full(len(names), 1.0 / len(names)), size=size)
            yield counts.astype(np.float64)[:, place.reshape(-1)]

    @cached_property
    def items(self) -> NDArray[np.int64]:
        """int64 [n]: the same number for an item in every language."""
        return np.unique(np.asarray(self.labels["item"]), return_inverse=True)[1].reshape(-1).astype(np.int64)


def write_task(connection: Connection, payload: AbxEvaluationPayload | ProbePayload, measure: str) -> None:
    """The row that says what evaluations were asked for."""
    row = {
        "key": payload.scope_digest,
        "measure": measure,
        "name": payload.task_name,
        "parameters": payload.task.parameters,
        "languages": list(payload.languages),
    }
    upsert(connection, t.EvaluationTask, row, ["key"], [])
