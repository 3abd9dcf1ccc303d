"""One corpus in two roles: each role has its rows, tests and families once."""

from collections.abc import Callable
from typing import Any

from sprachbund.workspace import Workspace

Make = Callable[..., dict[str, Any]]


def test_a_corpus_that_is_chosen_on_and_reported_has_every_row_once(space: Workspace, experiment: Make) -> None:
    spec = experiment(
        targets=["eng_Latn"],
        embeddings={"layers": ["final"]},
        statistics={"resamples": 100},
        interventions=["none", {"method": "experts", "k": [4, 8], "controls": ["profile x1"]}],
        allow_overlap=True,
    )
    space.submit({**spec, "corpora": {**spec["corpora"], "select": spec["corpora"]["test"]}})
    assert space.run(max_tokens=128).failed == 0
    pairs = "SELECT role, setting, q, family_size FROM retrieval_results WHERE experiment = 'tiny' AND metric = 'top1'"
    rows = space.query(f"{pairs} AND control IS NULL AND transform = 'none' AND method <> 'none'")
    assert rows.group_by("role", "setting").len()["len"].to_list() == [6] * 4
    assert rows.height == 24
    # Over two settings, one layer and six pairs, but for ties.
    for (_,), own in rows.group_by("role"):
        tested = own.drop_nulls("q")
        assert 0 < tested.height <= 12
        assert set(tested["family_size"]) == {tested.height}
    compared = space.query(
        "SELECT role, setting, q FROM setting_comparison WHERE experiment = 'tiny' AND metric = 'top1' "
        "AND scope = 'all' AND control IS NULL AND method <> 'none'"
    )
    assert compared.height == 4 and compared["q"].null_count() == 0
