"""What tells two settings apart, field by field."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.names import NamedSetting, find_setting
from sprachbund.spec.difference import Difference

_MODEL = ("name", "fingerprint", "revision", "family", "step", "architecture")
# What identifies an intervention; how many units it came to and how far it moves them are results.
_RESULTS = ("n_edited", "first_block", "shift_norm", "shift_ratio")
_UNSAID = {"id", "key", "artifact_id", "parameters", *_RESULTS}


@dataclass(frozen=True, slots=True)
class SettingDiff:
    """Two settings: the fields they differ in and how many they share. `results` differ only because these do."""

    a: NamedSetting
    b: NamedSetting
    fields: tuple[Difference, ...]
    results: tuple[Difference, ...]
    n_equal: int


def diff(engine: Engine, a: str, b: str, experiment: str | None = None) -> SettingDiff:
    """The fields in which two settings differ: model, intervention, parameters, transform, numerics, inputs.

    Raises QueryError as `find_setting`.
    """
    with reading(engine) as connection:
        found = [find_setting(connection, name, experiment) for name in (a, b)]
        fields, results = zip(*(_fields(connection, each.key) for each in found), strict=True)
    differing = _differing(*fields)
    n_equal = len({name for one in fields for name in one}) - len(differing)
    return SettingDiff(found[0], found[1], differing, _differing(*results), n_equal)


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[Difference, ...]:
    names = dict.fromkeys([*one, *other])
    return tuple(Difference(name, one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name))


def _fields(connection: Connection, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Identity and results of a setting, flat; fields that are NULL are left out."""
    setting = connection.execute(select(t.Setting.__table__).where(t.Setting.key == key)).one()
    model = connection.execute(select(t.Model.__table__).where(t.Model.id == setting.model_id)).one()
    edited = connection.execute(
        select(t.Intervention.__table__).where(t.Intervention.id == setting.intervention_id)
    ).one()
    found: dict[str, Any] = {f"model.{name}": getattr(model, name) for name in _MODEL}
    columns = [column.name for column in t.Intervention.__table__.columns]
    found |= {f"intervention.{name}": getattr(edited, name) for name in columns if name not in _UNSAID}
    found |= _flat("intervention.parameters", edited.parameters)
    found |= _inputs(connection, edited.id)
    said = {"transform", "side", "dtype", "attention"}
    found |= {f"setting.{column.name}": getattr(setting, column.name) for column in t.Setting.__table__.columns
              if column.name in said}  # fmt: skip
    found |= _flat("setting.transform", _named_corpora(connection, setting.transform_parameters))
    results = {name: getattr(edited, name) for name in _RESULTS}
    return _present(found), _present(results)


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {prefix: value}
    return {name: each for key, inner in value.items() for name, each in _flat(f"{prefix}.{key}", inner).items()}


def _named_corpora(connection: Connection, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A transform's parameters, the corpus it is fitted on by name and split."""
    found = dict(parameters)
    if "corpus" in found:
        row = connection.execute(
            select(t.Corpus.name, t.Corpus.split, t.Corpus.key).where(t.Corpus.key == found["corpus"])
        ).one_or_none()
        if row is not None:
            found["corpus"] = f"{row.name}/{row.split} ({row.key[:10]})"
    return found


def _inputs(connection: Connection, intervention_id: int) -> dict[str, Any]:
    """What an intervention is made of, by role: expert sets, statistics and directions in words."""
    rows = connection.execute(
        select(t.InterventionInput.role, t.InterventionInput.input_kind, t.InterventionInput.input_key)
        .where(t.InterventionInput.intervention_id == intervention_id)
        .order_by(t.InterventionInput.role, t.InterventionInput.input_key)
    ).all()
    described: dict[str, list[str]] = {}
    for row in rows:
        described.setdefault(f"inputs.{row.role}", []).append(_described(connection, row.input_kind, row.input_key))
    return {name: sorted(each) for name, each in described.items()}


def _described(connection: Connection, kind: str, key: str) -> str:
    short = f"({key[:10]})"
    if kind == "expert_set":
        row = connection.execute(select(t.ExpertSet.__table__).where(t.ExpertSet.key == key)).one_or_none()
        if row is not None:
            against = ", ".join(row.negatives)
            return f"{row.scorer} v{row.scorer_version} experts of {row.target} against {against} {short}"
    if kind == "unit_statistics":
        row = connection.execute(
            select(t.UnitStatistics.pooling, t.UnitStatistics.tokens, t.CorpusText.language, t.Corpus.name,
                   t.Corpus.split)
            .join(t.CorpusText, t.CorpusText.id == t.UnitStatistics.corpus_text_id)
            .join(t.Corpus, t.Corpus.id == t.CorpusText.corpus_id)
            .where(t.UnitStatistics.key == key)
        ).one_or_none()  # fmt: skip
        if row is not None:
            return f"units on {row.name}/{row.split} {row.language}, {row.pooling} over {row.tokens} tokens {short}"
    if kind == "direction":
        row = connection.execute(select(t.Direction.__table__).where(t.Direction.key == key)).one_or_none()
        if row is not None:
            return f"{row.method} direction of {row.target or 'all'} at block {row.block} {row.site} {short}"
    return f"{kind} {short}"


def to_json(found: SettingDiff) -> str:
    """The difference as one JSON object."""

    def listed(fields: Sequence[Difference]) -> dict[str, Any]:
        return {each.field: {"a": each.a, "b": each.b} for each in fields}

    return json.dumps(
        {
            "a": {"label": found.a.label, "key": found.a.key},
            "b": {"label": found.b.label, "key": found.b.key},
            "differences": listed(found.fields),
            "results": listed(found.results),
            "n_equal": found.n_equal,
        },
        ensure_ascii=False,
        indent=2,
        default=str,
    )
