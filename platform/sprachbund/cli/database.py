"""`sprachbund init` and `sprachbund db …`."""

from pathlib import Path
from typing import Annotated

import typer

from sprachbund import config, workspace
from sprachbund.db import engine, migrate, revisions


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(init)
    nested = typer.Typer(no_args_is_help=True)
    nested.callback()(db)
    nested.command()(upgrade)
    nested.command()(current)
    nested.command()(check)
    app.add_typer(nested, name="db")


def init(
    folder: Annotated[Path, typer.Argument(help="Where the workspace shall be.")] = Path("."),
) -> None:
    """Make a workspace: sprachbund.toml, database, artifact folder.

    Example: sprachbund init my-study
    """
    made = workspace.init(folder)
    print(f"workspace in {made.root}")
    print(f"database {engine.describe(made.config.database_url)}")
    print(f"artifacts {config.hide_password(made.config.artifacts_url)}")


def db() -> None:
    """The database's schema: upgrade, current, check."""


def upgrade() -> None:
    """Bring the schema to this version's revision and make the views anew.

    Example: sprachbund db upgrade
    """
    found = workspace.open(check=False)
    before = revisions.current(found.engine)
    migrate.upgrade(found.engine)
    print(f"schema {before or 'empty'} → {revisions.current(found.engine)}")


def current() -> None:
    """Print the database's revision and this version's.

    Example: sprachbund db current
    """
    found = workspace.open(check=False)
    print(f"database {revisions.current(found.engine) or 'empty'}, this version {revisions.head()}")


def check() -> None:
    """Fail if the database differs from what this version expects.

    Example: sprachbund db check
    """
    found = workspace.open(check=False)
    revisions.require_current(found.engine)
    migrate.check(found.engine)
    print("the schema is as it should be")
