"""Units that are scored at one site and edited at another (LAPE: mlp.gate or mlp.up, and mlp.hidden)."""

from typing import Any

import pytest

from sprachbund.errors import SpecError
from sprachbund.planning.blueprint import Blueprint, draw_up
from sprachbund.spec.experiment import parse
from sprachbund.work.payloads.fit import EditedUnits, ExpertSetPayload, InterventionPayload, UnitStatisticsPayload
from sprachbund.work.plan import PlanCorpus, PlanModel, PlanText

WIDTHS = {"mlp.up": 40, "mlp.gate": 40, "mlp.hidden": 40, "mlp.down": 10}
MODEL = PlanModel(
    "fingerprint", "tiny", 2, tuple((block, site, width) for block in (1, 2) for site, width in WIDTHS.items()),
    "float32", "eager",
)  # fmt: skip
APART = {"score_sites": "mlp.gate", "edit_sites": "mlp.hidden"}


def drawn(*rows: dict[str, Any], **experts: Any) -> Blueprint:
    spec = parse(
        {
            "name": "x",
            "corpora": {"fit": "phrasebook/fit", "test": "phrasebook/test"},
            "targets": ["en"],
            "experts": {"sites": ["mlp.down"], **experts},
            "interventions": ["none", *rows],
        }
    )
    languages = ("deu_Latn", "eng_Latn", "fra_Latn")
    roles = {}
    for role in ("fit", "test"):
        texts = {code: PlanText(*(f"{part} {role} {code}" for part in "tsd"), code, 10) for code in languages}
        roles[role] = [PlanCorpus(role, "book", "book", "parallel", role, texts)]
    return draw_up(spec, [MODEL], roles)


def edited(blueprint: Blueprint) -> list[EditedUnits]:
    payloads = [want.payload for want in blueprint.wants]
    found = [each.edited for each in payloads if isinstance(each, InterventionPayload)]
    assert all(isinstance(each, EditedUnits) for each in found)
    return found  # type: ignore[return-value]


def test_experts_are_of_the_scored_sites_and_values_of_the_edited():
    blueprint = drawn({"method": "experts", "k": 4, "scorers": "lape", **APART})
    (units,) = edited(blueprint)
    assert (units.sites, units.edit_sites) == (("mlp.gate",), ("mlp.hidden",))
    by_subject = {want.subject: want.payload for want in blueprint.wants}
    (experts,) = (by_subject[key] for key in units.experts.values())
    assert isinstance(experts, ExpertSetPayload)
    assert experts.sites == ("mlp.gate",)
    for keys, site in ((experts.statistics, "mlp.gate"), (units.statistics, "mlp.hidden")):
        statistics = [by_subject[key] for key in keys.values()]
        assert {each.sites for each in statistics if isinstance(each, UnitStatisticsPayload)} == {(site,)}
    setting = blueprint.settings[-1]
    assert (setting.intervention.score_site, setting.intervention.edit_site) == ("mlp.gate", "mlp.hidden")
    assert setting.label == "experts eng_Latn k=4 lape scored at mlp.gate edited at mlp.hidden"


def test_a_fraction_is_of_the_scored_units():
    (units,) = edited(drawn({"method": "experts", "k": 0.1, **APART}))
    assert units.k == 8


def test_the_order_of_sites_changes_nothing_but_their_pairing_does():
    def key(*pairs: tuple[str, str]) -> str:
        scored, edits = zip(*pairs, strict=True)
        row = {"method": "experts", "k": 4, "score_sites": list(scored), "edit_sites": list(edits)}
        return drawn(row).settings[-1].intervention.key

    straight = key(("mlp.up", "mlp.gate"), ("mlp.gate", "mlp.hidden"))
    assert straight == key(("mlp.gate", "mlp.hidden"), ("mlp.up", "mlp.gate"))
    assert straight != key(("mlp.up", "mlp.hidden"), ("mlp.gate", "mlp.gate"))


def test_the_same_site_twice_is_as_if_it_were_not_told_apart():
    apart, alike = (
        drawn({"method": "experts", "k": 4, **sites}, sites=["mlp.up"]).settings[-1].intervention.key
        for sites in ({"score_sites": "mlp.up", "edit_sites": "mlp.up"}, {})
    )
    assert apart == alike


def test_overlaps_compare_what_was_ranked_over_the_same_sites():
    rows = [{"method": "union", "k": 4, **APART}, {"method": "union", "k": 4}]
    overlaps = [want for want in drawn(*rows).wants if want.kind.name == "expert_overlap"]
    assert len(overlaps) == 2
    assert all(len(want.payload.needs) == 3 for want in overlaps)


@pytest.mark.parametrize(
    ("sites", "said"),
    [
        (("mlp.gate", "mlp.down"), "edit_sites: mlp.down has 10 units in block 1 of tiny, mlp.gate has 40"),
        (("attn.out", "mlp.down"), "interventions.1.score_sites: tiny has no attn.out; available: mlp.up"),
        (("mlp.up", "block"), "interventions.1.edit_sites: tiny has no block"),
    ],
)
def test_units_without_a_counterpart_are_refused(sites, said):
    with pytest.raises(SpecError, match=said):
        drawn({"method": "experts", "k": 4, "score_sites": sites[0], "edit_sites": sites[1]})


def test_a_part_of_the_scored_sites_points_to_what_tells_them_apart():
    with pytest.raises(SpecError, match=r"'mlp\.up' is not among experts\.sites .*score_sites and edit_sites"):
        drawn({"method": "experts", "k": 4, "sites": "mlp.up"})
