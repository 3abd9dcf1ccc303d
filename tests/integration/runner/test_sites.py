"""A scorer's site apart from the edited ones, from a spec to edits (LAPE as its paper has it)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.files.tensors import load_tensors
from sprachbund.progress import Silent
from sprachbund.workspace import Workspace
from sprachbund_runners.jobs.context import Context
from sprachbund_runners.jobs.fit.expert_set import find_ranking
from sprachbund_runners.jobs.fit.intervention import find_edits

Make = Callable[..., dict[str, Any]]
K = 6


@pytest.mark.parametrize("row", [{"scorers": "lape"}, {"scorers": "auroc", "edit": "linear_act", "fit": "incremental"}])
def test_units_are_edited_at_the_site_in_place_of_the_scored_one(
    space: Workspace, experiment: Make, row: dict[str, Any]
) -> None:
    """mlp.up of Bloom is what the activation function is applied to, mlp.hidden what comes out of it."""
    apart = {"score_sites": "mlp.up", "edit_sites": "mlp.hidden"}
    spec = experiment(
        languages=["eng_Latn", "deu_Latn"],
        embeddings={"layers": [1]},
        choose=None,
        experts={"sites": ["mlp.down"]},
        interventions=["none", {"method": "experts", "k": K, "controls": ["profile x1"], **row, **apart}],
    )
    del spec["corpora"]["select"]
    space.submit(spec)
    tally = space.run(max_tokens=256)
    assert tally.failed == 0, tally.errors
    context = Context(space.engine, space.store, Silent())
    with reading(space.engine) as connection:
        interventions = connection.execute(select(t.Intervention).where(t.Intervention.method != "none")).all()
        (experts,) = connection.execute(select(t.ExpertSet).where(t.ExpertSet.target == "eng_Latn")).all()
        hidden = next(
            each
            for each in connection.execute(
                select(t.UnitStatistics.sites, t.UnitStatistics.responses_id)
                .join(t.CorpusText, t.CorpusText.id == t.UnitStatistics.corpus_text_id)
                .where(t.CorpusText.language == "eng_Latn")
            )
            if each.sites == ["mlp.hidden"]
        )
        responses = load_tensors(context.artifact(connection, hidden.responses_id))
    assert experts.sites == ["mlp.up"]
    assert {(each.score_site, each.edit_site) for each in interventions} == {("mlp.up", "mlp.hidden")}
    ranking = find_ranking(context, experts.key)
    assert {site for _, site, _ in ranking.axis} == {"mlp.up"}
    places = np.concatenate([[(block, unit) for unit in range(width)] for block, _, width in ranking.axis])
    wanted = {tuple(map(int, places[place])) for place in ranking.order[:K]}
    for each in interventions:
        (edits,) = find_edits(context, each.key).values()
        assert {edit.site for edit in edits} == {"mlp.hidden"}
        found = {(edit.block, int(unit)) for edit in edits for unit in edit.unit}
        assert len(found) == K
        if each.control is None:
            assert found == wanted
        else:
            assert not found & wanted
        if "edit" not in row:
            for edit in edits:
                expected = responses[f"{edit.block}.mlp.hidden"].mean(axis=0, dtype=np.float64)[edit.unit]
                np.testing.assert_allclose(edit.b, expected, rtol=1e-6)
