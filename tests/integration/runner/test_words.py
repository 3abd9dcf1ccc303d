"""Probes of words: from treebanks to snapshots with a row per word, rows and views."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file
from sqlalchemy import select

from sprachbund.corpora.conllu import read_treebank
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.errors import SpecError
from sprachbund.workspace import Workspace
from sprachbund_runners.evaluation.probing import probe
from sprachbund_runners.jobs.embed import word_snapshot
from sprachbund_runners.models.embed import embed
from sprachbund_runners.models.loading import load
from sprachbund_runners.models.words import align

Make = Callable[..., dict[str, Any]]
LANGUAGES = ("eng_Latn", "deu_Latn", "fra_Latn")
UPOS = ("NOUN", "VERB", "ADJ")


@pytest.fixture(scope="module")
def treebanks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """16 sentences in three languages, order free: words of one or two tokens, whose class follows from the first;
    some are written together ("eng1eng2" has no token of its own and is unknown) and stand for two."""
    folder = tmp_path_factory.mktemp("trees")
    drawn = random.Random(4)
    sentences = {
        item: [(drawn.randrange(30), drawn.random()) for _ in range(drawn.randint(4, 8))] for item in range(16)
    }
    files = {}
    for language in LANGUAGES:
        lines = []
        for item in drawn.sample(sorted(sentences), len(sentences)):
            rows, words = [], []
            for number, kind in sentences[item]:
                first = f"{language[:3]}{number}"
                place = len([row for row in rows if "-" not in row[0]]) + 1
                words.append(f"{first}-{first}" if kind < 0.4 else first + first if kind > 0.9 else first)
                if kind > 0.9:
                    rows.append((f"{place}-{place + 1}", words[-1], "_"))
                    rows += [(str(place), first, UPOS[number % 3]), (str(place + 1), first, "X")]
                else:
                    rows.append((str(place), words[-1], UPOS[number % 3]))
            lines += [f"# newdoc id = d{item // 2}", f"# sent_id = s{item}", f"# text = {' '.join(words)}"]
            lines += [f"{number}\t{form}\t_\t{upos}" + "\t_" * 6 for number, form, upos in rows] + [""]
        path = folder / f"{language}.conllu"
        path.write_text("\n".join(lines), encoding="utf-8")
        files[language] = str(path)
    return files


@pytest.fixture
def trees(experiment: Make, treebanks: dict[str, str]) -> Make:
    def make(**fields: Any) -> dict[str, Any]:
        made = experiment(
            interventions=["none", "centring_transductive"],
            embeddings={"layers": [0, 1, "final"]},
            evaluations={
                "probes": [
                    {"label": "upos", "level": "word", "folds": 4, "seeds": 2},
                    {"label": "language", "level": "word", "folds": 2, "seeds": 1},
                    {"label": "language", "folds": 2, "seeds": 1},
                ],
                "abx": [{"on": "language", "resamples": 0}],
            },
        )
        made["corpora"] = {"fit": made["corpora"]["fit"], "test": {"name": "trees", "files": treebanks}}
        del made["choose"]
        return {**made, **fields}

    return make


def stored(space: Workspace, layer: str, tokens: str = "word") -> dict[str, np.ndarray]:
    """Snapshots of the unsteered setting on the treebanks, by language."""
    with reading(space.engine) as connection:
        statement = (
            select(t.CorpusText.language, t.SnapshotPart.tensor, t.Artifact.uri, t.Artifact.digest)
            .join(t.Snapshot, t.Snapshot.corpus_text_id == t.CorpusText.id)
            .join(t.SnapshotPart, t.SnapshotPart.snapshot_id == t.Snapshot.id)
            .join(t.Artifact, t.Artifact.id == t.SnapshotPart.artifact_id)
            .join(t.Corpus, t.Corpus.id == t.CorpusText.corpus_id)
            .join(t.Setting, t.Setting.id == t.Snapshot.setting_id)
            .join(t.Intervention, t.Intervention.id == t.Setting.intervention_id)
            .where(t.Corpus.name == "trees", t.SnapshotPart.layer == layer, t.Snapshot.tokens == tokens)
            .where(t.Intervention.method == "none")
        )
        return {
            language: load_file(space.store.fetch(uri, digest))[tensor]
            for language, tensor, uri, digest in connection.execute(statement)
        }


def test_words_are_probed_split_by_sentence_across_languages(
    space: Workspace, trees: Make, treebanks: dict[str, str]
) -> None:
    submitted = space.submit(trees())
    # Of the transform, which is of sentences, the sentences only.
    assert {"snapshot": 6, "probe": 4, "abx_evaluation": 2}.items() <= submitted.new.items()
    tally = space.run()
    assert tally.failed == 0, tally.errors

    results = space.query("select * from probe_results where experiment = 'tiny'")
    kinds = set(results.select("setting", "task", "label", "pooling", "tokens").unique().rows())
    assert kinds == {
        ("none", "upos of words", "upos", "mean", "word"),
        ("none", "language of words", "language", "mean", "word"),
        ("none", "language", "language", "mean", "content"),
        ("centring_transductive", "language", "language", "mean", "content"),
    }
    rows, labels, items, languages = [], [], [], []
    embeddings = stored(space, "final")
    for language in sorted(LANGUAGES):
        # Items are in the order of their numbers, whatever the file's.
        sentences = sorted(read_treebank(Path(treebanks[language]), ""), key=lambda each: int(each.item[1:]))
        words = [(each.item, upos) for each in sentences for upos in each.upos]
        assert embeddings[language].shape == (len(words), 16)
        kept = [place for place, (_, upos) in enumerate(words) if upos != "_"]
        assert 0 < len(kept) < len(words)
        rows.append(embeddings[language][kept])
        items += [words[place][0] for place in kept]
        labels += [words[place][1] for place in kept]
        languages += [language] * len(kept)
    # All sentences of a document are on one side: two of them each.
    documents = np.array([int(item[1:]) // 2 for item in items])
    expected = probe(np.concatenate(rows), labels, documents, folds=4, seeds=(0, 1))
    here = results.filter((pl.col("task") == "upos of words") & (pl.col("layer") == "final"))
    by_metric = {(row["metric"], row["query_language"]): row for row in here.iter_rows(named=True)}
    accuracy = by_metric["probe_accuracy", None]
    assert accuracy["value"] == pytest.approx(expected.correct.mean())
    # Intervals draw documents, not words.
    assert accuracy["ci_low"] <= accuracy["value"] <= accuracy["ci_high"]
    assert accuracy["n_groups"] == 8
    assert by_metric["probe_majority", None]["value"] == pytest.approx(expected.majority())
    assert accuracy["value"] > by_metric["probe_majority", None]["value"]
    german = np.flatnonzero(np.array(languages) == "deu_Latn")
    assert by_metric["probe_macro_f1", "deu_Latn"]["value"] == pytest.approx(expected.macro_f1(german))

    points = space.query("select * from probe_abx_points where experiment = 'tiny' and setting = 'none'")
    assert set(points["probe"]) == {"upos of words", "language of words", "language"}
    # Layers × metrics of probe and ABX task.
    assert points.filter(pl.col("probe") == "upos of words").height == 3 * 2 * 2
    assert space.submit(trees()).n_new == 0


def test_memory_does_not_decide_over_values(
    space: Workspace, trees: Make, treebanks: dict[str, str], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass of a few sentences at a time gives what one pass gives, under edits as without; settings share it."""
    steered = {"method": "experts", "k": 4}
    asked = {"probes": [{"label": "upos", "level": "word", "folds": 2, "seeds": 1}]}
    space.submit(trees(interventions=["none", steered], evaluations=asked))
    calls: list[int] = []
    embed_variants = word_snapshot.embed_variants

    def counting(loaded: Any, texts: Any, layers: Any, variants: Any, *rest: Any, **options: Any) -> Any:
        calls.append(len(texts))
        assert len(variants) == 2
        return embed_variants(loaded, texts, layers, variants, *rest, **options)

    monkeypatch.setattr(word_snapshot, "embed_variants", counting)
    monkeypatch.setattr(word_snapshot, "PASS_BYTES", 2 * 20 * 3 * 16 * 4)
    tally = space.run()
    assert tally.failed == 0, tally.errors
    assert len(calls) > 6 and sum(calls) == 3 * 16 and max(calls) <= 5
    found = space.query("select setting, value from probe_results where metric = 'probe_accuracy' and layer = '1'")
    assert set(found["setting"]) > {"none"}
    loaded = load(tiny_model)
    for language, path in treebanks.items():
        sentences = sorted(read_treebank(Path(path), ""), key=lambda each: int(each.item[1:]))
        texts = align(loaded, [each.text for each in sentences], [np.array(each.spans) for each in sentences])
        for layer, expected in embed(loaded, texts, ["0", "1", "final"], tokens="word").items():
            np.testing.assert_allclose(stored(space, layer)[language], expected, atol=1e-5)


