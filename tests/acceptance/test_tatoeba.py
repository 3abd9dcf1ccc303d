"""The documented example on real text with a model nobody tuned for it: `make acceptance` (about 20 minutes)."""

import shutil
from pathlib import Path

import pytest

from sprachbund import workspace
from sprachbund.cli.compare import print_comparison
from sprachbund.cli.runs import work

METHODS = Path(__file__).parents[2] / "docs" / "examples" / "methods_tatoeba.yaml"
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "tatoeba.yaml"


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
def test_the_documented_example_runs_on_real_text(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(shared / "data" / "open")
    (tmp_path / "models").symlink_to(shared / "models")
    shutil.copy(EXAMPLE, tmp_path)
    with workspace.init(tmp_path) as space:
        submitted = space.submit(tmp_path / EXAMPLE.name)
        assert submitted.audit["overlap"]["fit+test"] == {"texts": 0, "groups": 0, "items": 0}
        work(space)
        print_comparison(space, "tatoeba")
        comparison = space.compare("tatoeba")
        assert not comparison.missing
        # What the folder's README measured on nearly the same text, tokens and pooling: Spanish with English.
        by_pair = space.compare("tatoeba", by=("setting", "pair")).rows
        none = by_pair.filter(
            (by_pair["setting"] == "none") & (by_pair["metric"] == "top1") & (by_pair["layer"] == "0")
        )
        spanish = none.filter(
            none["query_language"].is_in(["spa_Latn"]) | none["candidate_language"].is_in(["spa_Latn"])
        )
        assert spanish["value"].mean() == pytest.approx(0.15, abs=0.05)
        # Controls come as whole distributions of 20 seeds.
        assert set(
            space.query("select distinct n_controls as n from control_comparison where control like 'random:%'")["n"]
        ) == {20}


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
def test_the_methods_are_compared_on_real_text(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(shared / "data" / "open")
    (tmp_path / "models").symlink_to(shared / "models")
    shutil.copy(METHODS, tmp_path)
    with workspace.init(tmp_path) as space:
        space.submit(tmp_path / METHODS.name)
        work(space)
        print_comparison(space, "methods-tatoeba")
        assert not space.compare("methods-tatoeba").missing
        final = space.query(
            "select setting, delta, delta_ci_low, q from setting_comparison where experiment = 'methods-tatoeba'"
            " and metric = 'top1' and layer = 'final' and scope = 'all' and control is null and q is not null"
        )
        assert final.height == 17
        # Projecting out what tells languages apart gains, beyond rounding and beyond its interval.
        erased = final.filter(final["setting"].str.contains("project_out"))
        assert erased.height == 3
        assert (erased["delta_ci_low"] > 0).all()
