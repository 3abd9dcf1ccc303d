"""The GPU benchmark's stacked product against retrieval, pair by pair; and the benchmark itself, small."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from sprachbund_runners.evaluation.retrieval import survey
from sprachbund_runners.evaluation.similarity import unit_vectors
from support.placement import META, Placement

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def gpu() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_benchmark", BENCHMARK)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_product_counts_what_every_pair_does(gpu: ModuleType, dtype: type) -> None:
    drawn = np.random.default_rng(4)
    meaning = drawn.standard_normal((1, 37, 12))
    units = [unit_vectors(each) for each in (meaning + drawn.standard_normal((6, 37, 12))).astype(dtype)]
    found = gpu.stacked_ranks(
        *(torch.from_numpy(each) for each in (units[0].rows, np.stack([u.rows for u in units[1:]])))
    )
    forward, backward = (each.numpy() for each in found)
    assert forward.shape == backward.shape == (5, 37)
    for number, other in enumerate(units[1:]):
        pair = survey(units[0], other).cosine
        assert not pair.forward.ties.any() and not pair.backward.ties.any()
        np.testing.assert_array_equal(forward[number], pair.forward.greater)
        np.testing.assert_array_equal(backward[number], pair.backward.greater)
    # Some are wrong, some are right: not a comparison of zeros.
    assert 0 < forward.mean() < 18


def test_it_stays_on_its_device_and_asks_for_nothing(gpu: ModuleType) -> None:
    with Placement() as placement:
        forward, backward = gpu.stacked_ranks(torch.empty(9, 4, device=META), torch.empty(3, 9, 4, device=META))
        assert {(each.shape, each.device, each.dtype) for each in (forward, backward)} == {((3, 9), META, torch.int64)}
        assert not placement.departures


def test_the_small_benchmark_prints_its_table(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["gpu.py", "--tiny", "--device", "cpu", "--sentences", "12", "--variants", "2"])
    gpu.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("CPU, torch ") and "12 sentences" in lines[0]
    table = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    assert table[0][0] == "on CPU" and {len(row) for row in table} == {5}
    assert [row[0] for row in table[2:]] == [
        "embedding", "embedding, 3.5 % of the units set", "2 settings from block 2 on, one pass",
        "experts: responses and AUROC of one target",
    ]  # fmt: skip
    assert all(float(row[1]) > 0 for row in table[2:])
    assert re.search(r"with 21 others, width 64, float32, on CPU: \d+\.\d\d ms in one product .* ms in 21", lines[-2])
    assert lines[-1].startswith("Estimate from these parts, 22 languages × 500 settings × 32 layers × 3 models")
