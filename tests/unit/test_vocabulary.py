"""A closed word is declared once: no other file lists the words of a vocabulary, or those of a catalogue's table."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from sprachbund import vocabulary
from sprachbund.catalogue.directions import DIRECTIONS
from sprachbund.catalogue.edits import EDITS
from sprachbund.catalogue.scorers import SCORERS
from sprachbund.measures import CHOSEN_BY, COMPARED, MEASURES
from sprachbund.work.kinds import KINDS

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "platform" / "sprachbund" / "vocabulary.py"
FILES = [
    path
    for package in ("platform/sprachbund", "runners/sprachbund_runners")
    for path in sorted((ROOT / package).rglob("*.py"))
    if path != HOME
]
LITERALS = {name: get_args(each) for name, each in vars(vocabulary).items() if get_args(each) and name[0].isupper()}
TABLES: dict[str, Any] = {
    "scorers": SCORERS,
    "edits": EDITS,
    "directions": DIRECTIONS,
    "measures": MEASURES,
    "metrics to compare": COMPARED,
    "metrics to choose by": CHOSEN_BY,
    "job kinds": KINDS,
}
WORDS = {name: frozenset(words) for name, words in (LITERALS | TABLES).items()}


def lists_of_words(text: str) -> Iterator[tuple[int, frozenset[str]]]:
    """Line and words of every tuple, list, set or `Literal` of strings, and of every SQL `IN (…)` inside a string."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            words = [each.value for each in node.elts if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            if words and len(words) == len(node.elts):
                yield node.lineno, frozenset(words)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            for found in re.findall(r"\bIN \(((?:'\w+'(?:, )?)+)\)", node.value):
                yield node.lineno, frozenset(re.findall(r"'(\w+)'", found))


def test_the_search_finds_what_it_should() -> None:
    declared = 'A = ("fit", "select")\nB: Literal["fit", "select"]\nC = "role IN (\'fit\', \'select\')"\nD = ("fit", 1)'
    assert sorted(line for line, words in lists_of_words(declared) if words == {"fit", "select"}) == [1, 2, 3]


@pytest.mark.parametrize("name", WORDS)
def test_words_are_declared_once(name: str) -> None:
    again = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in FILES
        for line, words in lists_of_words(path.read_text(encoding="utf-8"))
        if words == WORDS[name]
    ]
    assert again == []


def test_a_part_of_a_vocabulary_is_of_it() -> None:
    for part, whole in (("EditTokens", "Tokens"), ("Pooling", "EmbeddingPooling")):
        assert WORDS[part] < WORDS[whole]
