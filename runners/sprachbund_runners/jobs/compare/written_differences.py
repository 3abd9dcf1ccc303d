"""Differences of what a model writes and predicts: documents, samples and sentences that both settings read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, select

from sprachbund.db import tables as t
from sprachbund_runners.generation.translation import segment_counts
from sprachbund_runners.jobs.compare.evaluated import Evaluated, Found, Sides
from sprachbund_runners.statistics.paired import Paired, Statistic, paired_means, ratio_of


def perplexity(sides: Sides) -> Iterator[Found]:
    """By the documents that both scored, or groups of them where the text has them: sums of nats, tokens and bytes."""
    for place, own, baseline in sides.both():
        tables = [each.tensors(sides.context, "row", "nats", "tokens", "bytes") for each in (own, baseline)]
        rows = np.intersect1d(tables[0]["row"], tables[1]["row"])
        # Rows are stored in ascending order.
        kept = [np.searchsorted(table["row"], rows) for table in tables]
        sums = [
            np.stack([table[name][at] for name in ("nats", "tokens", "bytes")], axis=1)
            for table, at in zip(tables, kept, strict=True)
        ]
        text = sides.context.text(own.payload.text.key)
        groups = None if text.groups is None else [text.groups[row] for row in rows]
        metrics: dict[str, Statistic] = {"perplexity": _perplexity, "bits_per_byte": _bits_per_byte}
        for metric, statistic in metrics.items():
            paired = sides.paired(sums[0], sums[1], statistic, groups, f"perplexity {own.payload.corpus}")
            if paired is not None:
                yield Found(place, metric, own.key, paired)


def _perplexity(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(ratio_of(0, 1)(sums)))


def _bits_per_byte(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(ratio_of(0, 2)(sums) / log(2))


@dataclass(frozen=True, slots=True)
class _Samples:
    """Free generations of a setting by (seed, number), and numbers of whole seeds."""

    rows: Mapping[tuple[int, int], Row[Any]]
    seeds: Mapping[int, Row[Any]]

    @classmethod
    def read(cls, sides: Sides, evaluated: Evaluated) -> "_Samples":
        g, w, label = t.Generation, t.GeneratedText, t.TextLabel
        of_keys = g.key.in_(evaluated.payload.generations)
        with sides.context.reading() as connection:
            rows = connection.execute(
                select(g.seed, w.sample, w.repetition, w.n_tokens, label.label, label.degenerate)
                .join(w, w.generation_id == g.id)
                .join(label, (label.generation_id == w.generation_id) & (label.sample == w.sample))
                .where(of_keys, label.job_id == evaluated.job_id)
            ).all()
            seeds = connection.execute(select(g.seed, g.distinct_1, g.distinct_2).where(of_keys)).all()
        return cls({(row.seed, row.sample): row for row in rows}, {row.seed: row for row in seeds})

    def columns(self, keys: Sequence[tuple[int, int]], labels: Sequence[str]) -> NDArray[np.float64]:
        """Per sample: 1, degenerate, in the language, fine, fine and in it, has a repetition, repetition, tokens."""
        table = []
        for row in (self.rows[key] for key in keys):
            hit, fine = row.label in labels, not row.degenerate
            has = row.repetition is not None
            table.append((1, not fine, hit, fine, hit and fine, has, row.repetition or 0.0, row.n_tokens))
        return np.array(table, np.float64).reshape(-1, 8)


# Each over another of the columns.
_SHARES = {"language_share": (2, 0), "language_share_nondegenerate": (4, 3)}
_MEANS = {"degenerate_share": (1, 0), "repetition": (6, 5), "sample_tokens": (7, 0)}
_OF_SEEDS = ("distinct_1", "distinct_2")


def generation(sides: Sides) -> Iterator[Found]:
    """By samples of the same seed and number, which draw the same random numbers under all settings; what is a number
    of a whole seed, by seeds."""
    read: dict[int, _Samples] = {}
    for place, own, baseline in sides.both():
        for each in (own, baseline):
            if each.job_id not in read:
                read[each.job_id] = _Samples.read(sides, each)
        samples = [read[each.job_id] for each in (own, baseline)]
        keys = sorted(samples[0].rows.keys() & samples[1].rows.keys())
        of_language = place.measure == "generated_language"
        labels = own.payload.languages[place.query] if of_language else ()
        tables = [each.columns(keys, labels) for each in samples]
        for metric, (above, below) in (_SHARES if of_language else _MEANS).items():
            paired = sides.paired(tables[0], tables[1], ratio_of(above, below), None, "generation")
            if paired is not None:
                yield Found(place, metric, own.key, paired)
        for metric in () if of_language else _OF_SEEDS:
            paired = _by_seeds(samples, metric, sides.payload.confidence)
            if paired is not None:
                yield Found(place, metric, own.key, paired)


def _by_seeds(samples: Sequence[_Samples], metric: str, confidence: float) -> Paired | None:
    seeds = sorted(samples[0].seeds.keys() & samples[1].seeds.keys())
    values = np.array([[getattr(each.seeds[seed], metric) for each in samples] for seed in seeds], np.float64)
    values = values.reshape(-1, 2)
    values = values[~np.isnan(values).any(axis=1)]
    return paired_means(values[:, 0], values[:, 1], confidence)


def translation(sides: Sides) -> Iterator[Found]:
    """By sentences that both translated, or groups of them where the text has them: counts of n-grams."""
    assert sides.payload.units is not None
    source = sides.context.text(sides.payload.units.key)
    order = {item: row for row, item in enumerate(source.sentences.items)}
    for place, own, baseline in sides.both():
        written = [_translations(sides, each) for each in (own, baseline)]
        items = sorted(written[0].keys() & written[1].keys(), key=order.__getitem__)
        if not items:
            continue
        reference = sides.context.text(own.payload.texts[1].key).sentences
        answers = dict(zip(reference.items, reference.texts, strict=True))
        counts = [
            segment_counts([each[item] for item in items], [answers[item] for item in items], str(place.candidate))
            for each in written
        ]
        groups = None if source.groups is None else [source.groups[order[item]] for item in items]
        for metric, found in counts[0].items():
            other = counts[1][metric].counts
            paired = sides.paired(found.counts, other, found.score, groups, f"translation {own.payload.corpus}")
            if paired is not None:
                yield Found(place, metric, own.key, paired)


def _translations(sides: Sides, evaluated: Evaluated) -> dict[str, str]:
    w = t.GeneratedText
    statement = select(w.item, w.text).join(t.Generation, t.Generation.id == w.generation_id)
    with sides.context.reading() as connection:
        rows = connection.execute(statement.where(t.Generation.job_id == evaluated.job_id)).all()
    return {row.item: row.text for row in rows}
