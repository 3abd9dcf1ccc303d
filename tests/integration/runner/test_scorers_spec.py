"""Every scorer and selection from a spec to rows, on the tiny model."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy import stats
from sqlalchemy import func, select

from sprachbund.catalogue import plugins
from sprachbund.catalogue.scorers import SCORERS
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.errors import SpecError
from sprachbund.files.tensors import load_tensors
from sprachbund.progress import Silent
from sprachbund.workspace import Workspace
from sprachbund_runners.jobs.compare.levels import draws_seed
from sprachbund_runners.jobs.context import Context
from sprachbund_runners.jobs.embed.stored_snapshot import read_layer
from sprachbund_runners.jobs.fit.expert_set import find_ranking
from sprachbund_runners.models import respond as responding
from sprachbund_runners.scorers.l1_probe import l1_probe
from sprachbund_runners.scorers.lape import lape
from sprachbund_runners.statistics.bootstrap import bootstrap_draws

Make = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _no_plugins_left() -> Iterator[None]:
    yield
    plugins.forget()


@pytest.fixture
def small(experiment: Make) -> Make:
    """A spec whose evaluations are few: one pair, one layer, no choice."""

    def make(**fields: Any) -> dict[str, Any]:
        evaluated = {"languages": ["eng_Latn", "deu_Latn"], "embeddings": {"layers": [1]}, "choose": None}
        spec = experiment(**{**evaluated, **fields})
        del spec["corpora"]["select"]
        return spec

    return make


def read(space: Workspace, statement: Any) -> list[Any]:
    with reading(space.engine) as connection:
        return list(connection.execute(statement))


def steered(scorers: list[str], **fields: Any) -> dict[str, Any]:
    return {"method": "experts", "k": [6], "scorers": scorers, **fields}


def statistics_of(space: Workspace, context: Context) -> dict[str, dict[str, dict[str, NDArray[Any]]]]:
    """By language: responses and moments of its statistics at the sites where units are scored."""
    found = {}
    query = select(t.UnitStatistics, t.CorpusText.language).join(
        t.CorpusText, t.CorpusText.id == t.UnitStatistics.corpus_text_id
    )
    for row in read(space, query):
        with context.reading() as connection:
            files = [context.artifact(connection, each) for each in (row.responses_id, row.moments_id)]
        found[row.language] = dict(zip(("responses", "moments"), map(load_tensors, files), strict=True))
    return found


def test_every_scorer_from_a_spec(space: Workspace, small: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    run = responding.run_batches

    def counted(loaded: Any, texts: Any, *arguments: Any) -> Any:
        passes.append(len(texts))
        return run(loaded, texts, *arguments)

    monkeypatch.setattr(responding, "run_batches", counted)
    submitted = space.submit(
        small(experts={"scorers": list(SCORERS), "sites": ["mlp.up"]}, interventions=["none", steered(list(SCORERS))])
    )
    tally = space.run()
    assert tally.failed == 0, tally.errors
    assert passes == [30] * 4
    context = Context(space.engine, space.store, Silent())
    by_language = statistics_of(space, context)
    order = ["eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn"]
    sets = {row.scorer: row for row in read(space, select(t.ExpertSet))}
    assert set(sets) == set(SCORERS)
    rankings = {name: find_ranking(context, row.key) for name, row in sets.items()}
    for name, ranking in rankings.items():
        assert ranking.axis == ((1, "mlp.up", 64), (2, "mlp.up", 64))
        assert len(ranking.score) == len(ranking.p) == len(ranking.effect) == 128 == sets[name].n_units
        assert sets[name].scorer_version == SCORERS[name].version
        np.testing.assert_array_equal(ranking.p, rankings["auroc"].p)
        np.testing.assert_array_equal(ranking.effect, rankings["auroc"].effect)
        ranked = ranking.score[ranking.order]
        assert (ranked[:-1] >= ranked[1:]).all()
        if name != "lape":
            assert sorted(ranking.order.tolist()) == list(range(128))
    # The probe of each block, refitted here from the stored responses.
    weights = [
        l1_probe(
            by_language["eng_Latn"]["responses"][f"{block}.mlp.up"],
            np.concatenate([by_language[each]["responses"][f"{block}.mlp.up"] for each in sorted(order[1:])]),
        )
        for block in (1, 2)
    ]
    np.testing.assert_allclose(rankings["l1_probe"].score, np.concatenate(weights), atol=1e-9)
    # LAPE from the stored counts of tokens that fire.
    active = np.stack(
        [np.concatenate([by_language[each]["moments"][f"{b}.mlp.up/positive"] for b in (1, 2)]) for each in order], 1
    )
    n_tokens = np.array([by_language[each]["moments"]["token_counts"].sum() for each in order])
    expected = lape(active, n_tokens)
    own = expected.owned[:, 0]
    assert 0 < own.sum() < 128
    np.testing.assert_allclose(rankings["lape"].score[own], -expected.entropy[own], rtol=1e-12)
    assert set(rankings["lape"].order.tolist()) == set(np.flatnonzero(own).tolist())
    n_rows = dict(read(space, select(t.ExpertUnit.expert_set_id, func.count()).group_by(t.ExpertUnit.expert_set_id)))
    assert n_rows == {ranking.id: len(ranking.order) for ranking in rankings.values()}
    frame = space.results(submitted)
    assert frame["setting"].n_unique() == 1 + len(SCORERS)


def test_other_sites_and_pooling_need_no_second_pass(
    space: Workspace, small: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same text with max over MLP outputs (experts) and with mean at a block's output (a direction)."""
    passes = []
    run = responding.run_batches

    def counted(loaded: Any, texts: Any, *arguments: Any) -> Any:
        passes.append(len(texts))
        return run(loaded, texts, *arguments)

    monkeypatch.setattr(responding, "run_batches", counted)
    direction = {"method": "direction", "direction": "diff_mean", "edit": "add", "strength": 1.0, "sites": ["block"]}
    space.submit(small(interventions=["none", steered(["auroc"]), {**direction, "blocks": [1]}]))
    tally = space.run()
    assert tally.failed == 0, tally.errors
    assert passes == [30] * 4
    kinds = {(tuple(row.sites), row.pooling) for row in read(space, select(t.UnitStatistics))}
    assert kinds == {(("mlp.up", "mlp.down"), "max"), (("block",), "mean")}


