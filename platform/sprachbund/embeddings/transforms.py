"""Post-hoc transforms of pooled embeddings: the baselines that an intervention has to beat.

They are fitted on one text and applied to another (fitted on the evaluated text itself they are transductive, and
the caller labels them so). Centring and whitening need to know each input's language, which single-target steering
does not; removing top principal components doesn't either.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sprachbund.embeddings.checked import checked_embeddings
from sprachbund.errors import ModelError, nearest


class Fitted(Protocol):
    """A transform that has seen its fit text."""

    @property
    def n_bytes(self) -> int:
        """Memory that it holds."""

    def apply(self, embeddings: NDArray[Any], language: str) -> NDArray[Any]:
        """`embeddings` [n, d] of a language, transformed: float32, or float64 if they were."""


def transformed(
    name: str, embeddings: Mapping[str, NDArray[Any]], fitted: Callable[[], Fitted]
) -> dict[str, NDArray[Any]]:
    """A setting's embeddings [n, d] per language with its transform: as they are where it is `none`.

    fitted: what `fit_transform` has of the fit text; not called where none is needed, since a transductive transform
    is fitted on the embeddings themselves.
    """
    if name == "none":
        return dict(embeddings)
    transform = fit_centring(embeddings) if name == "centring_transductive" else fitted()
    return {language: transform.apply(array, language) for language, array in embeddings.items()}


def fit_transform(name: str, embeddings: Mapping[str, NDArray[Any]], components: int | None = None) -> Fitted:
    """Fit `centring`, `whitening` or `top_pc_removal` on embeddings [n, d] per language.

    components: how many directions whitening keeps (None: all) or top_pc_removal removes.

    Raises ModelError as the fitters below, or for an unknown name.
    """
    if name == "centring":
        return fit_centring(embeddings)
    if name == "whitening":
        return fit_whitening(embeddings, components)
    if name == "top_pc_removal":
        return fit_top_pc_removal(embeddings, 1 if components is None else components)
    known = ("centring", "whitening", "top_pc_removal")
    raise ModelError(f"no transform '{name}', only {', '.join(known)}{nearest(name, known)}")


@dataclass(frozen=True, slots=True)
class Centring:
    """Takes each language's mean off its embeddings. means: language -> float64 [d]."""

    means: Mapping[str, NDArray[np.float64]]

    @property
    def n_bytes(self) -> int:
        return sum(mean.nbytes for mean in self.means.values())

    def apply(self, embeddings: NDArray[Any], language: str) -> NDArray[Any]:
        """`embeddings` [n, d] less the mean of `language`; float32, or float64 if they were.

        Raises ModelError if the language was not fitted or widths differ.
        """
        array = checked_embeddings(embeddings, language)
        mean = _fitted(self.means, language, array.shape[1])
        return (array.astype(np.float64) - mean).astype(array.dtype)


def fit_centring(embeddings: Mapping[str, NDArray[Any]]) -> Centring:
    """The mean embedding, in float64, of each language's embeddings [n, d].

    Raises ModelError if a language's embeddings are empty, hold NaN or infinity, or widths differ.
    """
    return Centring({language: _mean(array, language) for language, array in _same_width(embeddings).items()})


@dataclass(frozen=True, slots=True)
class Whitening:
    """Takes each language's mean off and gives what is left unit covariance: (h - mean) W, with W [d, rank].

    means: language -> float64 [d]. matrix: float64 [d, rank], the principal directions of the pooled covariance
    within languages, each divided by its standard deviation.
    """

    means: Mapping[str, NDArray[np.float64]]
    matrix: NDArray[np.float64]

    @property
    def n_bytes(self) -> int:
        return self.matrix.nbytes + sum(mean.nbytes for mean in self.means.values())

    def apply(self, embeddings: NDArray[Any], language: str) -> NDArray[Any]:
        """`embeddings` [n, d] whitened, [n, rank]; float32, or float64 if they were.

        Raises ModelError if the language was not fitted or widths differ.
        """
        array = checked_embeddings(embeddings, language)
        mean = _fitted(self.means, language, array.shape[1])
        return ((array.astype(np.float64) - mean) @ self.matrix).astype(array.dtype)


