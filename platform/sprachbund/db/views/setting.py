"""Columns that say which setting of which experiment a row is about.

Their aliases are the same in every FROM part: x experiments, m models, s settings, i interventions, xs the setting in
the experiment, xb its baseline there, xp the setting that a control stands beside, xl the experiment's layer.
"""

from sprachbund.db.views.columns import Column, of

_SETTING = (
    Column("experiment", "x.name", "text", "name of the experiment"),
    Column("model", "xs.model", "text", "what the experiment calls the model"),
    Column("revision", "m.revision", "text", "the model's revision: its commit, where it came from the Hub"),
    Column("family", "m.family", "text", "the model's family: checkpoints of one training run share it"),
    Column("step", "m.step", "integer", "the model's step in its family"),
    Column(
        "method", "i.method", "text",
        "what the setting's intervention edits: none, experts, union, intersection, difference, own, direction; "
        "of a control: random, wrong_language, wrong_values",
    ),
    Column(
        "selection", "i.selection", "text",
        "which units of the ranking are taken: top, top_and_bottom, per_block, threshold; NULL without units",
    ),
    Column("direction", "i.direction", "text", "how the direction was found; NULL where units are edited"),
    Column("edit", "i.edit", "text", "what happens to activations: set, shift, scale …; NULL without an edit"),
    Column("score_site", "i.score_site", "text", "sites whose units were scored"),
    Column("edit_site", "i.edit_site", "text", "sites whose units are edited"),
    Column("target", "i.target", "text", "language the setting steers towards; NULL without a target"),
    Column("k", "i.k", "integer", "units selected"),
    Column(
        "k_fraction", "i.k_fraction", "real", "units selected as a share of all, where the spec gave a share"
    ),
    Column("strength", "i.strength", "real", "strength of the edit; NULL where the method has none"),
    Column("control", "i.control", "text", "variant of the control; NULL for a setting that is no control"),
    Column("seed", "i.seed", "integer", "seed of a random control"),
    Column("setting", "xs.label", "text", "label of the setting"),
    Column("setting_key", "s.key", "text", "content key of the setting"),
    Column("setting_ordinal", "xs.ordinal", "integer", "place of the setting in the experiment"),
    Column("baseline_setting", "xb.label", "text", "label of the baseline"),
    Column("baseline_key", "sb.key", "text", "content key of the baseline"),
    Column("control_of", "xp.label", "text", "label of the steered setting that a control stands beside"),
    Column("control_of_key", "sp.key", "text", "content key of that setting"),
    Column("choice_key", "xs.choice_key", "text", "settings with the same key compete for one choice"),
    Column(
        "numerics", "s.dtype || '/' || s.attention", "text",
        "dtype and attention implementation of the setting, e.g. float32/eager",
    ),
    Column(
        "transform", "s.transform", "text",
        "post-hoc transform of the embeddings: none, centring, centring_transductive",
    ),
    Column("side", "s.side", "text", "which side of a pair is steered and transformed: both, query, candidate"),
    Column("layer_ordinal", "xl.ordinal", "integer", "place of the layer: sort by this"),
)  # fmt: skip


def setting_columns(names: str) -> tuple[Column, ...]:
    """The columns that `names` (separated by blanks) lists."""
    return of(_SETTING, names)


def chosen(layer: str) -> Column:
    """Whether the setting was chosen at the layer that the expression `layer` names."""
    sql = f"""CASE WHEN EXISTS (
        SELECT 1 FROM choices ch CROSS JOIN experiment_jobs chj
        WHERE ch.setting_id = xs.setting_id AND ch.layer = {layer} AND ch.control IS NULL
            AND chj.job_id = ch.job_id AND chj.experiment_id = x.id) THEN 1 ELSE 0 END"""  # noqa: S608 - our own names
    return Column("chosen", sql, "flag", "1 if this setting and layer were chosen on the select role")
