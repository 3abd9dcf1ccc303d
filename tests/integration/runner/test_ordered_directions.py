"""Directions fitted block by block with the earlier ones on, against a loop that embeds the fit text anew each time."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sqlalchemy import select

import sprachbund
from sprachbund import workspace
from sprachbund.corpora import phrasebook
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.errors import SpecError
from sprachbund.progress import Silent
from sprachbund.vocabulary import SITES
from sprachbund.workspace import Workspace
from sprachbund_runners.directions import edit_of, find, random_like
from sprachbund_runners.interventions.low_rank import LowRank
from sprachbund_runners.jobs.context import Context
from sprachbund_runners.jobs.fit.intervention import find_edits
from sprachbund_runners.models.embed import embed
from sprachbund_runners.models.loading import LoadedModel, load

LANGUAGES = ("deu_Latn", "eng_Latn", "fra_Latn")
BLOCKS = (1, 2, 4)
N_FIT = 40
LEACE = {"method": "direction", "direction": "leace", "blocks": list(BLOCKS)}
MOVED = {"method": "direction", "direction": "diff_mean", "source": "input", "blocks": list(BLOCKS)}


def spec(*rows: Any) -> dict[str, Any]:
    return {
        "name": "ordered",
        "models": "phrasebook-bloom",
        "corpora": {
            "fit": {"builtin": "phrasebook", "split": "fit", "limit": N_FIT},
            "test": {"builtin": "phrasebook", "split": "test", "limit": 12},
        },
        "languages": list(LANGUAGES),
        "targets": "eng_Latn",
        "experts": {"negatives": list(LANGUAGES)},
        "interventions": ["none", *rows],
        "embeddings": {"layers": [4]},
        "statistics": {"resamples": 100},
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SPRACHBUND_DATABASE_URL", raising=False)
        with workspace.init(tmp_path_factory.mktemp("ordered")) as space:
            in_order = {**LEACE, "fit": "incremental", "controls": ["uniform x1"]}
            space.submit(spec(LEACE, in_order, {**MOVED, "fit": "incremental", "strength": 0.5}))
            tally = space.run()
            assert tally.failed == 0, tally.errors
            yield space


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load(Path(sprachbund.__file__).parent / "builtin" / "phrasebook-bloom")


def stored(space: Workspace, label: str) -> Mapping[str, Sequence[LowRank]]:
    with reading(space.engine) as connection:
        key = connection.execute(
            select(t.Intervention.key)
            .join(t.Setting, t.Setting.intervention_id == t.Intervention.id)
            .join(t.ExperimentSetting, t.ExperimentSetting.setting_id == t.Setting.id)
            .where(t.ExperimentSetting.label == label)
        ).scalar_one()
    return find_edits(Context(space.engine, space.store, Silent()), key)  # type: ignore[return-value]


def embedded(model: LoadedModel, block: int, edits: Sequence[LowRank]) -> dict[str, NDArray[np.float32]]:
    """The fit text's mean at a block's end, by language, with these edits on."""
    texts = {language: [text for _, text, _ in phrasebook.sentences("fit", language, N_FIT)] for language in LANGUAGES}
    return {
        language: embed(model, texts[language], [str(block)], intervention=edits)[str(block)] for language in LANGUAGES
    }


def same(found: LowRank, expected: LowRank) -> None:
    assert (found.site, found.block, found.rank) == (expected.site, expected.block, expected.rank)
    # The factors may differ by a rotation: what is one is the map.
    np.testing.assert_allclose(found.u @ found.v.T, expected.u @ expected.v.T, atol=2e-3)
    np.testing.assert_allclose(found.c, expected.c, atol=2e-3)


def test_every_block_is_fitted_with_the_earlier_ones_on(done: Workspace, model: LoadedModel) -> None:
    found = stored(done, "leace project_out incremental blocks 1,2,4")["*"]
    loop: list[LowRank] = []
    for block in BLOCKS:
        first, *others = (rows := embedded(model, block, loop))
        direction = find("leace", rows[first], {each: rows[each] for each in others})
        loop.append(edit_of(direction, "project_out", 1.0, "block", block))
    for one, other in zip(found, loop, strict=True):
        same(one, other)
    at_once = stored(done, "leace project_out blocks 1,2,4")["*"]
    same(found[0], at_once[0])
    assert np.abs(found[1].u @ found[1].v.T - at_once[1].u @ at_once[1].v.T).max() > 0.02


def test_each_language_is_moved_by_a_chain_of_its_own(done: Workspace, model: LoadedModel) -> None:
    found = stored(done, "diff_mean eng_Latn strength=0.5 from each language incremental blocks 1,2,4")
    assert set(found) == {"deu_Latn", "fra_Latn"}
    for language, edits in found.items():
        for number, block in enumerate(BLOCKS):
            rows = embedded(model, block, edits[:number])
            shift = rows["eng_Latn"].mean(axis=0) - rows[language].mean(axis=0)
            np.testing.assert_allclose(edits[number].c, shift / 2, atol=1e-4)


def test_a_control_is_drawn_about_the_means_that_it_leaves_itself(done: Workspace, model: LoadedModel) -> None:
    found = stored(done, "random:uniform seed=0 of leace project_out incremental blocks 1,2,4")["*"]
    for number, (edit, block) in enumerate(zip(found, BLOCKS, strict=True)):
        rows = embedded(model, block, found[:number])
        first, *others = rows
        direction = find("leace", rows[first], {each: rows[each] for each in others})
        drawn = random_like(direction, [0, 0, 0, block, SITES.index("block")])
        same(edit, edit_of(drawn, "project_out", 1.0, "block", block))


def loss(model: LoadedModel, block: int, edits: Sequence[LowRank]) -> float:
    """Of a logistic probe for the language, hardly penalised, on the text it is fitted on, in units of chance's."""
    rows = embedded(model, block, edits)
    values = np.concatenate(list(rows.values())).astype(np.float64)
    labels = np.repeat(LANGUAGES, N_FIT)
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    fitted = LogisticRegression(C=10.0, max_iter=2000).fit(values, labels)
    return float(log_loss(labels, fitted.predict_proba(values)) / np.log(len(LANGUAGES)))


def test_no_linear_probe_tells_a_language_where_it_was_erased(done: Workspace, model: LoadedModel) -> None:
    """LEACE's guarantee on the fit text: at every edited block if fitted in order, at the first one alone if not."""
    in_order = stored(done, "leace project_out incremental blocks 1,2,4")["*"]
    at_once = stored(done, "leace project_out blocks 1,2,4")["*"]
    for block in BLOCKS:
        assert loss(model, block, in_order) == pytest.approx(1.0, abs=1e-3)
    assert loss(model, 1, at_once) == pytest.approx(1.0, abs=1e-3)
    assert loss(model, 2, at_once) < 0.5
    # Blocks in between write the language anew.
    assert loss(model, 3, in_order) < 0.5


def test_one_place_is_refused(done: Workspace) -> None:
    with pytest.raises(SpecError, match=r"changes nothing where one place alone is edited \(block of block 3\)"):
        done.submit(spec({"method": "direction", "fit": "incremental"}))
