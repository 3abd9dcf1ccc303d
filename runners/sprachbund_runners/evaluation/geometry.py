"""Geometry of embedding spaces: how alike two are, and how many directions one uses.

Of a pair with aligned items (row i of x is the translation of row i of y):
    linear CKA (Kornblith et al., 2019), biased and debiased (Song et al., 2012; the bias grows with width / items)
    Procrustes residual: what is left of one side after the best shift, scaling and rotation of the other
Of one space:
    IsoScore (Rudman et al., 2022): 1 if the variance is the same in every direction, 0 if all of it is in one
    effective rank (Roy & Vetterli, 2007): exp of the entropy of the normalised singular values
Of labelled items:
    silhouette (Rousseeuw, 1987) by cosine distance
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund.embeddings.checked import checked_embeddings
from sprachbund.errors import ModelError


@dataclass(frozen=True, slots=True)
class CentredSpace:
    """One side's embeddings less their mean, with what every comparison of it needs.

    rows: float64 [n, d]. lengths: float64 [n], squared length of each row. norm: sum of `lengths`.
    self_product: ‖XᵀX‖² (Frobenius).
    """

    rows: NDArray[np.float64]
    lengths: NDArray[np.float64]
    norm: float
    self_product: float


def centred_space(embeddings: NDArray[Any], name: str = "embeddings") -> CentredSpace:
    """Prepare `embeddings` [n, d] for `linear_cka` and `procrustes_residual`; raises ModelError if unusable."""
    rows = checked_embeddings(embeddings, name).astype(np.float64)
    if not np.isfinite(rows).all():
        raise ModelError(f"{name}: holds NaN or infinity")
    rows = rows - rows.mean(axis=0)
    lengths = np.vecdot(rows, rows)
    return CentredSpace(rows, lengths, float(lengths.sum()), _cross_product(rows, rows))


@dataclass(frozen=True, slots=True)
class Cka:
    """Linear CKA. biased: in [0, 1]. debiased: 0 in expectation for unrelated sides, may be below; NaN if n < 4 or
    either side's own term is not positive."""

    biased: float
    debiased: float


def linear_cka(x: CentredSpace, y: CentredSpace) -> Cka:
    """Linear CKA of two sides with aligned rows; widths may differ. NaN for a side that does not vary.

    Raises ValueError if the sides differ in length.
    """
    n = _same_length(x, y)
    cross = _cross_product(x.rows, y.rows)
    scale = np.sqrt(x.self_product) * np.sqrt(y.self_product)
    biased = cross / scale if scale > 0 else float("nan")
    if n < 4:
        return Cka(biased, float("nan"))
    own_x, own_y = _debiased(x.self_product, x, x), _debiased(y.self_product, y, y)
    if own_x <= 0 or own_y <= 0:
        return Cka(biased, float("nan"))
    return Cka(biased, _debiased(cross, x, y) / (np.sqrt(own_x) * np.sqrt(own_y)))


def procrustes_residual(x: CentredSpace, y: CentredSpace) -> float:
    """Share of one side's variance that the best shift, scaling and rotation of the other leaves, in [0, 1].

    Symmetric. Small by itself where there are few items for the width. NaN for a side that does not vary.

    Raises ValueError if the sides differ in length.
    """
    _same_length(x, y)
    if x.norm == 0 or y.norm == 0:
        return float("nan")
    # Singular values of XᵀY; with fewer rows than columns those of R_x R_yᵀ from the QR of the transposes.
    if len(x.rows) < min(x.rows.shape[1], y.rows.shape[1]):
        product = _triangle(x.rows) @ _triangle(y.rows).T
    else:
        product = x.rows.T @ y.rows
    nuclear = float(np.linalg.svd(product, compute_uv=False).sum())
    return max(0.0, 1.0 - nuclear**2 / (x.norm * y.norm))


def spectrum(space: CentredSpace) -> NDArray[np.float64]:
    """float64 [d]: variance along each principal direction, the largest first; zeros where items do not reach."""
    n, width = space.rows.shape
    small = space.rows @ space.rows.T if n < width else space.rows.T @ space.rows
    values = np.clip(np.linalg.eigvalsh(small)[::-1], 0.0, None) / n
    # What is under rounding of the largest is no direction.
    values[values < values[0] * len(values) * np.finfo(np.float64).eps] = 0.0
    return np.concatenate([values, np.zeros(width - len(values))])


