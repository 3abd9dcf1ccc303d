"""The command line's entry point: every expected error becomes one line and exit code 2."""

import logging
import os
import signal
import sys
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sprachbund.cli import (
    compare,
    database,
    demo,
    diff,
    experiments,
    explain,
    export,
    figures,
    imports,
    jobs,
    mirror,
    queries,
    recipes,
    report,
    room,
    runs,
    samples,
)
from sprachbund.errors import SprachbundError


class Interrupted(BaseException):
    """Ctrl-C, where Typer does not see it: it would end the program without a word."""


class Terminated(BaseException):
    """SIGTERM arrived."""


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None


app = typer.Typer(
    name="sprachbund",
    cls=_Commands,
    help="Steer multilingual language models, measure cross-lingual alignment, compare it in SQL.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    demo,
    database,
    experiments,
    runs,
    jobs,
    compare,
    diff,
    explain,
    report,
    recipes,
    room,
    samples,
    queries,
    mirror,
    export,
    figures,
    imports,
):
    module.register(app)


_GO_ON = "nothing is lost, run the command again to go on"


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise Terminated


@app.callback()
def _common(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what happens in detail.")] = False,
) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    if not verbose:
        for noisy in ("alembic", "mlflow", "sqlalchemy"):
            logging.getLogger(noisy).setLevel(logging.ERROR)


def main() -> None:
    """Run a command: exit code 0 if it worked, 1 if a comparison lacks cells, 2 for errors, 130 for Ctrl-C."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app(prog_name="sprachbund")
    except SprachbundError as error:
        _die(str(error), 2)
    except (Interrupted, KeyboardInterrupt):
        _die(f"interrupted: {_GO_ON}", 130)
    except Terminated:
        _die(f"terminated: {_GO_ON}", 2)
    except BrokenPipeError:
        # The reader of our output went away (`| head`): not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _die(message: str, code: int) -> None:
    print("sprachbund: " + " ".join(message.split()), file=sys.stderr)
    sys.stdout.flush()
    sys.exit(code)
