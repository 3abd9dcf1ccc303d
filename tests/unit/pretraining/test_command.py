"""The command that makes a checkpoint, on a tiny run; and what its folder holds."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from sprachbund_runners.pretraining.__main__ import main

TINY = ["--steps", "2", "--rows", "2", "--width", "16", "--blocks", "2", "--heads", "2"]
SMALL_TOKENIZER = ["--vocabulary", "300", "--tokenizer-documents", "50", "--threads", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pretraining") / "model"
    assert main(["--out", str(out), *TINY, *SMALL_TOKENIZER]) == 0
    return out


def test_the_folder_loads_offline_with_the_auto_classes(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    assert AutoModel.from_pretrained(folder, local_files_only=True).config.n_layer == 2
    batch = tokenizer(["Hello.", "Wo ist das Ei?"], padding=True, return_tensors="pt")
    assert batch["input_ids"][:, 0].tolist() == [1, 1]
    assert model(**batch).logits.isfinite().all()


def test_a_folder_in_use_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--out", str(folder), *TINY])
    assert stopped.value.code == 2
    assert "is not an empty folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "0 is not 1 or more"),
        (["--width", "18", "--heads", "4"], "--width 18 is not a multiple of --heads 4"),
    ],
)
def test_bad_arguments_are_named(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--out", str(tmp_path / "new"), *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
