"""Word classes of parallel treebanks, from a model nobody tuned for them: `make acceptance`."""

from pathlib import Path

import polars as pl
import pytest

from sprachbund import workspace

LANGUAGES = ("de", "en", "es", "fr", "ja")


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_word_classes_are_told_in_every_language(shared: Path, tmp_path: Path) -> None:
    """One of the languages has no spaces, and the model has read none of this text."""
    files = {code: str(shared / f"data/ud/pud/{code}_pud-ud-test.conllu") for code in LANGUAGES}
    experiment = {
        "name": "pud",
        "models": {"path": str(shared / "models/bible-bloom"), "name": "bible-bloom"},
        "corpora": {"test": {"name": "pud", "files": files, "limit": 60}},
        "interventions": ["none"],
        "embeddings": {"layers": [0, 3]},
        "evaluations": {"probes": [{"label": "upos", "level": "word", "folds": 2, "seeds": 1}]},
    }
    with workspace.init(tmp_path) as space:
        space.submit(experiment)
        tally = space.run()
        assert tally.failed == 0, tally.errors
        found = space.query("select * from probe_results where query_language is not null")
        wide = found.pivot("metric", index=["layer", "query_language"], values="value")
        print(wide)
        assert wide.height == 2 * len(LANGUAGES)
        assert (wide["probe_accuracy"] > wide["probe_majority"] + 0.2).all()
        assert (wide.filter(pl.col("layer") == "3")["probe_accuracy"] > 0.6).all()
