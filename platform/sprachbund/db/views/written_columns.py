"""What each column of the views on what a model writes and predicts holds, in the views' order."""

from sprachbund.db.views.evaluated_columns import COLUMNS_OF_A_SETTING

_OUTPUT = {
    name: COLUMNS_OF_A_SETTING[name]
    for name in ("experiment", "model", "revision", "setting", "setting_key", "setting_ordinal", "method", "target",
                 "k", "k_fraction", "strength", "control", "seed", "control_of")
}  # fmt: skip

SIDE_EFFECTS = {
    **_OUTPUT,
    "setting": "label of the setting",
    "setting_key": "content key of the setting",
    "setting_ordinal": "place of the setting in the experiment",
    "measure": "generation, generated_language, perplexity or translation",
    "language": "language of the text, identified in generations or translated from; NULL for all generations",
    "into_language": "language translated into; NULL but for translation",
    "of_target": "1 if that is the setting's target, 0 if not; NULL without target or language",
    "corpus": "name of the corpus; NULL for free generation",
    "split": "split of the corpus",
    "metric": COLUMNS_OF_A_SETTING["metric"],
    "value": "value of the metric, of free generations over all seeds",
    "ci_low": COLUMNS_OF_A_SETTING["ci_low"],
    "ci_high": COLUMNS_OF_A_SETTING["ci_high"],
    "baseline": "the metric of the setting's baseline, everything else equal",
    "delta": COLUMNS_OF_A_SETTING["delta"],
    "baseline_setting": COLUMNS_OF_A_SETTING["baseline_setting"],
    "n_items": "samples, documents or sentences the value rests on",
    "n_groups": "what the interval resamples: samples, seeds, documents or their groups, sentences",
    "numerics": COLUMNS_OF_A_SETTING["numerics"],
    "job": COLUMNS_OF_A_SETTING["job"],
}

GENERATED_SAMPLES = {
    "experiment": COLUMNS_OF_A_SETTING["experiment"],
    "model": COLUMNS_OF_A_SETTING["model"],
    "setting": "label of the setting",
    "setting_key": "content key of the setting",
    "setting_ordinal": "place of the setting in the experiment",
    "target": COLUMNS_OF_A_SETTING["target"],
    "control_of": COLUMNS_OF_A_SETTING["control_of"],
    "seed": "seed of the free generation; NULL for translations",
    "language": "language translated from; NULL for free generation",
    "into_language": "language translated into; NULL for free generation",
    "sample": "number of the sample, from 0",
    "item": "item of the corpus that was translated",
    "text": "what the model wrote; of a translation its first line",
    "n_tokens": "tokens written, without the end token",
    "ended": "1 if the model ended it before the limit of tokens",
    "repetition": "share of repeated 4-grams of tokens; NULL with fewer than four tokens",
    "label": "the language identifier's label; NULL without a letter, and for translations",
    "probability": "the identifier's probability of that label",
    "degenerate": "1 if it has no letter or repeats more than repetition_limit; NULL for translations",
    "job": COLUMNS_OF_A_SETTING["job"],
}