def fit_whitening(embeddings: Mapping[str, NDArray[Any]], rank: int | None = None) -> Whitening:
    """Whitening by the pooled covariance within languages (each item counts alike) of embeddings [n, d] each.

    rank: principal directions kept, the largest first (None: all). Fewer are kept where the data does not reach:
    directions whose variance is under 1e-10 of the largest are rounding.

    Raises ModelError as `fit_centring`, or if nothing varies; ValueError if rank < 1.
    """
    if rank is not None and rank < 1:
        raise ValueError(f"rank: expected at least 1, found {rank}")
    arrays = _same_width(embeddings)
    means = {language: _mean(array, language) for language, array in arrays.items()}
    width = len(next(iter(means.values())))
    scatter, n = np.zeros((width, width)), 0
    for language, array in arrays.items():
        centred = array.astype(np.float64) - means[language]
        scatter += centred.T @ centred
        n += len(array)
    variances, directions = np.linalg.eigh(scatter / n)
    variances, directions = variances[::-1], directions[:, ::-1]
    if not variances[0] > 0:
        raise ModelError("whitening: the embeddings do not vary within any language")
    kept = int(np.count_nonzero(variances > 1e-10 * variances[0]))
    kept = kept if rank is None else min(kept, rank)
    return Whitening(means, directions[:, :kept] / np.sqrt(variances[:kept]))


@dataclass(frozen=True, slots=True)
class TopPcRemoval:
    """Takes the common mean and the top principal components off every embedding, whatever its language.

    mean: float64 [d], over all items of all languages. directions: float64 [d, r], orthonormal.
    """

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]

    @property
    def n_bytes(self) -> int:
        return self.mean.nbytes + self.directions.nbytes

    def apply(self, embeddings: NDArray[Any], language: str) -> NDArray[Any]:
        """`embeddings` [n, d] without the removed directions; float32, or float64 if they were.

        Raises ModelError if widths differ.
        """
        array = checked_embeddings(embeddings, language)
        if array.shape[1] != len(self.mean):
            raise ModelError(f"{language}: embeddings of width {array.shape[1]}, but fitted on width {len(self.mean)}")
        centred = array.astype(np.float64) - self.mean
        return (centred - (centred @ self.directions) @ self.directions.T).astype(array.dtype)


def fit_top_pc_removal(embeddings: Mapping[str, NDArray[Any]], components: int) -> TopPcRemoval:
    """The mean and the top `components` principal directions of all languages' embeddings [n, d] together.

    Mu & Viswanath (ICLR 2018) for words; over several languages the top directions are mostly those that tell
    languages apart.

    Raises ModelError as `fit_centring`, or if nothing would be left; ValueError if components < 1.
    """
    if components < 1:
        raise ValueError(f"components: expected at least 1, found {components}")
    arrays = _same_width(embeddings)
    for language, array in arrays.items():
        _mean(array, language)
    stacked = np.concatenate(list(arrays.values())).astype(np.float64)
    mean = stacked.mean(axis=0)
    stacked -= mean
    if components >= min(stacked.shape):
        raise ModelError(
            f"top_pc_removal: {components} components of {len(stacked)} embeddings of width {stacked.shape[1]}"
            " leave nothing; remove fewer"
        )
    _, directions = np.linalg.eigh(stacked.T @ stacked)
    return TopPcRemoval(mean, directions[:, : -components - 1 : -1].copy())


def _mean(array: NDArray[Any], language: str) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = array.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise ModelError(f"{language}: the embeddings to fit on hold NaN or infinity")
    return mean


def _same_width(embeddings: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    if not embeddings:
        raise ModelError("a transform needs the embeddings of at least one language to fit on")
    arrays = {language: checked_embeddings(array, language) for language, array in embeddings.items()}
    widths = {array.shape[1] for array in arrays.values()}
    if len(widths) != 1:
        raise ModelError(f"embeddings of different widths {sorted(widths)} cannot be fitted together")
    return arrays


def _fitted(means: Mapping[str, NDArray[np.float64]], language: str, width: int) -> NDArray[np.float64]:
    if language not in means:
        raise ModelError(f"no mean was fitted for {language}, only for {', '.join(means)}{nearest(language, means)}")
    if len(means[language]) != width:
        raise ModelError(f"{language}: embeddings of width {width}, but fitted on width {len(means[language])}")
    return means[language]
