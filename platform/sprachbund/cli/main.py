"""The command line's entry point: every expected error becomes one line and exit code 2."""

import ast
import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from sprachbund.errors import SprachbundError

# Each command's module of this folder, which has a function of the command's name; in the order of `--help`.
MODULES = {
    "demo": "demo",
    "init": "database",
    "db": "database",
    "submit": "experiments",
    "status": "experiments",
    "show": "experiments",
    "cancel": "experiments",
    "retry": "experiments",
    "presets": "experiments",
    "run": "runs",
    "jobs": "jobs",
    "compare": "compare",
    "diff": "diff",
    "explain": "explain",
    "report": "report",
    "recipes": "recipes",
    "gc": "room",
    "evict": "room",
    "delete": "room",
    "samples": "samples",
    "query": "queries",
    "questions": "queries",
    "views": "queries",
    "sync": "mirror",
    "ui": "mirror",
    "export": "export",
    "plot-space": "figures",
    "import-snapshots": "imports",
}


class Interrupted(BaseException):
    """Ctrl-C, where Typer does not see it: it would end the program without a word."""


class Terminated(BaseException):
    """SIGTERM arrived."""


class _Imported(Mapping[str, Any]):
    """Commands by name. A module is imported when a command of it is asked for: most need SQL and data frames."""

    def __getitem__(self, name: str) -> Any:
        return _commands(MODULES[name])[name]

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


class _Commands(TyperGroup):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands: Any = _Imported()

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        # Help lines are read, not imported.
        TyperGroup(commands=[TyperCommand(name, help=_help(name)) for name in MODULES]).format_commands(ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None


_PLAIN: dict[str, Any] = {"add_completion": False, "rich_markup_mode": None, "pretty_exceptions_enable": False}


@cache
def _commands(module: str) -> Mapping[str, Any]:
    """What a module registers, by name."""
    part = typer.Typer(**_PLAIN)
    # Nothing that an import makes is garbage: looking through it again and again is a quarter of the time it takes.
    gc.disable()
    try:
        import_module(f"sprachbund.cli.{module}").register(part)
    finally:
        gc.freeze()
        gc.enable()
    return get_group(part).commands


def _help(name: str) -> str | None:
    return ast.get_docstring(_functions(MODULES[name])[name.replace("-", "_")])


@cache
def _functions(module: str) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(Path(__file__).with_name(f"{module}.py").read_bytes())
    return {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}


app = typer.Typer(
    name="sprachbund",
    cls=_Commands,
    help="Steer multilingual language models, measure cross-lingual alignment, compare it in SQL.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    **_PLAIN,
)


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
