"""The pages of docs/ that are made from code: `python tests/support/pages.py` makes them anew."""

import re
from pathlib import Path

from sprachbund.db.views import VIEWS
from sprachbund.measures import MEASURES, METRICS
from sprachbund.measures.base import Metric

DOCS = Path(__file__).resolve().parents[2] / "docs"
BETTER = {"higher": "higher", "lower": "lower", "none": "–"}
INTERVALS = {"wilson": "Wilson", "bootstrap": "bootstrap", "none": "–"}
# The one table of docs/conventions.md that lists metrics.
METRICS_TABLE = re.compile(r"^\| metric \| measure \|.*?(?=^(?!\|))", re.MULTILINE | re.DOTALL)


def read(name: str) -> str:
    """A page as it stands."""
    return (DOCS / name).read_text(encoding="utf-8")


def views_page() -> str:
    """docs/views.md as the code has it."""
    head = [
        "# Views",
        "",
        "What `sprachbund query` and `ws.query` read. Every result view shows only rows that the experiment's "
        "plan resolved to, at the layers it asks for, so that versions never mix. Filter by `experiment` "
        "first. A flag is 0 or 1, json is text that holds JSON, times are epoch milliseconds, layers are text (`'0'`, "
        "`'1'` … `'final'`): sort by `layer_ordinal`.",
        "",
        "This page is made from `sprachbund.db.views.VIEWS`; a test keeps the two equal.",
    ]
    return "\n".join(["\n".join(head), *(f"\n{view.markdown()}" for view in VIEWS.values())]) + "\n"


def conventions_page() -> str:
    """docs/conventions.md with its table of metrics as the code has it."""
    return METRICS_TABLE.sub(lambda _: metrics_table() + "\n", read("conventions.md"), count=1)


def metrics_table() -> str:
    """One row for every metric of every measure."""
    lines = ["| metric | measure | better | bounds | interval | definition | source |", "| --- " * 7 + "|"]
    for measure in MEASURES.values():
        for name in measure.metrics:
            metric = METRICS[name]
            cells = (
                f"`{name}`",
                measure.name,
                BETTER[metric.better],
                _bounds(metric),
                INTERVALS[metric.interval],
                metric.description,
                metric.source,
            )
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _bounds(metric: Metric) -> str:
    """`0 … 1`; an open end is a dash."""
    low, high = ("–" if each is None else f"{each:g}".replace("-", "−") for each in (metric.low, metric.high))
    return f"{low} … {high}"


MADE = {"views.md": views_page, "conventions.md": conventions_page}

if __name__ == "__main__":
    for name, make in MADE.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
