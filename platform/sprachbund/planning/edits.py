"""Interventions as work to do: what selects units or directions, where values come from, and the edits' identity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sprachbund.catalogue.edits import units_of
from sprachbund.errors import SpecError
from sprachbund.planning.fit_inputs import FitInputs
from sprachbund.planning.labels import Point
from sprachbund.spec.controls import ControlSpec
from sprachbund.work.payloads.fit import (
    INTERVENTION,
    Control,
    DirectionPlace,
    DirectionsInOrder,
    EditedDirections,
    EditedUnits,
    Incremental,
    InterventionPayload,
)
from sprachbund.work.plan import PlannedIntervention, Want

ANY = "*"


@dataclass(frozen=True, slots=True)
class ControlPoint:
    """One member of a control distribution: a seed, or another language."""

    control: ControlSpec
    seed: int | None = None
    language: str | None = None

    @property
    def method(self) -> str:
        """What interventions of this control are called."""
        return "random" if self.control.random else self.control.variant


@dataclass(frozen=True, slots=True)
class Sites:
    """Sites of the expert sets, those whose units may be chosen, where these are edited, and of the statistics."""

    ranked: tuple[str, ...]
    scored: tuple[str, ...]
    edited: tuple[str, ...]
    responding: tuple[str, ...]

    @property
    def apart(self) -> bool:
        """Whether units are edited elsewhere than they are scored."""
        return self.scored != self.edited


@dataclass(frozen=True, slots=True)
class EditPlanner:
    """Turns points of a sweep into planned interventions; their edits and inputs are wanted along the way."""

    inputs: FitInputs

    def plan(self, point: Point, control: ControlPoint | None = None) -> PlannedIntervention:
        """One intervention, or one control of it."""
        if point.row.method == "direction":
            return self._direction(point, control)
        return self._units(point, control)

    def _units(self, point: Point, control: ControlPoint | None) -> PlannedIntervention:
        row, inputs = point.row, self.inputs
        assert row.selection is not None and point.scorer is not None
        where = self._sites(point)
        count, fraction = self._count(point, where.scored)
        toward = point.target if control is None or control.language is None else control.language
        among = inputs.all_languages() if point.target is None else inputs.languages(point.target)
        sources = [language for language in among if language != toward]
        maps = sources if row.per_language else [ANY]
        if row.method == "own":
            select = sources
        elif row.method == "experts":
            wrong = control is not None and control.control.variant == "wrong_language"
            select = [toward if wrong and toward is not None else str(point.target)]
        else:
            select = among
        experts = {language: inputs.expert_set(language, point.scorer, where.ranked) for language in select}
        pooling = row.pooling or inputs.spec.experts.pooling
        moved = among if toward is None else dict.fromkeys([*among, toward])
        statistics = {language: inputs.statistics(language, where.responding, pooling) for language in moved}
        edited = EditedUnits(
            how=row.selection.how,
            k=point.k if row.selection.how == "per_block" else count,
            q=row.selection.q,
            effect=row.selection.effect,
            sites=where.scored,
            edit_sites=where.edited if where.apart else None,
            value=point.value,
            value_from=row.value_from,
            experts=experts,
            statistics=statistics,
            sources=tuple(sources),
            incremental=None if row.fit == "at_once" else self._incremental(list(statistics), pooling),
        )
        given = [("select", key, "expert_set") for key in experts.values()]
        if toward is not None and row.rule.to_target:
            given.append(("values", statistics[toward], "unit_statistics"))
        given += [("source", statistics[language], "unit_statistics") for language in sources]
        extra = {
            "k": count,
            "k_fraction": fraction,
            "scorer": point.scorer,
            "score_site": "+".join(where.ranked),
            "selection": row.selection.how,
            "value": point.value,
            "value_from": row.value_from,
        }
        payload = self._payload(point, control, toward, maps, edited)
        return self._planned(point, control, payload, given, where.edited, extra)

    def _sites(self, point: Point) -> "Sites":
        """Where a point's units are ranked, chosen and edited; SpecError for a site that is not there."""
        row, inputs = point.row, self.inputs
        if row.site_pairs is None:
            scored = tuple(row.sites or inputs.sites)
            outside = [site for site in scored if site not in inputs.sites]
            if outside:
                raise SpecError(
                    f"{point.where}.sites: '{outside[0]}' is not among experts.sites ({', '.join(inputs.sites)}), where"
                    " units are scored; score_sites and edit_sites tell the two apart"
                )
            return Sites(inputs.sites, scored, scored, inputs.sites)
        width = {(block, site): width for block, site, width in inputs.model.units}
        for names in row.site_pairs:
            for name, site in zip(("score_sites", "edit_sites"), names, strict=True):
                inputs.check_site(site, f"{point.where}.{name}")
        for block in range(1, inputs.model.n_blocks + 1):
            for scored_at, edited_at in row.site_pairs:
                found, expected = width.get((block, edited_at)), width.get((block, scored_at))
                if found != expected:
                    raise SpecError(
                        f"{point.where}.edit_sites: {edited_at} has {found} units in block {block} of"
                        f" {inputs.model.name}, {scored_at} has {expected}; expected as many: a unit is edited in the"
                        " place of the one that is scored"
                    )
        scored, edited = (tuple(sites) for sites in zip(*row.site_pairs, strict=True))
        return Sites(scored, scored, edited, edited)

    def _direction(self, point: Point, control: ControlPoint | None) -> PlannedIntervention:
        row, inputs = point.row, self.inputs
        assert row.direction is not None and row.pooling is not None and row.sites is not None
        for site in row.sites:
            inputs.check_site(site, f"{point.where}.sites")
        inputs.check_blocks(row.blocks, point.where)
        n_blocks = inputs.model.n_blocks
        # One shift in the middle, as is usual; erasing acts wherever the language can come back.
        blocks = row.blocks or ([n_blocks // 2 + n_blocks % 2] if row.edit == "add" else list(range(1, n_blocks + 1)))
        toward = point.target if control is None or control.language is None else control.language
        among = inputs.all_languages() if point.target is None else inputs.languages(point.target)
        self._check_rank(point, among)
        first = toward if toward is not None else among[0]
        sources = [language for language in among if language != first]
        maps = {each: [each] for each in sources} if row.per_language else {ANY: sources}
        places = [(block, site) for block in blocks for site in row.sites]
        given: list[tuple[str, str, str]] = []
        edited: EditedDirections | DirectionsInOrder
        if row.fit == "incremental":
            edited = self._in_order(point, first, maps, places)
        else:
            edited = EditedDirections(
                row.direction,
                {
                    each: tuple(
                        DirectionPlace(
                            site,
                            block,
                            inputs.direction(row.direction, first, others, site, block, row.pooling, row.rank),
                        )
                        for block, site in places
                    )
                    for each, others in maps.items()
                },
            )
            given = [("select", key, "direction") for key in edited.keys]
        extra = {"direction": row.direction}
        payload = self._payload(point, control, toward, list(maps), edited)
        return self._planned(point, control, payload, given, row.sites, extra)

    def _in_order(
        self, point: Point, first: str, maps: Mapping[str, Sequence[str]], places: Sequence[tuple[int, str]]
    ) -> DirectionsInOrder:
        """Directions that are fitted with earlier ones on, where there is more than one place."""
        row = point.row
        assert row.direction is not None and row.pooling is not None
        if len(places) == 1:
            block, site = places[0]
            raise SpecError(
                f"{point.where}.fit: 'incremental' changes nothing where one place alone is edited ({site} of block"
                f" {block}); leave fit out, or list several blocks"
            )
        width = {(block, site): width for block, site, width in self.inputs.model.units}
        languages = sorted({first, *(each for others in maps.values() for each in others)})
        return DirectionsInOrder(
            method=row.direction,
            rank=row.rank,
            first=first,
            others={each: tuple(others) for each, others in maps.items()},
            places=tuple((block, site, width[block, site]) for block, site in places),
            incremental=self._incremental(languages, row.pooling),
        )

    def _check_rank(self, point: Point, languages: Sequence[str]) -> None:
        row, model = point.row, self.inputs.model
        if row.rank is None:
            return
        width = min(width for _, site, width in model.units if site in (row.sites or ()))
        most, why = width, f"{model.name} is {width} wide there"
        if row.direction == "language_means" and len(languages) - 1 < width:
            most, why = len(languages) - 1, f"the means of {len(languages)} languages span no more"
        if row.rank > most:
            raise SpecError(f"{point.where}.rank: found {row.rank}, expected at most {most}: {why}")

    def _payload(
        self,
        point: Point,
        control: ControlPoint | None,
        toward: str | None,
        maps: Sequence[str],
        edited: EditedUnits | EditedDirections | DirectionsInOrder,
    ) -> InterventionPayload:
        row, inputs = point.row, self.inputs
        assert row.edit is not None
        beside = None
        if control is not None:
            beside = Control(control.control.variant, control.control.values, control.control.label)
        return InterventionPayload(
            model=inputs.model.fingerprint,
            method=row.method if control is None else control.method,
            base_method=row.method,
            edit=row.edit,
            strength=point.strength,
            target=point.target,
            toward=toward,
            maps=tuple(maps),
            blocks=None if row.blocks is None else tuple(row.blocks),
            tokens=row.tokens,
            control=beside,
            seed=None if control is None or control.seed is None else (inputs.spec.seed, control.seed),
            edited=edited,
        )

    def _incremental(self, languages: Sequence[str], pooling: str) -> Incremental:
        """What fitting with earlier edits on needs."""
        inputs = self.inputs
        assert inputs.fit is not None
        texts = {language: inputs.fit.texts[language].as_sentences for language in languages}
        return Incremental(texts, inputs.model.numerics, pooling, inputs.spec.experts.tokens)

    def _planned(
        self,
        point: Point,
        control: ControlPoint | None,
        payload: InterventionPayload,
        given: Sequence[tuple[str, str, str]],
        sites: Sequence[str],
        columns: Mapping[str, Any],
    ) -> PlannedIntervention:
        row = point.row
        called = " ".join(part for part in (payload.method, row.edit, point.target) if part is not None)
        want = Want.of(INTERVENTION, payload, f"{called} on {self.inputs.on}")
        self.inputs.wants.append(want)
        details = {
            "base_method": row.method,
            "blocks": row.blocks,
            "values_language": payload.toward,
            "input_languages": list(payload.maps) if row.per_language else None,
            "pooling": row.pooling,
            "source": row.source,
            "fit": None if row.fit == "at_once" else row.fit,
            "rank": row.rank,
            "q": None if row.selection is None else row.selection.q,
            "effect": None if row.selection is None else row.selection.effect,
        }
        return PlannedIntervention(
            key=want.subject,
            method=payload.method,
            target=point.target,
            strength=point.strength,
            control=None if control is None else control.control.label,
            seed=None if control is None else control.seed,
            edit=row.edit,
            edit_site="+".join(sites),
            edit_tokens=row.tokens,
            per_language=row.per_language,
            parameters={name: value for name, value in details.items() if value is not None},
            inputs=tuple(dict.fromkeys(given)),
            **columns,
        )

    def _count(self, point: Point, sites: Sequence[str]) -> tuple[int | None, float | None]:
        """k as a count of units, and as the fraction it was given as; both None for a threshold."""
        inputs, row, k, where = self.inputs, point.row, point.k, point.where
        inputs.check_blocks(row.blocks, where)
        assert row.selection is not None
        if k is None:
            return None, None
        parts = [width for block, site, width in inputs.model.units
                 if site in sites and (row.blocks is None or block in row.blocks)]  # fmt: skip
        if row.selection.how == "per_block":
            if isinstance(k, int) and k > min(parts):
                raise SpecError(
                    f"{where}.k: {k} is more than the {min(parts)} units of the narrowest site of {inputs.model.name};"
                    f" selection per_block takes at most {min(parts)}"
                )
            self._check_controls(point, [units_of(k, width) for width in parts], parts)
            return (k, None) if isinstance(k, int) else (None, k)
        n_units = sum(parts)
        count = units_of(k, n_units)
        twice = 2 if row.selection.how == "top_and_bottom" else 1
        if twice * count > n_units:
            raise SpecError(
                f"{where}.k: {k} is more than the {n_units} units of {inputs.model.name} at"
                f" {', '.join(sites)} allow; give at most {n_units // twice}"
            )
        self._check_controls(point, [twice * count], [n_units])
        return count, k if isinstance(k, float) else None

    def _check_controls(self, point: Point, chosen: Sequence[int], parts: Sequence[int]) -> None:
        """Refuse random controls that cannot be drawn: as many units as experts, and none of them an expert.

        chosen: experts at least, of each of `parts` (numbers of units). How many experts a rule over the whole axis
        puts into one block and site, and how many a threshold, an intersection or a difference leaves, is known only
        when they are found.
        """
        row = point.row
        if row.method in ("intersection", "difference"):
            return
        for control in (each for each in row.controls if each.random):
            pairs = list(zip(chosen, parts, strict=True))
            if control.variant == "uniform":
                pairs = [(sum(chosen), sum(parts))]
            for n_experts, n_units in pairs:
                if 2 * n_experts > n_units:
                    raise SpecError(
                        f"{point.where}.controls: '{control.label}' draws as many units as experts beside them, but"
                        f" k: {point.k} makes at least {n_experts} of {n_units} units of {self.inputs.model.name}"
                        f" experts; expected at most {n_units // 2}, or no '{control.label}'"
                    )
