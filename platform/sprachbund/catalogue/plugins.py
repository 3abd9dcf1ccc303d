"""Your own methods: functions registered by name, kept apart by the digest of all that they compute with.

A scorer or a pair measure is a plain function. What it is called in specs, tables and views is `name@` and the first
eight digits of a SHA-256 over its source, the values of its defaults and what its names stand for, so that an edited
function is another method and never meets old results. Nothing is loaded by itself: a function is registered in this
process, or a file that registers it is named (`--plugin`).
"""

import ast
import builtins
import dis
import hashlib
import importlib.util
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from os import PathLike
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from sprachbund.catalogue.scorers import SCORERS
from sprachbund.errors import ModelError, SpecError, nearest

Kind = Literal["scorer", "measure"]
F = TypeVar("F", bound=Callable[..., Any])

NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
ARGUMENTS: Mapping[str, str] = {
    "scorer": "(positives float32 [n, units], negatives float32 [m, units]) -> float64 [units]",
    "measure": "(x float32 [n, width], y float32 [n, width]) -> float64 [n]",
}
# What reaches code and values that no digest can see.
DYNAMIC = frozenset({"__import__", "compile", "eval", "exec", "globals"})


@dataclass(frozen=True, slots=True)
class Plugin:
    """A registered function. `source`: the text of its `def` without decorators. `uses`: what else was digested."""

    kind: Kind
    name: str
    digest: str
    function: FunctionType
    source: str
    uses: tuple[str, ...]

    @property
    def full_name(self) -> str:
        """`name@` and eight digits of the digest."""
        return f"{self.name}@{self.digest[:8]}"

    def metric_row(self) -> dict[str, Any]:
        """A measure's row in the table metric_names."""
        first = (inspect.getdoc(self.function) or "a measure of the user's own").splitlines()[0]
        unknown = {"unit": "", "better": "none", "low": None, "high": None}
        return {"name": self.full_name, **unknown, "description": f"{first} (source: sha256 {self.digest})"}

    def check_unchanged(self) -> None:
        """Raise ModelError where its names or defaults now stand for something else than what was digested."""
        try:
            uses = _uses(self.function, self.kind, self.name)
        except SpecError as error:
            raise ModelError(str(error)) from None
        if uses != self.uses:
            (changed, *_) = sorted(set(uses) ^ set(self.uses))
            raise ModelError(
                f"{self.kind} '{self.full_name}': {changed.split(' = ')[0]} has changed since it was registered;"
                " register it again"
            )

    def __call__(self, *arguments: Any) -> Any:
        """Call the function; ModelError with its message where it fails, or is no longer what was digested."""
        self.check_unchanged()
        try:
            return self.function(*arguments)
        except Exception as error:
            raise ModelError(f"{self.kind} '{self.full_name}': {type(error).__name__}: {error}") from error


_by_full_name: dict[tuple[Kind, str], Plugin] = {}
_latest: dict[tuple[Kind, str], Plugin] = {}


def register(function: F, *, kind: Kind = "scorer", name: str | None = None) -> F:
    """Register a function under its own name (or `name`) and return it, so that this also decorates.

    kind `scorer`: (positives float32 [n, units], negatives float32 [m, units]) -> float64 [units], called for each
    site of each block; greater is more expert. kind `measure`: (x float32 [n, width], y float32 [n, width]) ->
    float64 [n], one value per pair of translations.

    Registering an edited function again replaces it for new specs. Raises SpecError for anything but a plain function
    of two arguments whose source can be read and holds all that it computes with. Beside builtins and what comes from
    the standard library or an installed distribution, every name it uses must be defined inside it; defaults must be
    numbers, strings, None or tuples of these.
    """
    if kind not in get_args(Kind):
        raise SpecError(f"kind: found '{kind}', expected scorer or measure{nearest(str(kind), get_args(Kind))}")
    if not isinstance(function, FunctionType):
        raise SpecError(f"{kind}: found {type(function).__name__}, expected a plain function {ARGUMENTS[kind]}")
    chosen = name or function.__name__
    if not NAME.fullmatch(chosen):
        raise SpecError(
            f"{kind}: '{chosen}' is no name for it; expected a letter, then up to 47 of a-z, 0-9 and _ (give name=…)"
        )
    if kind == "scorer" and chosen in SCORERS:
        raise SpecError(f"scorer: '{chosen}' is built in; register it under another name (name=…)")
    _check_arguments(function, kind, chosen)
    uses = _uses(function, kind, chosen)
    source = _source(function, kind, chosen)
    digest = hashlib.sha256("\n".join((kind, source, *uses)).encode()).hexdigest()
    plugin = Plugin(kind, chosen, digest, function, source, uses)
    _by_full_name[kind, plugin.full_name] = plugin
    _latest[kind, chosen] = plugin
    return function


