"""Geometry of spaces, on request: likeness of two, use of directions, hubs, and how far languages can be told."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator

from sprachbund.fields import Among, as_list
from sprachbund.measures.base import SUNDAR, Measure, Metric
from sprachbund.measures.requested import Request, Requested
from sprachbund.work.plan import Want

_LEVELS = (5, 25, 50, 75, 95)


def _quantiles(name: str, of: str) -> tuple[Metric, ...]:
    return tuple(
        Metric(
            f"{name}_q{level:02d}", "cosine distance", "none", 0.0, 2.0, "none",
            f"{level} % quantile of {of}", f"{SUNDAR}, distributions of distances",
        )
        for level in _LEVELS
    )  # fmt: skip


METRICS: tuple[Metric, ...] = (
    Metric(
        "cka", "share", "none", 0.0, 1.0, "none",
        "linear centred kernel alignment of translations; grows by itself with width / items: read cka_debiased",
        "Kornblith et al., ICML 2019",
    ),
    Metric(
        "cka_debiased", "share", "none", None, 1.0, "none",
        "linear CKA with the unbiased estimate of HSIC: 0 in expectation for unrelated sides, may be below",
        "Song et al., JMLR 2012",
    ),
    Metric(
        "mutual_knn", "share", "higher", 0.0, 1.0, "bootstrap",
        "share of an item's 10 nearest items in its language that are its translation's nearest as well",
        "Huh et al., ICML 2024",
    ),
    Metric(
        "procrustes_residual", "share", "lower", 0.0, 1.0, "none",
        "share of the variance left by the best shift, scaling and rotation of one side onto the other; small by "
        "itself with few items for the width",
        "Gower 1975, standardised",
    ),
    Metric(
        "isoscore", "share", "none", 0.0, 1.0, "none",
        "1 if the variance is the same in every direction, 0 if one direction has all; depends on the number of items "
        "where it is below the width",
        "Rudman et al., Findings of ACL 2022",
    ),
    Metric(
        "effective_rank", "directions", "none", 1.0, None, "none",
        "exp of the entropy of the normalised singular values of the centred embeddings",
        "Roy & Vetterli, EUSIPCO 2007",
    ),
    Metric(
        "hubness", "skewness", "lower", None, None, "none",
        "skewness of how often an item is among the 10 nearest of the others; of a language, or of all together",
        "Radovanović et al., JMLR 2010",
    ),
    Metric(
        "language_silhouette", "silhouette", "lower", -1.0, 1.0, "none",
        "mean silhouette with languages as clusters, by cosine distance: 0 or less if languages cannot be told",
        "Rousseeuw 1987",
    ),
    Metric(
        "language_probe", "share", "lower", 0.0, 1.0, "bootstrap",
        "share of sentences whose language a logistic probe tells that has not seen their item or document; chance is "
        "1 / languages",
        "linear probe, split by item or document",
    ),
    *_quantiles("centroid_distance", "the distances of all pairs of language means"),
    *_quantiles("paired_distance", "the distances of all translations, all pairs of languages together"),
)  # fmt: skip

MEASURES: tuple[Measure, ...] = (
    Measure("cka", 1, "pair", False, ("cka", "cka_debiased"), "linear CKA of two languages", optional=True),
    Measure("mutual_knn", 3, "pair", False, ("mutual_knn",), "do translations have the same nearest", optional=True),
    Measure("procrustes", 1, "pair", False, ("procrustes_residual",), "best rotation of two languages", optional=True),
    Measure(
        "isotropy", 1, "language", False, ("isoscore", "effective_rank"),
        "how evenly directions are used, of each language and of all together", optional=True,
    ),
    Measure("hubness", 2, "language", False, ("hubness",), "how unevenly items are others' nearest", optional=True),
    Measure(
        "silhouette", 2, "space", False, ("language_silhouette",),
        "are languages clusters, of all together and of each", optional=True,
    ),
    Measure(
        "language_probe", 2, "space", False, ("language_probe",),
        "can a linear probe tell the language, of all together and of each", optional=True,
    ),
    Measure(
        "distance_quantiles", 2, "space", False,
        tuple(f"{name}_q{level:02d}" for name in ("centroid_distance", "paired_distance") for level in _LEVELS),
        "distributions behind the study's Table 1", optional=True,
    ),
)  # fmt: skip


_BY_NAME = {measure.name: measure for measure in MEASURES}
GEOMETRY = tuple(_BY_NAME)


def as_geometry(value: Any) -> Any:
    """`true` stands for all measures, `false` for none."""
    if isinstance(value, bool):
        return list(GEOMETRY) if value else []
    return as_list(value)


def geometry_wants(requested: Requested, names: Sequence[str]) -> Iterator[Want]:
    """A want each: one measure more leaves the results of the others as they are."""
    for name in sorted(set(names)):
        yield requested.want_of_vectors(_BY_NAME[name])


REQUEST = Request(
    "geometry", Annotated[list[Annotated[str, Among(GEOMETRY)]], BeforeValidator(as_geometry)], [], geometry_wants
)
