"""Registering one's own functions: names, digests, and what is refused."""

import math
import re
import textwrap
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy import exp, quantile

import sprachbund
from sprachbund.catalogue import plugins
from sprachbund.catalogue.plugins import Plugin, register
from sprachbund.errors import ModelError, SpecError
from sprachbund.spec.experiment import parse

SCALE = 2.0
TABLE = np.ones(3)
FITTED = Fraction(1, 3)


def helper(x: Any) -> Any:
    return x


@pytest.fixture(autouse=True)
def _no_plugins_left() -> Iterator[None]:
    plugins.forget()
    yield
    plugins.forget()


def write(folder: Path, text: str, name: str = "own.py") -> Path:
    path = folder / name
    path.write_text("import numpy as np\nimport sprachbund\n\n" + textwrap.dedent(text), encoding="utf-8")
    return path


GAP = """
@sprachbund.register
def gap(positives, negatives):
    return positives.mean(axis=0) - negatives.mean(axis=0)
"""


def load_one(path: Path) -> Plugin:
    (plugin,) = plugins.load(path)
    return plugin


def test_a_scorer_is_named_by_its_source(tmp_path: Path) -> None:
    first = load_one(write(tmp_path, GAP))
    assert re.fullmatch(r"gap@[0-9a-f]{8}", first.full_name)
    assert plugins.scorers() == {first.full_name: first}
    assert plugins.full_name("scorer", "gap") == first.full_name
    assert plugins.find("scorer", first.full_name) is first
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(first(x, x[:1]), [2.0, 2.0])
    # Where it is written, how it is registered and what else the file has is not the function.
    moved = GAP.replace("@sprachbund.register\n", "OTHER = 3\n") + "\nsprachbund.register(gap)\n"
    assert load_one(write(tmp_path, moved, "other.py")).digest == first.digest
    assert load_one(write(tmp_path, GAP.replace("axis=0)\n", "axis=0)  \n"), "spaces.py")).digest == first.digest
    changed = load_one(write(tmp_path, GAP.replace("- neg", "+ neg"), "changed.py"))
    assert changed.digest != first.digest
    assert list(plugins.scorers()) == [changed.full_name]
    # Jobs submitted before can still be run.
    assert plugins.find("scorer", first.full_name).digest == first.digest


