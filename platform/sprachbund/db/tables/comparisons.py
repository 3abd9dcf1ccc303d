"""Numbers per setting: comparisons, their controls, tests and the tests' families, correlations and choices."""

from sqlalchemy import Boolean, Float, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from sprachbund.db.tables.base import Base, Id, Key, among, reference
from sprachbund.vocabulary import CONTRASTS, FAMILY_KINDS, LANGUAGE_SIDES, ROLES


class Correlation(Base):
    """Pearson's correlation of two quantities over language pairs, and the slope with languages as random effects."""

    __tablename__ = "correlations"
    __table_args__ = (among("role", ROLES), Index(None, "job_id"), Index(None, "setting_id"))

    id: Mapped[Id]
    job_id: Mapped[int] = mapped_column(reference("jobs.id"))
    setting_id: Mapped[int] = mapped_column(reference("settings.id"))
    baseline_id: Mapped[int] = mapped_column(reference("settings.id"))
    role: Mapped[str] = mapped_column(String(8))
    corpus: Mapped[str] = mapped_column(Text)
    split: Mapped[str] = mapped_column(Text)
    layer: Mapped[str] = mapped_column(String(8))
    accuracy: Mapped[str] = mapped_column(reference("metric_names.name"))
    distance: Mapped[str] = mapped_column(reference("metric_names.name"))
    # accuracy_before, accuracy_after, distance_before, distance_after, gain, distance_drop
    y: Mapped[str] = mapped_column(String(16))
    x: Mapped[str] = mapped_column(String(16))
    n_pairs: Mapped[int]
    n_languages: Mapped[int]
    value: Mapped[float] = mapped_column(Float)
    # Languages are resampled, not pairs.
    ci_low: Mapped[float] = mapped_column(Float)
    ci_high: Mapped[float] = mapped_column(Float)
    slope: Mapped[float | None] = mapped_column(Float)
    slope_low: Mapped[float | None] = mapped_column(Float)
    slope_high: Mapped[float | None] = mapped_column(Float)
    slope_p: Mapped[float | None] = mapped_column(Float)


class Comparison(Base):
    """One setting against its baseline, or any other setting, on one metric and layer, over the pairs of a scope.

    The differences pair by pair are summed up too (`median_gain` and below), but of controls and of the baseline
    against itself, and where there are no two languages to resample: then these columns are NULL.
    """

    __tablename__ = "comparisons"
    __table_args__ = (
        among("role", ROLES),
        among("contrast", CONTRASTS),
        Index(None, "setting_id"),
        Index(None, "job_id"),
    )

    id: Mapped[Id]
    key: Mapped[Key]
    job_id: Mapped[int] = mapped_column(reference("jobs.id"))
    setting_id: Mapped[int] = mapped_column(reference("settings.id"))
    baseline_id: Mapped[int] = mapped_column(reference("settings.id"))
    role: Mapped[str] = mapped_column(String(8))
    # A corpus (parallel) or a collection of bilingual corpora, by name.
    corpus: Mapped[str] = mapped_column(Text)
    split: Mapped[str] = mapped_column(Text)
    layer: Mapped[str] = mapped_column(String(8))
    # That of the baseline: another where both were chosen.
    baseline_layer: Mapped[str] = mapped_column(String(8))
    # NULL against the setting's own baseline at the same layer; else what the other is.
    contrast: Mapped[str | None] = mapped_column(String(8))
    metric: Mapped[str] = mapped_column(reference("metric_names.name"))
    # Which ordered pairs are averaged: all, target_query, target_candidate, without_target.
    scope: Mapped[str] = mapped_column(String(32))
    n_pairs: Mapped[int]
    n_items: Mapped[int]
    n_groups: Mapped[int | None]
    # What is drawn: item or group.
    unit: Mapped[str] = mapped_column(String(8))
    value: Mapped[float] = mapped_column(Float)
    ci_low: Mapped[float | None] = mapped_column(Float)
    ci_high: Mapped[float | None] = mapped_column(Float)
    median: Mapped[float | None] = mapped_column(Float)
    baseline: Mapped[float] = mapped_column(Float)
    delta: Mapped[float] = mapped_column(Float)
    delta_ci_low: Mapped[float | None] = mapped_column(Float)
    delta_ci_high: Mapped[float | None] = mapped_column(Float)
    p: Mapped[float | None] = mapped_column(Float)
    # Of value / baseline, where that is shown.
    ratio_ci_low: Mapped[float | None] = mapped_column(Float)
    ratio_ci_high: Mapped[float | None] = mapped_column(Float)
    # The least that so many draws can give.
    p_floor: Mapped[float | None] = mapped_column(Float)
    # Items (groups, where these are drawn) on which the two settings differ at all.
    n_differing: Mapped[int | None]
    n_languages: Mapped[int | None]
    median_gain: Mapped[float | None] = mapped_column(Float)
    # Languages are resampled, not pairs.
    median_low: Mapped[float | None] = mapped_column(Float)
    median_high: Mapped[float | None] = mapped_column(Float)
    n_gaining: Mapped[int | None]
    least_gain: Mapped[float | None] = mapped_column(Float)
    greatest_gain: Mapped[float | None] = mapped_column(Float)
    # Languages as crossed random effects; NULL where there are too few pairs.
    mean_gain: Mapped[float | None] = mapped_column(Float)
    mean_low: Mapped[float | None] = mapped_column(Float)
    mean_high: Mapped[float | None] = mapped_column(Float)
    mean_p: Mapped[float | None] = mapped_column(Float)
    query_variance: Mapped[float | None] = mapped_column(Float)
    candidate_variance: Mapped[float | None] = mapped_column(Float)
    residual_variance: Mapped[float | None] = mapped_column(Float)
    # Of the difference, from the same setting fitted on halves of the fit text: NULL without such.
    n_fit_resamples: Mapped[int | None]
    fit_error: Mapped[float | None] = mapped_column(Float)
    # The interval over items with that error in it.
    fit_low: Mapped[float | None] = mapped_column(Float)
    fit_high: Mapped[float | None] = mapped_column(Float)
    # Standard errors of the difference over languages and over what is drawn, with degrees of freedom, and what both
    # come to.
    mean_error: Mapped[float | None] = mapped_column(Float)
    mean_degrees: Mapped[int | None]
    item_error: Mapped[float | None] = mapped_column(Float)
    item_degrees: Mapped[int | None]
    population_low: Mapped[float | None] = mapped_column(Float)
    population_high: Mapped[float | None] = mapped_column(Float)
    population_p: Mapped[float | None] = mapped_column(Float)


