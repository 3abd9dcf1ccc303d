"""Reading YAML as experiment files mean it: 1.2 booleans, no repeated fields, one-line errors."""

import re
from typing import Any

import yaml

from sprachbund.errors import SpecError


class _Loader(yaml.SafeLoader):
    """YAML 1.2 booleans: only true and false; `no` is Norwegian, `on` is a word."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def _unique_mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, (str, int)) and key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"'{key}' is given twice", key_node.start_mark)
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


_Loader.add_constructor("tag:yaml.org,2002:map", _unique_mapping)


def read_yaml(text: str, where: str) -> dict[str, Any]:
    """The mapping in a YAML text; raises SpecError with the line for anything else."""
    try:
        content = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise SpecError(f"{where}{line}: not readable as YAML: {problem}") from None
    if not isinstance(content, dict):
        raise SpecError(f"{where}: expected fields such as 'name: …', found {type(content).__name__}")
    return content
