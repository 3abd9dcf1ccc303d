"""What comparisons keep of outcomes, pair after pair, against all pairs stacked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprachbund_runners.jobs.compare.layer_outcomes import Baselines, LayerOutcomes
from sprachbund_runners.jobs.compare.outcomes import Cell
from sprachbund_runners.jobs.compare.pair_tests import PairTests
from sprachbund_runners.jobs.compare.scopes import inside
from sprachbund_runners.statistics.comparisons import mcnemar_counts, mcnemar_exact

SIZES = {"a": 3, "b": 11}
SCOPES = [("all", None), ("target_query", "x"), ("target_candidate", "x"), ("without_target", "x")]
credits = st.sampled_from([0.0, 1.0])
hits_of = {corpus: st.lists(credits, min_size=n, max_size=n) for corpus, n in SIZES.items()}
pairs = st.lists(
    st.tuples(st.sampled_from(sorted(SIZES)), st.sampled_from("xyz"), st.sampled_from("xyz")),
    min_size=1, max_size=8, unique=True,
)  # fmt: skip


def cells_of(draw, places, values):
    """Cells with outcomes between 0 and 1, now and then a tie's or none."""
    found = []
    for number, (corpus, query, candidate) in enumerate(places):
        top1 = np.array(draw(hits_of[corpus]))
        top1[0] = draw(st.sampled_from(values))
        other = np.array(draw(st.lists(st.floats(0, 1), min_size=SIZES[corpus], max_size=SIZES[corpus])))
        found.append(Cell(corpus, query, candidate, True, {"top1": top1, "mrr": other}, None, 100 + number))
    return found


def kept(cells, metrics=("top1", "mrr")):
    found = LayerOutcomes()
    for cell in cells:
        found.add(cell, metrics, SCOPES, tested=True)
    return found


@given(data=st.data(), places=pairs)
def test_means_are_those_of_stacked_pairs(data, places):
    cells = cells_of(data.draw, places, [0.0, 1.0, 0.5, np.nan])
    found = kept(cells)
    for metric in ("top1", "mrr"):
        for scope in SCOPES:
            among = [cell for cell in cells if inside(scope, cell.query, cell.candidate, True)]
            means = found.means.get((metric, scope))
            if not among:
                assert means is None
                continue
            assert means.usable == (not any(np.isnan(cell.items[metric]).any() for cell in among))
            if not means.usable:
                continue
            assert means.pairs == [cell.items[metric].mean() for cell in among]
            for corpus, count in means.counts.items():
                stacked = [cell.items[metric] for cell in among if cell.corpus == corpus]
                assert len(stacked) == count
                # To the bit: what was compared before stays what it was.
                assert (means.items(corpus) == np.mean(stacked, axis=0)).all()
    assert found.corpora == {corpus: (SIZES[corpus], None) for corpus, *_ in places}


@given(data=st.data(), places=pairs)
def test_tests_of_pairs_are_those_of_their_items(data, places):
    sides = [cells_of(data.draw, places, [0.0, 1.0, 0.5]) for _ in range(2)]
    own, baseline = (kept(cells).hits for cells in sides)
    found = list(PairTests.of(own, baseline).rows())
    expected = []
    for after, before in zip(*sides, strict=True):
        both = after.items["top1"], before.items["top1"]
        if not any(0.5 in each for each in both):
            counts = mcnemar_counts(*both)
            p = float(mcnemar_exact(*counts))
            expected.append({"result_id": after.result_id, "only_setting": counts[0],
                             "only_baseline": counts[1], "p": p})  # fmt: skip
            place = after.corpus, after.query, after.candidate
            assert (own.items(place) == both[0]).all()
    assert found == expected


class Stored:
    """Outcomes that count how often they are read."""

    def __init__(self, cells):
        self.stored, self.read = cells, []

    def ids(self, setting, layer):
        return tuple(cell.result_id for cell in self.stored)

    def cells(self, setting, layers, metrics):
        self.read += [(setting, layer) for layer in layers]
        return ((layer, cell) for layer in layers for cell in self.stored)


def cell(evaluation):
    return Cell("a", "x", "y", True, {"top1": np.ones(3)}, None, evaluation)


@pytest.mark.parametrize(("room", "reads"), [(1 << 20, 1), (0, 2)])
def test_a_baseline_is_read_once_while_there_is_room(room, reads):
    baselines, outcomes = Baselines({"none": SCOPES}, _room=room), Stored([cell(1)])
    for _ in range(2):
        assert set(baselines.read(outcomes, "none", ["1", "2"], ["top1"])) == {"1", "2"}
    assert outcomes.read == [("none", "1"), ("none", "2")] * reads


def test_other_pairs_of_a_baseline_are_read_anew():
    baselines = Baselines({"none": SCOPES})
    for evaluations in ([1], [1, 2]):
        outcomes = Stored([cell(each) for each in evaluations])
        (found,) = baselines.read(outcomes, "none", ["1"], ["top1"]).values()
        assert found.hits.ids == evaluations
