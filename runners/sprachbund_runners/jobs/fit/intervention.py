"""Interventions: from expert sets, unit statistics and directions to the edits that a pass applies."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select, update

from sprachbund.catalogue.edits import EDITS
from sprachbund.db import tables as t
from sprachbund.models.architectures import UnitBlock
from sprachbund.queue import Claim
from sprachbund.work.payloads.fit import Control, EditedUnits, InterventionPayload
from sprachbund_runners.interventions import affine
from sprachbund_runners.interventions.affine import Affine
from sprachbund_runners.interventions.controls import (
    Selection,
    deal,
    experts_values,
    matched_shift,
    random_units,
    union,
)
from sprachbund_runners.interventions.edit_files import ANY, edit_tensors, read_edits
from sprachbund_runners.interventions.edits import edits_of
from sprachbund_runners.interventions.low_rank import Edit, LowRank
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.fit.direction import direction_edits
from sprachbund_runners.jobs.fit.edit_inputs import Axis, Responses, first_two, value_of
from sprachbund_runners.jobs.fit.expert_set import Ranking, find_ranking, find_statistics
from sprachbund_runners.jobs.fit.steered_responses import steered_responses
from sprachbund_runners.jobs.serving import one_by_one
from sprachbund_runners.scorers.selection import Rule, difference, intersection


@dataclass(frozen=True, slots=True)
class FittedEdits:
    """An intervention's edits by input language, and how far they move activations of the fit text."""

    edits: Mapping[str, Sequence[Edit]]
    # Σ E(h' − h)² over the fitted tokens; None where moments do not tell it: bounds, directions, incremental fits.
    shift: float | None
    # That of a control over the experts' it stands beside.
    ratio: float | None = None


def run(claims: Sequence[Claim[InterventionPayload]], context: Context) -> Iterator[Outcome]:
    """Edits of each claim; rankings are read once per bundle."""
    rankings: dict[str, Ranking] = {}
    flat: dict[tuple[Any, ...], NDArray[np.float64]] = {}

    def make(claim: Claim[InterventionPayload]) -> Outcome:
        payload = claim.payload
        if isinstance(payload.edited, EditedUnits):
            made = _UnitEdits.of(payload, payload.edited, context, rankings, flat).make()
        else:
            made = FittedEdits(direction_edits(context, payload, payload.edited), None)
        return _finish(claim, context, made)

    return one_by_one(claims, context, make, "making edits")


