"""One item of one language pair, looked at closely: its texts, and what it finds before and after steering."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, select

from sprachbund.corpora.text import TextSet, from_parquet, gold_groups
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.names import find_baseline, find_setting
from sprachbund.db.rows import asked_for
from sprachbund.errors import QueryError, nearest
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.languages.table import resolve
from sprachbund.results.layers import find_layers
from sprachbund.results.snapshots import embedded, require_snapshots
from sprachbund.vocabulary import layer_order
from sprachbund.work.payloads.pairs import PairEvaluationPayload
from sprachbund.work.payloads.stored import from_json

MOST = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence the query was compared with. `gold`: it is the translation, or has the same text."""

    item: str
    text: str
    similarity: float
    gold: bool


@dataclass(frozen=True, slots=True)
class Side:
    """One setting's answer: the most similar candidates, the translation's place (mean over ties) and similarity."""

    setting: str
    rank: float
    similarity: float
    top: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class ItemExplanation:
    """A query and its translation, and what the baseline and the setting find for it."""

    corpus: str
    layer: str
    layer_reason: str
    item: str
    query_language: str
    candidate_language: str
    query: str
    translation: str
    n_candidates: int
    sides: tuple[Side, ...]


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """A pair evaluation's payload, for where its embeddings are."""

    label: str
    payload: PairEvaluationPayload


def explain_item(
    engine: Engine,
    store: ArtifactStore,
    pair: str,
    item: str,
    *,
    experiment: str,
    setting: str,
    layer: str | None = None,
    role: str = "test",
) -> ItemExplanation:
    """What item `item` (its name, or its number from 0) of `pair` (`eng_Latn:deu_Latn`, query first) finds.

    Cosines are computed anew from stored snapshots, under the setting's baseline and under the setting.
    layer: default as `find_layers` has it.
    Raises QueryError for a pair, item, setting or layer that was not evaluated, and for a lost file.
    """
    query, candidate = _languages(pair)
    with reading(engine) as connection:
        found = find_setting(connection, setting, experiment)
    shown = find_layers(engine, experiment, found.key, layer, role)
    with reading(engine) as connection:
        baseline = find_baseline(connection, found, experiment)
        labels = [each for each in (baseline, found) if each is not None]
        evaluated = [
            _evaluation(connection, experiment, each.key, each.label, (query, candidate), role) for each in labels
        ]
        layers = _shared_layers(evaluated)
        chosen = shown.first
        if chosen not in layers:
            raise QueryError(f"layer '{chosen}' was not evaluated; known: {', '.join(layers)}")
        payload = evaluated[-1][0].payload
        texts = {each: _text(connection, store, payload.texts[each]) for each in (query, candidate)}
        place = _place(texts[query], item)
        at_chosen = [next(each for each in parts if chosen in each.payload.layers) for parts in evaluated]
        require_snapshots(engine, store, [key for each in at_chosen for key in each.payload.needs], chosen)
        sides = []
        for at_layer in at_chosen:
            sides.append(_side(connection, store, at_layer, query, candidate, chosen, place, texts[candidate]))
        corpus = connection.execute(select(t.Corpus.name).where(t.Corpus.key == payload.corpus)).scalar_one()
    return ItemExplanation(
        corpus=corpus,
        layer=chosen,
        layer_reason=shown.reason,
        item=texts[query].items[place],
        query_language=query,
        candidate_language=candidate,
        query=texts[query].texts[place],
        translation=texts[candidate].texts[place],
        n_candidates=len(texts[candidate]),
        sides=tuple(sides),
    )


def _languages(pair: str) -> tuple[str, str]:
    query, colon, candidate = pair.partition(":")
    if not (query and colon and candidate):
        raise QueryError(f"pair: found '{pair}', expected QUERY:CANDIDATE such as eng_Latn:deu_Latn")
    first, second = resolve(query), resolve(candidate)
    if first == second:
        raise QueryError(f"pair: found {first} on both sides, expected two languages")
    return first, second


