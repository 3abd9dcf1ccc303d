"""Side effects that are refused at submission."""

from pathlib import Path
from typing import Any

import pytest
from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

from sprachbund.errors import CorpusError, SpecError
from sprachbund.workspace import Workspace
from support.written import text_of


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"perplexity": {"languages": ["tur_Latn"]}}, "side_effects.perplexity.corpus: .* has no language 'tur_Latn'"),
        (
            {"perplexity": {"min_characters": 5000}},
            r"min_characters: found 5000, but the longest text of words eng_Latn",
        ),
        ({"translation": {"pairs": [["eng_Latn", "ron_Latn"]]}}, "translation.corpus: .* has no language 'ron_Latn'"),
        ({"translation": {"shots": 30}}, "shots: found 30, but words has only 30 items"),
        ({"generation": {"identify": ["fra_Latn", "deu_Latn"]}}, "the target 'eng_Latn' is not listed"),
        ({"perplexity": {"window": 4, "stride": 8}}, "stride is 8, but must be smaller than window"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_submission(
    space: Workspace, spec: dict[str, Any], asked: dict[str, Any], part: dict[str, Any], message: str
) -> None:
    ((name, fields),) = part.items()
    with pytest.raises((SpecError, CorpusError), match=message):
        space.submit({**spec, "side_effects": {name: {**asked[name], **fields}}})


def test_text_that_experts_were_fitted_on_is_refused(
    space: Workspace, spec: dict[str, Any], word_corpus: Path, asked: dict[str, Any]
) -> None:
    fitted = {"perplexity": {**asked["perplexity"], "corpus": text_of(word_corpus, "fit")}}
    with pytest.raises(SpecError, match="roles 'fit' and 'perplexity' share"):
        space.submit({**spec, "side_effects": fitted})


def test_an_encoder_is_refused_at_submission(
    space: Workspace, spec: dict[str, Any], tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "encoder"
    config = XLMRobertaConfig(
        vocab_size=124, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
    )
    XLMRobertaForMaskedLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((tiny_model / name).read_bytes())
    with pytest.raises(SpecError, match=r"side_effects: encoder is an encoder \(xlm-roberta\)"):
        space.submit({**spec, "models": str(folder)})


def test_perplexity_of_edits_at_the_last_token_is_refused(space: Workspace, spec: dict[str, Any]) -> None:
    steered = {"method": "experts", "k": 12, "tokens": "last"}
    with pytest.raises(
        SpecError, match=r"interventions\[1\].tokens: found 'last', but nothing in side_effects.perplexity"
    ) as found:
        space.submit({**spec, "interventions": ["none", steered]}, dry_run=True)
    assert "\n" not in str(found.value)
    less = {name: part for name, part in spec["side_effects"].items() if name != "perplexity"}
    space.submit({**spec, "interventions": ["none", steered], "side_effects": less}, dry_run=True)
