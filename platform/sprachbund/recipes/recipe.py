"""What a recipe is, and how its parameters fill its experiment."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from sprachbund.errors import SpecError, nearest
from sprachbund.spec.reading import read_yaml


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that whoever uses the recipe may give. A default of None leaves the field out."""

    name: str
    default: Any
    help: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """An experiment with parameters (`$name` in it stands for one), and the queries that give the study's tables."""

    name: str
    description: str
    source: str
    parameters: Mapping[str, Parameter]
    tables: Mapping[str, str]
    experiment: Mapping[str, Any]

    def filled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The experiment file's content. `values`: by parameter, or by the dotted place of a field in the experiment.

        Fields that are None are left out. Raises SpecError for a name that is neither.
        """
        given = {name: parameter.default for name, parameter in self.parameters.items()}
        places: dict[str, Any] = {}
        for name, value in values.items():
            if name in self.parameters:
                given[name] = value
            elif name.split(".", 1)[0] in self.experiment:
                places[name] = value
            else:
                names = [*self.parameters, *self.experiment]
                raise SpecError(
                    f"recipe '{self.name}' has no parameter '{name}'"
                    f"{nearest(name, names) or '; known: ' + ', '.join(self.parameters)}"
                )
        content = _replaced(self.experiment, {**given, "source": self.source})
        for name, value in places.items():
            _put(content, name, value)
        return _without_none(content)


def known_recipes() -> list[str]:
    """Names of all recipes."""
    folder = files("sprachbund.recipes")
    return sorted(each.name.removesuffix(".yaml") for each in folder.iterdir() if each.name.endswith(".yaml"))


def recipe(name: str) -> Recipe:
    """The recipe of this name; SpecError with the nearest if there is none."""
    names = known_recipes()
    if name not in names:
        raise SpecError(f"recipe '{name}' does not exist; known: {', '.join(names)}{nearest(name, names)}")
    text = (files("sprachbund.recipes") / f"{name}.yaml").read_text(encoding="utf-8")
    content = read_yaml(text, name)
    parameters = {key: Parameter(key, each["default"], each["help"]) for key, each in content["parameters"].items()}
    return Recipe(
        name=content["name"],
        description=content["description"],
        source=content["source"],
        parameters=parameters,
        tables=content["tables"],
        experiment=content["experiment"],
    )


def parse_values(given: list[str]) -> dict[str, Any]:
    """`NAME=VALUE` texts as values by name; a value is YAML. Raises SpecError for anything else."""
    found: dict[str, Any] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not (name and equals):
            raise SpecError(f"--set: found '{each}', expected NAME=VALUE")
        found[name] = read_yaml(f"value: {text}", f"--set {name}")["value"]
    return found


def _replaced(value: Any, given: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _replaced(each, given) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, given) for each in value]
    if isinstance(value, str) and value.startswith("$"):
        return given[value[1:]]
    return value


def _put(content: dict[str, Any], place: str, value: Any) -> None:
    """Set a field by its dotted place, making mappings on the way."""
    *path, last = place.split(".")
    inside: Any = content
    for part in path:
        if not isinstance(inside.get(part), dict):
            inside[part] = {}
        inside = inside[part]
    inside[last] = value


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_none(each) for each in value]
    return value
