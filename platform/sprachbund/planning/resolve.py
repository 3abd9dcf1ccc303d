"""From a spec to what planning needs: corpora read and fingerprinted, models found and identified."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from sprachbund.corpora import Corpus, TextSet, fingerprint, overlap, read_corpora
from sprachbund.corpora.text import fingerprint_of_parts
from sprachbund.errors import CorpusError, ModelError, SpecError, nearest
from sprachbund.models.architectures import Architecture, describe, read_config
from sprachbund.models.fingerprints import find_folder
from sprachbund.models.fingerprints import fingerprint as model_fingerprint
from sprachbund.models.imported import check_vectors
from sprachbund.planning.halves import HALF, fit_halves
from sprachbund.planning.side_texts import ROLES as SIDE_EFFECT_ROLES
from sprachbund.planning.side_texts import check_side_effects, side_effect_corpora
from sprachbund.spec.experiment import ModelSpec, Spec
from sprachbund.vocabulary import FITTED_TRANSFORMS
from sprachbund.work.keys import canonical_json, content_key
from sprachbund.work.plan import PlanCorpus, PlanModel, PlanText

BUILTIN_MODELS = Path(__file__).parents[1] / "builtin"


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model of the spec that was found: its folder, architecture and what planning needs of it."""

    spec: ModelSpec
    folder: Path
    config: Mapping[str, Any]
    architecture: Architecture
    plan: PlanModel


@dataclass(frozen=True, slots=True)
class ResolvedCorpus:
    """A corpus in a role with its sentences, and what planning needs of it."""

    role: str
    corpus: Corpus
    source: Mapping[str, Any]
    plan: PlanCorpus


@dataclass(frozen=True, slots=True)
class Resolved:
    """A spec with everything it names found and read. `audit` is what a reader of results must know."""

    spec: Spec
    models: tuple[ResolvedModel, ...]
    corpora: tuple[ResolvedCorpus, ...]
    audit: Mapping[str, Any]

    def plan_corpora(self) -> dict[str, list[PlanCorpus]]:
        """Corpora per role, as planning takes them."""
        roles: dict[str, list[PlanCorpus]] = {}
        for each in self.corpora:
            roles.setdefault(each.role, []).append(each.plan)
        return roles


def resolve(spec: Spec, base: Path) -> Resolved:
    """Find models and read corpora; relative paths start at `base`, the experiment file's folder.

    Raises SpecError for overlapping roles, ModelError and CorpusError for what is missing or damaged.
    """
    models = tuple(_model(each, base, f"models.{index}") for index, each in enumerate(spec.models))
    names = [model.plan.name for model in models]
    if len(set(names)) < len(names):
        raise SpecError(f"models: two models are called '{max(names, key=names.count)}'; give one a 'name'")
    corpora: list[ResolvedCorpus] = []
    evaluated: set[str] = set()
    for role in ("test", "select"):
        source = getattr(spec.corpora, role)
        if source is not None:
            found = _read(spec, role, base, spec.languages)
            corpora += found
            evaluated.update(code for each in found for code in each.corpus.languages)
    if spec.corpora.fit is not None:
        corpora += _read(spec, "fit", base, _fit_languages(spec, evaluated))
    check_side_effects(spec, [(model.plan.name, model.architecture) for model in models])
    for role, corpus, described in side_effect_corpora(spec, base):
        corpora.append(ResolvedCorpus(role, corpus, described, plan_corpus(corpus, described)))
    for model in models:
        if model.plan.imported_layers:
            if any(each.method != "none" for each in spec.interventions):
                raise SpecError(
                    f"interventions: {model.plan.name} was imported as vectors, it has no activations to edit; use"
                    " none, centring and other transforms"
                )
            layers = model.plan.layers if spec.embeddings.layers == "all" else spec.embeddings.layers
            check_vectors(model.plan.name, model.config, layers, [each.corpus for each in corpora])
            if spec.statistics.fit_resamples:
                raise SpecError(
                    f"statistics.fit_resamples: {model.plan.name} was imported as vectors, without any of halves of the"
                    " fit text; leave it out"
                )
    _check_groups(spec, corpora)
    _check_names(corpora)
    audit = _audit(spec, corpora)
    corpora += [
        ResolvedCorpus(HALF, half, source, plan_corpus(half, source))
        for each in corpora
        if each.role == "fit"
        for half, source in fit_halves(spec, each.corpus, each.source)
    ]
    return Resolved(spec, models, tuple(corpora), audit)


