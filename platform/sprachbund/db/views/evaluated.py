"""Views of single evaluations: retrieval of one language pair, numbers on the embedding space.

They go from the experiment downwards, so that a filter on its name reads only its rows, through indexes: of pairs to
its settings and from them to results, which have their dimensions joined and their metrics in columns; of anything
else to its jobs and their rows. CROSS JOIN is meant: SQLite keeps the order of its operands, and would otherwise cross
all settings with all evaluations; to PostgreSQL it is an inner join.
"""

from string import Template

from sprachbund.db.views.adjusted import adjusted
from sprachbund.db.views.asked import asked, planned
from sprachbund.db.views.columns import Column, View, changed
from sprachbund.db.views.pairs import of_pairs
from sprachbund.db.views.setting import chosen, setting_columns
from sprachbund.measures import METRICS, OF_PAIRS

_TARGET_SIDE = """CASE
        WHEN i.target IS NULL OR e.query_language IS NULL THEN NULL
        WHEN e.query_language = i.target AND e.candidate_language = i.target THEN 'both'
        WHEN e.query_language = i.target THEN 'query'
        WHEN e.candidate_language = i.target THEN 'candidate'
        ELSE 'neither'
    END"""

# Columns of a view over evaluations or over comparisons of settings.
EVALUATED = (
    *setting_columns(
        "experiment model revision method selection direction edit score_site edit_site target k k_fraction strength "
        "control seed"
    ),
    Column("query_language", "e.query_language", "text", "language of the queries"),
    Column("candidate_language", "e.candidate_language", "text", "language of the candidates"),
    Column(
        "target_side", _TARGET_SIDE, "text",
        "side that is in the target language: query, candidate, both, neither; NULL without target",
    ),
    Column("layer", "e.layer", "text", "layer of the embeddings (text: 0, 1 … final)"),
    Column("pooling", "e.pooling", "text", "how a sentence's tokens became one embedding"),
    Column("tokens", "e.tokens", "text", "tokens that were pooled: all, content, last, first"),
    Column("corpus", "c.name", "text", "name of the corpus"),
    Column("collection", "c.collection", "text", "collection of bilingual corpora the corpus belongs to"),
    Column("role", "xc.role", "text", "what the corpus is used for in the experiment: select or test"),
    Column("metric", "r.name", "text", "name of the metric (table metric_names: unit, better, bounds)"),
    Column("value", "r.value", "real", "value of the metric"),
    Column("ci_low", "r.ci_low", "real", "lower end of the value's interval"),
    Column("ci_high", "r.ci_high", "real", "upper end of the value's interval"),
    Column("baseline", "br.value", "real", "the metric of the setting's baseline, everything else equal"),
    Column("delta", "r.value - br.value", "real", "value minus baseline, in the metric's points"),
    Column(
        "p", "CAST(NULL AS DOUBLE PRECISION)", "real",
        "of top1: McNemar's exact test of this pair against the baseline; NULL for controls, ties and other metrics",
    ),
    Column(
        "q", "CAST(NULL AS DOUBLE PRECISION)", "real",
        "that p-value adjusted within its family: all compared settings that edit (or all that only transform), layers "
        "from the first edited block on, and pairs",
    ),
    chosen("e.layer"),
    *setting_columns("numerics transform side"),
    Column("job", "e.job_id", "integer", "id of the job that computed the row"),
    *setting_columns("setting setting_key setting_ordinal baseline_setting control_of choice_key"),
    Column("split", "c.split", "text", "split of the corpus"),
    *setting_columns("layer_ordinal"),
    Column("n_items", "r.n_items", "integer", "items the value rests on"),
    Column(
        "n_groups", "r.n_groups", "integer",
        "groups (documents) of those items. Of a pair's own measures: of its text, NULL where that has none; their "
        "intervals draw single items. Else what intervals draw: as many as items where these are drawn singly",
    ),
)  # fmt: skip

FAMILY_SIZE = Column("family_size", adjusted("f.size"), "integer", "tests in the family that q is adjusted for")

CHANCE = Column(
    "chance",
    "CAST(CASE r.name "
    + " ".join(f"WHEN '{name}' THEN {each.chance}" for name, each in METRICS.items() if isinstance(each.chance, float))
    + " END AS DOUBLE PRECISION)",
    "real",
    "level of a random ranking; NULL where the metric has none",
)
# Of sides in one language there are two texts.
_CHANCE_OF_PAIR = """(SELECT avg(CAST(ct.chance ->> r.name AS DOUBLE PRECISION)) FROM corpus_texts ct
        WHERE ct.corpus_id = c.id AND ct.language = e.candidate_language)"""

