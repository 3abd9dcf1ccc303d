"""Paraphrase retrieval within one language: before, after and mixed."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sprachbund.errors import SpecError
from sprachbund.workspace import Workspace

Make = Callable[..., dict[str, Any]]
CODES = ("eng_Latn", "deu_Latn")


@pytest.fixture
def paraphrases(tmp_path: Path) -> Path:
    """Thirty items in two languages, each with the same words in another order; every third is no paraphrase."""
    drawn = random.Random(2)
    lines = ["id,lang,sentence1,sentence2,label"]
    for code in CODES:
        for item in range(30):
            words = [f"{code[:3]}{drawn.randrange(30)}" for _ in range(6)]
            other = drawn.sample(words, len(words))
            lines.append(f"{item},{code},{' '.join(words)},{' '.join(other)},{int(item % 3 > 0)}")
    path = tmp_path / "pawsx.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def source(path: Path) -> dict[str, Any]:
    columns = {"item": "id", "language": "lang", "text": "sentence1", "paraphrase": "sentence2"}
    return {"path": str(path), "kind": "paraphrase", "columns": columns, "filter": {"label": 1}}


def test_before_after_and_mixed(space: Workspace, experiment: Make, paraphrases: Path) -> None:
    spec = experiment(
        interventions=["none", "centring", {"method": "experts", "k": 8},
                       {"method": "experts", "k": 8, "side": "candidate"}],
        languages=list(CODES), embeddings={"layers": ["final"]},
    )  # fmt: skip
    del spec["choose"]
    spec["corpora"] = {"fit": spec["corpora"]["fit"], "test": source(paraphrases)}
    submitted = space.submit(spec)
    assert (submitted.n_items, submitted.n_pairs, submitted.pairs_per_item) == (40, 2, 1)
    tally = space.run()
    assert tally.failed == 0, tally.errors
    # Two languages, sentences and paraphrases, unsteered and steered; and the fit text of both for centring.
    assert submitted.new["snapshot"] == 2 * 2 * 2 + 2
    results = space.results("tiny")
    top1 = results.filter(results["metric"] == "top1")
    assert top1.height == 4 * 2
    assert (top1["query_language"] == top1["candidate_language"]).all() and set(top1["query_language"]) == set(CODES)
    assert (top1["n_items"] == 20).all() and (top1["collection"] == "pawsx").all()
    plain = top1.filter((top1["method"] == "none") & (top1["transform"] == "none"))
    assert (plain["value"] > 0.3).all()  # the words are the same: a mean over tokens finds many
    targeted = top1.filter((top1["query_language"] == "eng_Latn") & (top1["method"] == "experts"))
    assert set(targeted["target_side"]) == {"both"} and targeted["delta"].null_count() == 0
    compared = space.query("select * from setting_comparison where experiment = 'tiny' and metric = 'top1'")
    overall = compared.filter((compared["scope"] == "all") & compared["delta"].is_not_null())
    assert overall.height == 4 and (overall["n_pairs"] == 2).all()
    assert "language_abx" not in set(space.results("tiny", "alignment")["metric"])
    # English paraphrases are no translations into English.
    averaged = set(space.query("select convention from benchmark_scores where experiment = 'tiny'")["convention"])
    assert averaged and not {each for each in averaged if "english" in each or each.startswith("mexa")}, averaged
    again = space.submit(spec)
    assert again.n_new == 0


def test_experts_cannot_be_fitted_on_paraphrases(space: Workspace, experiment: Make, paraphrases: Path) -> None:
    spec = experiment(languages=list(CODES))
    del spec["choose"]
    spec["corpora"] = {"fit": source(paraphrases), "test": source(paraphrases)}
    spec["allow_overlap"] = True
    with pytest.raises(SpecError, match=r"corpora\.fit: pawsx has paraphrases"):
        space.submit(spec)
