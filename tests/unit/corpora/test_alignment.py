"""The order of items."""

from hypothesis import given
from hypothesis import strategies as st

from sprachbund.corpora.alignment import choose, natural


def test_numbers_within_names_count_as_numbers() -> None:
    names = ["Gen.10.1", "Gen.2.10", "Gen.2.9", "2", "10", "1", "01", "a", "", "1Chr.1.1"]
    expected = ["", "01", "1", "1Chr.1.1", "2", "10", "Gen.2.9", "Gen.2.10", "Gen.10.1", "a"]
    assert sorted(names, key=natural) == expected


@given(st.lists(st.integers(0, 10**30), unique=True))
def test_plain_numbers_sort_as_numbers(numbers: list[int]) -> None:
    assert sorted(map(str, numbers), key=natural) == [str(number) for number in sorted(numbers)]


@given(st.lists(st.text("a01٣.", max_size=4), unique=True), st.randoms())
def test_the_order_is_total(names: list[str], random: object) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert sorted(shuffled, key=natural) == sorted(names, key=natural)


@given(st.lists(st.integers(0, 99), unique=True), st.integers(1, 20), st.integers(0, 3))
def test_a_sample_keeps_its_members_when_others_leave(numbers: list[int], limit: int, seed: int) -> None:
    items = [str(number) for number in sorted(numbers)]
    drawn = choose(items, limit, seed)
    assert len(drawn) == min(limit, len(items))
    assert [item for item in items if item in set(drawn)] == drawn
    fewer = [item for item in items if item in drawn or int(item) % 2]
    assert choose(fewer, limit, seed) == drawn
