"""A workspace's settings: sprachbund.toml, overridden by the environment."""

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sprachbund.errors import WorkspaceError, nearest
from sprachbund.vocabulary import KEEP, Keep

FILE = "sprachbund.toml"
TEMPLATE = """\
# A Sprachbund workspace. Environment variables win: SPRACHBUND_DATABASE_URL, SPRACHBUND_ARTIFACTS_URL,
# SPRACHBUND_MLFLOW_TRACKING_URI. Put a password there, not here.

[database]
# SQLite for one host; for a cluster: postgresql://user@host/sprachbund
url = "sqlite:///sprachbund.db"

[artifacts]
# A folder, or any fsspec URL such as s3://bucket/prefix
url = "artifacts"
# "results": embeddings and responses are given up once all that needs them is done; "all": everything stays
keep = "results"

[mlflow]
# A database of its own, never the one above; or http://127.0.0.1:5000
tracking_uri = "sqlite:///mlflow.db"
"""

FIELDS = {
    ("database", "url"): "SPRACHBUND_DATABASE_URL",
    ("artifacts", "url"): "SPRACHBUND_ARTIFACTS_URL",
    ("artifacts", "keep"): "SPRACHBUND_ARTIFACTS_KEEP",
    ("mlflow", "tracking_uri"): "SPRACHBUND_MLFLOW_TRACKING_URI",
}


@dataclass(frozen=True, slots=True)
class Config:
    """Where this workspace keeps its database, its files and its mirror. `repr` hides passwords."""

    root: Path
    database_url: str
    artifacts_url: str
    keep: Keep
    mlflow_tracking_uri: str

    def __repr__(self) -> str:
        return (
            f"Config(root={str(self.root)!r}, database_url={hide_password(self.database_url)!r},"
            f" artifacts_url={hide_password(self.artifacts_url)!r}, keep={self.keep!r},"
            f" mlflow_tracking_uri={hide_password(self.mlflow_tracking_uri)!r})"
        )


def hide_password(url: str) -> str:
    """The URL with the password, if any, as three stars."""
    # To the last @: a password may hold one, or a slash.
    hidden = re.sub(r"(://[^/@:]*):.*@", r"\1:***@", url)
    return re.sub(r"([?&]password=)[^&]*", r"\1***", hidden)


def find(start: Path) -> Path:
    """The workspace that holds `start`: the nearest folder upwards with a sprachbund.toml."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    raise WorkspaceError(f"no workspace in {start} or above it: run `sprachbund init` first")


def read(root: Path) -> Config:
    """The workspace's configuration; relative paths in it start at `root`."""
    path = root / FILE
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise WorkspaceError(f"{path}: not readable as TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise WorkspaceError(f"{path}: cannot be read: {error}") from None
    sections = {section for section, _ in FIELDS}
    values: dict[tuple[str, str], str] = {}
    for section, fields in content.items():
        if section not in sections:
            known = ", ".join(sorted(sections))
            raise WorkspaceError(f"{path}: unknown section '{section}'; expected {known}{nearest(section, sections)}")
        if not isinstance(fields, dict):
            raise WorkspaceError(f"{path}: '{section}' is a section, such as [{section}], not a value")
        for name, value in fields.items():
            if (section, name) not in FIELDS:
                names = [field for place, field in FIELDS if place == section]
                raise WorkspaceError(
                    f"{path}: unknown field '{section}.{name}'; expected {', '.join(names)}{nearest(name, names)}"
                )
            if not isinstance(value, str) or not value:
                raise WorkspaceError(f"{path}: {section}.{name}: expected text in quotes, found {value!r}")
            values[section, name] = value
    defaults = tomllib.loads(TEMPLATE)
    chosen = {
        place: os.environ.get(variable) or values.get(place) or defaults[place[0]][place[1]]
        for place, variable in FIELDS.items()
    }
    keep = chosen["artifacts", "keep"]
    if keep not in KEEP:
        raise WorkspaceError(
            f"{path}: artifacts.keep: found '{keep}', expected {' or '.join(KEEP)}{nearest(keep, KEEP)}"
        )
    return Config(
        root=root,
        database_url=_absolute_sqlite(chosen["database", "url"], root),
        artifacts_url=_absolute_folder(chosen["artifacts", "url"], root),
        keep=cast(Keep, keep),
        mlflow_tracking_uri=_absolute_sqlite(chosen["mlflow", "tracking_uri"], root),
    )


def _absolute_sqlite(url: str, root: Path) -> str:
    """`sqlite:///name.db` is a file of the workspace, from wherever the command is run."""
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        return f"{prefix}{root.resolve() / url.removeprefix(prefix)}"
    return url


def _absolute_folder(url: str, root: Path) -> str:
    return url if "://" in url else str((root / Path(url).expanduser()).resolve())
