"""Encoders that ran elsewhere: a folder of their vectors for ingested texts, which stands where a model would.

`config.json` says which texts there are vectors of (by language and content), `vectors.safetensors` holds them. As with
any model, the folder's content is its identity.
"""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from sprachbund.corpora import Corpus, TextSet, fingerprint, read_corpora
from sprachbund.corpora.source import Code
from sprachbund.errors import CorpusError, ModelError, SpecError, nearest
from sprachbund.fields import Source, Strict, as_list
from sprachbund.models.architectures import IMPORTED, VECTORS, read_config
from sprachbund.spec.reading import at_line, read_yaml
from sprachbund.vocabulary import layer_order


class Meta(Strict):
    """What `--meta` says: the encoder's name, the corpus that was embedded, its languages in order, the layer.

    pooling and tokens have no part in this: vectors come pooled.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    corpus: Source
    languages: Annotated[list[Code] | None, BeforeValidator(as_list)] = None
    layer: Annotated[str, Field(pattern=r"^(final|0|[1-9]\d*)$"), BeforeValidator(str)] = "final"


@dataclass(frozen=True, slots=True)
class Imported:
    """What a folder of vectors holds after an import."""

    folder: Path
    name: str
    n_texts: int
    dimension: int
    layers: tuple[str, ...]


def import_vectors(vectors: Path, meta: Path, out: Path) -> Imported:
    """Put vectors of a corpus into the folder `out`, beside what it holds of the same encoder already.

    vectors: `.npy` [languages, items, dimension], or [languages · items, dimension] with the languages one after the
    other, or [items, dimension] for one language; rows in the corpus's own order of items. Or `.safetensors` with a
    tensor [items, dimension] per language (`eng_Latn`), in a collection per corpus and language
    (`tatoeba/deu_Latn:eng_Latn`). Raises SpecError, CorpusError and ModelError in one line; nothing half-written.
    """
    about = _read_meta(meta)
    corpora = read_corpora(about.corpus, about.languages, meta.resolve().parent)
    found = dict(_matched(vectors, about, corpora))
    known, tensors = _read_folder(out, about.name)
    for (corpus, language), values in found.items():
        text = corpus.texts[language]
        key = vectors_key(text)
        entry = known.setdefault(key, {"corpus": corpus.name, "language": language, "n_items": len(text), "layers": []})
        entry["layers"] = sorted({*entry["layers"], about.layer}, key=layer_order)
        tensors[f"{key}/{about.layer}"] = values
    dimensions = {values.shape[1] for values in tensors.values()}
    if len(dimensions) > 1:
        raise ModelError(f"{vectors}: {min(dimensions)} and {max(dimensions)} dimensions in one encoder; expected one")
    layers = sorted({layer for entry in known.values() for layer in entry["layers"]}, key=layer_order)
    config = {
        "model_type": IMPORTED,
        "name": about.name,
        "hidden_size": dimensions.pop(),
        "layers": layers,
        "texts": dict(sorted(known.items())),
    }
    _write(out, config, tensors)
    return Imported(out, about.name, len(known), int(config["hidden_size"]), tuple(layers))


def vectors_key(text: TextSet) -> str:
    """Under what a text's vectors stand in the folder: two languages may have the same sentences."""
    return f"{text.language}:{fingerprint(text)}"


def check_vectors(name: str, config: Mapping[str, Any], layers: Iterable[str], corpora: Iterable[Corpus]) -> None:
    """Raise SpecError for a text, or a layer of it, that an imported encoder has no vectors of."""
    for corpus in corpora:
        for language, text in corpus.texts.items():
            entry = config["texts"].get(vectors_key(text))
            if entry is None:
                had = sorted({f"{each['corpus']} {each['language']}" for each in config["texts"].values()})
                raise SpecError(
                    f"models: '{name}' was imported without vectors of {corpus.name} {language} (or of other text);"
                    f" it has {', '.join(had[:6])}: `sprachbund import-snapshots` adds to it"
                )
            missing = [layer for layer in layers if layer not in entry["layers"]]
            if missing:
                raise SpecError(
                    f"models: '{name}' was imported without layer {missing[0]} of {corpus.name} {language}; it has"
                    f" {', '.join(entry['layers'])}"
                )