_FROM = Template(
    """
FROM experiments x
CROSS JOIN experiment_jobs xj
CROSS JOIN evaluations e
CROSS JOIN experiment_layers xl
CROSS JOIN experiment_corpora xc
CROSS JOIN corpora c
CROSS JOIN experiment_settings xs
CROSS JOIN settings s
CROSS JOIN interventions i
CROSS JOIN models m
CROSS JOIN metrics r
LEFT JOIN experiment_settings xb ON xb.experiment_id = x.id AND xb.setting_id = xs.baseline_id
LEFT JOIN experiment_settings xp ON xp.experiment_id = x.id AND xp.setting_id = xs.control_of_id
LEFT JOIN evaluations b
    ON b.setting_id = xs.baseline_id AND b.corpus_id = e.corpus_id AND b.measure = e.measure AND b.version = e.version
    AND b.layer = e.layer AND b.pooling = e.pooling AND b.tokens = e.tokens
    AND $same
    AND $planned
LEFT JOIN metrics br ON br.evaluation_id = b.id AND br.name = r.name
$beside
WHERE xj.experiment_id = x.id
    AND e.job_id = xj.job_id
    AND xl.experiment_id = x.id AND xl.layer = e.layer
    AND xc.experiment_id = x.id AND xc.corpus_id = e.corpus_id AND xc.role <> 'fit'
    AND c.id = e.corpus_id
    AND xs.experiment_id = x.id AND xs.setting_id = e.setting_id
    AND s.id = xs.setting_id
    AND i.id = s.intervention_id
    AND m.id = s.model_id
    AND r.evaluation_id = e.id
    AND $asked
    AND $measures
"""
)


def _from(same: str, measures: str, beside: str = "") -> str:
    return _FROM.substitute(same=same, measures=measures, asked=asked("e"), planned=planned("b"), beside=beside)


def of_scopes(measures: str, beside: str = "") -> str:
    """The FROM part over evaluations of which a language, or both, may be NULL; `beside`: what is joined to them."""
    same = """b.query_language IS NOT DISTINCT FROM e.query_language
    AND b.candidate_language IS NOT DISTINCT FROM e.candidate_language
    AND b.scope_digest IS NOT DISTINCT FROM e.scope_digest"""
    return _from(same, measures, beside)


def of_other_pairs(measures: str) -> str:
    """The FROM part over evaluations of pairs that only some experiments ask for, in rows of their own."""
    same = "b.query_language = e.query_language AND b.candidate_language = e.candidate_language"
    return _from(same, f"{measures} AND e.candidate_language IS NOT NULL")


RETRIEVAL_RESULTS = View(
    "retrieval_results",
    "One retrieval metric of one ordered language pair under one setting at one layer.",
    (of_pairs(OF_PAIRS["retrieval"]),),
    (
        *EVALUATED,
        Column(
            "only_setting", "pt.only_setting", "integer",
            "of top1: items hit under the setting alone, not under the baseline; NULL as p",
        ),
        Column("only_baseline", "pt.only_baseline", "integer", "items hit under the baseline alone"),
        FAMILY_SIZE,
        *changed([CHANCE], sql={"chance": _CHANCE_OF_PAIR}),
    ),
)  # fmt: skip

_OF_SPACE = "e.measure NOT IN ('abx', 'probe')"
ALIGNMENT_RESULTS = View(
    "alignment_results",
    "One number on the embedding space: distances of an unordered language pair (sides in alphabetical order), the "
    "geometry of one language, or of the whole space (languages are NULL).",
    (
        *(of_pairs(measure) for name, measure in OF_PAIRS.items() if name != "retrieval"),
        of_other_pairs(_OF_SPACE),
        of_scopes(f"{_OF_SPACE} AND e.candidate_language IS NULL"),
    ),
    (
        *changed(
            EVALUATED,
            says={
                "query_language": "language, of a pair the alphabetically first; NULL for the whole space",
                "candidate_language": "second language of a pair; NULL for one language or the whole space",
            },
        ),
        Column(
            "measure", "e.measure", "text",
            "measure that yields the metric: of a pair, of a language or of the whole space",
        ),
        CHANCE,
    ),
)  # fmt: skip
