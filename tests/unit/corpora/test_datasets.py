"""Corpora through `datasets.load_dataset`: local folders and a stand-in for the Hub, never the network."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from sprachbund.corpora import CorpusSource, read_corpora
from sprachbund.errors import CorpusError


def flores(folder: Path) -> Path:
    """A dataset with one configuration for each language, as FLORES+ is laid out, and one for all."""
    heads = []
    for config, language, texts in (
        ("eng_Latn", "eng", ["One.", "Two."]),
        ("ekk_Latn", "ekk", ["Üks.", "Kaks."]),
        ("all", "all", ["x", "y"]),
    ):
        (folder / config).mkdir(parents=True)
        frame = pl.DataFrame({"id": [0, 1], "iso_639_3": language, "text": texts, "url": ["u", "u"]})
        frame.write_parquet(folder / config / "dev.parquet")
        heads.append(f"- config_name: {config}\n  data_files:\n  - split: dev\n    path: {config}/dev.parquet\n")
    (folder / "README.md").write_text("---\nconfigs:\n" + "".join(heads) + "---\n")
    return folder


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    yield datasets
    datasets.enable_progress_bars()


def source(config: str | None, name: str = "flores", **fields: Any) -> CorpusSource:
    columns = {"item": "id", "group": "url", **fields.pop("columns", {})}
    dataset = {"name": name, "config": config}
    return CorpusSource(dataset=dataset, split="dev", columns=columns, **fields)


@pytest.mark.usefixtures("library")
def test_one_configuration_for_each_language(tmp_path: Path) -> None:
    flores(tmp_path / "flores")
    (corpus,) = read_corpora(source("{language}"), ["est", "en"], tmp_path)
    assert (corpus.name, corpus.split, corpus.languages) == ("flores", "dev", ("est_Latn", "eng_Latn"))
    assert corpus.text("est_Latn").frame.rows() == [("0", "Üks.", "u"), ("1", "Kaks.", "u")]
    (everything,) = read_corpora(source("{language}"), None, tmp_path)
    assert everything.languages == ("eng_Latn", "est_Latn")  # `all` is no language
    with pytest.raises(CorpusError, match="has no language 'fr', only eng_Latn, est_Latn"):
        read_corpora(source("{language}"), ["fr"], tmp_path)


@pytest.mark.usefixtures("library")
def test_one_configuration_with_a_language_column(tmp_path: Path) -> None:
    flores(tmp_path / "flores")
    (corpus,) = read_corpora(source("eng_Latn", columns={"language": "iso_639_3"}), None, tmp_path)
    assert corpus.text("eng_Latn").texts == ["One.", "Two."]


@pytest.mark.usefixtures("library")
def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    flores(tmp_path / "flores")
    for bad, message in (
        (source("eng_Latin", columns={"language": "iso_639_3"}), "config 'eng_Latin', split 'dev': "),
        (source("eng_Latn", columns={"language": "lang"}), "columns.language: no column 'lang'"),
        (source("{language}", columns={"text": "sentence"}), "columns.text: no column 'sentence'"),
        (source(None, name="no/such"), "dataset 'no/such', split 'dev': "),
        (source("{language}", name="no/such"), "dataset 'no/such': "),
    ):
        with pytest.raises(CorpusError) as caught:
            read_corpora(bad, None, tmp_path)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_what_is_asked_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name, configuration, split and revision; nothing that would run the dataset's own code."""
    calls: list[Any] = []

    def load_dataset(*args: Any, **kwargs: Any) -> Any:
        calls.append((args, kwargs))
        return SimpleNamespace(to_polars=lambda: pl.DataFrame({"id": [1], "text": ["x"], "url": ["u"]}))

    def configs(*args: Any, **kwargs: Any) -> list[str]:
        calls.append((args, kwargs))
        return ["sib_eng_Latn", "sib_deu_Latn", "other_fra_Latn"]

    stand_in = SimpleNamespace(load_dataset=load_dataset, get_dataset_config_names=configs)
    monkeypatch.setitem(sys.modules, "datasets", stand_in)
    wanted = CorpusSource(
        dataset={"name": "x/sib", "config": "sib_{language}", "revision": "abc"},
        split="dev",
        columns={"item": "id", "group": "url"},
    )
    (corpus,) = read_corpora(wanted, ["de"])
    assert corpus.languages == ("deu_Latn",)
    assert calls == [
        (("x/sib",), {"revision": "abc"}),
        (("x/sib", "sib_deu_Latn"), {"split": "dev", "revision": "abc"}),
    ]


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(CorpusError, match="needs the package datasets"):
        read_corpora(source(None, name="x/y"))


def test_the_library_is_not_imported_for_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    row = {"item": "1", "language": "en", "text": "x"}
    (tmp_path / "c.jsonl").write_text(json.dumps(row))
    assert len(read_corpora(CorpusSource(path="c.jsonl"), base=tmp_path)) == 1
