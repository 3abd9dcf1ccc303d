"""Fills a submitted experiment with made-up results, in bulk: what it would take days to run.

Every job is done, every planned pair has a row at every layer, every space its rows; comparisons, their tests and
families have the rows that runners would have written. Numbers are random, and so are not to be read.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, Float, Integer, bindparam, select, text, update

from sprachbund.db import tables as t
from sprachbund.db.engine import writing
from sprachbund.db.rows import chunks
from sprachbund.db.tables.pairs import DRAWN_METRICS
from sprachbund.measures import MEASURES, OF_PAIRS
from sprachbund.vocabulary import SCOPES
from sprachbund.work.kinds import read_payload

N_ITEMS = 1000
_UNDIRECTED = {name for measure in OF_PAIRS.values() if not measure.directed for name in measure.metrics}
_METRICS = [name for measure in OF_PAIRS.values() for name in measure.metrics]
_ENDS = [f"{name}_{end}" for name in DRAWN_METRICS for end in ("low", "high")]


def fill(engine: Engine, name: str, seed: int = 0) -> dict[str, int]:
    """All results of an experiment; how many rows by table. The tables must hold no other results."""
    random = np.random.default_rng(seed)
    with writing(engine) as connection:
        connection.execute(update(t.Job).values(state="done", finished_ms=t.Job.created_ms))
        ids = dict(connection.execute(select(t.Setting.key, t.Setting.id)).all())
        return {
            **_pairs(connection, ids, random),
            **_spaces(connection, ids, random),
            **_comparisons(connection, ids, random),
        }


def copy(connection: Connection, table: Any, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> int:
    """Insert rows by the quickest way of the engine; how many they were."""
    listed = ", ".join(columns)
    counted = 0

    def counting() -> Iterator[tuple[Any, ...]]:
        nonlocal counted
        for row in rows:
            counted += 1
            yield row

    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        places = ", ".join("?" * len(columns))
        driver.executemany(f"INSERT INTO {table.__tablename__} ({listed}) VALUES ({places})", counting())  # noqa: S608
    else:
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.__tablename__} ({listed}) FROM STDIN") as sink:
            for row in counting():
                sink.write_row(row)
        if "id" in columns:
            reset = f"SELECT setval(pg_get_serial_sequence('{table.__tablename__}', 'id'), max(id)) FROM {table.__tablename__}"  # noqa: E501, S608
            connection.execute(text(reset))
    return counted


def _jobs(connection: Connection, kind: str) -> Iterator[tuple[int, Any]]:
    for job_id, stored in connection.execute(select(t.Job.id, t.Job.payload).where(t.Job.kind == kind)).all():
        yield job_id, read_payload(kind, stored, f"job {job_id}")


def _pairs(connection: Connection, ids: dict[str, int], random: np.random.Generator) -> dict[str, int]:
    corpora = dict(connection.execute(select(t.Corpus.key, t.Corpus.id)).all())
    evaluands: dict[tuple[Any, ...], int] = {}
    jobs: list[tuple[Any, ...]] = []

    def results() -> Iterator[tuple[Any, ...]]:
        number = 0
        for job_id, payload in _jobs(connection, "pair_evaluation"):
            of = (ids[payload.setting], corpora[payload.corpus], payload.pooling, payload.tokens)
            evaluand = evaluands.setdefault(of, len(evaluands) + 1)
            jobs.append((job_id, evaluand, None))
            for layer, pair in product(payload.layers, payload.pairs):
                for query, candidate in (pair.sides, pair.sides[::-1]):
                    number += 1
                    values = random.random(len(_METRICS) + len(_ENDS)).tolist()
                    if query > candidate:
                        values = [
                            None if name.removesuffix("_low").removesuffix("_high") in _UNDIRECTED else value
                            for name, value in zip([*_METRICS, *_ENDS], values, strict=True)
                        ]
                    yield (number, job_id, evaluand, layer, query, candidate, N_ITEMS, *values)

    columns = ("id", "job_id", "evaluand_id", "layer", "query_language", "candidate_language", "n_items")
    rows = list(results())
    copy(
        connection,
        t.Evaluand,
        ("setting_id", "corpus_id", "pooling", "tokens", "id"),
        ((*of, i) for of, i in evaluands.items()),
    )
    copy(connection, t.PairEvaluation, ("job_id", "evaluand_id", "outcomes_id"), jobs)
    return {"pair_results": copy(connection, t.PairResult, (*columns, *_METRICS, *_ENDS), rows)}


def _spaces(connection: Connection, ids: dict[str, int], random: np.random.Generator) -> dict[str, int]:
    corpora = dict(connection.execute(select(t.Corpus.key, t.Corpus.id)).all())
    evaluations: list[tuple[Any, ...]] = []
    metrics: list[tuple[Any, ...]] = []
    for job_id, payload in _jobs(connection, "space_evaluation"):
        of = (job_id, ids[payload.setting], corpora[payload.corpus], payload.pooling, payload.tokens)
        for layer in payload.layers:
            for measure, languages in (("space", [None]), ("spread", payload.languages)):
                for language in languages:
                    number = len(evaluations) + 1
                    evaluations.append(
                        (number, f"{number:040}", *of, measure, 1, layer, language, payload.scope_digest)
                    )
                    names = [name for name in MEASURES[measure].metrics if payload.target or "target" not in name]
                    values = random.random(len(names)).tolist()
                    rows = zip(names, values, strict=True)
                    metrics += [(number, name, value, N_ITEMS, N_ITEMS) for name, value in rows]
    columns = ("id", "key", "job_id", "setting_id", "corpus_id", "pooling", "tokens", "measure", "version", "layer",
               "query_language", "scope_digest")  # fmt: skip
    return {
        "evaluations": copy(connection, t.Evaluation, columns, evaluations),
        "metrics": copy(connection, t.Metric, ("evaluation_id", "name", "value", "n_items", "n_groups"), metrics),
    }


def _comparisons(connection: Connection, ids: dict[str, int], random: np.random.Generator) -> dict[str, int]:
    """A row per setting, layer, metric and scope, and tests of every pair of what is compared."""
    found: list[tuple[Any, ...]] = []
    numbers = [column.name for column in t.Comparison.__table__.c if isinstance(column.type, Float)]
    whole = [column.name for column in t.Comparison.__table__.c
             if isinstance(column.type, Integer) and column.name.startswith("n_")]  # fmt: skip
    tests: list[tuple[Any, ...]] = []
    for job_id, payload in _jobs(connection, "comparison"):
        place = (job_id, payload.role, payload.group, payload.split)
        for setting, layer, metric in product(payload.settings, payload.layers, payload.metrics):
            for scope in SCOPES if setting.target else SCOPES[:1]:
                number = len(found) + 1
                found.append((
                    number, f"{number:040}", *place, ids[setting.setting], ids[setting.reference], layer, metric, scope,
                    *_ordered(numbers, random), *[9] * len(whole),
                ))  # fmt: skip
        compared = [ids[each.setting] for each in payload.claimed]
        results = (
            select(t.PairResult.id).join(t.Evaluand).where(t.Evaluand.setting_id.in_(bindparam("ids", expanding=True)))
        )
        for chunk in chunks(compared):
            tests += [
                (job_id, result, "top1", 9, 7, 0.5, 0.6, 99)
                for result in connection.execute(results, {"ids": chunk}).scalars()
            ]
    columns = (
        "id", "key", "job_id", "role", "corpus", "split", "setting_id", "baseline_id", "layer", "metric", "scope",
        *numbers, *whole,
    )  # fmt: skip
    return {
        "comparisons": copy(connection, t.Comparison, columns, found),
        "pair_tests": copy(
            connection,
            t.PairTest,
            ("job_id", "result_id", "metric", "only_setting", "only_baseline", "p", "q", "family_size"),
            tests,
        ),
    }


def _ordered(names: Sequence[str], random: np.random.Generator) -> list[float]:
    """A number for each name, lower ends of intervals below upper ones."""
    places = {"low": 0.0, "high": 0.9}
    return [places.get(name.rpartition("_")[2], 0.5) + 0.1 * value
            for name, value in zip(names, random.random(len(names)).tolist(), strict=True)]  # fmt: skip