def _evaluation(
    connection: Connection, experiment: str, key: str, label: str, pair: tuple[str, str], role: str
) -> list[_Evaluated]:
    """The finished pair evaluations of a setting: several if layers were added later."""
    rows = connection.execute(
        select(t.Job.id, t.Job.payload)
        .distinct()
        .join(t.PairResult, t.PairResult.job_id == t.Job.id)
        .join(t.Evaluand, t.Evaluand.id == t.PairResult.evaluand_id)
        .join(t.ExperimentJob, t.ExperimentJob.job_id == t.Job.id)
        .join(t.Experiment, t.Experiment.id == t.ExperimentJob.experiment_id)
        .join(t.Setting, t.Setting.id == t.Evaluand.setting_id)
        .join(t.ExperimentCorpus, (t.ExperimentCorpus.experiment_id == t.Experiment.id)
              & (t.ExperimentCorpus.corpus_id == t.Evaluand.corpus_id))
        .where(
            t.Experiment.name == experiment,
            t.Setting.key == key,
            t.ExperimentCorpus.role == role,
            t.PairResult.query_language == pair[0],
            t.PairResult.candidate_language == pair[1],
            asked_for(),
        )
    )  # fmt: skip
    found = [_Evaluated(label, from_json(PairEvaluationPayload, payload, f"job {job_id}")) for job_id, payload in rows]
    if not found:
        known = connection.execute(
            select(t.PairResult.query_language, t.PairResult.candidate_language)
            .distinct()
            .join(t.ExperimentJob, t.ExperimentJob.job_id == t.PairResult.job_id)
            .join(t.Experiment, t.Experiment.id == t.ExperimentJob.experiment_id)
            .where(t.Experiment.name == experiment, asked_for())
        ).all()
        names = [f"{row.query_language}:{row.candidate_language}" for row in known]
        raise QueryError(
            f"pair '{pair[0]}:{pair[1]}' of setting '{label}' was not evaluated in role {role}"
            f"{nearest(':'.join(pair), names)}"
        )
    return found


def _shared_layers(evaluated: Sequence[Sequence[_Evaluated]]) -> list[str]:
    sets = [{layer for each in parts for layer in each.payload.layers} for parts in evaluated]
    return sorted(set.intersection(*sets), key=layer_order)


def _text(connection: Connection, store: ArtifactStore, key: str) -> TextSet:
    row = connection.execute(
        select(t.CorpusText.language, t.CorpusText.fingerprint, t.Artifact.uri, t.Artifact.digest, t.Corpus.split)
        .join(t.Artifact, t.Artifact.id == t.CorpusText.artifact_id)
        .join(t.Corpus, t.Corpus.id == t.CorpusText.corpus_id)
        .where(t.CorpusText.key == key)
    ).one()
    content = store.fetch(row.uri, row.digest).read_bytes()
    return from_parquet(content, row.language, row.split, expected=row.fingerprint)


def _place(text: TextSet, item: str) -> int:
    items = text.items
    if item in items:
        return items.index(item)
    if item.isdigit() and int(item) < len(items):
        return int(item)
    raise QueryError(
        f"item '{item}' does not exist; expected a number from 0 to {len(items) - 1} or a name{nearest(item, items)}"
    )


def _side(
    connection: Connection, store: ArtifactStore, evaluated: _Evaluated, query: str, candidate: str, layer: str,
    place: int, candidates: TextSet,
) -> Side:  # fmt: skip
    payload = evaluated.payload
    x = _vectors(connection, store, payload, query, layer, payload.side == "candidate")
    y = _vectors(connection, store, payload, candidate, layer, payload.side == "query")
    similarity = y @ x[place]
    gold = gold_groups(candidates.texts)
    own = gold == gold[place]
    best = float(similarity[own].max())
    others = similarity[~own]
    rank = 1 + int((others > best).sum()) + int((others == best).sum()) / 2
    order = np.argsort(-similarity, kind="stable")[:MOST]
    items, texts = candidates.items, candidates.texts
    top = tuple(Candidate(items[i], texts[i], float(similarity[i]), bool(own[i])) for i in order)
    return Side(evaluated.label, rank, best, top)


def _vectors(
    connection: Connection, store: ArtifactStore, payload: PairEvaluationPayload, language: str, layer: str, plain: bool
) -> NDArray[np.float64]:
    """One language's embeddings as the evaluation saw them, at length one: float64 [n, d]."""
    found = embedded(
        connection, store, payload.side_of(plain), [language], layer, payload.transform, payload.components
    )
    vectors = found[language].astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1.0))