def isoscore(variances: NDArray[np.float64]) -> float:
    """IsoScore from the variances along the principal directions [d]; NaN if d < 2 or nothing varies.

    Fewer items than dimensions leave directions without variance: compare at the same number of items only.
    """
    width = len(variances)
    length = float(np.linalg.norm(variances))
    if width < 2 or length == 0:
        return float("nan")
    normalised = np.sqrt(width) * variances / length
    defect = np.linalg.norm(normalised - 1.0) / np.sqrt(2.0 * (width - np.sqrt(width)))
    share = (width - defect**2 * (width - np.sqrt(width))) ** 2 / width**2
    return float(np.clip((width * share - 1.0) / (width - 1.0), 0.0, 1.0))


def effective_rank(variances: NDArray[np.float64]) -> float:
    """Between 1 and the number of directions that vary; NaN if none does."""
    values = np.sqrt(variances[variances > 0])
    if not len(values):
        return float("nan")
    shares = values / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def silhouettes(unit: NDArray[Any], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64 [n] in [-1, 1]: (b − a) / max(a, b) by cosine distance, exact without any matrix of all pairs.

    unit: [n, d] vectors of length one. labels: int64 [n] from 0. a: mean distance to the own label's other items,
    b: to the items of the nearest other label. 0 for an item alone with its label.

    Raises ValueError unless there are at least two labels.
    """
    sizes = np.bincount(labels)
    if len(sizes) < 2 or (sizes == 0).any():
        raise ValueError(f"silhouette: expected at least two labels, numbered from 0, found sizes {sizes.tolist()}")
    sums = np.zeros((len(sizes), unit.shape[1]))
    np.add.at(sums, labels, unit.astype(np.float64))
    # The mean distance to a set of unit vectors is 1 less the product with their mean.
    dots = unit.astype(np.float64) @ sums.T
    rows = np.arange(len(unit))
    own = sizes[labels]
    to_own = (own - dots[rows, labels]) / np.maximum(own - 1, 1)
    to_others = 1.0 - dots / sizes
    to_others[rows, labels] = np.inf
    nearest = to_others.min(axis=1)
    largest = np.maximum(np.maximum(to_own, nearest), np.finfo(np.float64).tiny)
    return np.where(own > 1, np.clip((nearest - to_own) / largest, -1.0, 1.0), 0.0)


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    """`q05` … `q95` of `values` (linear interpolation); NaN of none."""
    if not len(values):
        return {quantile_name(level): float("nan") for level in QUANTILES}
    found = np.quantile(values, QUANTILES)
    return {quantile_name(level): float(value) for level, value in zip(QUANTILES, found, strict=True)}


def quantile_name(level: float) -> str:
    """`q05` for 0.05."""
    return f"q{round(100 * level):02d}"


def _triangle(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [n, n]: R of rowsᵀ = Q R."""
    found: NDArray[np.float64] = np.asarray(np.linalg.qr(rows.T, mode="r"))
    return found


def _same_length(x: CentredSpace, y: CentredSpace) -> int:
    if len(x.rows) != len(y.rows):
        raise ValueError(f"geometry: expected as many items on both sides, found {len(x.rows)} and {len(y.rows)}")
    return len(x.rows)


def _cross_product(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """‖XᵀY‖² (Frobenius): over features or, where there are fewer items than features, over items."""
    if len(x) < min(x.shape[1], y.shape[1]):
        return float(np.vdot(x @ x.T, y @ y.T))
    return float(np.square(x.T @ y).sum())


def _debiased(product: float, x: CentredSpace, y: CentredSpace) -> float:
    """The unbiased HSIC estimate times n (n − 3), for centred rows: diagonal terms taken out."""
    n = len(x.rows)
    return product - n / (n - 2) * float(x.lengths @ y.lengths) + x.norm * y.norm / ((n - 1) * (n - 2))
