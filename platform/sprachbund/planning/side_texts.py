"""The text that side effects are measured on, and whether the models and languages can be measured at all."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from sprachbund.corpora import Corpus, TextSet, read_corpora
from sprachbund.corpora.text import SCHEMA
from sprachbund.errors import CorpusError, SpecError, nearest
from sprachbund.languages.identifier import NAME, labels_of
from sprachbund.measures.perplexity import PerplexitySpec
from sprachbund.models.architectures import Architecture
from sprachbund.spec.experiment import Spec

ROLES = ("perplexity", "translation")


def side_effect_corpora(spec: Spec, base: Path) -> Iterator[tuple[str, Corpus, dict[str, Any]]]:
    """(role, corpus, its description) of every text that side effects need; CorpusError names the field."""
    asked = spec.side_effects
    if asked is None:
        return
    if asked.perplexity is not None:
        yield "perplexity", *_read_alone(spec, asked.perplexity, base)
    if asked.translation is not None:
        source = asked.translation.corpus
        languages = sorted({code for pair in asked.translation.pairs for code in pair})
        try:
            (corpus,) = read_corpora(source, languages, base)
        except CorpusError as error:
            raise CorpusError(f"side_effects.translation.corpus: {error}") from None
        if len(corpus) <= asked.translation.shots:
            raise SpecError(
                f"side_effects.translation.shots: found {asked.translation.shots}, but {corpus.name} has only"
                f" {len(corpus)} items; the examples are its first ones, and something must be left to translate"
            )
        yield "translation", corpus, source.model_dump(mode="json", exclude_defaults=True)


def targets_of(spec: Spec) -> list[str]:
    """Every language that some setting steers towards."""
    found = dict.fromkeys(spec.targets)
    for row in spec.interventions:
        found.update(dict.fromkeys(row.targets or ()))
    return list(found)


def _read_alone(spec: Spec, asked: PerplexitySpec, base: Path) -> tuple[Corpus, dict[str, Any]]:
    """Each language read by itself: text for perplexity need not be parallel."""
    where = "side_effects.perplexity"
    languages = asked.languages or targets_of(spec) or spec.languages
    if not languages:
        raise SpecError(f"{where}.languages is missing, and there are no targets that it could default to")
    texts: dict[str, TextSet] = {}
    for language in languages:
        try:
            (corpus,) = read_corpora(asked.corpus, [language], base)
        except CorpusError as error:
            raise CorpusError(f"{where}.corpus: {error}") from None
        (code,) = corpus.languages
        texts[code] = _documents(corpus.text(code), asked, f"{corpus.name} {code}")
    described: dict[str, Any] = asked.corpus.model_dump(mode="json", exclude_defaults=True)
    if asked.min_characters or asked.documents == "group":
        # What was selected of a corpus is part of its identity.
        chosen = {"(characters)": asked.min_characters, "(documents)": asked.documents}
        described["filter"] = {**described.get("filter", {}), **chosen}
    return Corpus(corpus.name, None, "parallel", corpus.split, texts), described


def _documents(text: TextSet, asked: PerplexitySpec, name: str) -> TextSet:
    """Paragraphs that are long enough, one document each or those of a group together."""
    long_enough = pl.col("text").str.len_chars() >= asked.min_characters
    frame = text.frame.filter(long_enough)
    if frame.is_empty():
        longest = max((len(each) for each in text.texts), default=0)
        raise CorpusError(
            f"side_effects.perplexity.min_characters: found {asked.min_characters}, but the longest text of {name} has"
            f" {longest} characters"
        )
    if asked.documents == "group":
        if frame["group"].null_count():
            raise CorpusError(
                f"side_effects.perplexity.documents: found 'group', but {name} has texts without a group; use 'item'"
            )
        frame = frame.group_by("group", maintain_order=True).agg(pl.col("text").str.join("\n"))
        frame = frame.select(pl.col("group").alias("item"), "text", "group").cast(SCHEMA)  # type: ignore[arg-type]
    return TextSet(text.language, text.split, frame, text.origin)


def check_side_effects(spec: Spec, models: Iterable[tuple[str, Architecture]]) -> None:
    """Raise SpecError for models (name, architecture) or languages that side effects cannot be measured of."""
    asked = spec.side_effects
    if asked is None:
        return
    if asked.perplexity is not None:
        for place, row in enumerate(spec.interventions):
            steered = row.method != "none" and row.transform == "none" and row.side == "both"
            if steered and row.tokens == "last":
                raise SpecError(
                    f"interventions[{place}].tokens: found 'last', but nothing in side_effects.perplexity is predicted"
                    " from a text's last token, so that it would be the unsteered model's; use 'all' or 'content', or"
                    " leave perplexity out"
                )
    for name, architecture in models:
        if not architecture.causal:
            raise SpecError(
                f"side_effects: {name} is an encoder ({architecture.model_type}), which neither writes nor predicts"
                " text; use a model that generates, or leave side_effects out"
            )
        limit = architecture.max_positions
        if limit is None:
            continue
        if asked.perplexity is not None:
            if asked.perplexity.window is not None and asked.perplexity.window > limit:
                raise SpecError(
                    f"side_effects.perplexity.window: found {asked.perplexity.window}, but {name} reads at most"
                    f" {limit} tokens"
                )
            if asked.perplexity.stride >= limit:
                raise SpecError(
                    f"side_effects.perplexity.stride: found {asked.perplexity.stride}, but {name} reads at most"
                    f" {limit} tokens at once; expected less"
                )
        for part, field in ((asked.generation, "generation"), (asked.translation, "translation")):
            if part is not None and part.max_new_tokens >= limit:
                raise SpecError(
                    f"side_effects.{field}.max_new_tokens: found {part.max_new_tokens}, but {name} reads at most"
                    f" {limit} tokens; expected less"
                )
    if asked.generation is not None:
        _check_identifier(targets_of(spec), asked.generation.identify)


def _check_identifier(targets: Sequence[str], identify: str | list[str]) -> None:
    for target in targets:
        if not labels_of(target):
            raise SpecError(f"side_effects.generation: {NAME} does not know the target '{target}'; leave it out")
        if isinstance(identify, list) and target not in identify:
            raise SpecError(
                f"side_effects.generation.identify: the target '{target}' is not listed{nearest(target, identify)};"
                " its share would always be zero"
            )
