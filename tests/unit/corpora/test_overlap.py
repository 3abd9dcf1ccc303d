"""Overlap of roles equals what comparing every text with every other finds."""

from hypothesis import given
from hypothesis import strategies as st

from sprachbund.corpora import TextSet, normalise, overlap

rows = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "3"]),
        st.sampled_from(["a", "A.", "b", "?", "!", "c c"]),
        st.sampled_from([None, "g", "h"]),
    ),
    max_size=5,
)
roles = st.lists(
    st.builds(TextSet.of, st.sampled_from(["deu_Latn", "eng_Latn"]), st.just("s"), rows, st.sampled_from(["o", "p"])),
    max_size=3,
)


@given(roles, roles)
def test_equals_the_slow_reference(role_a: list[TextSet], role_b: list[TextSet]) -> None:
    pairs = [(a, b, x, y) for a in role_a for b in role_b for x in a for y in b]
    texts = {
        (a.language, normalise(x.text))
        for a, b, x, y in pairs
        if a.language == b.language and normalise(x.text) == normalise(y.text)
    }
    groups = {
        (a.origin, x.group)
        for a, b, x, y in pairs
        if a.origin == b.origin and x.group is not None and x.group == y.group
    }
    found = overlap(role_a, role_b)
    assert (found.n_texts, found.n_groups) == (len(texts), len(groups))
    assert bool(found) == bool(texts or groups)
    assert len(found.examples) == min(5, len(texts) + len(groups))


def test_examples_say_where() -> None:
    fit = TextSet.of("deu_Latn", "fit", [("f1", "Guten Tag!", "doc1")], "o")
    test = TextSet.of("deu_Latn", "test", [("t7", "guten tag", "doc1")], "o")
    found = overlap([fit], [test])
    assert found.examples == ("deu_Latn item 'f1' = item 't7' ('gutentag')", "group 'doc1'")


def test_translations_of_one_document_are_one_group_and_other_origins_none() -> None:
    german = TextSet.of("deu_Latn", "fit", [("1", "a", "doc1")], "o")
    french = TextSet.of("fra_Latn", "test", [("1", "b", "doc1")], "o")
    assert overlap([german], [french]).n_groups == 1
    elsewhere = TextSet("fra_Latn", "test", french.frame, "p")
    assert not overlap([german], [elsewhere])
