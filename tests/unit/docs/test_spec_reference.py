"""docs/spec.md names every field of the experiment file with its true default, and its examples parse."""

import re
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from sprachbund.catalogue.directions import DIRECTIONS
from sprachbund.catalogue.edits import EDITS
from sprachbund.catalogue.scorers import SCORERS
from sprachbund.corpora.source import Columns, CorpusSource, DatasetSource
from sprachbund.measures.abx import AbxSpec
from sprachbund.measures.generation import GenerationSpec
from sprachbund.measures.perplexity import PerplexitySpec, StopSpec
from sprachbund.measures.probing import ProbeSpec
from sprachbund.measures.translation import TranslationSpec
from sprachbund.models.architectures import KNOWN
from sprachbund.planning.fit_inputs import MOST_DEFAULT_NEGATIVES
from sprachbund.spec import experiment as spec
from sprachbund.spec import presets
from sprachbund.spec.controls import ControlSpec
from sprachbund.spec.interventions import SelectionSpec
from sprachbund.spec.reading import read_yaml
from sprachbund.spec.side_effects import SideEffectsSpec
from sprachbund.vocabulary import SITES, VARIANTS
from support.pages import read

PAGE = read("spec.md")
# The tables of fields, in the order of the page.
MODELS: tuple[type[BaseModel], ...] = (
    spec.Spec,
    spec.ModelSpec,
    spec.RolesSpec,
    CorpusSource,
    Columns,
    DatasetSource,
    spec.ExpertsSpec,
    spec.InterventionSpec,
    SelectionSpec,
    ControlSpec,
    spec.EmbeddingsSpec,
    spec.EvaluationsSpec,
    AbxSpec,
    ProbeSpec,
    SideEffectsSpec,
    GenerationSpec,
    PerplexitySpec,
    StopSpec,
    TranslationSpec,
    spec.ChooseSpec,
    spec.StatisticsSpec,
)
MINIMAL: dict[str, Any] = {
    "name": "fragment",
    "corpora": {"fit": "phrasebook/fit", "select": "phrasebook/select", "test": "phrasebook/test"},
    "targets": ["eng_Latn"],
}
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def field_tables() -> list[dict[str, str]]:
    """Field → default of every table headed `field | type | default | meaning`."""
    tables: list[dict[str, str]] = []
    rows: dict[str, str] | None = None
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[:3] == ["field", "type", "default"]:
            rows = {}
            tables.append(rows)
        elif not line.startswith("|"):
            rows = None
        elif rows is not None and not cells[0].startswith("---"):
            assert len(cells) == 4, line
            assert cells[0].strip("`") not in rows, line
            rows[cells[0].strip("`")] = cells[2]
    return tables


def documented(field: FieldInfo, text: str) -> Any:
    """The value that the page gives as default, as the field would read it."""
    annotation: Any = field.annotation
    for each in field.metadata:
        annotation = Annotated[annotation, each]
    return TypeAdapter(annotation).validate_python(read_yaml(f"value: {text.strip('`')}", "x")["value"])


def test_there_is_one_table_for_every_model() -> None:
    assert len(field_tables()) == len(MODELS)


@pytest.mark.parametrize(
    ("model", "table"), list(zip(MODELS, field_tables(), strict=False)), ids=lambda each: getattr(each, "__name__", "")
)
def test_fields_and_defaults_are_those_of_the_code(model: type[BaseModel], table: dict[str, str]) -> None:
    assert sorted(table) == sorted(model.model_fields)
    for name, field in model.model_fields.items():
        if field.is_required():
            assert table[name] == "required", name
        elif (default := field.get_default(call_default_factory=True)) is None:
            assert table[name] == "–", name
        else:
            assert documented(field, table[name]) == default, name


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
def test_examples_parse(block: str) -> None:
    content = read_yaml(block, "docs/spec.md")
    whole = content if "name" in content else presets.merge(MINIMAL, content)
    parsed = spec.parse(whole)
    assert spec.parse(parsed.expanded()) == parsed


def test_examples_use_every_field_of_the_parts_that_have_few() -> None:
    """Guards the page against examples that lose what they show."""
    text = "\n".join(BLOCKS)
    for model in (spec.ExpertsSpec, spec.EmbeddingsSpec, spec.ChooseSpec, spec.StatisticsSpec, DatasetSource):
        for name in model.model_fields:
            assert name == "confidence" or f"{name}:" in text, f"{model.__name__}.{name}"


@pytest.mark.parametrize("word", [*KNOWN, *SCORERS, *VARIANTS, *SITES, *EDITS, *DIRECTIONS, *presets.PRESETS])
def test_vocabularies_are_listed(word: str) -> None:
    assert f"`{word}`" in PAGE


def test_labels_of_controls_are_those_of_the_code() -> None:
    for variant in VARIANTS:
        assert f"| `{ControlSpec(variant=variant).label}` |" in PAGE  # type: ignore[arg-type]


def test_the_limit_of_default_negatives_is_stated() -> None:
    assert f"more than {MOST_DEFAULT_NEGATIVES}" in PAGE
