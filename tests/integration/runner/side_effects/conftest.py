"""A spec with every side effect, and what it came to, measured once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sprachbund import workspace
from sprachbund.workspace import Workspace
from support.written import text_of, work


@pytest.fixture(scope="session")
def asked(word_corpus: Path) -> dict[str, Any]:
    text = text_of(word_corpus)
    return {
        "generation": {"samples": 12, "seeds": 3, "max_new_tokens": 8, "identify": ["eng", "deu", "fra"]},
        "perplexity": {"corpus": text, "languages": ["eng_Latn", "deu_Latn"], "window": 6, "stride": 2},
        "translation": {
            "corpus": text,
            "pairs": [["deu_Latn", "eng_Latn"], ["eng_Latn", "fra_Latn"]],
            "shots": 2,
            "limit": 5,
            "max_new_tokens": 4,
        },
    }


@pytest.fixture(scope="session")
def spec(tiny_model: Path, word_corpus: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """The unsteered setting, a transform of it, experts and one control; little of anything else."""
    return {
        "name": "tiny",
        "models": {"path": str(tiny_model), "name": "tiny-bloom"},
        "corpora": {role: text_of(word_corpus, role) for role in ("fit", "test")},
        "languages": ["eng_Latn", "deu_Latn"],
        "targets": "eng_Latn",
        "interventions": ["none", "centring", {"method": "experts", "k": 12, "controls": ["profile x1"]}],
        "embeddings": {"layers": ["final"]},
        "statistics": {"resamples": 100},
        "side_effects": asked,
    }


@pytest.fixture(scope="session")
def plain(spec: dict[str, Any], word_corpus: Path) -> dict[str, Any]:
    """Without steering, and so without text to fit on."""
    return {**spec, "corpora": {"test": text_of(word_corpus)}, "targets": [], "interventions": ["none"]}


@pytest.fixture(scope="session")
def measured(spec: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Everything measured once, for tests that only look."""
    with workspace.init(tmp_path_factory.mktemp("measured")) as space:
        space.submit(spec)
        work(space)
        yield space
