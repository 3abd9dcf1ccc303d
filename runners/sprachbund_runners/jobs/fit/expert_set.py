"""Expert sets: every unit scored for every wanted target from one sort per unit, block by block."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert, select

from sprachbund.db import tables as t
from sprachbund.db.rows import upsert
from sprachbund.errors import ModelError
from sprachbund.files.tensors import load_tensors, read_metadata
from sprachbund.queue import Claim
from sprachbund.vocabulary import SITES
from sprachbund.work.payloads.fit import ExpertSetPayload
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.fit.unit_statistics import place_name, places
from sprachbund_runners.jobs.serving import together
from sprachbund_runners.scorers import NonFinite, Scorer, Target, find_scorer, score_units
from sprachbund_runners.scorers.selection import rank_units

KEPT_UNITS = 5000
COLUMNS = ("score", "effect", "p", "minimum_auroc", "pooled_mean", "token_mean")


@dataclass(frozen=True, slots=True)
class Statistics:
    """Stored unit statistics of one language: where its responses and moments are.

    Responses are looked for when they are read: most edits do without them, and they are not kept for long.
    """

    key: str
    find_responses: Callable[[], Path]
    moments: Path
    token_counts: NDArray[np.int64]

    @property
    def responses(self) -> Path:
        """Raises Evicted as `Context.artifact` does."""
        return self.find_responses()


def find_statistics(context: Context, keys: Sequence[str]) -> dict[str, Statistics]:
    """Stored unit statistics by key."""
    found: dict[str, Statistics] = {}
    with context.reading() as connection:
        for key in keys:
            row = connection.execute(select(t.UnitStatistics).where(t.UnitStatistics.key == key)).one()
            moments = context.artifact(connection, row.moments_id, row.job_id)
            found[key] = Statistics(
                key,
                cache(partial(context.file, row.responses_id, row.job_id)),
                moments,
                load_tensors(moments, ["token_counts"])["token_counts"],
            )
    return found


def run(claims: Sequence[Claim[ExpertSetPayload]], context: Context) -> Iterator[Outcome]:
    """Claims over the same statistics share one reading of them, and scorers that read ranks one sort per unit."""
    for group in together(claims, lambda payload: payload.statistics):
        yield from _score(group, context)


@dataclass(slots=True)
class _Scoring:
    """One claim while its units are scored, block by block."""

    claim: Claim[ExpertSetPayload]
    scorer: Scorer
    target: Target
    columns: dict[str, list[NDArray[np.float64]]] = field(default_factory=lambda: {name: [] for name in COLUMNS})

    @property
    def languages(self) -> tuple[int, ...]:
        """The target's code and its negatives'."""
        return (self.target.positive, *self.target.negatives)

    def scores(self, by_language: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        """Scores of one site's units by a scorer that reads responses; ModelError unless float64 [units]."""
        negatives = np.concatenate([by_language[code] for code in self.target.negatives])
        width = negatives.shape[1]
        found = np.asarray(self.scorer.function(by_language[self.target.positive], negatives))
        if found.shape != (width,) or found.dtype.kind not in "fiu":
            raise ModelError(
                f"scorer {self.scorer.name}: returned {found.dtype} {list(found.shape)}; expected float64 [{width}],"
                " one value per unit"
            )
        if np.isnan(found).any():
            raise ModelError(f"scorer {self.scorer.name}: NaN for unit {int(np.isnan(found).argmax())}")
        return found.astype(np.float64)


def _score(claims: Sequence[Claim[ExpertSetPayload]], context: Context) -> Iterator[Outcome]:
    keys = claims[0].payload.statistics
    languages = sorted(keys)
    codes = {language: code for code, language in enumerate(languages)}
    statistics = find_statistics(context, [keys[language] for language in languages])
    ordered = [statistics[keys[language]] for language in languages]
    language_of = np.repeat(np.arange(len(languages)), [len(each.token_counts) for each in ordered])
    scorings = [
        _Scoring(
            claim,
            find_scorer(claim.payload.scorer),
            Target(codes[claim.payload.target], tuple(codes[each] for each in claim.payload.negatives),
                   claim.payload.target),
        )
        for claim in claims
    ]  # fmt: skip
    targets = [scoring.target for scoring in scorings]
    by_rank = sorted({scoring.scorer.name for scoring in scorings if scoring.scorer.reads == "ranks"})
    axis = places(ordered[0].responses)
    # Tokens at which each unit fires, by language: for scorers that look at all units at once.
    fired: list[list[NDArray[np.int64]]] = [[] for _ in languages]
    step = context.progress.start("scoring units", sum(width for _, _, width in axis))
    for block, site, width in axis:
        context.check_stop()
        name = place_name(block, site)
        by_language = [load_tensors(each.responses, [name])[name] for each in ordered]
        moments = [load_tensors(each.moments, [f"{name}/mean", f"{name}/positive"]) for each in ordered]
        for code, found in enumerate(moments):
            fired[code].append(found[f"{name}/positive"])
        pooled_means = [values.mean(axis=0, dtype=np.float64) for values in by_language]
        try:
            scores = score_units(
                np.ascontiguousarray(np.concatenate(by_language).T), language_of, targets, by_rank, threads=2
            )
        except NonFinite as error:
            raise ModelError(f"block {block}, site {site}: {error}") from None
        for place, scoring in enumerate(scorings):
            code, own = scoring.target.positive, scoring.columns
            if scoring.scorer.reads == "ranks":
                own["score"].append(scores.values[scoring.scorer.name][place])
            elif scoring.scorer.reads == "responses":
                context.check_stop()
                own["score"].append(scoring.scores(by_language))
            own["effect"].append(scores.effect[place])
            own["p"].append(scores.p_value[place])
            own["minimum_auroc"].append(scores.minimum_auroc[place])
            own["pooled_mean"].append(pooled_means[code])
            own["token_mean"].append(moments[code][f"{name}/mean"])
        step(width)
    lengths = np.concatenate([each.token_counts for each in ordered]).astype(np.float32)[None, :]
    length_scores = score_units(lengths, language_of, targets, ("auroc",)).values["auroc"][:, 0]
    for scoring, length_score in zip(scorings, length_scores, strict=True):
        if scoring.scorer.reads == "counts":
            active = np.stack([np.concatenate(fired[code]) for code in scoring.languages], axis=1)
            n_tokens = np.array([ordered[code].token_counts.sum() for code in scoring.languages])
            scoring.columns["score"].append(scoring.scorer.function(active, n_tokens))
        arrays = {name: np.concatenate(parts) for name, parts in scoring.columns.items()}
        n_positive, *n_negative = (len(ordered[code].token_counts) for code in scoring.languages)
        yield _finish(scoring, context, axis, arrays, (n_positive, sum(n_negative)), float(length_score))


