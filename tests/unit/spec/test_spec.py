"""The experiment file: defaults, shorthands, sweeps, and one clear line for whatever is wrong."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund.catalogue.edits import parse_value
from sprachbund.errors import SpecError
from sprachbund.spec.experiment import Spec, load, parse
from sprachbund.spec.presets import PRESETS, merge
from sprachbund.spec.reading import read_yaml, write_yaml

MINIMAL: dict[str, Any] = {"name": "x", "corpora": {"test": "phrasebook/test"}}
STEERED: dict[str, Any] = {
    "name": "x",
    "corpora": {"fit": "phrasebook/fit", "test": "phrasebook/test"},
    "targets": ["en"],
    "interventions": ["none", "experts"],
}


def test_defaults_are_enough() -> None:
    spec = parse(MINIMAL)
    assert spec.models[0].path == "phrasebook-bloom"
    assert [each.method for each in spec.interventions] == ["none"]
    assert spec.embeddings.layers == "all"


def test_single_values_stand_for_lists_and_words_for_mappings() -> None:
    spec = parse(
        {
            **STEERED,
            "targets": "German",
            "models": "some/folder",
            "interventions": [
                "none",
                "centring",
                {"method": "experts", "k": 5, "controls": ["random:profile x3", "shift"]},
            ],
        }
    )
    assert spec.targets == ["deu_Latn"]
    assert spec.models[0].path == "some/folder"
    assert spec.interventions[1].transform == "centring"
    assert spec.interventions[2].k == [5]
    assert spec.interventions[2].controls[0].seeds == [0, 1, 2]
    assert [each.label for each in spec.interventions[2].controls] == ["random:profile", "random:shift"]


def test_yaml_knows_only_true_and_false() -> None:
    content = read_yaml("a: no\nb: on\nc: true\nd: yes\ne: false\nf: True\ng: 1:30\nh: 010\n", "x")
    assert content == {"a": "no", "b": "on", "c": True, "d": "yes", "e": False, "f": True, "g": "1:30", "h": 10}
    # Norwegian is a language here.
    assert parse({**MINIMAL, "languages": [content["a"]]}).languages == ["nob_Latn"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"nam": "y"}, r"unknown field 'nam'; did you mean 'name'\?"),
        ({"experts": {"poolng": "max"}}, r"unknown field 'experts.poolng'; did you mean 'pooling'\?"),
        ({"interventions": [{"method": "experts", "controls": [{"varant": "x"}]}]}, "varant"),
        ({"interventions": [{"method": "expert"}]}, r"did you mean 'experts'\?"),
        ({"interventions": [{"method": "experts", "k": 0}]}, "k is 0"),
        ({"interventions": [{"method": "experts", "k": 1.5}]}, "fraction in"),
        ({"interventions": [{"method": "experts", "k": True}]}, "k is a count"),
        ({"interventions": [{"method": "experts", "value": "maen"}]}, r"did you mean 'mean'\?"),
        ({"interventions": [{"method": "experts", "value": "median", "value_from": "tokens"}]}, "not kept"),
        ({"interventions": [{"method": "none", "controls": ["profile"]}]}, "edits nothing"),
        ({"interventions": [{"method": "experts", "controls": ["profil"]}]}, r"did you mean 'profile'\?"),
        ({"interventions": [{"method": "experts", "controls": ["profile x0"]}]}, "seeds is 0"),
        ({"embeddings": {"layers": ["last"]}}, "layer is 'last'"),
        ({"embeddings": {"layers": []}}, "layers is empty"),
        ({"targets": []}, "targets is empty"),
        ({"evaluations": {"pairs": []}}, "evaluations.pairs: .*'all' or a list of pairs"),
        ({"evaluations": {"pairs": [["eng", "deu", "fra"]]}}, "'all' or a list of pairs"),
        ({"evaluations": {"pairs": [["eng", "English"]]}}, "expected two different languages"),
        ({"targets": ["Germn"]}, "German"),
        ({"corpora": {"test": "phrasebook/test"}}, "corpora.fit is missing"),
        ({"choose": {"metric": "top1"}}, "corpora.select is missing"),
        ({"name": "a/b"}, "name"),
        ({"statistics": {"resamples": 1}}, "resamples"),
        ({"seed": -1}, "seed"),
        ({"preset": "steering"}, r"did you mean 'steering-acl2025'\?"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        parse(STEERED | fields, "file.yaml")
    assert str(caught.value).startswith("file.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [", "line 1"),
        ("- a\n- b\n", "expected fields"),
        ("name: a\nname: b\n", 'file.yaml line 2: .*duplicate key "name"'),
        ("a: {b: 1, b: 1}\n", 'line 1: .*duplicate key "b"'),
        ("a: 1\n---\nb: 1\n", "line 2: not readable as YAML: .*another document"),
        ("a: *b\n", "line 1: not readable as YAML: .*alias 'b'"),
        ("a: " + "[" * 5000 + "]" * 5000, "too many lists or mappings inside each other"),
        ("name: !!python/object/apply:os.system ['true']\n", "not readable as YAML"),
        ("", "expected fields"),
    ],
)
def test_unreadable_yaml_is_one_line(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        read_yaml(text, "file.yaml")
    assert "\n" not in str(caught.value)


WHOLE = """\
name: x
corpora: {fit: phrasebook/fit,
          test: phrasebook/test}
