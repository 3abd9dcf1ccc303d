"""The other pages name what exists: tables, job kinds, extras, variables; and their links lead somewhere."""

import re
import tomllib

import pytest

from sprachbund import config
from sprachbund.db.tables import Base
from sprachbund.work.kinds import KINDS
from support.pages import DOCS, MADE, read

ROOT = DOCS.parent
PAGES = (
    "README.md",
    "spec.md",
    "conventions.md",
    "vocabulary.md",
    "install.md",
    "design.md",
    "export.md",
    "methods.md",
    "encoders.md",
    "results.md",
    "abx.md",
    "geometry.md",
    "plugins.md",
    "side_effects.md",
    "comparing.md",
    "questions.md",
    "recipes.md",
)


def anchors(page: str) -> set[str]:
    """The anchors that headings get: lower case, spaces as hyphens, punctuation gone."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", MADE)
def test_made_pages_are_as_the_code_makes_them(page: str) -> None:
    assert read(page) == MADE[page](), "make them anew with `python tests/support/pages.py`"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = DOCS / (name or page)
        assert path.is_file(), target
        assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), target


def test_the_index_lists_every_page() -> None:
    linked = set(re.findall(r"\]\((\w+\.md)\)", read("README.md")))
    assert {path.name for path in DOCS.glob("*.md")} - {"README.md"} <= linked


def test_design_names_every_table() -> None:
    missing = [name for name in Base.metadata.tables if f"`{name}`" not in read("design.md")]
    assert missing == []


def test_design_lists_the_job_kinds_with_their_priorities() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", read("design.md"), re.MULTILINE)
    assert sorted(rows) == sorted((kind.name, str(kind.priority)) for kind in KINDS.values())


def test_install_names_every_extra_and_setting() -> None:
    page = read("install.md")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in project["optional-dependencies"]:
        assert f"| `{extra}` |" in page
    for (section, field), variable in config.FIELDS.items():
        default = tomllib.loads(config.TEMPLATE)[section][field]
        assert f"| `[{section}] {field}` | `{default}` | `{variable}` |" in page


def test_no_page_has_a_path_of_somebodys_machine() -> None:
    for page in PAGES:
        assert not re.search(r"(?<![\w.])/(work|root|tmp|home)\b", read(page)), page
