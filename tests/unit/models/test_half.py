"""Half precision against float32: by how much a pass may differ, in roundings of one number.

The largest difference over the root mean square of what is compared. Measured at half of these bounds or less.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sprachbund_runners.interventions.edits import UnitAffine
from sprachbund_runners.interventions.low_rank import Edit, LowRank
from sprachbund_runners.language_modelling.scoring import likelihoods
from sprachbund_runners.models.embed import embed
from sprachbund_runners.models.loading import LoadedModel, load
from sprachbund_runners.models.respond import Request, respond

ROUNDING = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
EMBEDDING, RESPONSE, LIKELIHOOD = 24, 50, 2
SITES = ["mlp.down", "attn.out", "block"]

Load = Callable[..., LoadedModel]


@pytest.fixture(scope="module")
def typed(model_folder: Callable[[str], Path]) -> Load:
    known: dict[tuple[str, str, bool], LoadedModel] = {}

    def get(family: str, dtype: str, head: bool = False) -> LoadedModel:
        if (family, dtype, head) not in known:
            known[family, dtype, head] = load(model_folder(family), dtype=dtype, head=head)
        return known[family, dtype, head]

    return get


def edits() -> list[Edit]:
    unit, one = np.arange(5), np.ones(5, dtype=np.float32)
    endless = np.inf * one
    drawn = np.random.default_rng(0)
    u, v = (drawn.standard_normal((16, 2)).astype(np.float32) / 4 for _ in "uv")
    return [
        UnitAffine("mlp.down", 1, unit, 0 * one, 0.3 * one, -endless, endless, tokens="all"),
        UnitAffine("attn.out", 2, unit, 1.5 * one, 0.1 * one, -endless, endless, tokens="content"),
        LowRank("block", 2, u, v, drawn.standard_normal(16).astype(np.float32), tokens="content"),
    ]


def assert_near(found: np.ndarray, expected: np.ndarray, dtype: str, bound: float) -> None:
    assert found.dtype == expected.dtype
    roundings = np.abs(found - expected).max() / np.sqrt(np.mean(expected**2)) / ROUNDING[dtype]
    assert 0 < roundings < bound


@pytest.mark.parametrize("changed", [[], edits()], ids=["plain", "steered"])
@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("family", ["bloom", "llama", "xlm-roberta"])
def test_embeddings(typed: Load, texts: list[str], family: str, dtype: str, changed: list[Edit]) -> None:
    whole, half = typed(family, "float32"), typed(family, dtype)
    layers = whole.architecture.layers
    expected, found = (embed(each, texts, layers, "mean", "content", changed) for each in (whole, half))
    for layer in layers[1:]:
        assert_near(found[layer], expected[layer], dtype, EMBEDDING)
        # Pooled in float32: a mean has more digits than what it is of.
        narrow = torch.from_numpy(found[layer]).to(half.dtype).float().numpy()
        assert (narrow != found[layer]).any()


def responses(loaded: LoadedModel, texts: list[str], changed: list[Edit]) -> dict[tuple[str, int, str], np.ndarray]:
    """(pooling, block, site) → responses [n, width]."""
    found: dict[tuple[str, int, str], np.ndarray] = {}

    def request(pooling: str) -> Request:
        def sink(block: int, site: str, rows: np.ndarray, values: np.ndarray) -> None:
            whole = found.setdefault((pooling, block, site), np.full((len(texts), values.shape[1]), np.nan, np.float32))
            whole[rows] = values

        return Request(SITES, pooling, "content", sink)

    respond(loaded, texts, [request("max"), request("mean")], changed)
    return found


@pytest.mark.parametrize("changed", [[], edits()], ids=["plain", "steered"])
@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("family", ["bloom", "llama", "xlm-roberta"])
def test_responses(typed: Load, texts: list[str], family: str, dtype: str, changed: list[Edit]) -> None:
    expected, found = (responses(typed(family, each), texts, changed) for each in ("float32", dtype))
    assert found.keys() == expected.keys()
    for place, values in found.items():
        assert_near(values, expected[place], dtype, RESPONSE)


@pytest.mark.parametrize("changed", [[], edits()], ids=["plain", "steered"])
@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("family", ["bloom", "llama"])
def test_likelihoods(typed: Load, family: str, dtype: str, changed: list[Edit]) -> None:
    drawn = np.random.default_rng(2)
    documents = [np.array([1, *drawn.integers(3, 44, size=n)]) for n in (1, 7, 25, 12)]
    expected, found = (
        likelihoods(typed(family, each, head=True), documents, window=8, stride=3, edits=changed).nats
        for each in ("float32", dtype)
    )
    assert_near(found, expected, dtype, LIKELIHOOD)