def _finish(
    scoring: _Scoring,
    context: Context,
    axis: Sequence[tuple[int, str, int]],
    arrays: dict[str, NDArray[np.float64]],
    counts: tuple[int, int],
    token_count_auroc: float,
) -> Outcome:
    claim, payload = scoring.claim, scoring.claim.payload
    widths = [width for _, _, width in axis]
    block = np.repeat([block for block, _, _ in axis], widths)
    site = np.repeat([SITES.index(site) for _, site, _ in axis], widths)
    unit = np.concatenate([np.arange(width) for width in widths])
    order = rank_units(arrays["score"], arrays["effect"], block, site, unit)
    if scoring.scorer.reads == "counts":
        order = order[arrays["score"][order] > -np.inf]
        if not len(order):
            raise ModelError(
                f"scorer {scoring.scorer.name}: {payload.target} owns none of {len(unit)} units: at none is the"
                " share of its tokens that fire above the 95th percentile; use another site or other negatives"
            )
    stored = context.save({"order": order, **arrays}, {"key": claim.subject, "axis": list(axis)})
    top = order[:KEPT_UNITS]

    def write(connection: Connection) -> None:
        row = {
            "key": claim.subject,
            "job_id": claim.job_id,
            "model_id": select(t.Model.id).where(t.Model.fingerprint == payload.model).scalar_subquery(),
            "target": payload.target,
            "scorer": payload.scorer,
            "scorer_version": payload.scorer_version,
            "negatives": payload.negatives,
            "sites": payload.sites,
            "pooling": payload.pooling,
            "tokens": payload.tokens,
            "n_units": len(unit),
            "n_positives": counts[0],
            "n_negatives": counts[1],
            "token_count_auroc": token_count_auroc,
            "artifact_id": context.store.record(connection, stored),
        }
        upsert(connection, t.ExpertSet, row, ["key"], ["artifact_id"])
        set_id = connection.execute(select(t.ExpertSet.id).where(t.ExpertSet.key == claim.subject)).scalar_one()
        connection.execute(delete(t.ExpertUnit).where(t.ExpertUnit.expert_set_id == set_id))
        rows: list[dict[str, Any]] = [
            {
                "expert_set_id": set_id,
                "rank": rank,
                "block": int(block[place]),
                "site": SITES[site[place]],
                "unit": int(unit[place]),
                **{name: float(arrays[name][place]) for name in COLUMNS},
            }
            for rank, place in enumerate(top, start=1)
        ]
        connection.execute(insert(t.ExpertUnit), rows)

    return Outcome(claim, write)


@dataclass(frozen=True, slots=True)
class Ranking:
    """A stored expert set.

    axis: its flat axis as (block, site, width); order: the units that may be chosen, best first, int64 (all of the axis
    but for LAPE, which gives units that the target does not own no rank); score, p (two-sided Mann–Whitney) and effect
    (Cohen's d): of every unit of the axis, float64.
    """

    id: int
    axis: tuple[tuple[int, str, int], ...]
    order: NDArray[np.int64]
    score: NDArray[np.float64]
    p: NDArray[np.float64]
    effect: NDArray[np.float64]


def find_ranking(context: Context, key: str) -> Ranking:
    """The stored ranking with this key."""
    with context.reading() as connection:
        row = connection.execute(select(t.ExpertSet).where(t.ExpertSet.key == key)).one()
        path = context.artifact(connection, row.artifact_id, row.job_id)
    axis = tuple((int(block), str(site), int(width)) for block, site, width in read_metadata(path)["axis"])
    return Ranking(row.id, axis, **load_tensors(path, ["order", "score", "p", "effect"]))
