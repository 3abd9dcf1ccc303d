"""What comparing costs: one baseline, one setting with its controls, and their families, over made-up outcomes.

    python benchmarks/comparing.py [--languages 22] [--items 1000] [--layers 8] [--controls 20] [--settings 1]

A real plan is submitted, and its evaluations' outcomes are written by a generator; then a runner's functions compare,
in a process of its own, all pairs both ways on five metrics. `processor`: seconds of a job with its writing. Peak
memory is the process's so far, what torch and the other libraries take included, which the first line shows.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from growth import codes, write_sources
from sqlalchemy import Engine, func, select

from sprachbund.db import migrate
from sprachbund.db import tables as t
from sprachbund.db.engine import connect, reading
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.planning.submission import submit
from sprachbund.progress import Silent
from sprachbund.queue import Claim, Queue
from sprachbund.spec.experiment import Spec, parse
from sprachbund.work.kinds import KINDS
from sprachbund.work.payloads.compare import ADJUSTMENT, COMPARISON
from sprachbund.work.payloads.pairs import PAIR_EVALUATION
from sprachbund_runners.evaluation.scores import Level
from sprachbund_runners.jobs import Context
from sprachbund_runners.jobs.evaluation_rows import EvaluationRow
from sprachbund_runners.jobs.pair_rows import write_pair_results
from sprachbund_runners.jobs.registry import JOBS

RETRIEVAL = ("top1", "mrr", "top5")
DISTANCES = ("distance_gap", "paired_distance", "centroid_distance")
METRICS = ("top1", "mrr", "top5", "distance_gap", "paired_distance")
COMPARED = (COMPARISON.name, ADJUSTMENT.name)
NAN = float("nan")


def spec_of(languages: Sequence[str], layers: int, controls: int, settings: int) -> Spec:
    """`none`, and experts of so many k, each with its controls."""
    row = {"method": "experts", "k": list(range(1, settings + 1)), "controls": [f"uniform x{controls}"]}
    return parse({
        "name": "comparing",
        "models": [{"path": "model0", "name": "model"}],
        "corpora": {role: {"path": f"{role}.csv"} for role in ("fit", "test")},
        "targets": [languages[0]],
        "experts": {"negatives": list(languages[:12])},
        "interventions": ["none", row if controls else {**row, "controls": []}],
        "embeddings": {"layers": list(range(layers))},
        "statistics": {"metrics": list(METRICS)},
    })  # fmt: skip


def evaluate(claim: Claim[Any], context: Context, items: int) -> Any:
    """Made-up outcomes of a star, as pair evaluations leave them."""
    payload, rng = claim.payload, np.random.default_rng(claim.job_id)
    tensors: dict[str, Any] = {}
    rows = []
    for layer in payload.layers:
        for number, pair in enumerate(payload.pairs):
            first, second = pair.sides
            for way, query, candidate in (("forward", first, second), ("backward", second, first)):
                prefix = f"{number}/{layer}/retrieval/{way}"
                tensors[f"{prefix}/greater"] = rng.geometric(0.5, items).astype(np.int32) - 1
                tensors[f"{prefix}/ties"] = np.zeros(items, np.int32)
                tensors[f"{prefix}/n_candidates"] = np.full(items, items, np.int32)
                levels = {metric: Level(rng.random(), NAN, NAN, items, items) for metric in RETRIEVAL}
                rows.append(EvaluationRow("retrieval", query, candidate, layer, levels))
            prefix = f"{number}/{layer}/distances/both"
            tensors |= {f"{prefix}/{metric}": rng.random(items, np.float32) for metric in DISTANCES}
            levels = {metric: Level(rng.random(), NAN, NAN, items, items) for metric in DISTANCES}
            rows.append(EvaluationRow("distances", first, second, layer, levels))
    stored = context.save(tensors, {"key": claim.key})
    return lambda connection: write_pair_results(connection, claim, rows, context.store.record(connection, stored))


def workspace(folder: Path) -> tuple[Engine, Context, Queue]:
    engine = connect(f"sqlite:///{folder / 'comparing.db'}", create=True)
    return engine, Context(engine, ArtifactStore(str(folder / "artifacts")), Silent()), Queue(engine)


def claims(queue: Queue, kinds: Sequence[str]) -> Iterator[list[Claim[Any]]]:
    versions = {kind: KINDS[kind].version for kind in kinds}
    runner = queue.register_runner("one", "here", 1, {"kinds": versions})
    while claimed := queue.claim(runner, versions, limit=256, lease_ms=86_400_000):
        yield claimed


def prepare(folder: Path, spoken: Sequence[str], asked: argparse.Namespace) -> None:
    """All that comparisons need, done."""
    write_sources(folder, spoken, 1, blocks=asked.layers, items=asked.items)
    engine, context, queue = workspace(folder)
    migrate.upgrade(engine)
    submit(engine, context.store, spec_of(spoken, asked.layers, asked.controls, asked.settings), folder)
    for claimed in claims(queue, [kind for kind in KINDS if kind not in COMPARED]):
        for claim in claimed:
            made = claim.kind == PAIR_EVALUATION.name
            write = evaluate(claim, context, asked.items) if made else lambda connection: None
            with queue.finishing(claim, environment={}) as connection:
                write(connection)
    engine.dispose()


def peak() -> float:
    """MiB of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare(folder: str) -> None:
    """Compare, and print what every job took."""
    engine, context, queue = workspace(Path(folder))
    print(f"| libraries | | {peak():,.0f} |", flush=True)
    for claimed in claims(queue, COMPARED):
        used = time.process_time()
        for outcome in JOBS[claimed[0].kind](claimed, context):
            with queue.finishing(outcome.claim, environment={}) as connection:
                outcome.write(connection)
            print(f"| {outcome.claim.label} | {time.process_time() - used:.1f} | {peak():,.0f} |", flush=True)
            used = time.process_time()
    with reading(engine) as connection:
        if not connection.scalar(select(func.count()).select_from(t.AdjustedPairTest)):
            raise SystemExit("nothing was compared")
    engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("languages", 22), ("items", 1000), ("layers", 8), ("controls", 20), ("settings", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), codes(asked.languages), asked)
        print("| job | processor, s | peak MiB |\n| --- | ---: | ---: |", flush=True)
        process = multiprocessing.get_context("spawn").Process(target=compare, args=(folder,))
        process.start()
        process.join()
        raise SystemExit(process.exitcode)


if __name__ == "__main__":
    main()
