"""Directions of languages in activations: found from pooled responses, made into edits of whole vectors.

Arrays in, numbers out, for one site of one block. A method is one module and one line in
`sprachbund.catalogue.directions`. Formulas and sources: docs/methods.md.
"""

from collections.abc import Callable, Mapping, Sequence
from pkgutil import resolve_name

import numpy as np
from numpy.typing import NDArray

from sprachbund.catalogue.directions import DIRECTIONS, edits_along
from sprachbund.catalogue.edits import EDITS
from sprachbund.errors import ModelError, nearest
from sprachbund_runners.directions.responses import Responses
from sprachbund_runners.directions.subspace import Subspace
from sprachbund_runners.interventions.low_rank import LowRank

__all__ = ["Subspace", "edit_of", "find", "random_like"]


def find(
    method: str,
    target: NDArray[np.floating],
    others: Mapping[str, NDArray[np.floating]],
    rank: int | None = None,
) -> Subspace:
    """The direction, or directions, that `method` finds in pooled responses of one site in one block.

    target [n, d]: one row per sentence of the target language; others: language to [m, d]. `leace` and
    `language_means` treat all languages alike, so that for them any may be the target. rank, how many directions, is
    for `pca` (default 1) and `language_means` (default: as many as the means span).

    Raises ModelError for an unknown method, a rank where there is none to choose or above what there is, responses
    that do not fit each other, are not finite or too few, and languages that do not differ.
    """
    responses = Responses.of(target, others)
    if method not in DIRECTIONS:
        raise ModelError(
            f"direction '{method}' is not known; expected {', '.join(DIRECTIONS)}{nearest(method, DIRECTIONS)}"
        )
    rule = DIRECTIONS[method]
    function: Callable[..., Subspace] = resolve_name(rule.function)
    if rule.ranked:
        if rank is not None and rank < 1:
            raise ModelError(f"direction '{method}': rank is {rank}, expected at least 1")
        return function(responses, rank)
    if rank is not None:
        ranked = ", ".join(name for name, each in DIRECTIONS.items() if each.ranked)
        raise ModelError(f"direction '{method}' has no rank to choose; rank goes with {ranked}")
    return function(responses)


def edit_of(found: Subspace, edit: str, strength: float, site: str, block: int, tokens: str = "all") -> LowRank:
    """The edit that a direction gives at this site.

    `add`: h' = h + strength·shift, any finite strength. `project_out`: h' = h − strength·U·Vᵀ·(h − mean), strength in
    [0, 1]. Raises ModelError for an edit that the method does not have and for other strengths.
    """
    known = edits_along(found.method)
    if edit not in known:
        raise ModelError(f"edit '{edit}' does not go with direction '{found.method}'; use {', '.join(known)}")
    u, v, c = (each.astype(np.float32) for each in resolve_name(EDITS[edit].function)(found, strength))
    return LowRank(site, block, u, v, c, tokens)


def random_like(found: Subspace, seed: int | Sequence[int]) -> Subspace:
    """A control: directions drawn uniformly, as many, about the same mean, and a shift along the first, as long.

    The draw is numpy's PCG64 from the seed. Its projection is orthogonal, also for `leace`.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    drawn, triangle = np.linalg.qr(generator.standard_normal((found.width, found.rank)))
    # Without this the signs would be those of the factorisation, not of the draw.
    basis = drawn * np.sign(np.diagonal(triangle))
    shift = None if found.shift is None else float(np.linalg.norm(found.shift)) * basis[:, 0]
    return Subspace(found.method, basis, basis, found.mean, shift, None)
