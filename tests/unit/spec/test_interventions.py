"""Rows of the comparison: defaults that follow the method, and one line for what does not go together."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprachbund.catalogue.directions import DIRECTIONS
from sprachbund.catalogue.edits import EDITS
from sprachbund.errors import SpecError
from sprachbund.spec.experiment import Spec, parse
from sprachbund.spec.interventions import InterventionSpec


def spec_with(row: Any) -> Spec:
    return parse(
        {
            "name": "x",
            "corpora": {"fit": "phrasebook/fit", "test": "phrasebook/test"},
            "targets": ["eng_Latn"],
            "interventions": [row],
        },
        "file.yaml",
    )


def row_of(row: Any) -> InterventionSpec:
    return spec_with(row).interventions[0]


def test_experts_are_set_to_their_mean_by_default() -> None:
    row = row_of("experts")
    assert (row.edit, row.k, row.value, row.value_from, row.strength) == ("set", [0.035], ["mean"], "pooled", None)
    assert row.selection is not None
    assert row.selection.how == "top"
    assert not row.per_language


def test_transport_pools_by_mean_and_starts_from_the_other_languages() -> None:
    row = row_of({"method": "experts", "edit": "linear_act"})
    assert (row.strength, row.pooling, row.source, row.value) == ([1.0], "mean", "others", None)


def test_a_direction_is_added_on_the_residual_stream_by_default() -> None:
    row = row_of("direction")
    assert (row.direction, row.edit, row.sites, row.k, row.selection) == ("diff_mean", "add", ["block"], None, None)
    erased = row_of({"method": "direction", "direction": "leace"})
    assert erased.edit == "project_out"
    assert erased.targetless


def test_dampening_own_experts_needs_no_target_but_an_input_language() -> None:
    row = row_of({"method": "own", "value": "zero"})
    assert row.targetless
    assert row.per_language
    assert not row_of({"method": "own", "value": "mean"}).targetless


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"method": "direction", "k": 5}, "selects no units; use 'experts' with k"),
        ({"method": "direction", "scorers": "auroc"}, "selects no units; use 'experts' with scorers"),
        (
            {"method": "direction", "edit": "set"},
            "does not go with method 'direction'; use add, project_out",
        ),
        ({"method": "experts", "edit": "add"}, "edit 'add' does not go with method 'experts'; use set"),
        ({"method": "direction", "direction": "leace", "edit": "add"}, "does not go with direction 'leace'"),
        ({"method": "direction", "direction": "leacee"}, r"did you mean 'leace'\?"),
        ({"method": "direction", "rank": 2}, "rank goes with directions pca and language_means"),
        ({"method": "direction", "controls": ["profile"]}, "no meaning for a direction"),
        ({"method": "experts", "strength": 0.5}, "edit 'set' has no strength; use interpolate"),
        ({"method": "experts", "edit": "interpolate", "strength": 1.5}, "takes 0.0 to 1.0"),
        ({"method": "experts", "edit": "scale", "strength": 2}, "takes -∞ to 1.0"),
        ({"method": "experts", "edit": "mean_act", "strength": [0.5, -1]}, "strength is -1"),
        ({"method": "experts", "edit": "shift", "strength": float("nan")}, "strength.*finite number"),
        ({"method": "experts", "edit": "shift", "strength": [1, float("inf")]}, "strength.*finite number"),
        ({"method": "experts", "edit": "shift", "strength": []}, "strength: the list is empty"),
        ({"method": "experts", "k": []}, "k: the list is empty"),
        ({"method": "experts", "blocks": []}, "blocks: the list is empty"),
        ({"method": "experts", "targets": []}, "targets: the list is empty"),
        ({"method": "experts", "edit": "shift", "value": "median"}, "sets no value"),
        ({"method": "experts", "edit": "linear_act", "value_from": "tokens"}, "needs pooled responses"),
        ({"method": "experts", "fit": "incremental"}, "changes nothing for edit 'set'"),
        ({"method": "experts", "source": "input"}, "does not depend on where activations start"),
        ({"method": "experts", "edit": "aura", "scorers": "lape"}, "scales by AUROC"),
        ({"method": "experts", "selection": "threshold", "k": 5}, "leave k out"),
        ({"method": "experts", "selection": {"how": "top", "q": 0.1}}, "belong to the selection 'threshold'"),
        ({"method": "experts", "selection": "topp"}, r"did you mean 'top'\?"),
        ({"method": "experts", "edit": "scale", "controls": ["shift"]}, "needs values to set"),
        (
            {
                "method": "experts",
                "edit": "mean_act",
                "fit": "incremental",
                "controls": [{"variant": "profile", "values": "experts"}],
            },
            "place by place",
        ),
        ({"method": "experts", "edit": "scale", "controls": ["wrong_values"]}, "which takes no values"),
        ({"method": "experts", "direction": "pca"}, "belongs to method 'direction'"),
        ({"method": "experts", "score_sites": "mlp.up"}, "edit_sites is missing: .* go together"),
        ({"method": "experts", "edit_sites": "mlp.up"}, "score_sites is missing"),
        (
            {"method": "experts", "sites": "mlp.up", "score_sites": "mlp.up", "edit_sites": "mlp.down"},
            "either it or them",
        ),
        (
            {"method": "own", "score_sites": ["mlp.up", "mlp.gate"], "edit_sites": "mlp.hidden"},
            "has 2 and edit_sites 1",
        ),
        (
            {"method": "experts", "score_sites": ["mlp.up", "mlp.gate"], "edit_sites": ["mlp.hidden", "mlp.hidden"]},
            "edit_sites lists a site twice",
        ),
        ({"method": "experts", "score_sites": "mlp.up", "edit_sites": "mlp.hiden"}, r"did you mean 'mlp.hidden'\?"),
        ({"method": "direction", "score_sites": "mlp.up", "edit_sites": "block"}, "are of units; method 'direction'"),
        ({"method": "none", "score_sites": "mlp.up", "edit_sites": "mlp.down"}, "are of units; method 'none'"),
        ({"method": "own", "value": "zero", "targets": "eng_Latn"}, "leave it out"),
        ({"method": "union", "controls": ["wrong_language"]}, "no meaning for method 'union'"),
        (
            {"method": "direction", "direction": "leace", "controls": ["wrong_language"]},
            "for method 'direction' here; use 'uniform'",
        ),
        ({"method": "none", "k": 5}, "'none' edits nothing"),
        ({"method": "none", "side": "query"}, "'none' edits nothing"),
        ({"method": "experts", "side": "left"}, "side"),
        ({"method": "experts", "transform": "centring_transductive", "side": "query"}, "takes both sides"),
    ],
)
def test_what_does_not_go_together_is_one_line(row: Any, said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        spec_with(row)
    message = str(caught.value)
    assert message.startswith("file.yaml: interventions.0")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("centering", r"found 'centering'; did you mean 'centring'\?$"),
        ("whitenning", r"did you mean 'whitening'\?$"),
        ("expert", r"did you mean 'experts'\?$"),
        ("leace", r"expected a mapping, or one of none, experts, .*, whitening, top_pc_removal; found 'leace'"),
        (3, "expected a mapping, or one of none, .*; found 3$"),
        (None, "expected a mapping, or one of none, .*; found None$"),
        (["none"], r"expected a mapping, or one of none, .*; found \['none'\]$"),
        ({"method": "whitening"}, "write 'transform: whitening', or 'whitening' for the whole row"),
        ({"transform": "centering"}, r"did you mean 'centring'\?$"),
    ],
)
def test_a_misspelt_word_for_a_row_is_told_the_nearest_of_all_such_words(row: Any, said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        spec_with(row)
    assert str(caught.value).count("found") <= 1


edits = st.sampled_from(sorted(EDITS))
rows = st.fixed_dictionaries(
    {"method": st.sampled_from(["none", "experts", "union", "intersection", "difference", "own", "direction"])},
    optional={
        "edit": edits,
        "strength": st.one_of(st.floats(-2, 2), st.lists(st.floats(0, 1), min_size=1, max_size=3)),
        "direction": st.sampled_from(sorted(DIRECTIONS)),
        "selection": st.sampled_from(["top", "top_and_bottom", "per_block", "threshold"]),
        "k": st.one_of(st.integers(0, 10), st.floats(0, 1)),
        "value": st.sampled_from(["mean", "zero", "quantile:.5"]),
        "value_from": st.sampled_from(["pooled", "tokens"]),
        "source": st.sampled_from(["others", "input"]),
        "fit": st.sampled_from(["at_once", "incremental"]),
        "side": st.sampled_from(["both", "query", "candidate"]),
        "rank": st.integers(1, 3),
    },
)


@given(rows)
def test_a_row_is_refused_in_one_line_or_reads_the_same_again(row: dict[str, Any]) -> None:
    refusal, spec = "", None
    try:
        spec = spec_with(row)
    except SpecError as error:
        refusal = str(error)
    if spec is None:
        assert refusal
        assert "\n" not in refusal
    else:
        assert parse(spec.expanded()) == spec