def _check_names(corpora: Iterable[ResolvedCorpus]) -> None:
    """One name means one text: rows of two files called alike would mix in the results."""
    seen: dict[str, ResolvedCorpus] = {}
    for each in corpora:
        other = seen.setdefault(each.plan.key, each)
        for language, text in each.plan.texts.items():
            if language in other.plan.texts and other.plan.texts[language].key != text.key:
                raise SpecError(
                    f"corpora.{each.role}: its texts differ from those of corpora.{other.role}, but both are called"
                    f" '{each.corpus.name}'; give one a 'name'"
                )


def _check_groups(spec: Spec, corpora: Iterable[ResolvedCorpus]) -> None:
    """Resampling groups needs groups: items would be a silent stand-in with narrower intervals."""
    for each in corpora:
        text = next(iter(each.corpus.texts.values()))
        if (
            spec.statistics.unit == "group"
            and each.role in ("select", "test")
            and any(group is None for group in text.groups)
        ):
            raise SpecError(
                f"statistics.unit: found 'group', but {each.corpus.name} ({each.role}) has sentences without a group;"
                " name a group column, or use 'item'"
            )


def _fit_languages(spec: Spec, evaluated: Iterable[str]) -> list[str] | None:
    """Languages to read of `fit`: those that tell experts apart and those that centring needs; None for all."""
    steers = any(each.method != "none" for each in spec.interventions)
    if steers and spec.experts.negatives is None:
        return None
    needed: set[str] = set()
    if steers:
        needed.update(spec.targets, spec.experts.negatives or ())
        for each in spec.interventions:
            needed.update(each.targets or ())
            needed.update(code for control in each.controls for code in control.languages or ())
    if any(each.transform in FITTED_TRANSFORMS for each in spec.interventions):
        needed.update(evaluated)
    # Where nothing is fitted, all of it is still compared with the other roles.
    return sorted(needed) or None


def _read(spec: Spec, role: str, base: Path, languages: list[str] | None) -> list[ResolvedCorpus]:
    source = getattr(spec.corpora, role)
    try:
        if languages is not None and source.kind == "bilingual":
            languages = [language for language in languages if language != source.pivot]
        corpora = read_corpora(source, languages, base)
    except CorpusError as error:
        raise CorpusError(f"corpora.{role}: {error}") from None
    described = source.model_dump(mode="json", exclude_defaults=True)
    return [ResolvedCorpus(role, corpus, described, plan_corpus(corpus, described)) for corpus in corpora]


def plan_corpus(corpus: Corpus, source: Mapping[str, Any]) -> PlanCorpus:
    """The keys of a corpus and its texts: name, split and what was selected of it; per language a fingerprint.

    The path is left out: the same table elsewhere is the same corpus, and texts tell themselves apart.
    """
    key = content_key(
        "corpus",
        1,
        name=corpus.name,
        collection=corpus.collection,
        kind=corpus.kind,
        split=corpus.split,
        selected={name: source.get(name) for name in ("filter", "limit", "sample_seed")},
    )
    texts = {side: _plan_text(key, side, text) for side, text in corpus.texts.items()}
    first = next(iter(corpus.texts.values()))
    grouped = () if any(group is None for group in first.groups) else ("group",)
    return PlanCorpus(
        key,
        corpus.name,
        corpus.collection or corpus.name,
        corpus.kind,
        corpus.split,
        texts,
        ("item", "language", *grouped, *first.labels),
        tuple(first.word_labels),
    )


def _plan_text(corpus: str, side: str, text: TextSet) -> PlanText:
    def of(kind: str, digest: str) -> str:
        return content_key(kind, 1, corpus=corpus, language=side, fingerprint=digest)

    return PlanText(
        key=of("text", fingerprint(text)),
        sentences=of("sentences", fingerprint_of_parts(text, ["text"])),
        documents=of("documents", fingerprint_of_parts(text, ["text", "group"])),
        language=text.language,
        n_items=len(text),
    )


