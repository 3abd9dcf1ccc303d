"""What a metric and a measure are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sprachbund.vocabulary import Better, Extent, IntervalKind, Use


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric name.

    unit: of the value (`share`, `cosine distance`, …). better: which way is an improvement; `none` where neither is
    one by itself. low, high: bounds, None if there is none. interval: how a level's interval is had. use: `compared`
    where items of a pair can be compared with a baseline's, `chosen_by` where settings may be chosen by it as well.
    chance: the level of a random ranking, or how it follows from the sizes of the groups of equal candidates; None
    where there is no such level.
    """

    name: str
    unit: str
    better: Better
    low: float | None
    high: float | None
    interval: IntervalKind
    description: str
    source: str
    use: Use = "shown"
    chance: "float | Callable[[Sequence[int]], float | None] | None" = None


@dataclass(frozen=True, slots=True)
class Measure:
    """One kind of evaluation: what it looks at and which metrics it yields. The version joins the content key.

    extent: `pair` (two sides with aligned items), `language` (one side), `space` (all languages of a setting),
    `output` (what the model writes or predicts; it has no layer).
    directed: a pair's two directions have figures of their own.
    optional: computed only where the spec asks for it, by a job of its own.
    function: `module:name`, which runners import and call for what the measure looks at; empty where a job computes it
    itself. `pair`: two LanguageVectors → PairScores. `language`: LanguageVectors → values by metric. `space`: the
    LanguageVectors of every language → values by metric.
    """

    name: str
    version: int
    extent: Extent
    directed: bool
    metrics: tuple[str, ...]
    description: str
    optional: bool = False
    function: str = ""


SUNDAR = "Sundar et al., ACL 2025"
