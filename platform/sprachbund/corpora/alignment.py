"""Alignment: the same items in the same order in every language, or one clear line about what is missing."""

import hashlib
import re

import polars as pl

from sprachbund.corpora.corpus import some
from sprachbund.corpora.source import CorpusSource
from sprachbund.corpora.text import LABEL
from sprachbund.errors import CorpusError

_DIGITS = re.compile(r"([0-9]+)")


def check_rows(rows: pl.DataFrame, name: str, texts: tuple[str, ...] = ("text",)) -> None:
    """Refuse nameless items, empty texts and items that occur twice in a language.

    `rows` has the columns language, item, group, those of `texts` and perhaps further labels, all of them given.
    """
    nameless = rows.filter(pl.col("item").is_null() | (pl.col("item").str.strip_chars() == ""))
    if nameless.height:
        raise CorpusError(f"corpus '{name}': {nameless.height} rows without an item")
    for column in (each for each in rows.columns if each.startswith(LABEL)):
        unlabelled = rows.filter(pl.col(column).is_null() | (pl.col(column).str.strip_chars() == ""))
        if unlabelled.height:
            raise CorpusError(
                f"corpus '{name}': {unlabelled.height} rows without a {column.removeprefix(LABEL)}: "
                f"{_places(unlabelled)}"
            )
    for column in texts:
        empty = rows.filter(pl.col(column).is_null() | (pl.col(column).str.strip_chars() == ""))
        if empty.height:
            raise CorpusError(f"corpus '{name}': {empty.height} with an empty {column}: {_places(empty)}")
    twice = rows.group_by("language", "item", maintain_order=True).len().filter(pl.col("len") > 1)
    if twice.height:
        raise CorpusError(f"corpus '{name}': {twice.height} items occur more than once: {_places(twice)}")


def _places(rows: pl.DataFrame, shown: int = 3) -> str:
    places = [f"item {item!r} in {language}" for item, language in rows.select("item", "language").rows()]
    return some(places, shown)


def align(rows: pl.DataFrame, source: CorpusSource, languages: list[str], name: str) -> tuple[list[str], int]:
    """The items that every one of `languages` has, within the source's limit, and how many items lacked one.

    The order is natural ("2" before "10") by item name, hence the same whatever else is asked for.
    """
    lacking = (
        rows.group_by("item")
        .agg(pl.col("language"), pl.col("group").n_unique().alias("groups"))
        .with_columns((pl.col("language").list.len() < len(languages)).alias("lacks"))
    )
    torn = lacking.filter(pl.col("groups") > 1)
    if torn.height:
        items = sorted(torn["item"].to_list(), key=natural)
        raise CorpusError(
            f"corpus '{name}': {torn.height} items are in different groups in different languages: "
            f"{some([repr(item) for item in items])}"
        )
    incomplete = lacking.filter(pl.col("lacks"))
    if incomplete.height and source.on_missing == "error":
        has = dict(incomplete.select("item", "language").rows())
        items = sorted(has, key=natural)
        examples = [
            f"item {item!r} lacks {some([code for code in languages if code not in set(has[item])], 4)}"
            for item in items[:3]
        ]
        raise CorpusError(
            f"corpus '{name}' is not parallel: of {lacking.height} items {incomplete.height} lack a language, "
            f"{'; '.join(examples)}{'; …' if len(items) > 3 else ''} (on_missing: drop leaves them out)"
        )
    items = sorted(lacking.filter(~pl.col("lacks"))["item"].to_list(), key=natural)
    if not items:
        raise CorpusError(f"corpus '{name}': no item is in all of {some(languages)}")
    return choose(items, source.limit, source.sample_seed), incomplete.height


def choose(items: list[str], limit: int | None, seed: int | None) -> list[str]:
    """The first `limit` items or, with a seed, a random sample in the same order.

    An item is drawn by its name alone: other items or languages never change whether it comes before another.
    """
    if limit is None or len(items) <= limit:
        return items
    if seed is None:
        return items[:limit]
    drawn = set(sorted(items, key=lambda item: hashlib.sha256(f"{seed}\n{item}".encode()).digest())[:limit])
    return [item for item in items if item in drawn]


def natural(item: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """A sort key that compares runs of digits as numbers; names that then are equal ("1", "01") as text."""
    parts = _DIGITS.split(item)
    key = []
    for position, part in enumerate(parts):
        number = part.lstrip("0") if position % 2 else part
        key.append((len(number) if position % 2 else 0, number))
    return tuple(key), item
