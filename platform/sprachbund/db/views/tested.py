"""A view of tests pair by pair."""

from sprachbund.db.views.columns import View, changed, of
from sprachbund.db.views.evaluated import RETRIEVAL_RESULTS

_NAMES = (
    "experiment model setting setting_key setting_ordinal baseline_setting method target k strength transform "
    "query_language candidate_language target_side layer layer_ordinal chosen corpus split role value baseline delta "
    "only_setting only_baseline p q family_size n_items n_groups job"
)

TESTED_PAIRS = View(
    "tested_pairs",
    "One ordered language pair's top1 under a setting against its baseline at the same layer, by McNemar's exact test; "
    "there is none where a query is tied for the first place.",
    ("FROM retrieval_results r WHERE r.metric = 'top1' AND r.p IS NOT NULL",),
    changed(
        of(RETRIEVAL_RESULTS.columns, _NAMES),
        sql={name: f"r.{name}" for name in _NAMES.split()},
        says={"only_setting": "items hit under the setting alone, not under the baseline", "p": "p of the test"},
    ),
)
