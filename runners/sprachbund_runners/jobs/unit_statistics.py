"""Unit statistics: one pass over a language's fit text, responses spooled to a file block by block."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from sprachbund.architectures import SITES
from sprachbund.db import tables as t
from sprachbund.queue import Claim
from sprachbund.submission import upsert
from sprachbund.tensors import TensorSpool, shapes
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.models.batches import tokenise
from sprachbund_runners.models.respond import Responses, respond


def place_name(block: int, site: str) -> str:
    """The tensor that holds one site of one block, e.g. `3.mlp.up`."""
    return f"{block}.{site}"


def run(claims: Sequence[Claim], context: Context) -> Iterator[Outcome]:
    """Each language's text goes through the model once; all sites, targets and scorers are served from it."""
    step = context.progress.start(
        "unit statistics", sum(len(context.text(claim.payload["text"]).sentences) for claim in claims)
    )
    for claim in claims:
        yield _language(claim, context, step)


def _language(claim: Claim, context: Context, step: Any) -> Outcome:
    payload = claim.payload
    loaded = context.model(payload["model"], payload["dtype"], payload["attention"])
    text = context.text(payload["text"])
    units = loaded.architecture.units(payload["sites"])
    n_items = len(text.sentences)
    widths = {place_name(part.block, part.site): (n_items, part.width) for part in units}
    with TensorSpool(context.store, widths, np.float32, {"key": claim.subject}) as spool:

        def sink(block: int, site: str, rows: NDArray[np.int64], values: NDArray[np.float32]) -> None:
            context.check_stop()
            spool[place_name(block, site)][rows] = values

        responses = respond(
            loaded,
            tokenise(loaded, text.sentences.texts),
            payload["sites"],
            payload["pooling"],
            payload["tokens"],
            sink,
            max_tokens_per_batch=context.max_tokens,
            progress=step,
        )
        stored = spool.store()
    moments = context.save(_moments(responses), {"key": claim.subject})

    def write(connection: Connection) -> None:
        row = {
            "key": claim.subject,
            "job_id": claim.job_id,
            "model_id": select(t.Model.id).where(t.Model.fingerprint == payload["model"]).scalar_subquery(),
            "corpus_text_id": text.id,
            "sites": payload["sites"],
            "pooling": payload["pooling"],
            "tokens": payload["tokens"],
            "condition": None,
            "n_items": n_items,
            "n_units": sum(part.width for part in units),
            "n_tokens": int(responses.token_counts.sum()),
            "responses_id": context.store.record(connection, stored),
            "moments_id": context.store.record(connection, moments),
        }
        # After an eviction the row is there already, and gets its files back.
        upsert(connection, t.UnitStatistics, row, ["key"], ["responses_id", "moments_id"])

    return Outcome(claim, write, responses.report.digest, responses.report.n_truncated)


def _moments(responses: Responses) -> dict[str, NDArray[Any]]:
    tensors: dict[str, NDArray[Any]] = {"token_counts": responses.token_counts}
    for (block, site), moments in responses.moments.items():
        name = place_name(block, site)
        tensors[f"{name}/mean"] = moments.mean
        tensors[f"{name}/m2"] = moments.m2
        tensors[f"{name}/count"] = np.array([moments.count], dtype=np.int64)
    return tensors


def places(path: Path) -> list[tuple[int, str, int]]:
    """(block, site, width) of every tensor of a responses file, in flat unit order."""
    found = []
    for name, shape in shapes(path).items():
        block, site = name.split(".", 1)
        found.append((int(block), site, int(shape[1])))
    return sorted(found, key=lambda place: (place[0], SITES.index(place[1])))