targets: en
interventions:
  - none
  - method: experts
    k: 0
    controls:
      - profile
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", "line 8: interventions.1.k: k is 0"),
        ("k: 0", "k: [5, 0]", "line 8: interventions.1.k"),
        ("k: 0", "strenth: 1", r"line 8: unknown field 'interventions.1.strenth'; did you mean 'strength'\?"),
        ("k: 0\n    controls:\n      - profile", "controls:\n      - profile\n      - profil", "line 10: .*profil"),
        ("k: 0\n    controls:\n      - profile\n", "k: 5\nseed: -1\n", "line 9: seed"),
        ("  - method: experts\n    k: 0\n", "  - method: expert\n", r"line 7: .*did you mean 'experts'\?"),
        ("name: x\n", "nam: x\n", r"line 1: unknown field 'nam'; did you mean 'name'\?"),
        (
            "targets: en\n",
            "models:\n  path: a\n  dtpe: x\n",
            r"line 6: unknown field 'models.0.dtpe'; did you mean 'dtype'\?",
        ),
    ],
)
def test_an_error_names_the_line_of_its_field(old: str, new: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(WHOLE.replace(old, new))
    with pytest.raises(SpecError, match=f"^{path} {said}") as caught:
        load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"evaluations": {"pairs": [["eng_Latn", "xx"]]}}, r"evaluations\.pairs\.0\.1: .*'xx'"),
        ({"allow_overlap": "yes"}, r"allow_overlap: Input should be a valid boolean, found 'yes'"),
        ({"interventions": [{"method": "experts", "k": [4, "many"]}]}, r"interventions\.0\.k\.1: "),
    ],
)
def test_of_the_forms_of_a_field_the_one_that_was_meant_is_named(fields: dict[str, Any], said: str) -> None:
    content = {"name": "x", "corpora": {"fit": "phrasebook/fit", "test": "phrasebook/test"}, "targets": ["en"]}
    with pytest.raises(SpecError, match=said):
        parse(content | fields)


def test_a_list_as_a_name_is_refused() -> None:
    text = "name: x\ncorpora: {test: phrasebook/test}\n? [a, b]\n: c\n"
    with pytest.raises(SpecError, match=r"^x: "):
        parse(read_yaml(text, "x"), "x", text)


def test_what_looks_like_a_date_is_a_word() -> None:
    assert read_yaml("name: 2020-01-01\ndescription: 2020-13-01\n", "x") == {
        "name": "2020-01-01", "description": "2020-13-01",
    }  # fmt: skip


def test_what_the_file_does_not_have_has_no_line(tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text("name: x\n")
    with pytest.raises(SpecError, match=f"^{path}: field 'corpora' is missing$"):
        load(path)


def test_keys_that_are_no_names_are_refused() -> None:
    for text in ("? [a]\n: b\n", "1: b\n", "corpora: {? [a] : b}\n", "null: a\n"):
        with pytest.raises(SpecError):
            parse(STEERED | read_yaml(text, "x"))


WORDS = st.text(st.characters(categories=["L", "N", "P", "S"], include_characters=" \n"), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60)
@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_what_is_written_is_read_again(content: dict[str, Any]) -> None:
    text = write_yaml(content)
    assert read_yaml(text, "x") == content
    assert list(read_yaml(text, "x")) == list(content)


@pytest.mark.parametrize("value", [5, 0.035, "no", "true", "a: b", None, True, ["all", 5], {"k": [1, None]}, []])
def test_what_is_written_in_one_line_is_read_again(value: Any) -> None:
    text = write_yaml(value, flow=True).strip()
    assert "\n" not in text
    assert read_yaml(f"value: {text}", "x") == {"value": value}


def test_a_missing_file_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "experiment.yaml").write_text("name: x\n")
    with pytest.raises(SpecError, match=r"did you mean 'experiment.yaml'\?"):
        load(tmp_path / "experment.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"name: \xff\n")
    with pytest.raises(SpecError, match="not UTF-8"):
        load(tmp_path / "bytes.yaml")


@pytest.mark.parametrize("name", PRESETS)
def test_presets_expand_to_valid_specs_and_users_fields_win(name: str) -> None:
    content = {
        "name": "x",
        "preset": name,
        "corpora": {"fit": "phrasebook/fit", "select": "phrasebook/select", "test": "phrasebook/test"},
        "targets": ["en"],
        "experts": {"tokens": "last"},
    }
    spec = parse(content)
    assert spec.experts.tokens == "last"
    assert spec.experts.pooling == "max"
    # What `submit --expand` prints is a spec again, and the same one.
    again = parse(read_yaml(write_yaml(spec.expanded()), "x"))
    assert again == spec


def test_merge_lays_mappings_over_each_other_and_replaces_lists() -> None:
    assert merge({"a": {"b": 1, "c": [1]}, "d": 2}, {"a": {"c": [2]}}) == {"a": {"b": 1, "c": [2]}, "d": 2}


def test_values_parse() -> None:
    assert parse_value("mean") == ("mean", 0.0)
    assert parse_value("median") == ("quantile", 0.5)
    assert parse_value("quantile:0.9") == ("quantile", 0.9)
    for wrong in ("quantile:1.1", "quantile:-0.1", "quantile:", "Mean"):
        with pytest.raises(ValueError, match="expected one of"):
            parse_value(wrong)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*Spec.model_fields, "k", "x"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_any_content_is_a_spec_or_a_spec_error(content: Any) -> None:
    fields = content if isinstance(content, dict) else {"name": content}
    try:
        parse({**STEERED, **fields})
    except SpecError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said


@given(st.text(max_size=60))
def test_any_text_is_a_mapping_or_a_spec_error(text: str) -> None:
    try:
        content = read_yaml(text, "x")
    except SpecError as error:
        content = {"said": str(error)}
        said = str(error)
    else:
        said = ""
    assert isinstance(content, dict)
    assert "\n" not in said
