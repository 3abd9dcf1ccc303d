"""Languages: one code per language and script (`spa_Latn`), found by any of its usual names.

The table follows the codes of FLORES-200 and adds those of NTREX-128, SIB-200, Tatoeba and Universal
Dependencies. Glottocodes, families, branches and coordinates are those of Glottolog 5.1 (Hammarström, Forkel,
Haspelmath & Bank 2024, https://glottolog.org, CC BY 4.0): `glottolog.tsv` has of its tree what stands above these
languages, with coordinates rounded to 4 digits.
"""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from sprachbund.errors import SpecError

TABLE = Path(__file__).parents[1] / "data" / "languages.tsv"
TREE = TABLE.with_name("glottolog.tsv")
ISOLATE = "Isolate"
UNSPACED = frozenset({"Hans", "Hant", "Jpan", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"})
"""Scripts that put no blanks between words."""
_CODE = re.compile(r"[a-z]{3}(_[A-Z][a-z]{3})?")
_TAG = re.compile(r"([A-Za-z]{2,3})[-_]([A-Za-z]{4})")


@dataclass(frozen=True, slots=True)
class Language:
    """A language in a script: `code` is ISO 639-3 and ISO 15924, or ISO 639-3 alone if the script is unknown.

    `family` is the top-level family's English name, "Isolate" for a language without relatives. `branches` are the
    names of the groups below the family that it belongs to, the widest first. Coordinates are degrees north and east:
    a point for a language, of several together Glottolog's mean; None of constructed languages.
    """

    code: str
    iso639_3: str
    script: str | None
    name: str
    glottocode: str | None = None
    family: str | None = None
    branches: tuple[str, ...] | None = None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class _Tree:
    """Glottolog's languages and groups: a row of `TREE` by glottocode, and those that others stand below."""

    rows: dict[str, dict[str, str]]
    groups: frozenset[str]

    def path(self, glottocode: str) -> list[str]:
        """Names of the groups around it, its family first; of a group of others, with its own."""
        found, node = [], glottocode if glottocode in self.groups else self.rows[glottocode]["parent"]
        while node:
            found.append(self.rows[node]["name"])
            node = self.rows[node]["parent"]
        return found[::-1]

    def describe(self, glottocode: str) -> dict[str, Any]:
        """The fields of a `Language` that the tree knows."""
        row, path = self.rows[glottocode], self.path(glottocode)
        place = {name: float(row[name]) if row[name] else None for name in ("latitude", "longitude")}
        return {"family": path[0] if path else ISOLATE, "branches": tuple(path[1:]), **place}


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def _tree() -> _Tree:
    rows = {row["glottocode"]: row for row in _read(TREE)}
    return _Tree(rows, frozenset(row["parent"] for row in rows.values()))


@dataclass(frozen=True, slots=True)
class _Table:
    languages: dict[str, Language]
    words: dict[str, str]  # case-folded code, ISO code, alias or name → code
    iso: dict[str, str]  # ISO 639-1 or -3 code, also of a macrolanguage → the ISO 639-3 part of its code


@cache
def _table() -> _Table:
    table, tree = _Table({}, {}, {}), _tree()
    for row in _read(TABLE):
        code, glottocode = row["code"], row["glottocode"]
        iso, _, script = code.partition("_")
        table.languages[code] = Language(
            code, iso, script or None, row["name"], glottocode, **tree.describe(glottocode)
        )
        # The first row of a language gives its default script, so `ace` means the first of its two codes.
        for word in (code, iso, row["alpha2"], row["name"], *row["aliases"].split(";")):
            if word:
                table.words.setdefault(word.casefold(), code)
                if re.fullmatch(r"[a-z]{2,3}", word):
                    table.iso.setdefault(word, iso)
    return table


def is_code(word: str) -> bool:
    """Whether `word` has the form of a code: `xxx` or `xxx_Xxxx`. It need not be in the table."""
    return _CODE.fullmatch(word) is not None


def find(word: str, listed: Iterable[str] = ()) -> str | None:
    """The code that `word` names, or None.

    `word` is a code, an ISO 639-1, -2 or -3 code, a tag with a script (`zh-Hant`, `srp_Latn`) or an English
    name; case is ignored. A code that the table lacks stands for itself if a corpus lists it (`listed`).
    A tag with a region (`pt-BR`) is none: the variety never silently becomes the language.
    """
    word = word.strip()
    table = _table()
    code = table.words.get(word.casefold())
    if code is not None:
        return code
    tag = _TAG.fullmatch(word)
    if tag is not None:
        iso = table.iso.get(tag[1].lower())
        code = f"{iso}_{tag[2].title()}"
        if code in table.languages:
            return code
    return word if is_code(word) and word in set(listed) else None


def resolve(word: str, listed: Iterable[str] = ()) -> str:
    """The code that `word` names, as `find`; raises SpecError with the nearest code and name."""
    listed = tuple(listed)
    code = find(word, listed)
    if code is None:
        raise SpecError(f"unknown language {word!r}{suggestion(word, listed)}")
    return code


def describe(code: str) -> Language:
    """What is known of `code`; of one that the table lacks, its ISO part and script only."""
    language = _table().languages.get(code)
    if language is not None:
        return language
    if not is_code(code):
        raise SpecError(f"{code!r} is no language code like 'spa_Latn' or 'spa'{suggestion(code)}")
    iso, _, script = code.partition("_")
    return Language(code, iso, script or None, name=code)


def _order(code: str) -> tuple[int, str]:
    """The table's order, codes that it lacks last."""
    codes = list(_table().languages)
    return (codes.index(code) if code in codes else len(codes), code)


def suggestion(word: str, listed: Iterable[str] = ()) -> str:
    """`"; did you mean 'spa_Latn' (Spanish)?"`: the nearest language by code and by name, or nothing.

    With `listed` only those codes are offered.
    """
    table = _table()
    offered = set(listed) or set(table.languages)
    choices: dict[str, str] = {code.casefold(): code for code in offered if code not in table.languages}
    choices |= {choice: code for choice, code in table.words.items() if code in offered}
    asked = word.strip().casefold()
    # `en-GB` and `spa_Cyrl` mean the language that they start with; another language is near a misspelling only.
    meant = table.words.get(asked)
    iso = meant[:3] if meant else table.iso.get(re.split(r"[-_]", asked)[0])
    same = [code for code in sorted(offered, key=_order) if code[:3] == iso]
    found = [] if meant or same else get_close_matches(asked, choices, n=3, cutoff=0.6)
    codes = dict.fromkeys(same[:1] + [choices[choice] for choice in found])
    names = [f"'{code}' ({describe(code).name})" for code in list(codes)[:2]]
    return f"; did you mean {' or '.join(names)}?" if names else ""
