"""The check's own arithmetic against the obvious, and a run of it on a tiny checkpoint."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from sprachbund_runners.pretraining import __main__ as command
from sprachbund_runners.pretraining import check


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("check") / "model"
    tiny = "--steps 2 --rows 2 --width 16 --blocks 2 --heads 2 --vocabulary 300 --tokenizer-documents 50"
    assert command.main(["--out", str(out), *tiny.split(), "--threads", "1"]) == 0
    return out


def test_auroc_equals_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(0)
    responses = rng.integers(0, 5, (40, 6)).astype(float)
    positive = rng.random(40) < 0.3
    expected = [roc_auc_score(positive, responses[:, unit]) for unit in range(6)]
    np.testing.assert_allclose(check.auroc(responses, positive), expected, atol=1e-12)


def test_top1_counts_the_nearest_translation() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 30, 4)), rng.normal(size=(2, 30, 4))
    other[1] = 3 * one[1]
    expected = []
    for query, candidate in ((one[0], other[0]), (other[0], one[0])):
        hits = 0
        for i in range(30):
            cosines = [q @ query[i] / np.linalg.norm(q) for q in candidate]
            hits += int(np.argmax(cosines)) == i
        expected.append(hits / 30)
    np.testing.assert_allclose(check.top1({"a": one, "b": other}), [np.mean(expected), 1.0])


def test_edits_change_the_units_and_only_above_them(folder: Path) -> None:
    model = check.load(str(folder))
    texts = ["The egg is in Vienna.", "Hola."]
    plain = check.embeddings(model, texts, {})
    edited = check.embeddings(model, texts, {model.widths[0] + 3: 5.0})  # block 1, mlp.down, unit 3
    np.testing.assert_array_equal(plain[0], edited[0])
    assert not np.allclose(plain[1], edited[1])
    up = check.embeddings(model, texts, {sum(model.widths[:2]): 5.0})  # block 2, mlp.up
    np.testing.assert_array_equal(plain[:2], up[:2])
    np.testing.assert_array_equal(plain, check.embeddings(model, texts, {}))
    units = np.array([0, 1, 70, 150])
    others = check.same_profile(units, model, np.random.default_rng(1))
    ends = np.cumsum(model.widths)
    assert np.searchsorted(ends, others, side="right").tolist() == [0, 0, 1, 3]
    assert set(others).isdisjoint(units)


def test_the_check_prints_its_table(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "FIT_PER_LANGUAGE", 20)
    assert check.main([str(folder), "--items", "10", "--random", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| setting | 0 | 1 | final |"
    assert len(lines) == 2 + 1 + 5 + 5 + 2