def _read_meta(path: Path) -> Meta:
    if not path.is_file():
        raise SpecError(f"{path}: no such file")
    text = path.read_text(encoding="utf-8")
    content = read_yaml(text, str(path))
    try:
        return Meta.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "meta"
        hint = nearest(str(first["loc"][-1]), Meta.model_fields) if first["type"] == "extra_forbidden" else ""
        raise SpecError(
            f"{path}{at_line(text, first['loc'])}: {field}: {first['msg'].removeprefix('Value error, ')}{hint}"
        ) from None


def _matched(
    path: Path, about: Meta, corpora: list[Corpus]
) -> Iterator[tuple[tuple[Corpus, str], NDArray[np.float32]]]:
    """Vectors by corpus and language, checked against the number of items."""
    if path.suffix == ".safetensors":
        yield from _from_tensors(path, corpora)
        return
    if path.suffix != ".npy":
        raise CorpusError(f"{path}: found '{path.suffix}'; expected .npy or .safetensors")
    if len(corpora) > 1:
        raise CorpusError(f"{path}: {about.corpus.kind} corpora need .safetensors, a tensor per corpus and language")
    (corpus,) = corpora
    languages = about.languages or sorted(corpus.texts)
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path}: not an array of numbers: {error}") from None
    n_items = [len(corpus.texts[language]) for language in languages]
    if array.ndim == 3 and array.shape[0] == len(languages) and all(n == array.shape[1] for n in n_items):
        parts = list(array)
    elif array.ndim == 2 and len(array) == sum(n_items):
        parts = np.split(array, np.cumsum(n_items)[:-1])
    else:
        raise CorpusError(
            f"{path}: shape {list(array.shape)}; expected [{len(languages)}, {n_items[0]}, dimension] for"
            f" {', '.join(languages)} of {corpus.name}"
        )
    for language, values in zip(languages, parts, strict=True):
        yield (corpus, language), _checked(path, language, values)


def _from_tensors(path: Path, corpora: list[Corpus]) -> Iterator[tuple[tuple[Corpus, str], NDArray[np.float32]]]:
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CorpusError(f"{path}: not a safetensors file: {error}") from None
    for corpus in corpora:
        for language, text in corpus.texts.items():
            name = language if len(corpora) == 1 else f"{corpus.name}:{language}"
            if name not in tensors:
                raise CorpusError(f"{path}: no tensor '{name}'{nearest(name, tensors)}")
            if tensors[name].ndim != 2 or len(tensors[name]) != len(text):
                raise CorpusError(
                    f"{path}: tensor '{name}' has shape {list(tensors[name].shape)}; expected [{len(text)}, dimension]"
                )
            yield (corpus, language), _checked(path, name, tensors[name])


def _checked(path: Path, name: str, values: NDArray[Any]) -> NDArray[np.float32]:
    if not np.issubdtype(values.dtype, np.floating):
        raise CorpusError(f"{path}: {name} is {values.dtype}; expected floating-point numbers")
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise CorpusError(f"{path}: the vector of item {int(bad.argmax())} of {name} is not finite")
    return np.ascontiguousarray(values, dtype=np.float32)


def _read_folder(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    if not folder.exists() or not any(folder.iterdir()):
        return {}, {}
    config = read_config(folder)
    if config.get("model_type") != IMPORTED:
        raise ModelError(f"{folder}: holds something else already; expected a new folder or one of imported vectors")
    if config["name"] != name:
        raise ModelError(f"{folder}: holds vectors of '{config['name']}', not of '{name}'; give another --out")
    return dict(config["texts"]), dict(load_file(folder / VECTORS))


def _write(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, NDArray[np.float32]]) -> None:
    """Both files, or what was there before: written beside the folder and renamed into its place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        fresh = Path(scratch) / "new"
        fresh.mkdir()
        save_file(dict(tensors), fresh / VECTORS)
        (fresh / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        # Not inside the scratch folder, which goes whatever happens.
        retired = Path(f"{scratch}.old")
        try:
            if folder.exists():
                folder.rename(retired)
            fresh.rename(folder)
        finally:
            if retired.exists() and folder.exists():
                shutil.rmtree(retired)
            elif retired.exists():
                retired.rename(folder)
