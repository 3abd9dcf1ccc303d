"""Tensors in safetensors files with NumPy alone: written in one go or piece by piece, read whole or by rows.

Files are written here, not by the safetensors package, for the same tensors to yield the same bytes (it
orders metadata at random) and for files larger than memory. Format: 8 bytes with the header's length, little
endian; a JSON header with dtype, shape and offsets of every tensor; the tensors' bytes, C order, end to end.
"""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from safetensors import SafetensorError, safe_open

from sprachbund.errors import ArtifactError
from sprachbund.work.keys import canonical_json

if TYPE_CHECKING:
    from sprachbund.files.artifacts import ArtifactStore, Stored

SUFFIX = ".safetensors"
DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "int16": "I16",
    "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
# Where metadata stands in the header, and the name under which ours is one JSON document there.
_METADATA_ENTRY = "__metadata__"
_METADATA = "sprachbund"


class TensorSpool:
    """A safetensors file whose tensors are filled in any order, by assignment, without being held in memory.

    shapes: name to shape. dtype: of all, or name to dtype. metadata: a JSON document for the header.
    What was never assigned is zero. Use as a context: without `store()` the file is gone at the end.

        with TensorSpool(store, {"1.mlp.up": (n, width)}, np.float32, {"key": key}) as spool:
            spool["1.mlp.up"][rows] = values
            stored = spool.store()

    Raises:
        ArtifactError: the disk has no room for the whole file; found out before anything is computed.
    """

    def __init__(
        self,
        store: "ArtifactStore",
        shapes: Mapping[str, Sequence[int]],
        dtype: DTypeLike | Mapping[str, DTypeLike] = np.float32,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._store = store
        given: Any = dtype
        types = {name: np.dtype(given[name] if isinstance(given, Mapping) else given) for name in shapes}
        layout = _Layout(shapes, types, metadata or {})
        self._stack = ExitStack()
        self._arrays: dict[str, NDArray[Any]] = {}
        with ExitStack() as stack:
            self._path = stack.enter_context(store.unfinished(SUFFIX))
            with store.clear_errors(f"a file of {layout.n_bytes} bytes"), self._path.open("wb") as handle:
                handle.write(layout.header)
                # Claims the room now: writing to a mapped file on a full disk would kill the process.
                os.posix_fallocate(handle.fileno(), 0, layout.n_bytes)
            for name, start in layout.starts.items():
                shape = tuple(shapes[name])
                self._arrays[name] = (
                    np.memmap(self._path, types[name], "r+", start, shape)
                    if math.prod(shape)
                    else np.empty(shape, types[name])
                )
            self._stack = stack.pop_all()

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The tensor as a memory-mapped array, to assign to."""
        return self._arrays[name]

    def store(self) -> "Stored":
        """Finish the file and put it into the store; the spool cannot be used afterwards."""
        for array in self._arrays.values():
            if isinstance(array, np.memmap):
                array.flush()
        self._arrays.clear()
        return self._store.put_file(self._path, SUFFIX, move=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._arrays.clear()
        self._stack.close()


class _Layout:
    """Where each tensor lies: the widest dtypes first, then by name, so that all are aligned."""

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int]],
        types: Mapping[str, np.dtype[Any]],
        metadata: Mapping[str, Any],
    ) -> None:
        entries: dict[str, Any] = {_METADATA_ENTRY: {_METADATA: canonical_json(dict(metadata))}}
        offsets: dict[str, int] = {}
        end = 0
        for name in sorted(shapes, key=lambda name: (-types[name].itemsize, name)):
            if types[name].name not in DTYPES:
                raise TypeError(f"tensor '{name}': dtype {types[name]} has no place in a safetensors file")
            if name == _METADATA_ENTRY:
                raise ValueError(f"a tensor cannot be called {name}")
            offsets[name], end = end, end + math.prod(shapes[name]) * types[name].itemsize
            entries[name] = {
                "dtype": DTYPES[types[name].name],
                "shape": [int(size) for size in shapes[name]],
                "data_offsets": [offsets[name], end],
            }
        text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        self.header = len(text).to_bytes(8, "little") + text
        self.starts = {name: len(self.header) + offset for name, offset in offsets.items()}
        self.n_bytes = len(self.header) + end


def save_tensors(
    store: "ArtifactStore", tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any] | None = None
) -> "Stored":
    """Store arrays as one safetensors file; equal arrays and metadata yield equal bytes.

    metadata: a JSON document for the header (`read_metadata`). Raises ArtifactError as `put_bytes` does.
    """
    arrays = {name: np.asarray(array) for name, array in tensors.items()}
    layout = _Layout(
        {name: array.shape for name, array in arrays.items()},
        {name: array.dtype.newbyteorder("=") for name, array in arrays.items()},
        metadata or {},
    )
    with store.unfinished(SUFFIX) as path:
        with store.clear_errors(f"a file of {layout.n_bytes} bytes"), path.open("wb") as handle:
            handle.write(layout.header)
            for name in layout.starts:
                array = arrays[name]
                handle.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).data.cast("B"))
        return store.put_file(path, SUFFIX, move=True)


def load_tensors(path: Path, names: Iterable[str] | None = None) -> dict[str, NDArray[Any]]:
    """The tensors of a file, all or the named ones.

    Raises:
        ArtifactError: the file is no safetensors file, or lacks a name.
    """
    with open_tensors(path) as file:
        wanted = list(file.keys()) if names is None else list(names)
        return {name: file.get_tensor(name) for name in wanted}


def read_metadata(path: Path) -> dict[str, Any]:
    """The JSON document that the file was written with. Raises as `load_tensors`."""
    with open_tensors(path) as file:
        document: dict[str, Any] = json.loads((file.metadata() or {}).get(_METADATA, "{}"))
        return document


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor, in the file's order. Raises as `load_tensors`."""
    with open_tensors(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


@contextmanager
def open_tensors(path: Path) -> Iterator[Any]:
    """The file opened by safetensors: keys(), get_tensor(name), get_slice(name)[a:b] read what they name."""
    try:
        with safe_open(path, framework="np") as file:
            yield file
    except SafetensorError as error:
        raise ArtifactError(f"artifact {path} is damaged or lacks a tensor: {error}") from None
    except FileNotFoundError:
        raise ArtifactError(f"artifact {path} is missing") from None
