"""The side effects part of an experiment file: what it fills in, and one line for what is wrong."""

from pathlib import Path
from typing import Any

import pytest

from sprachbund.errors import SpecError
from sprachbund.spec.experiment import Spec, load, parse
from sprachbund.spec.side_effects import PROTOCOLS


def spec(**side_effects: Any) -> Spec:
    return parse({"name": "a", "corpora": {"test": "phrasebook/test"}, "side_effects": side_effects})


def test_the_study_may_stand_for_its_values() -> None:
    short = spec(generation="study").side_effects
    long = spec(generation={"protocol": "study"}).side_effects
    assert short == long
    assert short is not None and short.generation is not None
    assert (short.generation.samples, len(short.generation.seeds)) == (256, 8)
    assert (short.generation.temperature, short.generation.top_p) == (1.0, 0.9)
    perplexity = spec(perplexity={"corpus": "phrasebook/test", "protocol": "study", "stride": 256}).side_effects
    assert perplexity is not None and perplexity.perplexity is not None
    found = perplexity.perplexity
    assert (found.min_characters, found.max_tokens, found.window, found.stride) == (100, 10_000_000, None, 256)
    assert PROTOCOLS["study"]["perplexity"]["stride"] == 512


def test_what_is_expanded_reads_the_same_again() -> None:
    whole = spec(
        generation={"seeds": 3, "identify": ["en", "de"]},
        perplexity={"corpus": {"path": "a.parquet"}, "stop": {"half_width": 0.1}},
        translation={"corpus": "phrasebook/test", "pairs": [["en", "de"], ["en", "de"]]},
    )
    assert whole.side_effects is not None and whole.side_effects.generation is not None
    assert whole.side_effects.generation.seeds == [0, 1, 2]
    assert whole.side_effects.generation.identify == ["eng_Latn", "deu_Latn"]
    assert whole.side_effects.translation is not None
    assert whole.side_effects.translation.pairs == [("eng_Latn", "deu_Latn")]
    assert parse(whole.expanded()) == whole
    assert "side_effects" not in parse({"name": "a", "corpora": {"test": "phrasebook/test"}}).expanded()


CORPUS = {"corpus": "phrasebook/test"}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({}, "side_effects: .*expected generation, perplexity or translation"),
        ({"generation": {"top_p": 0}}, r"generation\.top_p: .*greater than 0, found 0"),
        ({"generation": {"top_p": 1.2}}, r"generation\.top_p: .*less than or equal to 1, found 1.2"),
        ({"generation": {"temperature": -1}}, r"generation\.temperature: .*found -1"),
        ({"generation": {"temperature": 0}}, "temperature is 0, which writes the same text every time"),
        ({"generation": {"seeds": [1, 1]}}, "seeds holds a seed twice"),
        ({"generation": {"seeds": 0}}, "seeds is 0; expected 1 to 10000"),
        ({"generation": {"sample": 3}}, "unknown field 'side_effects.generation.sample'; did you mean 'samples'?"),
        ({"generation": "stdy"}, "protocol is 'stdy'; expected one of study; did you mean 'study'?"),
        ({"generation": {"identify": "en"}}, "fewer than two languages"),
        ({"generation": {"identify": ["en", "tpi_Latn"]}}, "'tpi_Latn', which the language identifier does not know"),
        ({"perplexity": {}}, r"field 'side_effects\.perplexity\.corpus' is missing"),
        ({"perplexity": {**CORPUS, "window": 256}}, r"stride is 512, but must be smaller than window \(256\)"),
        ({"perplexity": {**CORPUS, "stop": {"half_width": 0}}}, r"stop\.half_width: .*greater than 0"),
        ({"translation": {**CORPUS, "pairs": [["en", "eng"]]}}, "expected two different languages"),
        ({"translation": {**CORPUS, "pairs": []}}, r"translation\.pairs: .*at least 1 item"),
        (
            {"translation": {**CORPUS, "pairs": [["en", "de"]], "template": "{target} {source}"}},
            "template: expected {source} and, after it, {target}",
        ),
        (
            {"translation": {**CORPUS, "pairs": [["en", "de"]], "template": "{source} {into}"}},
            "template: expected {source}",
        ),
        ({"settings": "some", "generation": {}}, r"side_effects\.settings: .*found 'some'"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(part: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        spec(**part)
    assert "\n" not in str(caught.value)


def test_the_documented_sweep_is_a_spec() -> None:
    found = load(Path(__file__).resolve().parents[3] / "docs" / "examples" / "sweep.yaml")
    assert found.side_effects is not None
    assert found.side_effects.perplexity is not None and found.side_effects.perplexity.stop is not None
    assert parse(found.expanded()) == found
