"""How far embeddings depend on batches, edit by edit: what docs/conventions.md promises."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import sprachbund
from sprachbund.corpora import phrasebook
from sprachbund_runners.directions import edit_of, find
from sprachbund_runners.interventions import affine
from sprachbund_runners.interventions.affine import Affine
from sprachbund_runners.interventions.edits import edits_of
from sprachbund_runners.interventions.low_rank import Edit
from sprachbund_runners.models.batches import tokenise
from sprachbund_runners.models.embed import embed
from sprachbund_runners.models.loading import LoadedModel, load
from sprachbund_runners.models.respond import Request, respond

LANGUAGES = ("deu_Latn", "eng_Latn")
SITES = ("mlp.up", "mlp.down")
Rows = NDArray[np.float32]
# By language and place.
Fitted = dict[str, dict[tuple[int, str], Rows]]


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load(Path(sprachbund.__file__).parent / "builtin" / "phrasebook-bloom")


@pytest.fixture(scope="module")
def fitted(model: LoadedModel) -> Fitted:
    found: Fitted = {language: {} for language in LANGUAGES}
    for language in LANGUAGES:
        texts = [text for _, text, _ in phrasebook.sentences("fit", language, 40)]

        def sink(block: int, site: str, rows: NDArray[np.int64], values: Rows, language: str = language) -> None:
            place = found[language].setdefault((block, site), np.empty((40, values.shape[1]), np.float32))
            place[rows] = values

        respond(model, tokenise(model, texts), [Request([*SITES, "block"], "mean", "content", sink)])
    return found


def unit_edits(model: LoadedModel, fitted: Fitted, name: str) -> Sequence[Edit]:
    units = model.architecture.units(SITES)
    target, source = (
        np.concatenate([fitted[language][part.block, part.site] for part in units], axis=1)
        for language in ("eng_Latn", "deu_Latn")
    )
    moments = [each(rows.astype(np.float64), axis=0) for rows in (target, source) for each in (np.mean, np.var)]
    maps: dict[str, Affine] = {
        "set": affine.set_to(moments[0]),
        "scale": affine.dampened(target.shape[1], 0.5),
        "mean_act": affine.mean_act(moments[0], moments[2], 1.0),
        "gaussian_act": affine.gaussian_act(*moments, 1.0),
        "linear_act": affine.linear_act(target, source, 0.5),
    }
    flat = np.arange(0, target.shape[1], 10 if name == "set" else 1)
    return edits_of(units, flat, maps[name].take(flat))


def direction_edits(model: LoadedModel, fitted: Fitted, direction: str, edit: str) -> Sequence[Edit]:
    return [
        edit_of(find(direction, fitted["eng_Latn"][part.block, "block"],
                     {"deu_Latn": fitted["deu_Latn"][part.block, "block"]}), edit, 0.5, "block", part.block)
        for part in model.architecture.units(["block"])
    ]  # fmt: skip


def over_batch_sizes(model: LoadedModel, edits: Sequence[Edit]) -> NDArray[np.float64]:
    """The largest difference of each sentence's embedding at the end, relative where it is above 1."""
    texts = [text for _, text, _ in phrasebook.sentences("test", "deu_Latn", 60)]
    found = [
        embed(model, texts, ["final"], intervention=edits, max_tokens_per_batch=size)["final"]
        for size in (1, 200, 4096)
    ]
    differences = [np.abs(found[0] - each) / np.maximum(np.abs(found[0]), 1.0) for each in found[1:]]
    return np.max(differences, axis=(0, 2))


@pytest.mark.parametrize("name", ["set", "scale", "mean_act", "gaussian_act"])
def test_continuous_edits_of_units_agree_to_a_hundred_thousandth(model: LoadedModel, fitted: Fitted, name: str) -> None:
    assert over_batch_sizes(model, unit_edits(model, fitted, name)).max() < 1e-5


@pytest.mark.parametrize(("direction", "edit"), [("diff_mean", "add"), ("leace", "project_out")])
def test_directions_agree_to_a_hundred_thousandth(
    model: LoadedModel, fitted: Fitted, direction: str, edit: str
) -> None:
    assert over_batch_sizes(model, direction_edits(model, fitted, direction, edit)).max() < 1e-5


def test_an_edit_inside_bounds_agrees_but_for_a_few_sentences(model: LoadedModel, fitted: Fitted) -> None:
    """Every unit of two sites of six blocks is bounded, at every token."""
    differences = over_batch_sizes(model, unit_edits(model, fitted, "linear_act"))
    assert (differences > 1e-5).mean() <= 0.05
    assert differences.max() < 0.5


def test_what_lies_at_a_bound_falls_either_way(model: LoadedModel) -> None:
    """Every unit of a site has its bound where one pass puts one token: another pass finds some on the other side."""
    (part,) = model.architecture.units(["mlp.up"], [1])
    texts = [text for _, text, _ in phrasebook.sentences("test", "deu_Latn", 60)]
    seen = np.empty((60, part.width), np.float32)

    def sink(_block: int, _site: str, rows: NDArray[np.int64], values: Rows) -> None:
        seen[rows] = values

    request = Request(["mlp.up"], "mean", "last", sink, blocks=[1])
    respond(model, tokenise(model, texts), [request], max_tokens_per_batch=1)
    n = part.width
    bounded = Affine(*(np.full(n, each, np.float32) for each in (0.0, 0.0)), seen[0], np.full(n, np.inf, np.float32))
    edits = edits_of([part], np.arange(n), bounded)
    differences = over_batch_sizes(model, edits)
    assert differences[0] > 1e-4
    assert np.median(differences) < 1e-5
