"""Unit statistics: one pass over a language's fit text, responses spooled to a file block by block."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from sprachbund.db import tables as t
from sprachbund.db.rows import upsert
from sprachbund.files.artifacts import Stored
from sprachbund.files.tensors import TensorSpool, shapes
from sprachbund.queue import Claim
from sprachbund.vocabulary import SITES
from sprachbund.work.payloads.fit import UnitStatisticsPayload
from sprachbund_runners.jobs.context import Context, Outcome, Text
from sprachbund_runners.jobs.serving import together
from sprachbund_runners.models.batches import tokenise
from sprachbund_runners.models.respond import Request, Responses, Sink, respond


def place_name(block: int, site: str) -> str:
    """The tensor that holds one site of one block, e.g. `3.mlp.up`."""
    return f"{block}.{site}"


def run(claims: Sequence[Claim[UnitStatisticsPayload]], context: Context) -> Iterator[Outcome]:
    """Each language's text goes through the model once for all claims on it: other sites, pooling or tokens cost
    no second pass, and all targets and scorers are served from what is stored."""
    groups = together(claims, lambda payload: (payload.numerics, payload.text))
    n_texts = sum(len(context.text(group[0].payload.text.key).sentences) for group in groups)
    step = context.progress.start("unit statistics", n_texts)
    for group in groups:
        yield from _language(group, context, step)


def _language(
    claims: Sequence[Claim[UnitStatisticsPayload]], context: Context, step: Callable[[int], None]
) -> Iterator[Outcome]:
    payload = claims[0].payload
    loaded = context.model(payload.numerics)
    text = context.text(payload.text.key)
    n_items = len(text.sentences)
    with ExitStack() as stack:
        spools: list[TensorSpool] = []
        requests: list[Request] = []
        for claim in claims:
            asked = claim.payload
            units = loaded.architecture.units(asked.sites)
            widths = {place_name(part.block, part.site): (n_items, part.width) for part in units}
            spools.append(stack.enter_context(TensorSpool(context.store, widths, np.float32, {"key": claim.subject})))
            requests.append(Request(asked.sites, asked.pooling, asked.tokens, _sink_to(spools[-1], context)))
        responses = respond(
            loaded,
            tokenise(loaded, text.sentences.texts),
            requests,
            max_tokens_per_batch=context.max_tokens,
            progress=step,
        )
        stored = [spool.store() for spool in spools]
    for claim, found, kept in zip(claims, responses, stored, strict=True):
        yield _finish(claim, context, text, found, kept)


def _sink_to(spool: TensorSpool, context: Context) -> Sink:
    def sink(block: int, site: str, rows: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        context.check_stop()
        spool[place_name(block, site)][rows] = values

    return sink


def _finish(
    claim: Claim[UnitStatisticsPayload], context: Context, text: Text, responses: Responses, stored: Stored
) -> Outcome:
    payload = claim.payload
    moments = context.save(_moments(responses), {"key": claim.subject})

    def write(connection: Connection) -> None:
        row = {
            "key": claim.subject,
            "job_id": claim.job_id,
            "model_id": select(t.Model.id).where(t.Model.fingerprint == payload.numerics.model).scalar_subquery(),
            "corpus_text_id": text.id,
            "sites": list(payload.sites),
            "pooling": payload.pooling,
            "tokens": payload.tokens,
            "n_items": len(text.sentences),
            "n_units": sum(len(each.mean) for each in responses.moments.values()),
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
        tensors[f"{name}/positive"] = responses.positive[block, site]
    return tensors


def places(path: Path) -> list[tuple[int, str, int]]:
    """(block, site, width) of every tensor of a responses file, in flat unit order."""
    found = []
    for name, shape in shapes(path).items():
        block, site = name.split(".", 1)
        found.append((int(block), site, int(shape[1])))
    return sorted(found, key=lambda place: (place[0], SITES.index(place[1])))