def measures() -> dict[str, Plugin]:
    """Registered pair measures by full name: of each name the one registered last."""
    return {plugin.full_name: plugin for (kind, _), plugin in sorted(_latest.items()) if kind == "measure"}


def scorers() -> dict[str, Plugin]:
    """Registered scorers by full name: of each name the one registered last."""
    return {plugin.full_name: plugin for (kind, _), plugin in sorted(_latest.items()) if kind == "scorer"}


def full_name(kind: Kind, name: str) -> str:
    """`name@digest` of a registered function; any other name as it is, for whoever knows it to judge."""
    plugin = _latest.get((kind, name))
    return name if plugin is None else plugin.full_name


def scorer_version(name: str, where: str) -> int:
    """Version of a built-in scorer, 1 of a registered one (its name holds the digest); SpecError for any other."""
    if name in SCORERS:
        return SCORERS[name].version
    if ("scorer", name) in _by_full_name:
        return 1
    known = [*SCORERS, *scorers()]
    raise SpecError(
        f"{where}: found '{name}', expected one of {', '.join(known)}{nearest(name, known)}, or one of your own"
        " registered before (--plugin FILE.py, or ws.register)"
    )


def find(kind: Kind, name: str) -> Plugin:
    """The registered function with this full name; ModelError saying how to give it where there is none.

    Raises ModelError as well where it is no longer what was digested.
    """
    plugin = _by_full_name.get((kind, name))
    if plugin is not None:
        plugin.check_unchanged()
        return plugin
    short = name.partition("@")[0]
    other = _latest.get((kind, short))
    found = "" if other is None else f" ('{other.full_name}' is, but its source differs)"
    raise ModelError(
        f"{kind} '{name}' is not registered in this process{found}: run with --plugin FILE.py, the file that registers"
        f" it, or register {short} before ws.run()"
    )


