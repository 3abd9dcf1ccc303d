"""Views of an experiment's settings: what each is made of, and which were chosen."""

from sprachbund.db.views.columns import Column, View
from sprachbund.db.views.setting import setting_columns

PLANNED_SETTINGS = View(
    "planned_settings",
    "One setting of an experiment: what its intervention edits, and what that came to.",
    (
        """
FROM experiments x
JOIN experiment_settings xs ON xs.experiment_id = x.id
JOIN settings s ON s.id = xs.setting_id
JOIN interventions i ON i.id = s.intervention_id
JOIN models m ON m.id = s.model_id
LEFT JOIN experiment_settings xb ON xb.experiment_id = x.id AND xb.setting_id = xs.baseline_id
LEFT JOIN experiment_settings xp ON xp.experiment_id = x.id AND xp.setting_id = xs.control_of_id
LEFT JOIN settings sb ON sb.id = xs.baseline_id
LEFT JOIN settings sp ON sp.id = xs.control_of_id
""",
    ),
    (
        *setting_columns(
            "experiment setting setting_key setting_ordinal model revision family step method selection direction edit"
        ),
        Column("name", "xs.name", "text", "its label without the model: the same for the same cell of every model"),
        Column("scorer", "i.scorer", "text", "scorer of the expert sets; NULL without units"),
        *setting_columns("score_site edit_site"),
        Column("edit_tokens", "i.edit_tokens", "text", "tokens at which activations are edited"),
        Column("value", "i.value", "text", "value that units are set to; NULL without one"),
        Column("value_from", "i.value_from", "text", "statistics that give the value: pooled, or of single tokens"),
        *setting_columns(
            "strength target k k_fraction control seed transform side numerics baseline_setting baseline_key control_of"
            " control_of_key choice_key"
        ),
        Column(
            "per_language", "CASE WHEN i.per_language THEN 1 ELSE 0 END", "flag",
            "1 if edits differ by input language, which then has to be known",
        ),
        Column(
            "n_edited", "i.n_edited", "integer",
            "coordinates changed per input: units, or the whole site of a direction; NULL until the edits are made",
        ),
        Column("first_block", "i.first_block", "integer", "first block that is edited"),
        Column(
            "shift_norm", "i.shift_norm", "real",
            "√ΣE(h − v)² over the fit tokens: how far the edits move activations; NULL where that is not known",
        ),
        Column(
            "shift_ratio", "i.shift_ratio", "real",
            "of a control that is matched in shift: the square of that against the experts'",
        ),
    ),
)  # fmt: skip

_CHOSEN = """
FROM experiments x
JOIN experiment_jobs xj ON xj.experiment_id = x.id
JOIN choices ch ON ch.job_id = xj.job_id
JOIN experiment_settings xs ON xs.experiment_id = x.id AND xs.setting_id = ch.setting_id
JOIN settings s ON s.id = ch.setting_id
WHERE ch.control IS $which
"""
_CHOICE = (
    *setting_columns("experiment"),
    Column("choice", "ch.label", "text", "what the settings that competed are called"),
    Column("choice_key", "ch.choice_key", "text", "key of these settings, as planned_settings has it"),
    *setting_columns("setting setting_key setting_ordinal"),
    Column("layer", "ch.layer", "text", "layer that was chosen"),
    Column("metric", "ch.metric", "text", "metric it was chosen by"),
    Column("value", "ch.value", "real", "mean of that metric over the pairs of the select role"),
    Column("n_candidates", "ch.n_candidates", "integer", "settings and layers that competed"),
    Column("tied", "CASE WHEN ch.tied THEN 1 ELSE 0 END", "flag", "1 if another was as good"),
    Column("job", "ch.job_id", "integer", "id of the job that chose"),
)

CHOSEN_SETTINGS = View(
    "chosen_settings",
    "One choice made on the select role: the best of settings that compete, and the layer.",
    (_CHOSEN.replace("$which", "NULL"),),
    _CHOICE,
)

CHOSEN_CONTROLS = View(
    "chosen_controls",
    "What one member of a control distribution chose on the select role, by the rule by which the settings it stands "
    "beside are chosen.",
    (_CHOSEN.replace("$which", "NOT NULL"),),
    (
        *_CHOICE,
        Column("control", "ch.control", "text", "variant of the control"),
        Column("member", "ch.member", "text", "which of that variant: a seed's, or a language's"),
    ),
)
