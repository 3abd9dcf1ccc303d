"""Errors a user can cause or mend. The CLI prints each as one line and exits with code 2."""

from collections.abc import Iterable
from difflib import get_close_matches


class SprachbundError(Exception):
    """Base of every expected error: its message is one line a user can act on."""


class SpecError(SprachbundError):
    """The experiment file is wrong: names the field, what was found and what was expected."""


class CorpusError(SprachbundError):
    """A corpus is missing, misaligned, damaged or lacks a language."""


class ModelError(SprachbundError):
    """A model is missing, of an unknown architecture, or produced unusable numbers."""


class DatabaseError(SprachbundError):
    """The database is gone, locked, or at another schema revision."""


class ArtifactError(SprachbundError):
    """A file of the artifact store is missing, evicted, damaged, or could not be written."""


class LostArtifactError(ArtifactError):
    """The file is not what it was, or not there: the job that made it has to make it again."""


class QueryError(SprachbundError):
    """Something asked about is unknown or has no answer yet, or a SQL query is refused, fails or takes too long."""


class WorkspaceError(SprachbundError):
    """There is no workspace here, or its configuration is wrong."""


class LeaseLost(SprachbundError):
    """Another runner holds this job now: stop, write nothing."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the closest of `choices`, or an empty string."""
    found = get_close_matches(word, [str(choice) for choice in choices], n=1, cutoff=0.5)
    return f"; did you mean '{found[0]}'?" if found else ""


def known(what: str, word: str, choices: Iterable[str]) -> None:
    """Raise QueryError unless `word` is among the choices; names the nearest."""
    names = list(choices)
    if word not in names:
        hint = nearest(word, names) or f"; expected one of {', '.join(map(str, names[:12]))}"
        raise QueryError(f"unknown {what} '{word}'{hint}")