def test_average_precision_top_and_bottom(space: Workspace, small: Make) -> None:
    """Kojima's selection: the units whose responses put the target first, and those that put it last."""
    rows = ["none", steered(["average_precision"], selection="top_and_bottom")]
    space.submit(small(interventions=rows))
    tally = space.run()
    assert tally.failed == 0, tally.errors
    context = Context(space.engine, space.store, Silent())
    (row,) = read(space, select(t.ExpertSet).where(t.ExpertSet.target == "eng_Latn"))
    ranking = find_ranking(context, row.key)
    (edited,) = read(space, select(t.Intervention).where(t.Intervention.method == "experts"))
    assert edited.n_edited == 12
    with context.reading() as connection:
        tensors = context.tensors(connection, edited.artifact_id)
    units = sorted(np.concatenate([value for name, value in tensors.items() if name.endswith("unit")]).tolist())
    starts = np.cumsum([0, *(width for _, _, width in ranking.axis)])
    wanted = np.concatenate([ranking.order[:6], ranking.order[-6:]])
    assert units == sorted((wanted - starts[np.searchsorted(starts, wanted, side="right") - 1]).tolist())
    assert (ranking.effect[ranking.order[:6]] > 0).all()
    assert (ranking.effect[ranking.order[-6:]] < 0).all()


def test_more_lape_units_than_the_target_owns_fails_in_one_line(space: Workspace, small: Make) -> None:
    space.submit(small(interventions=["none", steered(["lape"], k=[100])], experts={"sites": ["mlp.up"]}))
    tally = space.run()
    assert tally.failed == 1
    assert "k: 100 units are wanted, but only" in tally.errors[0]


OWN = '''
import numpy as np
import sprachbund

@sprachbund.register
def gap(positives, negatives):
    """Difference of medians."""
    return np.median(positives, axis=0).astype(float) - np.median(negatives, axis=0)
'''


