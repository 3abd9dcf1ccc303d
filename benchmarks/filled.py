"""Fills a submitted experiment with made-up results, in bulk: what it would take days to run.

Every job is done, every planned pair has a row at every layer, every space its rows; comparisons, their tests and
families have the rows that runners would have written. Numbers are random, and so are not to be read.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, Float, Integer, select, text, update

from sprachbund.db import tables as t
from sprachbund.db.engine import writing
from sprachbund.db.tables.pairs import DRAWN_METRICS
from sprachbund.measures import MEASURES, METRICS_OF_PAIRS, OF_PAIRS
from sprachbund.vocabulary import SCOPES
from sprachbund.work.kinds import read_payload

N_ITEMS = 1000
_UNDIRECTED = {name for measure in OF_PAIRS.values() if not measure.directed for name in measure.metrics}
_ENDS = [f"{name}_{end}" for name in DRAWN_METRICS for end in ("low", "high")]


def fill(engine: Engine, name: str, seed: int = 0) -> dict[str, int]:
    """All results of an experiment; how many rows by table. The tables must hold no other results."""
    random = np.random.default_rng(seed)
    with writing(engine) as connection:
        connection.execute(update(t.Job).values(state="done", finished_ms=t.Job.created_ms, open_needs=0))
        filling = _Filling(connection, random, dict(connection.execute(select(t.Setting.key, t.Setting.id)).all()))
        found = {**filling.pairs(), **filling.spaces(), **filling.comparisons()}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    return found


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


@dataclass(slots=True)
class _Filling:
    connection: Connection
    random: np.random.Generator
    settings: dict[str, int]
    # Of each setting the results there are, by their ids from … to.
    ranges: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def pairs(self) -> dict[str, int]:
        """What results refer to, and then the results job by job."""
        corpora = dict(self.connection.execute(select(t.Corpus.key, t.Corpus.id)).all())
        evaluands: dict[tuple[Any, ...], int] = {}
        # All of them: nothing can be asked while rows are copied.
        planned = list(_jobs(self.connection, "pair_evaluation"))
        evaluated = []
        for _, payload in planned:
            of = (self.settings[payload.setting], corpora[payload.corpus], payload.pooling, payload.tokens)
            evaluated.append(evaluands.setdefault(of, len(evaluands) + 1))
        named = ((*of, evaluand) for of, evaluand in evaluands.items())
        copy(self.connection, t.Evaluand, ("setting_id", "corpus_id", "pooling", "tokens", "id"), named)
        (file,) = self.connection.execute(select(t.Artifact.id).limit(1)).scalars()
        copy(self.connection, t.PairEvaluation, ("job_id", "outcomes_id"), ((job_id, file) for job_id, _ in planned))
        columns = ("id", "job_id", "evaluand_id", "layer", "query_language", "candidate_language", "n_items")
        rows = self._results(planned, evaluated)
        return {"pair_results": copy(self.connection, t.PairResult, (*columns, *METRICS_OF_PAIRS, *_ENDS), rows)}

    def _results(self, planned: Sequence[tuple[int, Any]], evaluands: Sequence[int]) -> Iterator[tuple[Any, ...]]:
        names = (name.removesuffix("_low").removesuffix("_high") for name in (*METRICS_OF_PAIRS, *_ENDS))
        undirected = [name in _UNDIRECTED for name in names]
        number = 0
        for (job_id, payload), evaluand in zip(planned, evaluands, strict=True):
            places = [(layer, *sides) for layer, pair in product(payload.layers, payload.pairs)
                      for sides in (pair.sides, pair.sides[::-1])]  # fmt: skip
            values = self.random.random((len(places), len(undirected))).tolist()
            self.ranges.setdefault(self.settings[payload.setting], []).append((number + 1, number + len(places)))
            for (layer, query, candidate), own in zip(places, values, strict=True):
                number += 1
                if query > candidate:
                    own = [None if none else value for value, none in zip(own, undirected, strict=True)]
                yield (number, job_id, evaluand, layer, query, candidate, N_ITEMS, *own)

    def spaces(self) -> dict[str, int]:
        """Rows of spaces and of their languages."""
        corpora = dict(self.connection.execute(select(t.Corpus.key, t.Corpus.id)).all())
        evaluations: list[tuple[Any, ...]] = []
        metrics: list[tuple[Any, ...]] = []
        for job_id, payload in _jobs(self.connection, "space_evaluation"):
            of = (job_id, self.settings[payload.setting], corpora[payload.corpus], payload.pooling, payload.tokens)
            for layer in payload.layers:
                for measure, languages in (("space", [None]), ("spread", payload.languages)):
                    for language in languages:
                        number = len(evaluations) + 1
                        evaluations.append(
                            (number, f"{number:040}", *of, measure, 1, layer, language, payload.scope_digest)
                        )
                        names = [name for name in MEASURES[measure].metrics if payload.target or "target" not in name]
                        values = self.random.random(len(names)).tolist()
                        rows = zip(names, values, strict=True)
                        metrics += [(number, name, value, N_ITEMS, N_ITEMS) for name, value in rows]
        columns = ("id", "key", "job_id", "setting_id", "corpus_id", "pooling", "tokens", "measure", "version", "layer",
                   "query_language", "scope_digest")  # fmt: skip
        return {
            "evaluations": copy(self.connection, t.Evaluation, columns, evaluations),
            "metrics": copy(
                self.connection, t.Metric, ("evaluation_id", "name", "value", "n_items", "n_groups"), metrics
            ),
        }

    def comparisons(self) -> dict[str, int]:
        """A row per setting, layer, metric and scope, tests of every pair of what is compared, and their families."""
        found: list[tuple[Any, ...]] = []
        families: dict[tuple[str, str | None], list[int]] = {}
        numbers = [column.name for column in t.Comparison.__table__.c if isinstance(column.type, Float)]
        whole = [column.name for column in t.Comparison.__table__.c
                 if isinstance(column.type, Integer) and column.name.startswith("n_")]  # fmt: skip
        claimed: list[tuple[int, int]] = []
        for job_id, payload in _jobs(self.connection, "comparison"):
            place = (job_id, payload.role, payload.group, payload.split)
            keys = {each.setting for each in payload.claimed}
            claimed += [(job_id, self.settings[key]) for key in keys]
            for setting, layer, metric in product(payload.settings, payload.layers, payload.metrics):
                for scope in SCOPES if setting.target else SCOPES[:1]:
                    number = len(found) + 1
                    of = (self.settings[setting.setting], self.settings[setting.reference])
                    found.append((number, f"{number:040}", *place, *of, layer, metric, scope,
                                  *_ordered(numbers, self.random), *[9] * len(whole)))  # fmt: skip
                    if setting.setting in keys:
                        families.setdefault((metric, scope), []).append(number)
        columns = (
            "id", "key", "job_id", "role", "corpus", "split", "setting_id", "baseline_id", "layer", "metric", "scope",
            *numbers, *whole,
        )  # fmt: skip
        return {
            "comparisons": copy(self.connection, t.Comparison, columns, found),
            "pair_tests": copy(
                self.connection, t.PairTest, ("job_id", "result_id", "only_setting", "only_baseline", "p"),
                ((job_id, result, 9, 7, 0.5) for job_id, result in self._tested(claimed)),
            ),
            **self._families(families, claimed),
        }  # fmt: skip

    def _tested(self, claimed: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        for job_id, setting in claimed:
            for first, last in self.ranges[setting]:
                yield from ((job_id, result) for result in range(first, last + 1))

    def _families(
        self, families: dict[tuple[str, str | None], list[int]], claimed: Sequence[tuple[int, int]]
    ) -> dict[str, int]:
        (job_id,) = (job_id for job_id, _ in _jobs(self.connection, "adjustment"))
        named = [(number, job_id, "test", *name, len(ids)) for number, (name, ids) in enumerate(families.items(), 1)]
        of_pairs = len(named) + 1
        named.append((of_pairs, job_id, "test", "top1", None, 99))
        copy(self.connection, t.Family, ("id", "job_id", "role", "metric", "scope", "size"), named)
        compared = ((each, number, 0.04) for number, ids in enumerate(families.values(), 1) for each in ids)
        pairs = ((result, of_pairs, 0.6) for _, result in self._tested(claimed))
        return {
            "adjusted_comparisons": copy(
                self.connection, t.AdjustedComparison, ("comparison_id", "family_id", "q"), compared
            ),
            "adjusted_pair_tests": copy(self.connection, t.AdjustedPairTest, ("result_id", "family_id", "q"), pairs),
        }


def _ordered(names: Sequence[str], random: np.random.Generator) -> list[float]:
    """A number for each name, lower ends of intervals below upper ones."""
    places = {"low": 0.0, "high": 0.9}
    return [places.get(name.rpartition("_")[2], 0.5) + 0.1 * value
            for name, value in zip(names, random.random(len(names)).tolist(), strict=True)]  # fmt: skip
