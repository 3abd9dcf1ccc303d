"""Overlap of roles: texts and groups that appear both where experts are fitted and where they are tested."""

from collections.abc import Iterable
from dataclasses import dataclass

from sprachbund.corpora.text import TextSet, normalise


@dataclass(frozen=True, slots=True)
class Overlap:
    """What two roles share.

    `n_texts` counts distinct normalised texts, each language for itself; `n_groups` distinct groups, whatever
    the language, since translations of one document are one document. `examples` say where, for people.
    """

    n_texts: int
    n_groups: int
    examples: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.n_texts > 0 or self.n_groups > 0


def overlap(role_a: Iterable[TextSet], role_b: Iterable[TextSet], n_examples: int = 5) -> Overlap:
    """The texts and groups of `role_a` that `role_b` has as well, in time linear in the number of sentences.

    Groups are compared within one origin.
    """
    texts_a, groups_a = _index(role_a)
    texts_b, groups_b = _index(role_b)
    shared = [(key, texts_b[key]) for key in texts_a if key in texts_b]
    groups = [key for key in groups_a if key in groups_b]
    examples = []
    for (language, normalised), item_b in shared[:n_examples]:
        quoted = normalised if len(normalised) <= 40 else normalised[:40] + "…"
        item_a = texts_a[language, normalised]
        examples.append(f"{language} item {item_a!r} = item {item_b!r} ('{quoted}')")
    for _, group in groups[: n_examples - len(examples)]:
        examples.append(f"group {group!r}")
    return Overlap(len(shared), len(groups), tuple(examples))


def _index(role: Iterable[TextSet]) -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], None]]:
    """(language, normalised text) → the first item that has it; the (origin, group) pairs; both in order."""
    texts: dict[tuple[str, str], str] = {}
    groups: dict[tuple[str, str], None] = {}
    for text_set in role:
        for item, text, group in text_set.frame.select("item", "text", "group").iter_rows():
            texts.setdefault((text_set.language, normalise(text)), item)
            if group is not None:
                groups[text_set.origin, group] = None
    return texts, groups
