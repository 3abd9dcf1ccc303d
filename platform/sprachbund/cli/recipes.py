"""`sprachbund recipes`: published studies as experiments with parameters."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sprachbund import workspace
from sprachbund.cli.experiments import Replace, submit_and_print
from sprachbund.cli.output import Json, Wide, print_json, print_table
from sprachbund.errors import SpecError
from sprachbund.recipes import known_recipes, recipe
from sprachbund.recipes.recipe import parse_values
from sprachbund.spec.reading import read_yaml, write_yaml

Name = Annotated[str, typer.Argument(help="The recipe's name (`sprachbund recipes list`).")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter, or a field by its place; the value is YAML."),
]
Values = Annotated[Path | None, typer.Option("--values", help="A YAML file of parameters; --set wins over it.")]

app = typer.Typer(no_args_is_help=True)


def register(main: typer.Typer) -> None:
    """Add these commands to `main`."""
    main.add_typer(app, name="recipes")


@app.callback()
def recipes() -> None:
    """Published studies as experiments with parameters."""


@app.command(name="list")
def list_recipes(as_json: Json = False, wide: Wide = False) -> None:
    """List the recipes.

    Example: sprachbund recipes list
    """
    found = [recipe(name) for name in known_recipes()]
    if as_json:
        print_json([{"name": each.name, "description": each.description, "source": each.source} for each in found])
        return
    rows = [[each.name, each.description, each.source] for each in found]
    print_table(["recipe", "what it does", "source"], rows, wide=wide)


@app.command()
def show(
    name: Name, set_: Set = None, values: Values = None, tables: bool = False, as_json: Json = False, wide: Wide = False
) -> None:
    """Print a recipe's parameters and its experiment file; --tables prints the queries of the study's tables.

    Examples: sprachbund recipes show abx-emnlp2025; sprachbund recipes show steering-acl2025 --set k='[100, 500]'
    """
    found = recipe(name)
    content = found.filled(_values(set_, values))
    if as_json:
        parameters = {each.name: {"default": each.default, "help": each.help} for each in found.parameters.values()}
        print_json({"name": name, "source": found.source, "parameters": parameters, "tables": dict(found.tables),
                    "experiment": content})  # fmt: skip
    elif tables:
        for title, sql in found.tables.items():
            print(f'-- {title}\nsprachbund query --param experiment={content["name"]} "{sql}"\n')
    else:
        print(f"{found.name}: {found.description}\nsource: {found.source}\n")
        rows = [
            [each.name, write_yaml(each.default, flow=True).strip(), each.help] for each in found.parameters.values()
        ]
        print_table(["parameter", "default", "meaning"], rows, wide=wide)
        print("\n# the experiment file with these values")
        print(write_yaml(content), end="")


@app.command()
def submit(
    name: Name,
    set_: Set = None,
    values: Values = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan and check only; queue nothing.")] = False,
    replace: Replace = False,
    as_json: Json = False,
) -> None:
    """Submit a recipe's experiment; paths in it start at the current folder.

    Example: sprachbund recipes submit steering-acl2025 --set model=models/bible-bloom --set k='[50, 200]'
    """
    content = recipe(name).filled(_values(set_, values))
    submit_and_print(workspace.open(), content, dry_run, replace, as_json)
    if not as_json and not dry_run:
        print(f"next       sprachbund run; sprachbund report {content['name']}")


def _values(given: list[str] | None, path: Path | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if path is not None:
        try:
            found = read_yaml(path.read_text(encoding="utf-8"), str(path))
        except OSError as error:
            raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    return {**found, **parse_values(given or [])}
