"""Where a model's files are and what identifies them: the Hub commit, or a digest of the files' contents."""

import hashlib
import json
import os
import re
from pathlib import Path

from sprachbund.errors import ModelError, nearest
from sprachbund.models.architectures import IMPORTED, VECTORS, read_config

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "spiece.model",
)
_VOCABULARIES = frozenset(_TOKENIZER_FILES) - {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}
_INDEX = "model.safetensors.index.json"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def fingerprint(folder: Path) -> str:
    """What identifies the model in `folder`, whatever its path.

    `hub:<commit>` for a snapshot folder of the Hub cache, otherwise `sha256:<digest>` over the names and contents of
    config.json, the tokenizer's files and the safetensors weights. Raises ModelError where one is missing.
    """
    if _COMMIT.fullmatch(folder.name) and folder.parent.name == "snapshots":
        model_files(folder)
        return f"hub:{folder.name}"
    digest = hashlib.sha256()
    for path in model_files(folder):
        with path.open("rb") as handle:
            content = hashlib.file_digest(handle, "sha256").digest()
        digest.update(len(path.name).to_bytes(4, "little") + path.name.encode() + content)
    return f"sha256:{digest.hexdigest()}"


def model_files(folder: Path) -> list[Path]:
    """config.json, tokenizer files and weights of a model folder, sorted by name.

    Raises ModelError where config, tokenizer or weights (or one of the shards that an index names) are missing, and
    where the only weights are pickles.
    """
    config = read_config(folder)
    if config.get("model_type") == IMPORTED:
        return [folder / "config.json", folder / VECTORS]
    present = {path.name for path in folder.iterdir() if path.is_file()}
    if not present & _VOCABULARIES:
        raise ModelError(
            f"model folder '{folder}' has no tokenizer: expected tokenizer.json{nearest('tokenizer.json', present)}"
        )
    weights = _weight_names(folder, present)
    names = {"config.json", *weights, *(present & set(_TOKENIZER_FILES))}
    return [folder / name for name in sorted(names)]


def find_folder(model: str | Path, revision: str | None = None) -> Path:
    """The local folder of a model: a path as it is, or the cached snapshot of a Hub id.

    Raises ModelError where neither exists (nothing is downloaded), naming the nearest folder.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        if revision is not None:
            raise ModelError(f"model '{model}' is a folder: 'revision' ({revision}) is for Hub ids only")
        return path
    name = str(model)
    if not looks_like_hub_id(name):
        read_config(path)
    cached = cached_snapshot(name, revision)
    if cached is not None:
        return cached
    siblings = [entry.name for entry in path.parent.iterdir() if entry.is_dir()] if path.parent.is_dir() else []
    at = f" at revision '{revision}'" if revision is not None else ""
    raise ModelError(
        f"model '{name}' is no folder here{nearest(path.name, siblings)}, and the Hub cache has none of that id{at}; "
        f"fetch it with: hf download {name}{f' --revision {revision}' if revision is not None else ''}"
    )


def looks_like_hub_id(name: str) -> bool:
    """True for `name` and `owner/name`: nothing that could only be a path."""
    return _HUB_ID.fullmatch(name) is not None


def cached_snapshot(hub_id: str, revision: str | None = None) -> Path | None:
    """The snapshot folder of a Hub id in this user's cache, or None.

    The cache is found by HF_HUB_CACHE, else HF_HOME, else `~/.cache/huggingface`, as huggingface_hub does.
    """
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    repository = cache / f"models--{hub_id.replace('/', '--')}"
    wanted = revision or "main"
    reference = repository / "refs" / wanted
    commit = reference.read_text(encoding="utf-8").strip() if reference.is_file() else wanted
    folder = repository / "snapshots" / commit
    return folder if _COMMIT.fullmatch(commit) and folder.is_dir() else None


def _weight_names(folder: Path, present: set[str]) -> set[str]:
    if "model.safetensors" in present:
        return {"model.safetensors"}
    if _INDEX in present:
        try:
            index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
            shards = set(index["weight_map"].values())
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"'{folder / _INDEX}' is not an index of safetensors shards: {error!r}") from error
        absent = sorted(shards - present)
        if absent:
            raise ModelError(
                f"model folder '{folder}' lacks {len(absent)} of {len(shards)} weight files, first {absent[0]}"
                f"{nearest(absent[0], present)}"
            )
        return shards | {_INDEX}
    pickled = sorted(name for name in present if name.endswith((".bin", ".pt", ".pth", ".ckpt")))
    if pickled:
        raise ModelError(
            f"model folder '{folder}' has only pickled weights ({pickled[0]}): convert them to model.safetensors"
        )
    raise ModelError(
        f"model folder '{folder}' has no weights: expected model.safetensors{nearest('model.safetensors', present)}"
    )
