"""The documented queries: docs/questions.md, whose blocks of SQL have names."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import sprachbund
from sprachbund.errors import DatabaseError, known
from sprachbund.results.query import parameters_of

_HEADING_OR_BLOCK = re.compile(
    r"^## (?P<heading>[^\n]+)|^```sql (?P<name>\w+)\n(?P<sql>.*?)^```", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Question:
    """A query by its name; heading: what it answers, in words. parameters: what it asks for, in its order."""

    name: str
    heading: str
    sql: str

    @property
    def parameters(self) -> tuple[str, ...]:
        return parameters_of(self.sql)


def page() -> Path:
    """The page: in docs/ beside `platform/` in a checkout, else the copy in the installed package."""
    package = Path(next(iter(sprachbund.__path__)))
    beside = package.parent.parent / "docs" / "questions.md"
    found = beside if package.parent.name == "platform" else package / "_questions.md"
    if not found.is_file():
        raise DatabaseError(f"{found.name} is missing from {package}: install sprachbund again")
    return found


@cache
def questions() -> dict[str, Question]:
    """By name, in the page's order."""
    found, heading = {}, ""
    for each in _HEADING_OR_BLOCK.finditer(page().read_text(encoding="utf-8")):
        if each["heading"] is not None:
            heading = each["heading"]
        else:
            found[each["name"]] = Question(each["name"], heading, each["sql"])
    return found


def find(name: str) -> Question:
    """Raises QueryError with the nearest name if there is none."""
    known("question", name, questions())
    return questions()[name]
