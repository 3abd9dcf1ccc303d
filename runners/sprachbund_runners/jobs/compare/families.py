"""Families of tests: item-level differences kept beside them, and q-values within each family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund.work.payloads.compare import ComparisonPayload
from sprachbund_runners.statistics.comparisons import max_t

Differences = Mapping[str, NDArray[np.float64]]


@dataclass(slots=True)
class Family:
    """Tests that are adjusted together: rows with `p`, and for max-T each row's differences.

    Differences are per corpus, float64 [items] of its contribution to the mean difference: rows of one corpus have
    the same items. Corpora that a row does not use count as 0 there.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    differences: list[Differences] = field(default_factory=list)

    def add(self, row: dict[str, Any], differences: Differences | None) -> None:
        """One more test; `differences` are needed for max-T only."""
        self.rows.append(row)
        if differences is not None:
            self.differences.append(differences)

    def adjust(self, payload: ComparisonPayload, groups: Mapping[str, Sequence[str] | None]) -> None:
        """Set `q` and `family_size` of every row, by the comparison's rule.

        `groups`: labels of each corpus's items, where whole groups are swapped (max-T only).
        """
        if not self.rows:
            return
        if payload.multiplicity == "max_t":
            adjusted = self._max_t(payload, groups)
        else:
            from scipy.stats import false_discovery_control  # half a second that a runner's start need not take

            adjusted = false_discovery_control([row["p"] for row in self.rows], method=payload.multiplicity)
        for row, q in zip(self.rows, adjusted, strict=True):
            row["q"] = float(q)
            row["family_size"] = len(self.rows)

    def _max_t(self, payload: ComparisonPayload, groups: Mapping[str, Sequence[str] | None]) -> NDArray[np.float64]:
        sizes = {corpus: len(items) for each in self.differences for corpus, items in each.items()}
        starts: dict[str, int] = {}
        labels: list[Any] = []
        for corpus in sorted(sizes):
            starts[corpus] = len(labels)
            own = groups.get(corpus)
            # Groups of different corpora are different groups.
            labels += [(corpus, each) for each in (range(sizes[corpus]) if own is None else own)]
        table = np.zeros((len(labels), len(self.rows)))
        for column, each in enumerate(self.differences):
            for corpus, items in each.items():
                table[starts[corpus] : starts[corpus] + len(items), column] = items
        names = {label: number for number, label in enumerate(dict.fromkeys(labels))}
        together = None if len(names) == len(labels) else [names[label] for label in labels]
        return max_t(table, together, payload.resamples, payload.seed)