@dataclass(slots=True)
class _UnitEdits:
    """One claim's way from units to edits."""

    payload: InterventionPayload
    edited: EditedUnits
    context: Context
    rankings: dict[str, Ranking]
    axis: Axis
    responses: Responses
    # Means, variances and values of the whole axis: a bundle's controls share them.
    flat: dict[tuple[Any, ...], NDArray[np.float64]]
    # Σ E(h' − h)² of what is edited and, for random controls, of the experts in its place.
    shift: float = 0.0
    experts_shift: float = 0.0
    # Whether the shift cannot be told from moments.
    unknown: bool = field(default=False)

    @classmethod
    def of(
        cls,
        payload: InterventionPayload,
        edited: EditedUnits,
        context: Context,
        known: dict[str, Ranking],
        flat: dict[tuple[Any, ...], NDArray[np.float64]],
    ) -> "_UnitEdits":
        for key in edited.experts.values():
            if key not in known:
                known[key] = find_ranking(context, key)
        rankings = {language: known[key] for language, key in edited.experts.items()}
        axis = Axis.of(next(iter(rankings.values())).axis, edited.sites, payload.blocks, edited.edit_sites)
        found = find_statistics(context, list(edited.statistics.values()))
        statistics = {language: found[key] for language, key in edited.statistics.items()}
        return cls(payload, edited, context, rankings, axis, Responses(statistics), flat)

    def make(self) -> FittedEdits:
        edits = {language: self._map(language, number) for number, language in enumerate(self.payload.maps)}
        if self.unknown:
            return FittedEdits(edits, None)
        # Maps for different input languages each act on their own texts.
        n_maps = len(self.payload.maps)
        ratio = None
        if self._random and self.experts_shift > 0:
            ratio = self.shift / self.experts_shift
        return FittedEdits(edits, self.shift / n_maps, ratio)

    @property
    def _random(self) -> bool:
        return self.payload.seed is not None

    @property
    def _control(self) -> Control:
        assert self.payload.control is not None
        return self.payload.control

    def _map(self, language: str, number: int) -> list[Edit]:
        """The edits for inputs in one language (or any)."""
        experts = self._experts(language)
        # A map for one language acts on that language's text only, and moves as far as it does there.
        on = None if language == ANY else (language,)
        if self.payload.edit == "set":
            return self._set(experts, number, on)
        units = self._randomised(experts, number) if self._random else experts
        sources = self.edited.sources if language == ANY else [language]
        if self._random and self._control.values == "experts":
            return self._dealt(experts, units, number, sources, on)
        if self._random and self.edited.incremental is None:
            self.experts_shift += sum(
                self._expected(part, here, self._affine(part, here, sources, []), on)
                for part, here in self.axis.parts(experts)
            )
        edits: list[Edit] = []
        for part, here in self.axis.parts(units):
            self.context.check_stop()
            made = self._affine(part, here, sources, edits)
            self.shift += self._expected(part, here, made, on)
            edits += edits_of(self.axis.units, here + part.offset, made, self.payload.tokens)
        return edits

    def _dealt(
        self,
        experts: NDArray[np.int64],
        units: NDArray[np.int64],
        number: int,
        sources: Sequence[str],
        on: tuple[str, ...] | None,
    ) -> list[Edit]:
        """Random units with the experts' maps, dealt out at random."""
        maps: list[Affine] = []
        for part, here in self.axis.parts(experts):
            maps.append(self._affine(part, here, sources, []))
            self.experts_shift += self._expected(part, here, maps[-1], on)
        ordered = np.concatenate([here + part.offset for part, here in self.axis.parts(experts)])
        columns = [np.concatenate([getattr(each, name) for each in maps]) for name in ("a", "b", "lo", "hi")]
        dealt = Affine(*columns).take(deal(self.axis.units, units, ordered, self._seed(number)))
        for part in self.axis.units:
            inside = np.flatnonzero((units >= part.offset) & (units < part.offset + part.width))
            if len(inside):
                self.shift += self._expected(part, units[inside] - part.offset, dealt.take(inside), on)
        return list(edits_of(self.axis.units, units, dealt, self.payload.tokens))

    def _experts(self, language: str) -> NDArray[np.int64]:
        payload = self.payload
        rule = Rule(self.edited.how, self.edited.k, self.edited.q, self.edited.effect)
        method = payload.base_method
        if method == "own":
            return self.axis.chosen(self.rankings[language], rule)
        chosen = {each: self.axis.chosen(ranking, rule) for each, ranking in self.rankings.items()}
        if method == "union":
            return union(list(chosen.values()))
        if method == "intersection":
            return intersection(list(chosen.values()))
        if method == "difference":
            target = payload.target
            assert target is not None
            return difference(chosen[target], [units for each, units in chosen.items() if each != target])
        return next(iter(chosen.values()))

    def _seed(self, number: int) -> Any:
        assert self.payload.seed is not None
        # Each input language draws for itself.
        return [*self.payload.seed, number] if len(self.payload.maps) > 1 else list(self.payload.seed)

    def _randomised(self, experts: NDArray[np.int64], number: int) -> NDArray[np.int64]:
        variant = self._control.variant
        return random_units(self.axis.units, experts, self._seed(number), "matched" if variant == "shift" else variant)

    def _set(self, experts: NDArray[np.int64], number: int, on: tuple[str, ...] | None) -> list[Edit]:
        """Units set to values: these alone may be rescaled or dealt out anew for a control."""
        payload, responses = self.payload, self.responses
        toward, value, value_from = payload.toward, self.edited.value, self.edited.value_from
        assert value is not None and value_from is not None
        mean = self._flat(("mean", on), lambda part: responses.all_moments(part, on).mean)
        variance = self._flat(("variance", on), lambda part: responses.all_moments(part, on).variance)
        values = self._flat(
            ("value", toward, value, value_from), lambda part: value_of(responses, toward, part, value, value_from)
        )

        def shift_of(selection: Selection) -> float:
            units = selection.units
            return float((variance[units] + (mean[units] - selection.values) ** 2).sum())

        selection = Selection(experts, values[experts].astype(np.float32))
        if self._random:
            self.experts_shift += shift_of(selection)
            control, seed = self._control, self._seed(number)
            units = self._randomised(experts, number)
            drawn = Selection(units, values[units].astype(np.float32))
            if control.values == "experts":
                drawn = experts_values(self.axis.units, units, experts, selection.values, seed)
            if control.variant == "shift":
                drawn = matched_shift(self.axis.units, selection, drawn, mean, variance).selection
            selection = drawn
        self.shift += shift_of(selection)
        return list(edits_of(self.axis.units, selection.units, affine.set_to(selection.values), payload.tokens))

    def _flat(self, name: tuple[Any, ...], of: Callable[[UnitBlock], NDArray[np.float64]]) -> NDArray[np.float64]:
        """One number per unit of the axis, made once per bundle."""
        parts = tuple((part.block, part.site) for part in self.axis.units)
        key = (*name, parts, tuple(sorted(self.edited.statistics.items())))
        if key not in self.flat:
            self.flat[key] = np.concatenate([of(part) for part in self.axis.units])
        return self.flat[key]

    def _affine(
        self, part: UnitBlock, here: NDArray[np.int64], sources: Sequence[str], before: Sequence[Edit]
    ) -> Affine:
        """a, b and bounds of some units of a part, `before` being the edits of earlier places."""
        rule, strength = EDITS[self.payload.edit], self.payload.strength
        assert strength is not None
        made: Affine = resolve_name(rule.function)(*self._given(rule.reads, part, here, sources, before), strength)
        return made

    def _given(
        self, reads: str, part: UnitBlock, here: NDArray[np.int64], sources: Sequence[str], before: Sequence[Edit]
    ) -> tuple[Any, ...]:
        """What the edit's function reads of some units of a part."""
        toward, value, value_from = self.payload.toward, self.edited.value, self.edited.value_from
        if reads == "value":
            assert value is not None and value_from is not None
            return (value_of(self.responses, toward, part, value, value_from)[here],)
        if reads == "number":
            return (len(here),)
        if reads == "auroc":
            places = self.axis.parent[here + part.offset]
            return (np.max([ranking.score[places] for ranking in self._aura_rankings(sources)], axis=0),)
        assert toward is not None
        source, source_moments = self._samples(part, here, sources, before)
        target, target_moments = self._samples(part, here, [toward], before)
        if reads == "samples":
            return target, source
        if value_from == "pooled":
            target_moments, source_moments = first_two(target), first_two(source)
        if reads == "moments":
            return *target_moments, *source_moments
        return target_moments[0], source_moments[0]

    def _aura_rankings(self, sources: Sequence[str]) -> list[Ranking]:
        """A map of one language dampens by its own ranking, others by the greatest of all that select."""
        if self.payload.base_method == "own":
            return [self.rankings[language] for language in sources]
        return list(self.rankings.values())

    def _samples(
        self, part: UnitBlock, here: NDArray[np.int64], languages: Sequence[str], before: Sequence[Edit]
    ) -> tuple[NDArray[np.float32], tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Pooled responses of languages [sentences, k], and their token means and variances [k]."""
        if self.edited.incremental is not None:
            pooled, moments = steered_responses(self.context, self.edited.incremental, part, languages, before)
        else:
            pooled = np.concatenate([self.responses.pooled(language, part) for language in languages])
            moments = self.responses.all_moments(part, languages)
        return pooled[:, here], (moments.mean[here], moments.variance[here])

    def _expected(self, part: UnitBlock, here: NDArray[np.int64], made: Affine, on: tuple[str, ...] | None) -> float:
        """Σ E(h' − h)² = Σ (a − 1)²·E h² + 2(a − 1)·b·E h + b² of edits without bounds."""
        # Nor are the unedited model's moments those that edits fitted in order act on.
        incremental = self.edited.incremental is not None
        if incremental or np.isfinite(made.lo).any() or np.isfinite(made.hi).any():
            self.unknown = True
            return 0.0
        moments = self.responses.all_moments(part, on)
        mean, square = moments.mean[here], (moments.variance + moments.mean**2)[here]
        a, b = made.a.astype(np.float64) - 1.0, made.b.astype(np.float64)
        return float((a**2 * square + 2 * a * b * mean + b**2).sum())


def _finish(claim: Claim[InterventionPayload], context: Context, made: FittedEdits) -> Outcome:
    tensors, header = edit_tensors(made.edits)
    stored = context.save(tensors, {"key": claim.subject, **header})
    edits = [edit for each in made.edits.values() for edit in each]
    per_map = len(made.edits)

    def write(connection: Connection) -> None:
        connection.execute(
            update(t.Intervention)
            .where(t.Intervention.key == claim.subject)
            .values(
                # Coordinates changed per input: a direction touches its whole site.
                n_edited=sum(edit.width if isinstance(edit, LowRank) else len(edit) for edit in edits) // per_map,
                first_block=min(edit.block for edit in edits),
                shift_norm=None if made.shift is None else float(np.sqrt(made.shift)),
                shift_ratio=None if made.shift is None else made.ratio,
                artifact_id=context.store.record(connection, stored),
            )
        )

    return Outcome(claim, write)


def find_edits(context: Context, key: str | None) -> dict[str, list[Edit]]:
    """The stored edits of an intervention by input language (`*`: any); none where there is no intervention."""
    if key is None:
        return {}
    with context.reading() as connection:
        row = connection.execute(select(t.Intervention).where(t.Intervention.key == key)).one()
        job = connection.execute(select(t.Job.id).where(t.Job.subject == key)).scalar_one()
        path = context.artifact(connection, row.artifact_id, job)
    return read_edits(path)
