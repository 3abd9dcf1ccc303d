"""FROM parts over results of pairs, which have their dimensions joined and their metrics in columns.

They go from the experiment to its settings and from them to results, so that what all results of a setting have alike
is looked up once.
"""

from collections.abc import Callable, Sequence
from statistics import NormalDist
from string import Template

from sprachbund.db.tables.pairs import DRAWN_METRICS
from sprachbund.db.views.adjusted import adjusted
from sprachbund.db.views.asked import current, planned
from sprachbund.db.views.columns import Source
from sprachbund.measures import METRICS, OF_PAIRS, Measure
from sprachbund.measures.retrieval import TESTED

_ROWS = Template(
    """
FROM experiments x
CROSS JOIN experiment_settings xs
CROSS JOIN settings s
CROSS JOIN interventions i
CROSS JOIN models m
CROSS JOIN evaluands v
CROSS JOIN experiment_corpora xc
CROSS JOIN corpora c
CROSS JOIN experiment_layers xl
$before
CROSS JOIN pair_results e
$beside
WHERE xs.experiment_id = x.id
    AND s.id = xs.setting_id
    AND i.id = s.intervention_id
    AND m.id = s.model_id
    AND v.setting_id = xs.setting_id
    AND xc.experiment_id = x.id AND xc.corpus_id = v.corpus_id AND xc.role <> 'fit'
    AND c.id = v.corpus_id
    AND xl.experiment_id = x.id
    AND e.evaluand_id = v.id AND e.layer = xl.layer
    AND $own
"""
)
_BASELINE_OF = """LEFT JOIN evaluands bv
    ON bv.setting_id = xs.baseline_id AND bv.corpus_id = v.corpus_id AND bv.pooling = v.pooling
    AND bv.tokens = v.tokens"""
_BASELINE = f"""LEFT JOIN pair_results b
    ON b.evaluand_id = bv.id AND b.layer = e.layer AND b.query_language = e.query_language
    AND b.candidate_language = e.candidate_language
    AND {planned("b")}"""
_METRIC = """CROSS JOIN metric_names r
LEFT JOIN experiment_settings xb ON xb.experiment_id = x.id AND xb.setting_id = xs.baseline_id
LEFT JOIN experiment_settings xp ON xp.experiment_id = x.id AND xp.setting_id = xs.control_of_id
LEFT JOIN corpus_texts w ON w.id = (SELECT min(wc.id) FROM corpus_texts wc WHERE wc.corpus_id = c.id)"""
# A corpus in two roles has two tests of a pair, which say the same.
_TESTS = f"""LEFT JOIN pair_tests pt ON pt.result_id = CASE r.name WHEN '{TESTED}' THEN e.id END
    AND pt.job_id = (SELECT min(pw.job_id) FROM pair_tests pw CROSS JOIN experiment_jobs pj
        WHERE pw.result_id = e.id AND pj.experiment_id = x.id AND pj.job_id = pw.job_id AND {current("pw")})"""  # noqa: S608 - our own names


def rows_of_pairs(before: str = "", beside: str = "") -> str:
    """The FROM part `e` over the experiments' results of pairs. before, beside: joins before and after these."""
    return _ROWS.substitute(before=before, beside=beside, own=planned("e"))


def against_baseline() -> str:
    """The FROM part over results of pairs, `b` the same of the setting's baseline."""
    return rows_of_pairs(_BASELINE_OF, _BASELINE)


# The quantile of a two-sided interval of 95 %.
_Z = NormalDist().inv_cdf(0.975)


def by_metric(names: Sequence[str], column: Callable[[str], str | None]) -> str:
    """SQL: what `column` makes of the metric that a row is about; NULL where it makes nothing."""
    cases = ((name, column(name)) for name in names)
    whens = " ".join(f"WHEN '{name}' THEN {sql}" for name, sql in cases if sql is not None)
    return f"CASE r.name {whens} END"


def by_measure(metric: str) -> str:
    """SQL: the measure of pairs that yields the metric which the expression names."""
    whens = " ".join(
        f"WHEN '{name}' THEN '{measure.name}'" for measure in OF_PAIRS.values() for name in measure.metrics
    )
    return f"CASE {metric} {whens} END"


def _wilson(value: str, end: str) -> str:
    """SQL: an end of Wilson's interval of a share; the bounds' product is known, so that neither cancels."""
    centre, spread = f"({value} + {_Z**2} / (2.0 * e.n_items))", (
        f"({_Z} * sqrt({value} * (1 - {value}) / e.n_items + {_Z**2} / (4.0 * e.n_items * e.n_items)))"
    )  # fmt: skip
    if end == "low":
        return f"{value} * {value} / ({centre} + {spread})"
    return f"1 - (1 - {value}) * (1 - {value}) / (1 + {_Z**2} / e.n_items - {centre} + {spread})"


def _bound(name: str, end: str) -> str | None:
    """SQL: an end of a metric's interval, stored or worked out; None where it has none."""
    if name in DRAWN_METRICS:
        return f"e.{name}_{end}"
    return _wilson(f"e.{name}", end) if METRICS[name].interval == "wilson" else None


def of_pairs(measure: Measure) -> Source:
    """The FROM part over results of pairs, a row per metric of the measure."""
    names = measure.metrics
    value = by_metric(names, lambda name: f"e.{name}")
    before = by_metric(names, lambda name: f"b.{name}")
    tested = TESTED in names
    joined = rows_of_pairs(f"{_METRIC}\n{_BASELINE_OF}", f"{_BASELINE}\n{_TESTS if tested else ''}")
    listed = ", ".join(f"'{name}'" for name in names)
    # What has no direction stands in one of a pair's rows.
    once = "" if measure.directed else "    AND e.query_language <= e.candidate_language\n"
    source = f"{joined}{once}    AND r.name IN ({listed}) AND {value} IS NOT NULL"
    columns = {
        "value": value,
        "ci_low": by_metric(names, lambda name: _bound(name, "low")),
        "ci_high": by_metric(names, lambda name: _bound(name, "high")),
        "baseline": before,
        "delta": f"{value} - {before}",
        "pooling": "v.pooling",
        "tokens": "v.tokens",
        "n_items": "e.n_items",
        "n_groups": "w.n_groups",
        "job": "e.job_id",
        "measure": f"'{measure.name}'",
    }
    return Source(source, columns | ({"p": "pt.p", "q": adjusted("a.q")} if tested else {}))
