"""Views of an experiment's languages: what they are, where they stand, and how a model's tokenizer cuts them."""

from sprachbund.db.views.columns import Column, View
from sprachbund.db.views.setting import setting_columns

_LANGUAGES = """
FROM experiments x
JOIN (
    SELECT DISTINCT xc.experiment_id AS experiment_id, w.language AS language
    FROM experiment_corpora xc JOIN corpus_texts w ON w.corpus_id = xc.corpus_id
) w ON w.experiment_id = x.id
JOIN languages l ON l.code = w.language
"""
_LANGUAGE = (
    Column("experiment", "x.name", "text", "name of the experiment"),
    Column(
        "language", "l.code", "text",
        "code of a language of one of the experiment's corpora: join it to query_language, candidate_language or "
        "language",
    ),
)  # fmt: skip
_FAMILY = Column(
    "family",
    "l.family",
    "text",
    "top-level family by Glottolog; Isolate without relatives, NULL of codes that the table of languages lacks",
)

PLANNED_LANGUAGES = View(
    "planned_languages",
    "One language of an experiment: its name, script, place in Glottolog's tree and on the map.",
    (_LANGUAGES,),
    (
        *_LANGUAGE,
        Column("name", "l.name", "text", "English name"),
        Column("iso639_3", "l.iso639_3", "text", "ISO 639-3 code"),
        Column("script", "l.script", "text", "ISO 15924 code of the script; NULL if unknown"),
        Column("glottocode", "l.glottocode", "text", "Glottolog's code of the language, dialect or group"),
        _FAMILY,
        Column(
            "branches", "CAST(l.branches AS TEXT)", "json",
            "groups below the family that it belongs to, the widest first, as a JSON list (planned_branches has a row "
            "each); NULL as the family",
        ),
        Column(
            "latitude", "l.latitude", "real",
            "degrees north of Glottolog's point for it; NULL of constructed languages and unlisted codes",
        ),
        Column("longitude", "l.longitude", "real", "degrees east of that point"),
    ),
)  # fmt: skip

PLANNED_BRANCHES = View(
    "planned_branches",
    "One group of Glottolog's tree that a language of an experiment belongs to, below its family.",
    (f"{_LANGUAGES}CROSS JOIN JSON_PLACES(l.branches) AS planned_branch(value, place)\n",),
    (
        *_LANGUAGE,
        _FAMILY,
        Column("depth", "JSON_PLACE(planned_branch)", "integer", "1 for the groups right below the family, and so on"),
        Column("branch", "planned_branch.value", "text", "name of the group: a family has no two of one name"),
    ),
)

TOKENISED_TEXTS = View(
    "tokenised_texts",
    "How a model's tokenizer cuts one text of an experiment, and whether the model was trained on its language.",
    (
        """
FROM experiments x
JOIN experiment_settings xs ON xs.experiment_id = x.id
JOIN settings s ON s.id = xs.setting_id
JOIN models m ON m.id = s.model_id
JOIN experiment_corpora xc ON xc.experiment_id = x.id
JOIN corpora c ON c.id = xc.corpus_id
JOIN corpus_texts w ON w.corpus_id = c.id
JOIN snapshots n ON n.setting_id = s.id AND n.corpus_text_id = w.id AND n.n_tokens IS NOT NULL
JOIN snapshot_parts g ON g.snapshot_id = n.id
JOIN experiment_jobs xj ON xj.experiment_id = x.id AND xj.job_id = g.job_id
LEFT JOIN model_languages f ON f.model_id = m.id AND f.language = w.language
GROUP BY x.name, xs.model, m.id, m.revision, c.name, c.split, xc.role, w.id, w.language, w.n_items, w.n_words,
    w.n_characters, w.n_bytes
""",
    ),
    (
        *setting_columns("experiment model revision"),
        Column("language", "w.language", "text", "language of the text"),
        Column("corpus", "c.name", "text", "name of the corpus"),
        Column("split", "c.split", "text", "split of the corpus"),
        Column("role", "xc.role", "text", "what the corpus is used for in the experiment: fit, select or test"),
        Column("n_items", "w.n_items", "integer", "sentences"),
        Column(
            "n_tokens", "max(n.n_tokens)", "integer",
            "tokens of all sentences, without special ones; there is no row where the model read none of them, or not "
            "to their ends",
        ),
        Column("n_words", "w.n_words", "integer", "words between blanks; NULL in scripts without them"),
        Column("n_characters", "w.n_characters", "integer", "characters"),
        Column("n_bytes", "w.n_bytes", "integer", "bytes of UTF-8"),
        Column(
            "tokens_per_item", "CAST(max(n.n_tokens) AS DOUBLE PRECISION) / w.n_items", "real",
            "tokens of a sentence: of a parallel corpus what languages are compared by",
        ),
        Column(
            "fertility", "CAST(max(n.n_tokens) AS DOUBLE PRECISION) / w.n_words", "real",
            "tokens of a word; NULL as n_words",
        ),
        Column(
            "tokens_per_byte", "CAST(max(n.n_tokens) AS DOUBLE PRECISION) / w.n_bytes", "real", "tokens of a byte"
        ),
        Column(
            "trained",
            """CASE WHEN NOT EXISTS (SELECT 1 FROM model_languages k WHERE k.model_id = m.id) THEN NULL
        WHEN max(f.family) IS NULL THEN 0 ELSE 1 END""",
            "flag",
            "1 if the model's published list of training languages has it, 0 if not, NULL if there is no list",
        ),
        Column(
            "share", "max(f.share)", "real", "share of the language in the training text; NULL where none is published"
        ),
    ),
)  # fmt: skip
