"""What is asked for beyond the evaluations that always run."""

import pytest

from sprachbund import spec
from sprachbund.errors import SpecError
from sprachbund.metrics import geometry
from sprachbund.spec_abx import GEOMETRY, AbxSpec


def parse(**evaluations):
    content = {"name": "asked", "corpora": {"test": "phrasebook/test"}, "evaluations": evaluations}
    return spec.parse(content).evaluations


def test_geometry_is_none_all_one_or_some():
    assert parse().geometry == parse(geometry=False).geometry == []
    assert parse(geometry=True).geometry == list(GEOMETRY)
    assert parse(geometry="cka").geometry == ["cka"]
    assert set(GEOMETRY) == {measure.name for measure in geometry.MEASURES}


def test_words_stand_for_tasks_and_order_of_labels_does_not_count():
    (one,), (other,) = parse(abx=["topic"]).abx, parse(abx=[{"on": "topic", "by": []}]).abx
    assert one == other == AbxSpec(on="topic")
    assert AbxSpec(on="a", by=["c", "b"]) == AbxSpec(on="a", by=["b", "c"])
    assert parse(probes=["topic"]).probes == parse(probes=[{"label": "topic"}]).probes


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (AbxSpec(on="topic"), "topic"),
        (AbxSpec(on="topic", by=["language", "group"]), "topic by group+language"),
        (AbxSpec(on="item", across=["language"], distance="euclidean"), "item across language, euclidean"),
        (AbxSpec(on="item", by=["group"], across=["language"], triples=9), "item by group across language, 9 triples"),
    ],
)
def test_names_say_what_tells_tasks_apart(task, name):
    assert task.name == name


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"abx": [{"on": "topic", "by": "topic"}]}, "'topic' is named twice"),
        ({"abx": [{"on": "topic", "distance": "cosin"}]}, "did you mean 'cosine'"),
        ({"abx": ["topic", {"on": "topic", "resamples": 5}]}, "'topic' is asked for twice"),
        ({"probes": [{"label": "topic", "folds": 1}]}, "greater than or equal to 2"),
        ({"geometry": ["hubnes"]}, "did you mean 'hubness'"),
    ],
)
def test_refusals(asked, message):
    with pytest.raises(SpecError, match=message):
        parse(**asked)
