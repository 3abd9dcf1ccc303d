"""Which specs come to the same plan, and what a change does to it."""

from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest

from sprachbund.planning.blueprint import Blueprint, draw_up
from sprachbund.planning.resolve import resolve
from sprachbund.planning.revisions import Asked, Change, Revision, asked_for, change
from sprachbund.spec.experiment import parse
from sprachbund.work.jobs import jobs_for

PLAIN: dict[str, Any] = {
    "name": "x",
    "corpora": {role: f"phrasebook/{role}" for role in ("fit", "test")},
    "languages": ["eng_Latn", "deu_Latn"],
    "targets": ["eng_Latn"],
    "interventions": ["none", "centring", {"method": "experts", "k": 5}],
    "embeddings": {"layers": [1]},
}
# Combined in every way; the first changes no plan.
FIELDS: list[dict[str, Any]] = [
    {"description": "in other words"},
    {"languages": ["eng_Latn", "spa_Latn"]},
    {"interventions": ["none", {"method": "experts", "k": 5}, "centring"]},
    {"statistics": {"resamples": 200}},
    {"embeddings": {"layers": ["final"]}},
]


def planned(**fields: Any) -> tuple[Asked, Blueprint]:
    resolved = resolve(parse(PLAIN | fields), Path())
    blueprint = draw_up(resolved.spec, [model.plan for model in resolved.models], resolved.plan_corpora())
    return asked_for(resolved, blueprint), blueprint


def changed(**fields: Any) -> Change | None:
    before, after = planned()[0], planned(**fields)[0]
    return change(Revision(1, before, 0, None, None, "0", "0"), after)


def test_plans_have_one_digest_if_they_ask_for_the_same() -> None:
    """What they ask for, told independently: the jobs in an empty database, settings in order, layers."""
    found = []
    for chosen in product((False, True), repeat=len(FIELDS)):
        given = {name: value for use, each in zip(chosen, FIELDS, strict=True) if use for name, value in each.items()}
        asked, blueprint = planned(**given)
        jobs = frozenset(job.key for job in jobs_for(blueprint.wants, {}).new)
        found.append((asked, (jobs, tuple((each.label, each.key) for each in blueprint.settings), blueprint.layers)))
    assert len({asked.spec_digest for asked, _ in found}) == len(found) == 32
    assert len({asked.plan_digest for asked, _ in found}) == 16
    for (a, plan_a), (b, plan_b) in combinations(found, 2):
        assert (a.plan_digest == b.plan_digest) == (plan_a == plan_b)


def test_the_same_again_is_no_change() -> None:
    assert changed() is None


def test_words_alone_leave_the_plan() -> None:
    found = changed(description="other", keep="all")
    assert found is not None
    assert [each.field for each in found.fields] == ["description", "keep"]
    assert (found.parts, found.replaces) == ({}, False)


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        (FIELDS[1], {"languages": (("spa_Latn",), ("deu_Latn",)), "texts": (("test: phrasebook/test spa_Latn",),
                     ("test: phrasebook/test deu_Latn",))}),
        (FIELDS[2], {}),
        (FIELDS[4], {"layers": (("final",), ("1",))}),
        ({"interventions": ["none", "whitening", {"method": "experts", "k": 5}]},
         {"settings": (("whitening",), ("centring",))}),
        ({"models": {"path": "phrasebook-bloom", "name": "mine"}}, {"models": (("mine",), ("phrasebook-bloom",))}),
    ],
)  # fmt: skip
def test_what_a_change_does(fields: dict[str, Any], parts: dict[str, tuple[tuple[str, ...], ...]]) -> None:
    found = changed(**fields)
    assert found is not None and found.replaces
    seen = {part: (each.added, each.removed) for part, each in found.parts.items() if each.added or each.removed}
    # Of kinds of work that only one of the plans has: see the next test.
    seen.pop("work", None)
    assert seen == parts


def test_work_that_differs_is_named_by_kind() -> None:
    found = changed(statistics={"resamples": 200})
    assert found is not None and list(found.parts) == ["work"]
    assert set(found.parts["work"].changed) == {"comparison", "adjustment"}
    more = changed(evaluations={"mining": False, "geometry": ["cka"]})
    assert more is not None and more.parts["work"].added == ("geometry_evaluation",)
