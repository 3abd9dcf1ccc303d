"""Wants cut into jobs, as far as no known job covers them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sprachbund.work.keys import content_key
from sprachbund.work.payloads.base import Layered, Payload
from sprachbund.work.payloads.compare import ForeignPair, OutcomesPayload
from sprachbund.work.payloads.difference import DifferencePayload
from sprachbund.work.payloads.star import Pair, Starred
from sprachbund.work.plan import JobPlan, KnownJob, PlannedJob, Want


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of a want: the known jobs that do a part of it, and the payloads of the jobs that do the rest."""

    used: list[KnownJob]
    rest: list[Payload]


def jobs_for(wants: Sequence[Want], known: Mapping[str, Sequence[KnownJob]]) -> JobPlan:
    """Jobs that cover every want, reusing `known` jobs of the same subject.

    Wants must come after the wants they need. A want with layers is covered by known jobs as far as they go; one new
    job takes the rest, of pairs one job per star.
    """
    planner = _Planner()
    for want in wants:
        planner.add(want, known.get(want.subject, ()))
    return planner.plan()


@dataclass(slots=True)
class _Planner:
    serving: dict[str, list[KnownJob]] = field(default_factory=dict)
    new: list[PlannedJob] = field(default_factory=list)
    existing: dict[str, None] = field(default_factory=dict)
    # By the job that has them.
    foreign: dict[str, list[ForeignPair]] = field(default_factory=dict)

    def add(self, want: Want, known: Sequence[KnownJob]) -> None:
        coverage = _covered(want, known)
        self.serving[want.subject] = coverage.used
        wanted = {pair.key for pair in want.payload.pairs} if isinstance(want.payload, Starred) else set()
        for job in coverage.used:
            self.existing[job.key] = None
            foreign = [ForeignPair(job.key, *sides) for key, sides in (job.pairs or {}).items() if key not in wanted]
            if foreign:
                self.foreign[job.key] = foreign
        for payload in coverage.rest:
            self._plan(want, payload)

    def _plan(self, want: Want, payload: Payload) -> None:
        layers = payload.layers if isinstance(payload, Layered) and want.layers is not None else None
        inputs = {"subject": want.subject, "layers": list(layers or ())}
        label, pairs = want.label, None
        if isinstance(payload, Starred):
            pairs = {pair.key: pair.sides for pair in payload.pairs}
            inputs["pairs"] = sorted(pairs)
            label = f"{want.label} {payload.whose}"
        key = content_key("job", want.kind.version, **inputs)
        needs = needs_of(want, payload, self.serving)
        if isinstance(payload, OutcomesPayload | DifferencePayload):
            foreign = tuple(pair for need in needs for pair in self.foreign.get(need, ()))
            payload = replace(payload, foreign=foreign)
        self.new.append(PlannedJob(key, want.kind, want.subject, want.bundle, label, want.model, payload, needs))
        self.serving[want.subject].append(KnownJob(key, layers, pairs))

    def plan(self) -> JobPlan:
        foreign = tuple(pair for pairs in self.foreign.values() for pair in pairs)
        return JobPlan(tuple(self.new), tuple(self.existing), foreign)


def needs_of(want: Want, payload: Payload, serving: Mapping[str, Sequence[KnownJob]]) -> tuple[str, ...]:
    """Keys of the jobs that must be done before: those of the needed subjects that touch its layers, and its pairs."""
    touched = set(payload.layers if isinstance(payload, Layered) else want.needs_layers or ())
    pairs = payload.needed_pairs if isinstance(payload, Starred) else None
    needed: dict[str, None] = {}
    for subject in payload.needs:
        for job in serving[subject]:
            on_layers = job.layers is None or not touched.isdisjoint(job.layers)
            if on_layers and (pairs is None or job.pairs is None or not pairs.isdisjoint(job.pairs)):
                needed[job.key] = None
    return tuple(needed)


def _covered(want: Want, known: Sequence[KnownJob]) -> Coverage:
    payload = want.payload
    if want.layers is None:
        return Coverage(list(known[:1]), [] if known else [payload])
    if isinstance(payload, Starred):
        return _pairs_covered(payload, want.layers, known)
    assert isinstance(payload, Layered)
    used, missing = [], want.layers
    for job in known:
        left = _without(missing, job)
        if len(left) < len(missing):
            used.append(job)
            missing = left
    return Coverage(used, [replace(payload, layers=missing)] if missing else [])


def _pairs_covered(payload: Starred, layers: tuple[str, ...], known: Sequence[KnownJob]) -> Coverage:
    """Coverage cell by cell, a cell being a pair at a layer; pairs that lack the same layers are cut into stars."""
    missing = dict.fromkeys((pair.key for pair in payload.pairs), layers)
    used = []
    for job in known:
        shorter = {}
        for key in missing.keys() & (job.pairs or {}):
            left = _without(missing[key], job)
            if len(left) < len(missing[key]):
                shorter[key] = left
        if shorter:
            used.append(job)
            missing |= shorter
    alike: dict[tuple[str, ...], list[Pair]] = {}
    for pair in payload.pairs:
        if missing[pair.key]:
            alike.setdefault(missing[pair.key], []).append(pair)
    return Coverage(used, [payload.part(star, lacking) for lacking, pairs in alike.items() for star in stars(pairs)])


def _without(layers: tuple[str, ...], job: KnownJob) -> tuple[str, ...]:
    return tuple(layer for layer in layers if layer not in (job.layers or ()))


def stars(pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    """The pairs, each once, cut into stars: the language with most pairs takes them all, ties by code."""
    around: dict[str, dict[str, Pair]] = {}
    for pair in pairs:
        around.setdefault(pair.first, {})[pair.second] = pair
        around.setdefault(pair.second, {})[pair.first] = pair
    while around:
        centre = min(around, key=lambda side: (-len(around[side]), side))
        taken = around.pop(centre)
        for other in taken:
            del around[other][centre]
            if not around[other]:
                del around[other]
        yield sorted(taken.values(), key=lambda pair: pair.sides)