def test_a_scorer_of_ones_own(space: Workspace, small: Make, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN, encoding="utf-8")
    (plugin,) = plugins.load(file)
    spec = small(interventions=["none", steered(["gap"])])
    submitted = space.submit(spec)
    # A process that was not given the file says how to give it, and fails nothing else.
    plugins.forget()
    tally = space.run()
    assert tally.failed == 1
    assert (
        f"scorer '{plugin.full_name}' is not registered in this process: run with --plugin FILE.py" in tally.errors[0]
    )
    with pytest.raises(SpecError, match=r"found 'gap', expected one of auroc, .*--plugin FILE.py"):
        space.submit(spec)
    plugins.load(file)
    assert space.submit(spec).reopened == 1
    tally = space.run()
    assert tally.failed == 0, tally.errors
    (row,) = read(space, select(t.ExpertSet))
    assert row.scorer == plugin.full_name
    context = Context(space.engine, space.store, Silent())
    found = find_ranking(context, row.key)
    by_language = statistics_of(space, context)
    names = [f"{block}.{site}" for block, site, _ in found.axis]
    for name, score in zip(names, np.split(found.score, np.cumsum([w for *_, w in found.axis])[:-1]), strict=True):
        others = np.concatenate(
            [by_language[each]["responses"][name] for each in sorted(set(by_language) - {"eng_Latn"})]
        )
        own = by_language["eng_Latn"]["responses"][name]
        np.testing.assert_array_equal(score, np.median(own, axis=0).astype(float) - np.median(others, axis=0))
    # Its settings are in the same views, under the name with the digest.
    assert plugin.full_name in set(space.query("select scorer from expert_layers")["scorer"])
    assert submitted.n_new > 0
    # Another text is another scorer: its work is new, the old results stay.
    file.write_text(OWN.replace("np.median(negatives, axis=0)", "np.median(negatives, axis=0) * 2"), encoding="utf-8")
    plugins.load(file)
    assert space.submit(spec, replace=True).new["expert_set"] == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return positives.sum(axis=1)", "returned float32 [30]; expected float64 ["),
        ("return positives.mean(axis=0) * float('nan')", "NaN for unit 0"),
        ("return positives.nothing", "AttributeError: 'numpy.ndarray' object has no attribute 'nothing'"),
    ],
)
def test_a_scorer_that_misbehaves_fails_its_job_in_one_line(
    space: Workspace, small: Make, tmp_path: Path, body: str, message: str
) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        f"import sprachbund\n\n\n@sprachbund.register\ndef odd(positives, negatives):\n    {body}\n", encoding="utf-8"
    )
    plugins.load(file)
    space.submit(small(interventions=["none", steered(["odd"])]))
    tally = space.run()
    assert tally.failed == 1
    assert "scorer odd@" in tally.errors[0].replace("'", "")
    assert message in tally.errors[0]


MEASURE = '''
import numpy as np
import sprachbund

def step(x, y):
    """Euclidean distance of translations."""
    return np.linalg.norm(x - y, axis=1).astype(np.float64)

sprachbund.register(step, kind="measure")
'''


