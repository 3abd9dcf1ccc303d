"""What is asked for beyond the evaluations that always run."""

import pytest

from sprachbund.errors import SpecError
from sprachbund.measures.abx import AbxSpec
from sprachbund.measures.geometry import GEOMETRY
from sprachbund.spec import experiment as spec
from sprachbund.work.payloads.measure import ProbeInputs


def parse(**evaluations):
    content = {"name": "asked", "corpora": {"test": "phrasebook/test"}, "evaluations": evaluations}
    return spec.parse(content).evaluations


def test_geometry_is_none_all_one_or_some():
    assert parse().geometry == parse(geometry=False).geometry == []
    assert parse(geometry=True).geometry == list(GEOMETRY)
    assert parse(geometry="cka").geometry == ["cka"]


def test_words_stand_for_tasks_and_order_of_labels_does_not_count():
    (one,), (other,) = parse(abx=["topic"]).abx, parse(abx=[{"on": "topic", "by": []}]).abx
    assert one == other == AbxSpec(on="topic")
    assert AbxSpec(on="a", by=["c", "b"]) == AbxSpec(on="a", by=["b", "c"])
    assert parse(probes=["topic"]).probes == parse(probes=[{"label": "topic"}]).probes


def test_probes_of_words_have_names_and_tasks_of_their_own():
    of_words, of_sentences = parse(probes=[{"label": "upos", "level": "word"}, "upos"]).probes
    assert (of_words.name, of_sentences.name) == ("upos of words", "upos")
    # The level goes without saying for sentences: what was computed before there were words keeps its key.
    words, sentences = (ProbeInputs(**each.model_dump()).parameters for each in (of_words, of_sentences))
    assert words == {**sentences, "level": "word"}
    assert set(sentences) == {"label", "folds", "seeds", "regularisation"}


def test_positions_weigh_in_embeddings_only():
    content = {"name": "asked", "corpora": {"test": "phrasebook/test"}, "embeddings": {"pooling": "weighted_mean"}}
    assert spec.parse(content).embeddings.pooling == "weighted_mean"
    for field in (
        {"experts": {"pooling": "weighted_mean"}},
        {"interventions": [{"method": "experts", "k": 3, "pooling": "weighted_mean"}]},
    ):
        with pytest.raises(SpecError, match=r"pooling: .*'mean' or 'max'.*'weighted_mean'") as caught:
            spec.parse({**content, "targets": ["deu_Latn"], **field})
        assert "\n" not in str(caught.value)


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
        ({"probes": [{"label": "topic", "level": "words"}]}, "did you mean 'word'"),
        (
            {"probes": [{"label": "upos", "level": "word"}, {"label": "upos", "level": "word", "seeds": 1}]},
            "'upos of words' is asked for twice",
        ),
        ({"geometry": ["hubnes"]}, "did you mean 'hubness'"),
    ],
)
def test_refusals(asked, message):
    with pytest.raises(SpecError, match=message):
        parse(**asked)
