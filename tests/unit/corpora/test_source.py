"""What a corpus source may say, and what it is told when it says nonsense."""

from typing import Any

import pytest
from pydantic import ValidationError

from sprachbund.corpora import CorpusSource


def test_languages_become_codes() -> None:
    source = CorpusSource(path="a.csv", languages={"x": "de", "y": "xyz_Latn"}, pivot="en")
    assert source.languages == {"x": "deu_Latn", "y": "xyz_Latn"}
    assert source.pivot == "eng_Latn"
    assert CorpusSource(files={"German": "a", "cmn": "b"}).files == {"deu_Latn": "a", "zho_Hans": "b"}


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"path": "a/sib.parquet"}, "sib"),
        ({"path": "a/sib.parquet", "name": "SIB"}, "SIB"),
        ({"builtin": "phrasebook", "split": "fit"}, "phrasebook"),
        ({"dataset": {"name": "some/flores"}, "split": "dev"}, "flores"),
        ({"files": {"deu_Latn": "ntrex/de.txt", "eng_Latn": "ntrex/en.txt"}}, "ntrex"),
        ({"files": {"deu_Latn": "de.txt"}}, "files"),
    ],
)
def test_default_names(fields: dict[str, Any], label: str) -> None:
    assert CorpusSource(**fields).label == label


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "exactly one of builtin, path, files, dataset; found none"),
        ({"path": "a.csv", "builtin": "phrasebook"}, "found builtin and path"),
        ({"builtin": "phrasebook"}, "split: required with 'builtin'"),
        ({"dataset": {"name": "x/y"}}, "split: required with 'dataset'"),
        ({"builtin": "phrasebook", "split": "fit", "filter": {"a": 1}}, "filter: only for tables"),
        ({"files": {"de": "a"}, "columns": {"text": "t"}}, "columns: only for tables"),
        ({"files": {"de": "a"}, "split": "dev"}, "split: not with 'files'"),
        ({"files": {"de": "a"}, "languages": {"x": "de"}}, "languages: not with 'files'"),
        ({"files": {"de": "a", "deu": "b"}}, "'de' and 'deu' are the same language"),
        ({"files": {}}, "at least 1"),
        ({"path": "a.csv", "groups": "g.txt"}, "groups: only with 'files'"),
        ({"files": {"de": "a"}, "quoted": True}, "quoted: only with 'path'"),
        ({"path": "a.csv", "sample_seed": 1}, "sample_seed: only with 'limit'"),
        ({"path": "a.csv", "limit": 0}, "greater than 0"),
        ({"path": "a.csv", "kind": "bilingual"}, "columns.pivot_text: required with 'kind: bilingual'"),
        ({"path": "a.csv", "columns": {"pivot_text": "en"}}, "columns.pivot_text: required with"),
        (
            {"path": "a.csv", "kind": "bilingual", "layout": "wide", "columns": {"pivot_text": "en"}},
            "a bilingual corpus is 'long'",
        ),
        ({"dataset": {"name": "x", "config": "{language}"}, "split": "d", "layout": "wide"}, "is 'long'"),
        ({"path": "a.csv", "languages": {"x": "Germn"}}, "did you mean 'deu_Latn' (German)"),
        ({"path": "a.csv", "pivot": "Englsh"}, "did you mean 'eng_Latn' (English)"),
        ({"path": "a.csv", "columns": {"item": []}}, "columns.item"),
        ({"pth": "a.csv"}, "pth"),
        ({"dataset": {"name": "x", "trust_remote_code": True}, "split": "d"}, "trust_remote_code"),
    ],
)
def test_nonsense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CorpusSource(**fields)
    assert message in str(caught.value)
