"""Languages: one code per language and script (`spa_Latn`), found by any of its usual names.

The table follows the codes of FLORES-200 and adds those of NTREX-128, SIB-200, Tatoeba and Universal
Dependencies. Glottocodes and families are those of Glottolog 5.1 (CC BY 4.0).
"""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from sprachbund.errors import SpecError

TABLE = Path(__file__).parents[1] / "data" / "languages.tsv"
_CODE = re.compile(r"[a-z]{3}(_[A-Z][a-z]{3})?")
_TAG = re.compile(r"([A-Za-z]{2,3})[-_]([A-Za-z]{4})")


@dataclass(frozen=True, slots=True)
class Language:
    """A language in a script: `code` is ISO 639-3 and ISO 15924, or ISO 639-3 alone if the script is unknown.

    `family` is the top-level family's English name, "Isolate" for a language without relatives.
    """

    code: str
    iso639_3: str
    script: str | None
    name: str
    glottocode: str | None = None
    family: str | None = None


@dataclass(frozen=True, slots=True)
class _Table:
    languages: dict[str, Language]
    words: dict[str, str]  # case-folded code, ISO code, alias or name → code
    iso: dict[str, str]  # ISO 639-1 or -3 code, also of a macrolanguage → the ISO 639-3 part of its code


@cache
def _table() -> _Table:
    table = _Table({}, {}, {})
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            code = row["code"]
            iso, _, script = code.partition("_")
            table.languages[code] = Language(
                code, iso, script or None, row["name"], row["glottocode"] or None, row["family"] or None
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
