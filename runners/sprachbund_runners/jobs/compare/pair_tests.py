"""McNemar's exact test of top-1 for every ordered pair of a setting at a layer.

Counts are never pooled over pairs, which share items. A pair with a tie for the first place has credits between
0 and 1 and no such test.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.jobs.compare.layer_outcomes import Hits, Pair
from sprachbund_runners.statistics.comparisons import mcnemar_exact


@dataclass(frozen=True, slots=True)
class PairTests:
    """Tests of some pairs [pairs]: their results, the items hit by one side alone, and p."""

    ids: NDArray[np.int64]
    only_setting: NDArray[np.int64]
    only_baseline: NDArray[np.int64]
    p: NDArray[np.float64]

    @classmethod
    def of(cls, own: Hits, baseline: Hits) -> "PairTests":
        """Tests of the pairs that both have."""
        pairs = tested(own, baseline)
        after, before = own.of(pairs), baseline.of(pairs)
        gained, lost = (np.bitwise_count(one & ~other).sum(axis=1, dtype=np.int64) for one, other in
                        ((after, before), (before, after)))  # fmt: skip
        ids = np.array([own.ids[own.rows[pair]] for pair in pairs], np.int64)
        return cls(ids, gained, lost, mcnemar_exact(gained, lost))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows of the table, but for the job."""
        columns = (self.ids.tolist(), self.only_setting.tolist(), self.only_baseline.tolist(), self.p.tolist())
        for result, gained, lost, p in zip(*columns, strict=True):
            yield {"result_id": result, "only_setting": gained, "only_baseline": lost, "p": p}


def tested(own: Hits, baseline: Hits) -> list[Pair]:
    """The pairs that are tested, in the setting's order."""
    return [pair for pair in own.rows if pair in baseline.rows]
