"""Ranks by cosine alone, as tests of retrieval ask for them."""

from typing import Any

from sprachbund_runners.evaluation.retrieval import RetrievalPair, survey
from sprachbund_runners.evaluation.similarity import UnitVectors


def retrieve(x: UnitVectors, y: UnitVectors, **options: Any) -> RetrievalPair:
    """Both directions of `survey`, without margins."""
    return survey(x, y, margins=(), **options).cosine
