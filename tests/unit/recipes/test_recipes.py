"""Recipes fill to experiment files that parse, and say what is wrong with a parameter."""

import pytest

from sprachbund.errors import SpecError
from sprachbund.recipes import known_recipes, recipe
from sprachbund.recipes.recipe import parse_values
from sprachbund.spec.experiment import parse


@pytest.mark.parametrize("name", known_recipes())
def test_recipes_parse_with_their_defaults(name):
    found = recipe(name)
    content = found.filled({})
    parsed = parse(content)
    assert parsed.name == name
    assert parse(parsed.expanded()) == parsed
    assert "$" not in str(content)


@pytest.mark.parametrize("name", known_recipes())
def test_every_parameter_is_used_and_every_use_has_a_parameter(name):
    found = recipe(name)
    used = set()

    def walk(value):
        if isinstance(value, dict):
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)
        elif isinstance(value, str) and value.startswith("$"):
            used.add(value[1:])

    walk(found.experiment)
    assert used - {"source"} == set(found.parameters)


def test_parameters_and_places_replace_what_is_there():
    content = recipe("steering-acl2025").filled(
        {"k": [100, 500], "targets": ["deu_Latn"], "corpora.test": {"path": "a.parquet"}, "statistics.unit": "group"}
    )
    parsed = parse(content)
    assert parsed.interventions[2].k == [100, 500]
    assert parsed.targets == ["deu_Latn"]
    assert parsed.corpora.test.path == "a.parquet"
    assert parsed.statistics.unit == "group"
    assert parsed.statistics.resamples is None
    # The recipe itself is as it was.
    assert recipe("steering-acl2025").filled({})["corpora"]["test"]["builtin"] == "phrasebook"


def test_a_parameter_of_null_leaves_its_field_out():
    content = recipe("steering-acl2025").filled({"languages": None})
    assert "languages" not in content
    assert "negatives" not in content["experts"]
    assert "perplexity" not in recipe("steering-acl2025").filled({"side_effects.perplexity": None})["side_effects"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["modle=x"], "no parameter 'modle'; did you mean 'model'"),
        (["nonsense"], "expected NAME=VALUE"),
        (["k=[1, 2"], "--set k line 1: not readable as YAML"),
    ],
)
def test_bad_parameters_get_one_clear_line(given, message):
    with pytest.raises(SpecError, match=r"^[^\n]*$") as caught:
        recipe("steering-acl2025").filled(parse_values(given))
    assert message in str(caught.value)


def test_unknown_recipes_are_named():
    with pytest.raises(SpecError, match="did you mean 'abx-emnlp2025'"):
        recipe("abx-emnlp2024")


def test_values_are_yaml_as_experiment_files_have_it():
    assert parse_values(["tasks=[{on: topic, across: language}]", "name=a=b", "k=0.5"]) == {
        "tasks": [{"on": "topic", "across": "language"}],
        "name": "a=b",
        "k": 0.5,
    }