def test_a_measure_of_ones_own(space: Workspace, small: Make, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(MEASURE, encoding="utf-8")
    (plugin,) = plugins.load(file)
    rows = ["none", steered(["auroc"]), steered(["auroc"], side="query"), "centring"]
    drawn = {"resamples": 200, "unit": "item"}
    spec = small(interventions=rows, evaluations={"measures": ["step"]}, statistics=drawn)
    submitted = space.submit(spec)
    assert submitted.new["own_measures"] == 4
    tally = space.run()
    assert tally.failed == 0, tally.errors
    frame = space.results(submitted, "alignment").filter(pl.col("metric") == plugin.full_name)
    assert set(frame["setting"]) == set(submitted.settings)
    assert (frame["measure"] == "own").all()
    assert frame.height == 4
    # The same numbers from the stored snapshots.
    vectors: dict[tuple[str, str], NDArray[np.float32]] = {}
    context = Context(space.engine, space.store, Silent())
    query = (
        select(t.Setting.key, t.CorpusText.language, t.Snapshot.key.label("snapshot"))
        .join(t.Snapshot, t.Snapshot.setting_id == t.Setting.id)
        .join(t.CorpusText, t.CorpusText.id == t.Snapshot.corpus_text_id)
        .join(t.Corpus, t.Corpus.id == t.CorpusText.corpus_id)
        .where(t.Corpus.split == "test")
    )
    for row in read(space, query):
        vectors[row.key, row.language] = read_layer(context, row.snapshot, "1")
    keys = dict(zip(frame["setting"], frame["setting_key"], strict=True))
    none, both, one, centred = (keys[label] for label in submitted.settings)
    found = dict(zip(frame["setting_key"], frame["value"], strict=True))

    def distance(x: str, y: str) -> float:
        return float(np.linalg.norm(vectors[x, "deu_Latn"] - vectors[y, "eng_Latn"], axis=1).mean(dtype=np.float64))

    assert found[none] == pytest.approx(distance(none, none), rel=1e-6)
    assert found[both] == pytest.approx(distance(both, both), rel=1e-6)
    assert found[one] == pytest.approx((distance(both, none) + distance(none, both)) / 2, rel=1e-6)
    assert found[centred] < found[none]
    steered_row = frame.filter(pl.col("setting_key") == both)
    assert steered_row["baseline"].item() == pytest.approx(found[none])
    assert steered_row["ci_low"].item() < found[both] < steered_row["ci_high"].item()
    paired = space.query("select * from paired_differences order by setting_ordinal")
    assert set(paired["setting_key"]) == {both, one, centred} and set(paired["metric"]) == {plugin.full_name}
    row = paired.filter(pl.col("setting_key") == both).row(0, named=True)
    change = [
        np.linalg.norm(vectors[key, "deu_Latn"].astype(float) - vectors[key, "eng_Latn"], axis=1)
        for key in (both, none)
    ]
    corpus = read(space, select(t.Corpus.key).where(t.Corpus.split == "test"))[0].key
    draws = np.concatenate(list(bootstrap_draws(30, 200, draws_seed(0, f"pairs {corpus}"))))
    found_draws = draws @ (change[0] - change[1]) / 30
    half = stats.t.ppf(0.975, 29) * found_draws.std() * np.sqrt(30 / 29)
    expected = row["delta"] - half, row["delta"] + half
    assert row["delta"] == pytest.approx(found[both] - found[none], rel=1e-4)
    assert (row["delta_ci_low"], row["delta_ci_high"]) == pytest.approx(expected, rel=1e-4)
    assert (row["language"], row["layer"], row["n_items"], row["n_groups"]) == (None, "1", 30, 30)
    names = space.query(
        "select description, better from metric_names where name = :name", params={"name": plugin.full_name}
    )
    assert names.row(0) == (f"Euclidean distance of translations. (source: sha256 {plugin.digest})", "none")
    assert space.submit(spec).n_new == 0
    plugins.forget()
    with pytest.raises(
        SpecError, match=r"evaluations.measures: 'step' is not registered in this process: give --plugin"
    ):
        space.submit(spec)


def test_own_measures_are_wanted_one_by_one_and_draw_what_the_spec_says(
    space: Workspace, small: Make, tmp_path: Path
) -> None:
    file = tmp_path / "own.py"
    file.write_text(MEASURE + MEASURE.replace("step", "step_squared").replace("(np.float64)", "(float) ** 2"))
    first, second = plugins.load(file)
    singly = {"resamples": 200, "unit": "item"}
    spec = small(interventions=["none"], targets=[], evaluations={"measures": ["step"]}, statistics=singly)
    del spec["corpora"]["fit"]
    assert space.submit(spec).new["own_measures"] == 1
    more = {**spec, "evaluations": {"measures": ["step", "step_squared"]}}
    assert space.submit(more, replace=True).new == {"own_measures": 1}
    assert space.run().failed == 0
    by_item = _own(space)
    assert set(by_item) == {first.full_name, second.full_name}
    assert by_item[first.full_name][3:] == (30, 30)
    by_group = {**more, "statistics": {"unit": "group", "resamples": 200}}
    assert space.submit(by_group, replace=True).new["own_measures"] == 2
    assert space.run().failed == 0
    assert _own(space)[first.full_name][3:] == (30, 10)
    narrow = {**more, "statistics": {"unit": "group", "resamples": 200, "confidence": 0.6}}
    wide = _own(space)[first.full_name]
    assert space.submit(narrow, replace=True).new["own_measures"] == 2
    assert space.run().failed == 0
    value, low, high, *_ = _own(space)[first.full_name]
    assert value == wide[0] and wide[1] < low < value < high < wide[2]


def _own(space: Workspace) -> dict[str, tuple[float, float, float, int, int]]:
    found = space.query("select metric, value, ci_low, ci_high, n_items, n_groups from alignment_results"
                        " where measure = 'own' and experiment = 'tiny'")  # fmt: skip
    return {row[0]: row[1:] for row in found.iter_rows()}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return x.mean(axis=0)", "returned float32 [16]; expected float64 [30]"),
        ("return x.mean(axis=1) / 0", "inf for item"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_measure_that_misbehaves_fails_its_job_in_one_line(
    space: Workspace, small: Make, tmp_path: Path, body: str, message: str
) -> None:
    file = tmp_path / "own.py"
    text = f"import sprachbund\n\n\ndef odd(x, y):\n    {body}\n\n\nsprachbund.register(odd, kind='measure')\n"
    file.write_text(text, encoding="utf-8")
    plugins.load(file)
    space.submit(small(interventions=["none", "centring"], evaluations={"measures": ["odd"]}))
    tally = space.run()
    assert tally.failed == 2
    assert "measure odd@" in tally.errors[0] and message in tally.errors[0]


def test_sentences_of_one_pass_are_counted_once(space: Workspace, small: Make) -> None:
    """Responses pooled in two ways come from one pass over the fit text, as a forward pass does not know of pooling."""
    other = steered(["auroc"], pooling="mean")
    one, both, same = (
        space.submit(small(interventions=["none", *rows]), dry_run=True)
        for rows in ([steered(["auroc"])], [steered(["auroc"]), other], [steered(["auroc"]), steered(["cohens_d"])])
    )
    assert both.new["unit_statistics"] == 2 * one.new["unit_statistics"]
    # Another setting's snapshots are passes of their own, as many as those of another scorer.
    assert both.sentences == same.sentences
