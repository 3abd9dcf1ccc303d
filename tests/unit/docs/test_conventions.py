"""docs/conventions.md shows every metric as the code defines it."""

from pathlib import Path

import pytest

from sprachbund.measures import MEASURES, METRICS, Metric

PAGE = Path(__file__).resolve().parents[3] / "docs" / "conventions.md"
BETTER = {"higher": "higher", "lower": "lower", "none": "–"}
INTERVALS = {"wilson": "Wilson", "bootstrap": "bootstrap", "none": "–"}


def bounds(metric: Metric) -> str:
    """`0 … 1`; an open end is a dash."""
    low, high = ("–" if each is None else f"{each:g}".replace("-", "−") for each in (metric.low, metric.high))
    return f"{low} … {high}"


def metrics_table() -> str:
    """The table of docs/conventions.md: print it with `python tests/unit/docs/test_conventions.py`."""
    lines = ["| metric | measure | better | bounds | interval | definition | source |", "| --- " * 7 + "|"]
    for measure in MEASURES.values():
        for name in measure.metrics:
            metric = METRICS[name]
            cells = (
                f"`{name}`",
                measure.name,
                BETTER[metric.better],
                bounds(metric),
                INTERVALS[metric.interval],
                metric.description,
                metric.source,
            )
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    assert metrics_table() in PAGE.read_text(encoding="utf-8"), (
        "print the new one with `python tests/unit/docs/test_conventions.py`"
    )


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_belongs_to_one_measure(name: str) -> None:
    assert sum(name in measure.metrics for measure in MEASURES.values()) == 1


if __name__ == "__main__":
    print(metrics_table())
