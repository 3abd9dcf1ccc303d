"""Interventions as files: a map from input language (or `*`, any) to edits, as arrays and a JSON header.

The header's `edits` lists type, site, block and tokens of every edit, per language; its arrays are named
`language/number/field` by their place in that list.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sprachbund.errors import ArtifactError
from sprachbund.files.tensors import load_tensors, read_metadata
from sprachbund_runners.interventions.edits import UnitAffine
from sprachbund_runners.interventions.low_rank import Edit, LowRank

ANY = "*"
"""Stands for every input language that the map does not name."""

_FIELDS: dict[str, tuple[str, ...]] = {"unit_affine": ("unit", "a", "b", "lo", "hi"), "low_rank": ("u", "v", "c")}


def edit_tensors(
    edits_by_language: Mapping[str, Sequence[Edit]],
) -> tuple[dict[str, NDArray[Any]], dict[str, dict[str, list[list[str | int]]]]]:
    """The arrays of a map of edits and its header, `{"edits": {language: [[type, site, block, tokens], …]}}`."""
    tensors: dict[str, NDArray[Any]] = {}
    header: dict[str, list[list[str | int]]] = {}
    for language, edits in edits_by_language.items():
        header[language] = []
        for number, edit in enumerate(edits):
            kind = "low_rank" if isinstance(edit, LowRank) else "unit_affine"
            header[language].append([kind, edit.site, edit.block, edit.tokens])
            for name in _FIELDS[kind]:
                tensors[f"{language}/{number}/{name}"] = getattr(edit, name)
    return tensors, {"edits": header}


def read_edits(path: Path) -> dict[str, list[Edit]]:
    """The map that a file was written from: equal bit by bit. Raises ArtifactError for a file that holds no edits."""
    header = read_metadata(path).get("edits")
    if not isinstance(header, dict):
        raise ArtifactError(f"artifact {path} holds no edits: its header has no map from language to edits")
    tensors = load_tensors(path)
    found: dict[str, list[Edit]] = {}
    for language, entries in header.items():
        found[language] = []
        for number, (kind, site, block, tokens) in enumerate(entries):
            if kind not in _FIELDS:
                raise ArtifactError(f"artifact {path}: edit of type '{kind}', expected {' or '.join(_FIELDS)}")
            names = [f"{language}/{number}/{name}" for name in _FIELDS[kind]]
            if missing := [name for name in names if name not in tensors]:
                raise ArtifactError(f"artifact {path} lacks '{missing[0]}' of its edits")
            fields = {name: tensors[key] for name, key in zip(_FIELDS[kind], names, strict=True)}
            make: type[UnitAffine] | type[LowRank] = LowRank if kind == "low_rank" else UnitAffine
            found[language].append(make(site, block, **fields, tokens=tokens))
    return found


def edits_for(edits_by_language: Mapping[str, Sequence[Edit]], language: str) -> list[Edit]:
    """The edits for inputs in `language`: its own where the map names it, else those of `*`, else none."""
    return list(edits_by_language.get(language, edits_by_language.get(ANY, ())))
