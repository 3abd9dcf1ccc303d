"""YAML as experiment files mean it: version 1.2, no repeated fields, one-line errors that name the line.

In YAML 1.2 only true and false are truth values: `no` is Norwegian, `on` is a word.
"""

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sprachbund.errors import SpecError

if TYPE_CHECKING:
    from ruamel.yaml import YAML


def read_yaml(text: str, where: str) -> dict[str, Any]:
    """The mapping in a YAML text; raises SpecError with the line for anything else."""
    from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # an anchor given anew is valid YAML
            content = _yaml().load(text)
    except RecursionError:
        raise SpecError(f"{where}: not readable as YAML: too many lists or mappings inside each other") from None
    # ValueError: a number that there is not; TypeError: a list or mapping as the name of a field.
    except (YAMLError, ValueError, TypeError) as error:
        marked = error if isinstance(error, MarkedYAMLError) else None
        line = f" line {marked.problem_mark.line + 1}" if marked and marked.problem_mark else ""
        problem = (marked and marked.problem) or str(error)
        raise SpecError(f"{where}{line}: not readable as YAML: {problem.splitlines()[0]}") from None
    if not isinstance(content, dict):
        raise SpecError(f"{where}: expected fields such as 'name: …', found {type(content).__name__}")
    return content


def at_line(text: str, location: Sequence[str | int]) -> str:
    """` line 12`: where the field at `location` of a readable text is, or as much of its path as the text has.

    "" where it has nothing of it. Parts that the text lacks are passed over: a single value may stand for a list.
    """
    from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

    node, line = _yaml().compose(io.StringIO(text)), None
    for part in location:
        if isinstance(node, MappingNode):
            pairs = {key.value: (key, value) for key, value in node.value if isinstance(key, ScalarNode)}
            if part in pairs:
                key, node = pairs[part]
                line = key.start_mark.line + 1
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return "" if line is None else f" line {line}"


def write_yaml(content: Any, *, flow: bool = False) -> str:
    """The content as YAML that `read_yaml` reads, in its own order; `flow`: in one line, as `--set` takes it."""
    written = io.StringIO()
    writer = _yaml()
    writer.default_flow_style = flow
    writer.width = 10_000 if flow else 120
    writer.dump(content, written)
    return written.getvalue().removesuffix("...\n")


def _yaml() -> "YAML":
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import SafeConstructor

    class Words(SafeConstructor):
        """YAML 1.2 knows no dates: what looks like one is a word."""

    Words.add_constructor("tag:yaml.org,2002:timestamp", Words.construct_yaml_str)
    made = YAML(typ="safe", pure=True)
    made.Constructor = Words
    made.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    return made