def load(path: str | PathLike[str]) -> list[Plugin]:
    """Run a Python file that calls `sprachbund.register`; what it registered.

    Raises SpecError where the file is missing, fails, or registers nothing.
    """
    file = Path(path)
    if not file.is_file():
        raise SpecError(f"plugin {file}: there is no such file")
    spec = importlib.util.spec_from_file_location(f"sprachbund_plugin_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise SpecError(f"plugin {file}: expected a Python file (.py)")
    before = dict(_latest)
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except SpecError as error:
        raise SpecError(f"plugin {file}: {error}") from None
    except Exception as error:
        raise SpecError(f"plugin {file}: {type(error).__name__}: {error}") from error
    loaded = [plugin for key, plugin in _latest.items() if before.get(key) is not plugin]
    if not loaded:
        raise SpecError(f"plugin {file}: it registers nothing; expected a call of sprachbund.register(function)")
    return loaded


def forget() -> None:
    """Drop every registered function."""
    _by_full_name.clear()
    _latest.clear()


def _check_arguments(function: FunctionType, kind: Kind, name: str) -> None:
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        raise SpecError(f"{kind} '{name}': expected a function {ARGUMENTS[kind]}, which is called with two") from None


def _uses(function: FunctionType, kind: Kind, name: str) -> tuple[str, ...]:
    """What is digested beside the source, sorted: `np = numpy`, `default 1 = 0.5`. SpecError for what cannot be."""
    where = f"{kind} '{name}'"
    if function.__closure__:
        held = ", ".join(function.__code__.co_freevars)
        raise SpecError(
            f"{where}: it takes {held} from the function around it, which its digest does not cover;"
            " define everything inside it"
        )
    uses = set()
    for used in _globals_of(function.__code__):
        if used in DYNAMIC:
            raise SpecError(f"{where}: it uses '{used}', and a digest does not cover what that reaches; write it out")
        origin = _origin(used, function)
        if origin is None:
            raise SpecError(
                f"{where}: it uses '{used}', which is neither inside it nor of the standard library or an installed"
                f" package, so that its digest does not cover it; define '{used}' inside it"
            )
        uses.add(f"{used} = {origin}")
    for module in _imports_of(function.__code__):
        if not _is_installed(module):
            raise SpecError(
                f"{where}: it imports '{module or '.'}', which is neither of the standard library nor of an installed"
                " package, so that its digest does not cover it; define what it needs inside it"
            )
    defaults = {str(place): value for place, value in enumerate(function.__defaults__ or ())}
    for parameter, value in {**defaults, **(function.__kwdefaults__ or {})}.items():
        if not _is_literal(value):
            raise SpecError(
                f"{where}: a default is of type {type(value).__name__}, which its digest does not cover; expected a"
                " number, a string, True, False, None or a tuple of these"
            )
        uses.add(f"default {parameter} = {value!r}")
    return tuple(sorted(uses))


def _origin(used: str, function: FunctionType) -> str | None:
    """What a name outside of a function stands for, the same in every process; None where no digest covers it."""
    if used not in function.__globals__:
        if hasattr(builtins, used):
            return f"builtins:{used}"
        # A decorator sees the function before its module does.
        return "itself" if used == function.__name__ else None
    value = function.__globals__[used]
    if value is function:
        return "itself"
    if isinstance(value, ModuleType):
        return value.__name__ if _is_installed(value.__name__) else None
    module = "numpy" if isinstance(value, np.ufunc) else str(getattr(value, "__module__", ""))
    name = str(getattr(value, "__name__", ""))
    stands_there = module in sys.modules and vars(sys.modules[module]).get(name) is value
    return f"{module}:{name}" if stands_there and _is_installed(module) else None


def _is_installed(module: str) -> bool:
    """Whether a module is of the standard library or of an installed distribution."""
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top in _distributed()


@cache
def _distributed() -> frozenset[str]:
    return frozenset(packages_distributions())


def _is_literal(value: Any) -> bool:
    if type(value) is tuple:
        return all(_is_literal(each) for each in value)
    return value is None or type(value) in (bool, int, float, complex, str, bytes)


def _globals_of(code: CodeType) -> Iterator[str]:
    """Names that a function's body, and those of the functions inside it, look up outside of it."""
    found = list(dis.get_instructions(code))
    # The body of a class inside looks its own names up first, and the module's name.
    own = {each.argval for each in found if each.opname == "STORE_NAME"} | {"__name__"}
    for each in found:
        if each.opname == "LOAD_GLOBAL" or (each.opname == "LOAD_NAME" and each.argval not in own):
            yield str(each.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals_of(constant)


def _imports_of(code: CodeType) -> Iterator[str]:
    """Modules that a function's body imports, and those of the functions inside it; "" for one relative to its own."""
    found = list(dis.get_instructions(code))
    for place, each in enumerate(found):
        if each.opname == "IMPORT_NAME":
            # Two constants stand before: the level, 0 for an absolute import, and the names.
            yield "" if found[place - 2].argval else str(each.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imports_of(constant)


def _source(function: FunctionType, kind: Kind, name: str) -> str:
    try:
        text = textwrap.dedent(inspect.getsource(function))
        tree = ast.parse(text)
    except (OSError, TypeError, SyntaxError, IndentationError):
        raise SpecError(
            f"{kind} '{name}': its source cannot be read, so nothing could tell its versions apart; write it in a file"
            " or a notebook cell with def"
        ) from None
    node = tree.body[0]
    if not isinstance(node, ast.FunctionDef):
        raise SpecError(f"{kind} '{name}': expected a function written with def")
    lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
    return "\n".join(line.rstrip() for line in lines) + "\n"