class ControlComparison(Base):
    """A steered setting against the distribution of one variant of its controls."""

    __tablename__ = "control_comparisons"
    __table_args__ = (Index(None, "comparison_id"),)

    id: Mapped[Id]
    comparison_id: Mapped[int] = mapped_column(reference("comparisons.id", cascade=True))
    control: Mapped[str] = mapped_column(String(32))
    n_controls: Mapped[int]
    control_mean: Mapped[float] = mapped_column(Float)
    control_low: Mapped[float] = mapped_column(Float)
    control_high: Mapped[float] = mapped_column(Float)
    p: Mapped[float] = mapped_column(Float)


class EvaluationDifference(Base):
    """A number of a setting and of its baseline on the items that both read, where it is no comparison's business.

    Of what models write, ABX tasks and probes beside one of the setting's evaluations (its key); of a registered
    measure over all pairs, and so beside none.
    """

    __tablename__ = "evaluation_differences"
    __table_args__ = (Index(None, "job_id"), Index(None, "evaluation_key"), Index(None, "setting_id"))

    id: Mapped[Id]
    job_id: Mapped[int] = mapped_column(reference("jobs.id"))
    setting_id: Mapped[int] = mapped_column(reference("settings.id"))
    baseline_id: Mapped[int] = mapped_column(reference("settings.id"))
    evaluation_key: Mapped[str | None] = mapped_column(String(40))
    measure: Mapped[str] = mapped_column(String(32))
    corpus_id: Mapped[int | None] = mapped_column(reference("corpora.id"))
    query_language: Mapped[str | None] = mapped_column(reference("languages.code"))
    candidate_language: Mapped[str | None] = mapped_column(reference("languages.code"))
    layer: Mapped[str | None] = mapped_column(String(8))
    metric: Mapped[str] = mapped_column(reference("metric_names.name"))
    value: Mapped[float] = mapped_column(Float)
    baseline: Mapped[float] = mapped_column(Float)
    # NULL where too little can be resampled.
    delta_ci_low: Mapped[float | None] = mapped_column(Float)
    delta_ci_high: Mapped[float | None] = mapped_column(Float)
    p: Mapped[float | None] = mapped_column(Float)
    n_items: Mapped[int]
    n_groups: Mapped[int]
    # Of what models write: both values in every draw, for costs that lie between two settings.
    replicates_id: Mapped[int | None] = mapped_column(reference("artifacts.id"))
    replicates_tensor: Mapped[str | None] = mapped_column(String(64))


