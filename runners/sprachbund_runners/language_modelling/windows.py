"""Cutting long documents into overlapping windows, so that every token is scored once."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens start … end - 1 of a document; those from `scored` on are scored, given all before them in it."""

    start: int
    end: int
    scored: int


def windows(n_tokens: int, window: int, stride: int) -> Iterator[Window]:
    """Windows of at most `window` tokens over a document of `n_tokens`, whose first token is the start token.

    Each begins `stride` tokens after the one before; every token but the first is scored in exactly one of them: in
    the first that holds it, so with at least window - stride tokens before it as soon as the document has those.

    Source: strided evaluation of fixed-length models, transformers' page on perplexity. Raises ValueError unless
    1 <= stride < window.
    """
    if not 1 <= stride < window:
        raise ValueError(f"windows: expected 1 <= stride < window, found stride {stride} and window {window}")
    scored, start = 1, 0
    while scored < n_tokens:
        end = min(start + window, n_tokens)
        yield Window(start, end, scored)
        scored, start = end, start + stride
