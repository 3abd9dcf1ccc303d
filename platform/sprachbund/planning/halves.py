"""Random halves of the fit text: settings fitted anew on each show how far their numbers depend on its sample."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund.corpora import Corpus
from sprachbund.errors import SpecError
from sprachbund.spec.experiment import Spec

# The role of a half; none that an experiment file names.
HALF = "half"
# Fewer have hardly two halves that differ.
FEWEST = 4


def fit_halves(spec: Spec, corpus: Corpus, source: Mapping[str, Any]) -> Iterator[tuple[Corpus, dict[str, Any]]]:
    """`statistics.fit_resamples` halves with their descriptions, the same items in every language.

    Groups stay whole where all items have one, unless items are drawn. Of an odd number the smaller half is taken,
    which errs on the side of a wider interval. Raises SpecError for fewer than `FEWEST` items (groups).
    """
    what, places = _units(corpus, spec.statistics.unit)
    n = int(places.max()) + 1
    if n < FEWEST:
        raise SpecError(
            f"statistics.fit_resamples: {corpus.name} (fit) has {n} {what}s; expected at least {FEWEST}, to draw halves"
        )
    for number in range(spec.statistics.fit_resamples):
        drawn = np.random.default_rng([spec.seed, number]).permutation(n)[: n // 2]
        rows = np.flatnonzero(np.isin(places, drawn))
        texts = {side: replace(text, frame=text.frame[rows]) for side, text in corpus.texts.items()}
        # What was selected of a corpus is part of its identity.
        selected = {**source.get("filter", {}), "(half)": f"{number} of {what}s, seed {spec.seed}"}
        yield replace(corpus, name=f"{corpus.name} half {number}", texts=texts), {**source, "filter": selected}


def _units(corpus: Corpus, unit: str | None) -> tuple[str, NDArray[np.int64]]:
    """What is drawn, and the number of each item's, int64 [items]."""
    groups = next(iter(corpus.texts.values())).groups
    if unit != "item" and None not in groups:
        return "group", np.unique([str(group) for group in groups], return_inverse=True)[1]
    return "item", np.arange(len(groups))