class ComparisonLanguage(Base):
    """What one language gains in a comparison over all pairs: mean over partners of the pairs it is in, on a side.

    SE² = partner_error² + item_error², Student's t with `degrees`. With one partner `partner_error` is NULL and the
    interval is about that partner alone; NULL too with fewer than two items.
    """

    __tablename__ = "comparison_languages"
    __table_args__ = (among("side", LANGUAGE_SIDES), {"sqlite_with_rowid": False})

    comparison_id: Mapped[int] = mapped_column(reference("comparisons.id", cascade=True), primary_key=True)
    language: Mapped[str] = mapped_column(reference("languages.code"), primary_key=True)
    side: Mapped[str] = mapped_column(String(9), primary_key=True)
    n_partners: Mapped[int]
    n_items: Mapped[int]
    n_groups: Mapped[int]
    value: Mapped[float] = mapped_column(Float)
    gain: Mapped[float] = mapped_column(Float)
    low: Mapped[float | None] = mapped_column(Float)
    high: Mapped[float | None] = mapped_column(Float)
    partner_error: Mapped[float | None] = mapped_column(Float)
    item_error: Mapped[float] = mapped_column(Float)
    degrees: Mapped[int]


class PairTest(Base):
    """McNemar's exact test of one pair's hits (top1) under a setting against the baseline's, item by item."""

    __tablename__ = "pair_tests"
    __table_args__ = (Index(None, "job_id"), {"sqlite_with_rowid": False})

    result_id: Mapped[int] = mapped_column(reference("pair_results.id", cascade=True), primary_key=True)
    job_id: Mapped[int] = mapped_column(reference("jobs.id"), primary_key=True)
    only_setting: Mapped[int]
    only_baseline: Mapped[int]
    p: Mapped[float] = mapped_column(Float)


class Family(Base):
    """Tests that one experiment asks together: its compared settings and layers of a kind, on a role, metric and scope.

    Of tests pair by pair, over pairs too, the scope is NULL.
    """

    __tablename__ = "families"
    __table_args__ = (among("role", ROLES), among("kind", FAMILY_KINDS), Index(None, "job_id"))

    id: Mapped[Id]
    job_id: Mapped[int] = mapped_column(reference("jobs.id"))
    role: Mapped[str] = mapped_column(String(8))
    metric: Mapped[str] = mapped_column(reference("metric_names.name"))
    scope: Mapped[str | None] = mapped_column(String(32))
    # Whose differences are made by edits, or by transforms alone.
    kind: Mapped[str] = mapped_column(String(16))
    size: Mapped[int]
    # A p up to here has q <= 1 - confidence, given what else the family has; NULL where draws are too few for any.
    threshold: Mapped[float | None] = mapped_column(Float)
    # The least q that so many swaps can give (max-T); NULL where q follows from p.
    q_floor: Mapped[float | None] = mapped_column(Float)


class AdjustedComparison(Base):
    """A comparison's p adjusted within a family."""

    __tablename__ = "adjusted_comparisons"
    __table_args__ = (Index(None, "family_id"), {"sqlite_with_rowid": False})

    comparison_id: Mapped[int] = mapped_column(reference("comparisons.id", cascade=True), primary_key=True)
    family_id: Mapped[int] = mapped_column(reference("families.id", cascade=True), primary_key=True)
    q: Mapped[float] = mapped_column(Float)


class AdjustedPairTest(Base):
    """A pair's p adjusted within a family."""

    __tablename__ = "adjusted_pair_tests"
    __table_args__ = (Index(None, "family_id"), {"sqlite_with_rowid": False})

    result_id: Mapped[int] = mapped_column(reference("pair_results.id", cascade=True), primary_key=True)
    family_id: Mapped[int] = mapped_column(reference("families.id", cascade=True), primary_key=True)
    q: Mapped[float] = mapped_column(Float)


class Choice(Base):
    """What was chosen on the `select` role, per group of settings; reported on `test`."""

    __tablename__ = "choices"
    __table_args__ = (Index(None, "job_id"), Index(None, "setting_id"))

    id: Mapped[Id]
    job_id: Mapped[int] = mapped_column(reference("jobs.id"))
    # The settings that competed, and what people call them.
    choice_key: Mapped[str] = mapped_column(String(40))
    label: Mapped[str] = mapped_column(Text)
    # Where a control chose among those of the settings: its variant, and which it is.
    control: Mapped[str | None] = mapped_column(String(32))
    member: Mapped[str | None] = mapped_column(Text)
    setting_id: Mapped[int] = mapped_column(reference("settings.id"))
    layer: Mapped[str] = mapped_column(String(8))
    metric: Mapped[str] = mapped_column(reference("metric_names.name"))
    value: Mapped[float] = mapped_column(Float)
    n_candidates: Mapped[int]
    tied: Mapped[bool] = mapped_column(Boolean)
