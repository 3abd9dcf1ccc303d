"""Every metric has its row in docs/conventions.md."""

import pytest

from sprachbund.measures import MEASURES, METRICS
from support.pages import metrics_table, read


def test_the_table_of_metrics_is_on_its_page() -> None:
    assert metrics_table() in read("conventions.md")


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_belongs_to_one_measure(name: str) -> None:
    assert sum(name in measure.metrics for measure in MEASURES.values()) == 1