def test_chunks_hold_every_sentence_once() -> None:
    assert word_snapshot.chunks(np.array([3, 4, 2, 9, 1, 1]), 6) == [(0, 1), (1, 3), (3, 4), (4, 6)]
    assert word_snapshot.chunks(np.array([3, 4]), 1000) == [(0, 2)]
    assert word_snapshot.chunks(np.array([3, 4]), 1) == [(0, 1), (1, 2)]


def test_bad_requests_get_one_line(space: Workspace, trees: Make, experiment: Make) -> None:
    def refusal(made: dict[str, Any]) -> str:
        with pytest.raises(SpecError) as caught:
            space.submit(made)
        return str(caught.value)

    words = {"probes": [{"label": "upso", "level": "word"}]}
    assert refusal(trees(evaluations=words)).startswith(
        "evaluations.probes.0.label: trees has no label 'upso', only upos, item, language, group"
    )
    assert "'upos' of sentences, only item, language, group; it is one of words: 'level: word'" in refusal(
        trees(evaluations={"probes": ["upos"]})
    )
    words = {"probes": ["language", {"label": "upos", "level": "word"}]}
    assert refusal(experiment(evaluations=words)) == (
        "evaluations.probes.1.level: words has no words; expected a corpus of .conllu files"
    )
    twice = {"probes": [{"label": "upos", "level": "word"}, {"label": "upos", "level": "word", "folds": 3}]}
    assert "'upos of words' is asked for twice" in refusal(trees(evaluations=twice))