def test_a_measure_is_no_scorer(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        def gap(x, y):
            return np.abs(x - y).sum(axis=1).astype(float)

        sprachbund.register(gap, kind="measure")
        """,
    )
    measure = load_one(path)
    assert plugins.measures() == {measure.full_name: measure}
    assert plugins.scorers() == {}
    assert plugins.full_name("scorer", "gap") == "gap"
    with pytest.raises(SpecError, match="found 'gap', expected one of"):
        plugins.scorer_version("gap", "experts.scorers")


def test_names_in_specs_become_full_names(tmp_path: Path) -> None:
    plugin = load_one(write(tmp_path, GAP))
    fields = {
        "name": "x",
        "models": {"path": "phrasebook-bloom"},
        "corpora": {role: f"phrasebook/{role}" for role in ("fit", "test")},
        "targets": ["deu_Latn"],
        "experts": {"scorers": ["auroc", "gap"]},
        "interventions": [{"method": "experts", "k": 10, "scorers": "gap"}],
    }
    spec = parse(fields)
    assert spec.experts.scorers == ["auroc", plugin.full_name]
    assert spec.interventions[0].scorers == [plugin.full_name]
    assert plugins.scorer_version(plugin.full_name, "x") == 1
    plugins.forget()
    assert parse(fields).experts.scorers == ["auroc", "gap"]
    with pytest.raises(SpecError, match=r"experts.scorers: found 'gap', .*--plugin FILE.py, or ws.register"):
        plugins.scorer_version("gap", "experts.scorers")
    with pytest.raises(SpecError, match="did you mean 'auroc'"):
        plugins.scorer_version("aurok", "experts.scorers")


def test_what_is_not_registered_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"scorer 'gap@12345678' is not registered in this process: run with --plugin"):
        plugins.find("scorer", "gap@12345678")
    plugin = load_one(write(tmp_path, GAP))
    with pytest.raises(ModelError, match=f"'{plugin.full_name}' is, but its source differs"):
        plugins.find("scorer", "gap@12345678")


def test_a_function_that_fails_says_so_in_one_line(tmp_path: Path) -> None:
    plugin = load_one(write(tmp_path, GAP))
    with pytest.raises(ModelError, match=f"^scorer '{plugin.full_name}': AttributeError: 'int' object has no"):
        plugin(1, 2)


def test_imported_names_and_inner_functions_are_fine() -> None:
    @register
    def fine(positives: Any, negatives: Any) -> Any:
        def inner(x: Any) -> Any:
            return np.log1p(abs(x)) * math.pi * float(Fraction(2, 2))

        return exp(inner(quantile(positives, 0.5, axis=0)))

    assert fine(np.zeros((2, 3)), None).tolist() == [1, 1, 1]
    assert register(fine, name="other") is fine
    assert len(plugins.scorers()) == 2
    assert sprachbund.register is register


def test_what_a_digest_does_not_cover_is_refused() -> None:
    factor = 3.0

    def closed(positives: Any, negatives: Any) -> Any:
        return positives * factor

    def scaled(positives: Any, negatives: Any) -> Any:
        return [each * SCALE for each in positives]

    def weighted(positives: Any, negatives: Any) -> Any:
        return positives * TABLE

    def fitted(positives: Any, negatives: Any) -> Any:
        return positives * FITTED

    def helped(positives: Any, negatives: Any) -> Any:
        return (lambda x: helper(x))(positives)

    refused = (
        (closed, "it takes factor from the function around it"),
        (scaled, "it uses 'SCALE'"),
        (helped, "it uses 'helper'"),
        (weighted, "it uses 'TABLE'"),
        (fitted, "it uses 'FITTED'"),
    )
    for function, used in refused:
        with pytest.raises(SpecError, match=used):
            register(function)
    assert plugins.scorers() == {}


def test_other_refusals() -> None:
    def fine(positives: Any, negatives: Any) -> Any:
        return positives

    def one(positives: Any) -> Any:
        return positives

    def three(positives: Any, negatives: Any, more: Any) -> Any:
        return positives

    source = "def typed(positives, negatives):\n    return positives\n"
    typed: dict[str, Any] = {}
    exec(compile(source, "<nowhere>", "exec"), typed)  # noqa: S102
    unnamed = lambda positives, negatives: positives  # noqa: E731
    refused: list[tuple[Any, dict[str, Any], str]] = [
        (np.mean, {"kind": "score"}, "kind: found 'score', expected scorer or measure.*did you mean 'scorer'"),
        (np.add, {}, "found ufunc, expected a plain function"),
        (unnamed, {}, "'<lambda>' is no name"),
        (unnamed, {"name": "mine"}, "expected a function written with def"),
        (fine, {"name": "Fine"}, "'Fine' is no name"),
        (fine, {"name": "auroc"}, "'auroc' is built in"),
        (one, {}, "expected a function .*positives float32"),
        (three, {"kind": "measure"}, "expected a function .*x float32"),
        (typed["typed"], {}, "its source cannot be read"),
    ]
    for function, options, message in refused:
        with pytest.raises(SpecError, match=message):
            register(function, **options)
    assert plugins.scorers() == plugins.measures() == {}
    assert register(fine, name="auroc", kind="measure") is fine


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "it registers nothing"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("sprachbund.register(np.mean)\n", "expected a plain function"),
        ("def f(:\n", "SyntaxError"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SpecError, match=f"own.py: .*{message}"):
        plugins.load(write(tmp_path, text))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no such file"):
        plugins.load(tmp_path / "none.py")
    text = tmp_path / "own.txt"
    text.write_text(GAP, encoding="utf-8")
    with pytest.raises(SpecError, match="expected a Python file"):
        plugins.load(text)


def test_a_name_that_nothing_defines_yet_is_refused(tmp_path: Path) -> None:
    below = """
        @sprachbund.register
        def below(positives, negatives):
            return cut(positives) - cut(negatives)

        def cut(a):
            return np.quantile(a, 0.5, axis=0)
        """
    with pytest.raises(SpecError, match=r"own.py: scorer 'below': it uses 'cut', .*define 'cut' inside it"):
        plugins.load(write(tmp_path, below))


def test_a_name_that_changes_its_meaning_later_is_refused_where_it_is_called(tmp_path: Path) -> None:
    text = """
        from numpy import mean as middle

        @sprachbund.register
        def centre(positives, negatives):
            return abs(middle(positives, axis=0))
        """
    mean = load_one(write(tmp_path, text))
    median = load_one(write(tmp_path, text.replace("mean as", "median as"), "median.py"))
    assert mean.source == median.source
    assert mean.digest != median.digest
    mean.function.__globals__["middle"] = np.median
    with pytest.raises(ModelError, match="middle has changed since it was registered"):
        mean(np.ones((2, 3)), None)
    with pytest.raises(ModelError, match="middle has changed"):
        plugins.find("scorer", mean.full_name)
    median.function.__globals__["abs"] = lambda x: x
    with pytest.raises(ModelError, match="it uses 'abs'"):
        median(np.ones((2, 3)), None)


def test_values_of_defaults_are_digested(tmp_path: Path) -> None:
    text = """
        S = {value}

        @sprachbund.register
        def scaled(positives, negatives, scale=S, *, shift=(S, None)):
            return positives[0] * scale
        """
    digests = {load_one(write(tmp_path, text.format(value=value))).digest for value in ("1", "2", "1.0", "2")}
    assert len(digests) == 3
    for value in ("np.ones(2)", "[1]", "np.float32(1)", "len"):
        with pytest.raises(SpecError, match="scorer 'scaled': a default is of type"):
            plugins.load(write(tmp_path, text.format(value=value)))


def test_what_the_users_own_files_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_helpers.py").write_text("def h(x):\n    return x\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for before, inside, used in (
        ("from own_helpers import h", "return h(positives)", "it uses 'h'"),
        ("import own_helpers", "return own_helpers.h(positives)", "it uses 'own_helpers'"),
        ("", "import own_helpers\n    return own_helpers.h(positives)", "it imports 'own_helpers'"),
        ("", "return (lambda x: __import__('own_helpers').h(x))(positives)", "it uses '__import__'"),
        ("", "from . import h\n    return h(positives)", "it imports '.'"),
    ):
        text = f"{before}\n\n@sprachbund.register\ndef f(positives, negatives):\n    {inside}\n"
        with pytest.raises(SpecError, match=f"scorer 'f': {re.escape(used)}"):
            plugins.load(write(tmp_path, text))


def test_imports_and_classes_inside_and_recursion_are_fine(tmp_path: Path) -> None:
    text = """
        @sprachbund.register
        def f(positives, negatives):
            import statistics
            from numpy.linalg import norm

            class Held:
                one = 1
                two = one + 1

            if negatives is None:
                return f(positives, positives)
            return statistics.mean([Held.two, norm(positives)])
        """
    assert load_one(write(tmp_path, text))(np.zeros(2), None) == 1
