"""Safetensors files: what is written is what safetensors itself reads, equal inputs yield equal bytes."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sprachbund.errors import ArtifactError
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.files.tensors import (
    DTYPES,
    TensorSpool,
    load_tensors,
    open_tensors,
    read_metadata,
    save_tensors,
    shapes,
)

RELAXED = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
arrays = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@RELAXED
@given(tensors=st.dictionaries(st.text(min_size=1, max_size=8).filter(lambda n: n != "__metadata__"), arrays))
def test_round_trip_as_safetensors_reads_it(store: ArtifactStore, tensors: dict[str, np.ndarray]) -> None:
    stored = save_tensors(store, tensors, {"b": [1, 2], "a": "ä"})
    path = store.fetch(stored.uri, stored.digest)
    for loaded in (safetensors.numpy.load_file(path), load_tensors(path)):
        assert loaded.keys() == tensors.keys()
        for name, array in tensors.items():
            assert loaded[name].dtype == array.dtype
            np.testing.assert_array_equal(loaded[name], array)
    assert read_metadata(path) == {"a": "ä", "b": [1, 2]}
    assert shapes(path) == {name: array.shape for name, array in tensors.items()}
    again = save_tensors(store, dict(reversed(tensors.items())), {"a": "ä", "b": [1, 2]})
    assert again == stored


def test_strided_and_foreign_byte_order(store: ArtifactStore) -> None:
    array = np.arange(24, dtype=">i4").reshape(4, 6)[::2, ::3]
    stored = save_tensors(store, {"x": array})
    loaded = load_tensors(store.fetch(stored.uri, stored.digest))["x"]
    assert loaded.dtype == np.int32
    np.testing.assert_array_equal(loaded, array)


def test_names_and_rows(store: ArtifactStore) -> None:
    array = np.arange(40.0).reshape(10, 4)
    stored = save_tensors(store, {"x": array, "y": array + 1})
    path = store.fetch(stored.uri, stored.digest)
    assert list(load_tensors(path, ["y"])) == ["y"]
    with open_tensors(path) as file:
        np.testing.assert_array_equal(file.get_slice("x")[2:3], array[2:3])


def test_spool_yields_the_same_file_as_saving_at_once(store: ArtifactStore) -> None:
    generator = np.random.default_rng(0)
    tensors = {"1.mlp.up": generator.normal(size=(7, 3)), "2.mlp.up": generator.normal(size=(7, 5)), "none": np.ones(0)}
    shape = {name: array.shape for name, array in tensors.items()}
    with TensorSpool(store, shape, np.float64, {"key": "k"}) as spool:
        for rows in (np.array([6, 0, 2]), np.array([1, 3, 4, 5])):
            for name in ("2.mlp.up", "1.mlp.up"):
                spool[name][rows] = tensors[name][rows]
        stored = spool.store()
    assert stored == save_tensors(store, tensors, {"key": "k"})


def test_spool_with_dtypes_and_unassigned_values(store: ArtifactStore) -> None:
    with TensorSpool(store, {"a": (2,), "b": (2, 2)}, {"a": np.int64, "b": np.float16}) as spool:
        spool["b"][1] = 2
        stored = spool.store()
    loaded = load_tensors(store.fetch(stored.uri, stored.digest))
    np.testing.assert_array_equal(loaded["a"], np.zeros(2, np.int64))
    np.testing.assert_array_equal(loaded["b"], np.array([[0, 0], [2, 2]], np.float16))


def test_spool_that_is_given_up_leaves_nothing(store: ArtifactStore) -> None:
    with pytest.raises(ZeroDivisionError), TensorSpool(store, {"a": (2,)}) as spool:
        spool["a"][0] = 1 // 0
    assert not [path for path in store.scratch.parent.rglob("*") if path.is_file()]


def test_spool_finds_a_full_disk_at_once(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(ArtifactError, match="disk is full"):
        TensorSpool(store, {"a": (2,)})
    assert not [path for path in store.scratch.parent.rglob("*") if path.is_file()]


def test_unfit_tensors_are_refused(store: ArtifactStore) -> None:
    with pytest.raises(TypeError, match="'x': dtype complex128"):
        save_tensors(store, {"x": np.zeros(1, complex)})
    with pytest.raises(ValueError, match="cannot be called __metadata__"):
        save_tensors(store, {"__metadata__": np.zeros(1)})


def test_damaged_and_lacking_files_are_named(store: ArtifactStore, tmp_path: Path) -> None:
    stored = save_tensors(store, {"x": np.zeros(3)})
    path = store.fetch(stored.uri, stored.digest)
    with pytest.raises(ArtifactError, match=f"{path} is damaged or lacks a tensor"):
        load_tensors(path, ["z"])
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ArtifactError, match=f"{cut} is damaged"):
        load_tensors(cut)
    with pytest.raises(ArtifactError, match="is missing"):
        load_tensors(tmp_path / "none.safetensors")