def _model(spec: ModelSpec, base: Path, where: str) -> ResolvedModel:
    try:
        folder = _folder(spec, base)
        config = read_config(folder)
        architecture = describe(config, spec.architecture)
        identity = model_fingerprint(folder)
        if spec.architecture is not None:
            # Other sites under the same names are other work.
            identity += "+" + content_key("architecture", 1, declared=spec.architecture)[:8]
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from None
    attention = spec.attention or architecture.attention[0]
    if attention not in architecture.attention:
        raise SpecError(
            f"{where}.attention: found '{attention}'; {architecture.model_type} runs with"
            f" {' or '.join(architecture.attention)}"
        )
    units = tuple(
        (part.block, part.site, part.width)
        for part in (architecture.units(architecture.site_names) if architecture.sites else ())
    )
    plan = PlanModel(
        fingerprint=identity,
        name=spec.name or Path(spec.path).name,
        n_blocks=architecture.n_blocks,
        units=units,
        dtype=spec.dtype,
        attention=attention,
        imported_layers=architecture.imported_layers,
    )
    return ResolvedModel(spec, folder, config, architecture, plan)


def builtin_models() -> list[str]:
    """Names of the models that travel with the package."""
    return sorted(path.name for path in BUILTIN_MODELS.iterdir() if path.is_dir()) if BUILTIN_MODELS.is_dir() else []


def _folder(spec: ModelSpec, base: Path) -> Path:
    if spec.path in builtin_models():
        return BUILTIN_MODELS / spec.path
    beside = base / Path(spec.path).expanduser()
    if beside.is_dir():
        return find_folder(beside.resolve(), spec.revision)
    try:
        return find_folder(spec.path, spec.revision).resolve()
    except ModelError as error:
        hint = nearest(spec.path, builtin_models())
        raise ModelError(f"{error}{hint.replace('; did you mean', '; or the built-in') if hint else ''}") from None


def _audit(spec: Spec, corpora: Iterable[ResolvedCorpus]) -> dict[str, Any]:
    """Texts and groups that roles share; refused unless the spec allows it."""
    corpora = list(corpora)
    by_role: dict[str, list[TextSet]] = {}
    dropped: dict[str, int] = {}
    for each in corpora:
        by_role.setdefault(each.role, []).extend(each.corpus.texts.values())
        if each.corpus.dropped:
            dropped[f"{each.role}:{each.corpus.name}"] = each.corpus.dropped
    shared: dict[str, dict[str, Any]] = {}
    for first, second in combinations(sorted(by_role), 2):
        if {first, second} & set(SIDE_EFFECT_ROLES) and "fit" not in (first, second):
            continue
        found = overlap(by_role[first], by_role[second])
        items = _shared_items(corpora, first, second)
        shared[f"{first}+{second}"] = {"texts": found.n_texts, "groups": found.n_groups, "items": len(items)}
        if (found or items) and not spec.allow_overlap:
            examples = [*found.examples, *(f"item '{item}'" for item in sorted(items))]
            raise SpecError(
                f"corpora: roles '{first}' and '{second}' share {found.n_texts} texts, {found.n_groups} groups and"
                f" {len(items)} items of one table ({_examples(examples)}); results would leak: use disjoint text, or"
                " set allow_overlap: true"
            )
    return {"overlap": shared, "dropped": dropped, "allow_overlap": spec.allow_overlap}


def _shared_items(corpora: Iterable[ResolvedCorpus], first: str, second: str) -> set[str]:
    """Items of the same table in both roles: the same meanings, even where the languages differ."""
    items: dict[tuple[str, str], set[str]] = {}
    for each in corpora:
        text = next(iter(each.corpus.texts.values()))
        place = canonical_json(
            {name: each.source.get(name) for name in ("builtin", "path", "files", "dataset", "split")}
        )
        # In a collection each pair of languages numbers its own items.
        part = "" if each.corpus.collection is None else each.corpus.name.rpartition("/")[2]
        items.setdefault((each.role, place + part), set()).update(text.items)
    return {
        item
        for (role, place), found in items.items()
        if role == first
        for item in found & items.get((second, place), set())
    }


def _examples(examples: Iterable[Any]) -> str:
    shown = [str(example) for example in examples][:2]
    return "; ".join(each if len(each) < 80 else each[:77] + "…" for each in shown)
