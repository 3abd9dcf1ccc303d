"""How claims are served: one after the other, or those together that share an input."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from sprachbund.corpora.corpus import code_of
from sprachbund.queue import Claim
from sprachbund.work.payloads.base import Payload
from sprachbund.work.payloads.star import Starred
from sprachbund_runners.jobs.context import Context, Outcome

P = TypeVar("P", bound=Payload)


def named(claims: Sequence[Claim[Any]]) -> str:
    """Claims that are served together, for a bar: the first, and how many more there are."""
    more = len(claims) - 1
    return claims[0].label if not more else f"{claims[0].label} and {more} more"


def one_by_one(
    claims: Sequence[Claim[P]], context: Context, serve: Callable[[Claim[P]], Outcome], label: str | None = None
) -> Iterator[Outcome]:
    """The outcome of every claim, stored before the next begins; with a label, a bar shows how many are done."""
    step = (lambda _: None) if label is None else context.progress.start(label, len(claims))
    for claim in claims:
        context.check_stop()
        yield serve(claim)
        step(1)


def together(claims: Sequence[Claim[P]], shared: Callable[[P], Any]) -> list[list[Claim[P]]]:
    """Claims grouped by what `shared` takes from their payloads, compared by ==; groups and claims in their order."""
    groups: list[tuple[Any, list[Claim[P]]]] = []
    for claim in claims:
        asked = shared(claim.payload)
        for known, members in groups:
            if known == asked:
                members.append(claim)
                break
        else:
            groups.append((asked, [claim]))
    return [members for _, members in groups]


def cells(payload: Starred) -> int:
    """Pairs times layers of a star: what its progress is counted in."""
    return len(payload.pairs) * len(payload.layers)


def tensor_prefix(number: int, layer: str, measure: str) -> str:
    """Where a star's file has the outcomes of its pair of this number."""
    return f"{number}/{layer}/{measure}"


def numbered(payload: Starred) -> dict[tuple[str, str], int]:
    """The number of each pair in its star, by its sides' languages."""
    return {(code_of(pair.first), code_of(pair.second)): number for number, pair in enumerate(payload.pairs)}
