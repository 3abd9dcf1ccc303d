"""Payloads: every kind's comes back from JSON as it was planned, and one of other fields is refused in one line."""

import copy
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path

import pytest

from sprachbund.errors import DatabaseError
from sprachbund.planning.blueprint import draw_up
from sprachbund.planning.resolve import resolve
from sprachbund.spec.experiment import load
from sprachbund.work.jobs import jobs_for
from sprachbund.work.kind import Kind
from sprachbund.work.kinds import KINDS, read_payload
from sprachbund.work.payloads.base import Payload
from sprachbund.work.payloads.compare import AdjustmentPayload, OutcomesPayload
from sprachbund.work.payloads.pairs import EmbeddedPairsPayload, OwnMeasuresPayload, PairEvaluationPayload
from sprachbund.work.payloads.star import Starred
from sprachbund.work.payloads.stored import to_json
from sprachbund.work.plan import Want, kind_key

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def planned() -> Mapping[str, tuple[Kind, Payload]]:
    """One job's payload of every kind."""
    resolved = resolve(load(HERE / "plan.yaml"), HERE)
    blueprint = draw_up(resolved.spec, [model.plan for model in resolved.models], resolved.plan_corpora())
    found = {job.kind.name: (job.kind, job.payload) for job in jobs_for(blueprint.wants, {}).new}
    pair = found["pair_evaluation"][1]
    assert isinstance(pair, PairEvaluationPayload)
    shared = {each.name: getattr(pair, each.name) for each in fields(EmbeddedPairsPayload)}
    own = OwnMeasuresPayload(**shared, measure="mine", version=1, unit="item", confidence=0.95)
    return {**found, "own_measures": (KINDS["own_measures"], own)}


def read(payload: Payload, kind: str) -> Payload:
    return read_payload(kind, json.loads(json.dumps(to_json(payload))), "this job")


@pytest.mark.parametrize("kind", KINDS)
def test_a_payload_comes_back_from_json(planned: Mapping[str, tuple[Kind, Payload]], kind: str) -> None:
    payload = planned[kind][1]
    stored = payload
    if isinstance(payload, OutcomesPayload | AdjustmentPayload):
        stored = replace(payload, evaluations=type(payload.evaluations)())
    back = read(payload, kind)
    assert back == stored
    assert type(back) is KINDS[kind].payload
    assert copy.deepcopy(back) == back


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"comparison", "contrast", "best"}))
def test_the_key_follows_from_what_is_stored(planned: Mapping[str, tuple[Kind, Payload]], kind: str) -> None:
    declared, payload = planned[kind]
    assert kind_key(declared, read(payload, kind)) == kind_key(declared, payload)


@pytest.mark.parametrize("kind", KINDS)
def test_another_field_is_refused(planned: Mapping[str, tuple[Kind, Payload]], kind: str) -> None:
    stored = {**to_json(planned[kind][1]), "colour": "red"}
    with pytest.raises(DatabaseError, match=r"colour: .*submit its experiment again") as found:
        read_payload(kind, stored, "this job")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_field_is_refused(planned: Mapping[str, tuple[Kind, Payload]], kind: str) -> None:
    stored = to_json(planned[kind][1])
    name = next(name for name in stored if name != "layers")
    with pytest.raises(DatabaseError, match=f"jobs.payload of this job: {name}: "):
        read_payload(kind, {each: value for each, value in stored.items() if each != name}, "this job")


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_names_a_function_of_the_runners(kind: Kind) -> None:
    module, _, function = kind.run.partition(":")
    assert callable(getattr(import_module(module), function))


def test_layers_and_pairs_enter_no_subject(planned: Mapping[str, tuple[Kind, Payload]]) -> None:
    for kind, payload in planned.values():
        if kind.layered:
            assert Want.of(kind, replace(payload, layers=("7",)), "").subject == kind_key(kind, payload)  # type: ignore[call-arg]
        if isinstance(payload, Starred):
            other = payload.part([replace(payload.pairs[0], key="0" * 40)], ("7",))
            assert kind_key(kind, other) == kind_key(kind, payload)
