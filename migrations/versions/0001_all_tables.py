"""all tables

Revision: 0001
Before: nothing
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "artifacts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('present', 'evicted')", name=op.f("ck_artifacts_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifacts")),
        sa.UniqueConstraint("digest", name=op.f("uq_artifacts_digest")),
    )
    op.create_table(
        "corpora",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=True),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=9), nullable=False),
        sa.Column("source", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.CheckConstraint("kind IN ('parallel', 'bilingual')", name=op.f("ck_corpora_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corpora")),
        sa.UniqueConstraint("key", name=op.f("uq_corpora_key")),
    )
    with op.batch_alter_table("corpora", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_corpora_collection"), ["collection"], unique=False)

    op.create_table(
        "experiments",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("spec", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("spec_digest", sa.String(length=40), nullable=False),
        sa.Column("submitted_ms", sa.BigInteger(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.Column("audit", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
        sa.UniqueConstraint("name", name=op.f("uq_experiments_name")),
    )
    op.create_table(
        "languages",
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("iso639_3", sa.String(length=3), nullable=False),
        sa.Column("script", sa.String(length=4), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("glottocode", sa.String(length=8), nullable=True),
        sa.Column("family", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_languages")),
    )
    op.create_table(
        "metric_names",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("unit", sa.String(length=32), nullable=False),
        sa.Column("better", sa.String(length=6), nullable=False),
        sa.Column("low", sa.Float(), nullable=True),
        sa.Column("high", sa.Float(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.CheckConstraint("better IN ('higher', 'lower', 'none')", name=op.f("ck_metric_names_better")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_metric_names")),
    )
    op.create_table(
        "models",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("fingerprint", sa.String(length=80), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=True),
        sa.Column("family", sa.Text(), nullable=True),
        sa.Column("step", sa.BigInteger(), nullable=True),
        sa.Column("architecture", sa.Text(), nullable=False),
        sa.Column("n_blocks", sa.Integer(), nullable=False),
        sa.Column("hidden_size", sa.Integer(), nullable=False),
        sa.Column("config", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_models_fingerprint")),
    )
    op.create_table(
        "runners",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("capabilities", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('alive', 'stopped')", name=op.f("ck_runners_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runners")),
    )
    op.create_table(
        "corpus_texts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("corpus_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("n_items", sa.Integer(), nullable=False),
        sa.Column("n_groups", sa.Integer(), nullable=True),
        sa.Column("artifact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["artifact_id"], ["artifacts.id"], name=op.f("fk_corpus_texts_artifact_id_artifacts")),
        sa.ForeignKeyConstraint(["corpus_id"], ["corpora.id"], name=op.f("fk_corpus_texts_corpus_id_corpora")),
        sa.ForeignKeyConstraint(["language"], ["languages.code"], name=op.f("fk_corpus_texts_language_languages")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corpus_texts")),
        sa.UniqueConstraint("key", name=op.f("uq_corpus_texts_key")),
    )
    with op.batch_alter_table("corpus_texts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_corpus_texts_corpus_id"), ["corpus_id"], unique=False)

    op.create_table(
        "experiment_corpora",
        sa.Column("experiment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("corpus_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.CheckConstraint("role IN ('fit', 'select', 'test')", name=op.f("ck_experiment_corpora_role")),
        sa.ForeignKeyConstraint(["corpus_id"], ["corpora.id"], name=op.f("fk_experiment_corpora_corpus_id_corpora")),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_experiment_corpora_experiment_id_experiments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("experiment_id", "corpus_id", "role", name=op.f("pk_experiment_corpora")),
    )
    with op.batch_alter_table("experiment_corpora", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_experiment_corpora_corpus_id"), ["corpus_id"], unique=False)

    op.create_table(
        "experiment_layers",
        sa.Column("experiment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("layer", sa.String(length=8), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_experiment_layers_experiment_id_experiments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("experiment_id", "layer", name=op.f("pk_experiment_layers")),
    )
    op.create_table(
        "interventions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("target", sa.String(length=16), nullable=True),
        sa.Column("k", sa.BigInteger(), nullable=True),
        sa.Column("k_fraction", sa.Float(), nullable=True),
        sa.Column("strength", sa.Float(), nullable=True),
        sa.Column("control", sa.String(length=32), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("scorer", sa.String(length=64), nullable=True),
        sa.Column("score_site", sa.Text(), nullable=True),
        sa.Column("edit_site", sa.Text(), nullable=True),
        sa.Column("edit_tokens", sa.String(length=16), nullable=True),
        sa.Column("value", sa.String(length=32), nullable=True),
        sa.Column("value_from", sa.String(length=16), nullable=True),
        sa.Column("parameters", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("n_edited", sa.BigInteger(), nullable=True),
        sa.Column("first_block", sa.Integer(), nullable=True),
        sa.Column("shift_norm", sa.Float(), nullable=True),
        sa.Column("shift_ratio", sa.Float(), nullable=True),
        sa.Column("artifact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["artifact_id"], ["artifacts.id"], name=op.f("fk_interventions_artifact_id_artifacts")),
        sa.ForeignKeyConstraint(["target"], ["languages.code"], name=op.f("fk_interventions_target_languages")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interventions")),
        sa.UniqueConstraint("key", name=op.f("uq_interventions_key")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("bundle", sa.String(length=40), nullable=False),
        sa.Column("model", sa.String(length=80), nullable=True),
        sa.Column("payload", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(length=16), nullable=True),
        sa.Column("memory_mb", sa.Integer(), nullable=True),
        sa.Column("available_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("finished_ms", sa.BigInteger(), nullable=True),
        sa.Column("runner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_expires_ms", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name=op.f("ck_jobs_state")),
        sa.ForeignKeyConstraint(["runner_id"], ["runners.id"], name=op.f("fk_jobs_runner_id_runners")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("key", name=op.f("uq_jobs_key")),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index("ix_jobs_bundle_state", ["bundle", "state"], unique=False)
        batch_op.create_index(
            "ix_jobs_claim",
            ["priority", "id"],
            unique=False,
            sqlite_where=sa.text("state = 'queued'"),
            postgresql_where=sa.text("state = 'queued'"),
        )
        batch_op.create_index(
            "ix_jobs_lease",
            ["lease_expires_ms"],
            unique=False,
            sqlite_where=sa.text("state = 'running'"),
            postgresql_where=sa.text("state = 'running'"),
        )
        batch_op.create_index(batch_op.f("ix_jobs_subject"), ["subject"], unique=False)

    op.create_table(
        "directions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("target", sa.String(length=16), nullable=True),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("site", sa.String(length=16), nullable=False),
        sa.Column("block", sa.Integer(), nullable=False),
        sa.Column("artifact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["artifact_id"], ["artifacts.id"], name=op.f("fk_directions_artifact_id_artifacts")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_directions_job_id_jobs")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_directions_model_id_models")),
        sa.ForeignKeyConstraint(["target"], ["languages.code"], name=op.f("fk_directions_target_languages")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directions")),
        sa.UniqueConstraint("key", name=op.f("uq_directions_key")),
    )
    with op.batch_alter_table("directions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_directions_job_id"), ["job_id"], unique=False)

    op.create_table(
        "experiment_jobs",
        sa.Column("experiment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_experiment_jobs_experiment_id_experiments"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_experiment_jobs_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("experiment_id", "job_id", name=op.f("pk_experiment_jobs")),
    )
    with op.batch_alter_table("experiment_jobs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_experiment_jobs_job_id"), ["job_id"], unique=False)

    op.create_table(
        "expert_sets",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("target", sa.String(length=16), nullable=False),
        sa.Column("scorer", sa.String(length=64), nullable=False),
        sa.Column("scorer_version", sa.Integer(), nullable=False),
        sa.Column("negatives", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("sites", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("pooling", sa.String(length=16), nullable=False),
        sa.Column("tokens", sa.String(length=16), nullable=False),
        sa.Column("n_units", sa.BigInteger(), nullable=False),
        sa.Column("n_positives", sa.Integer(), nullable=False),
        sa.Column("n_negatives", sa.Integer(), nullable=False),
        sa.Column("token_count_auroc", sa.Float(), nullable=False),
        sa.Column("artifact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["artifact_id"], ["artifacts.id"], name=op.f("fk_expert_sets_artifact_id_artifacts")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_expert_sets_job_id_jobs")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_expert_sets_model_id_models")),
        sa.ForeignKeyConstraint(["target"], ["languages.code"], name=op.f("fk_expert_sets_target_languages")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_expert_sets")),
        sa.UniqueConstraint("key", name=op.f("uq_expert_sets_key")),
    )
    with op.batch_alter_table("expert_sets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_expert_sets_job_id"), ["job_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_expert_sets_model_id"), ["model_id"], unique=False)

    op.create_table(
        "intervention_inputs",
        sa.Column("intervention_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("input_key", sa.String(length=40), nullable=False),
        sa.Column("input_kind", sa.String(length=32), nullable=False),
        sa.CheckConstraint("role IN ('select', 'values', 'source')", name=op.f("ck_intervention_inputs_role")),
        sa.ForeignKeyConstraint(
            ["intervention_id"],
            ["interventions.id"],
            name=op.f("fk_intervention_inputs_intervention_id_interventions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("intervention_id", "role", "input_key", name=op.f("pk_intervention_inputs")),
    )
    op.create_table(
        "job_attempts",
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("runner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("finished_ms", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("environment", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("batch_plan", sa.String(length=64), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('running', 'done', 'failed', 'lost', 'released')", name=op.f("ck_job_attempts_outcome")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_attempts_job_id_jobs"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["runner_id"], ["runners.id"], name=op.f("fk_job_attempts_runner_id_runners")),
        sa.PrimaryKeyConstraint("job_id", "attempt", name=op.f("pk_job_attempts")),
    )
    with op.batch_alter_table("job_attempts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_job_attempts_runner_id"), ["runner_id"], unique=False)

    op.create_table(
        "job_edges",
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("needs_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_edges_job_id_jobs"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["needs_id"], ["jobs.id"], name=op.f("fk_job_edges_needs_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "needs_id", name=op.f("pk_job_edges")),
    )
    with op.batch_alter_table("job_edges", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_job_edges_needs_id"), ["needs_id"], unique=False)

    op.create_table(
        "settings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("intervention_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("transform", sa.String(length=32), nullable=False),
        sa.Column("transform_parameters", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("dtype", sa.String(length=16), nullable=False),
        sa.Column("attention", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["intervention_id"], ["interventions.id"], name=op.f("fk_settings_intervention_id_interventions")
        ),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_settings_model_id_models")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settings")),
        sa.UniqueConstraint("key", name=op.f("uq_settings_key")),
    )
    with op.batch_alter_table("settings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_settings_intervention_id"), ["intervention_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_settings_model_id"), ["model_id"], unique=False)

    op.create_table(
        "unit_statistics",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("corpus_text_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sites", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("pooling", sa.String(length=16), nullable=False),
        sa.Column("tokens", sa.String(length=16), nullable=False),
        sa.Column("condition", sa.String(length=40), nullable=True),
        sa.Column("n_items", sa.Integer(), nullable=False),
        sa.Column("n_units", sa.BigInteger(), nullable=False),
        sa.Column("n_tokens", sa.BigInteger(), nullable=False),
        sa.Column("responses_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("moments_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_text_id"], ["corpus_texts.id"], name=op.f("fk_unit_statistics_corpus_text_id_corpus_texts")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_unit_statistics_job_id_jobs")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_unit_statistics_model_id_models")),
        sa.ForeignKeyConstraint(["moments_id"], ["artifacts.id"], name=op.f("fk_unit_statistics_moments_id_artifacts")),
        sa.ForeignKeyConstraint(
            ["responses_id"], ["artifacts.id"], name=op.f("fk_unit_statistics_responses_id_artifacts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit_statistics")),
        sa.UniqueConstraint("key", name=op.f("uq_unit_statistics_key")),
    )
    with op.batch_alter_table("unit_statistics", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_unit_statistics_corpus_text_id"), ["corpus_text_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_unit_statistics_job_id"), ["job_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_unit_statistics_model_id"), ["model_id"], unique=False)

    op.create_table(
        "choices",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("choice_group", sa.Text(), nullable=False),
        sa.Column("setting_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("layer", sa.String(length=8), nullable=False),
        sa.Column("metric", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("n_candidates", sa.Integer(), nullable=False),
        sa.Column("tied", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_choices_job_id_jobs")),
        sa.ForeignKeyConstraint(["metric"], ["metric_names.name"], name=op.f("fk_choices_metric_metric_names")),
        sa.ForeignKeyConstraint(["setting_id"], ["settings.id"], name=op.f("fk_choices_setting_id_settings")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_choices")),
    )
    with op.batch_alter_table("choices", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_choices_job_id"), ["job_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_choices_setting_id"), ["setting_id"], unique=False)

    op.create_table(
        "comparisons",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("setting_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("baseline_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("corpus", sa.Text(), nullable=False),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("layer", sa.String(length=8), nullable=False),
        sa.Column("metric", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=32), nullable=False),
        sa.Column("n_pairs", sa.Integer(), nullable=False),
        sa.Column("n_items", sa.Integer(), nullable=False),
        sa.Column("n_groups", sa.Integer(), nullable=True),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("ci_low", sa.Float(), nullable=True),
        sa.Column("ci_high", sa.Float(), nullable=True),
        sa.Column("median", sa.Float(), nullable=True),
        sa.Column("baseline", sa.Float(), nullable=False),
        sa.Column("delta", sa.Float(), nullable=False),
        sa.Column("delta_ci_low", sa.Float(), nullable=True),
        sa.Column("delta_ci_high", sa.Float(), nullable=True),
        sa.Column("p", sa.Float(), nullable=True),
        sa.Column("q", sa.Float(), nullable=True),
        sa.Column("family_size", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["baseline_id"], ["settings.id"], name=op.f("fk_comparisons_baseline_id_settings")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_comparisons_job_id_jobs")),
        sa.ForeignKeyConstraint(["metric"], ["metric_names.name"], name=op.f("fk_comparisons_metric_metric_names")),
        sa.ForeignKeyConstraint(["setting_id"], ["settings.id"], name=op.f("fk_comparisons_setting_id_settings")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparisons")),
        sa.UniqueConstraint("key", name=op.f("uq_comparisons_key")),
    )
    with op.batch_alter_table("comparisons", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_comparisons_job_id"), ["job_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_comparisons_setting_id"), ["setting_id"], unique=False)

    op.create_table(
        "evaluations",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("measure", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("query_setting_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("candidate_setting_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("corpus_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("query_language", sa.String(length=16), nullable=True),
        sa.Column("candidate_language", sa.String(length=16), nullable=True),
        sa.Column("query_layer", sa.String(length=8), nullable=False),
        sa.Column("candidate_layer", sa.String(length=8), nullable=False),
        sa.Column("pooling", sa.String(length=16), nullable=False),
        sa.Column("tokens", sa.String(length=16), nullable=False),
        sa.Column("scope_digest", sa.String(length=40), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("outcomes_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("outcomes_tensor", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["candidate_language"], ["languages.code"], name=op.f("fk_evaluations_candidate_language_languages")
        ),
        sa.ForeignKeyConstraint(
            ["candidate_setting_id"], ["settings.id"], name=op.f("fk_evaluations_candidate_setting_id_settings")
        ),
        sa.ForeignKeyConstraint(["corpus_id"], ["corpora.id"], name=op.f("fk_evaluations_corpus_id_corpora")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_evaluations_job_id_jobs")),
        sa.ForeignKeyConstraint(["outcomes_id"], ["artifacts.id"], name=op.f("fk_evaluations_outcomes_id_artifacts")),
        sa.ForeignKeyConstraint(
            ["query_language"], ["languages.code"], name=op.f("fk_evaluations_query_language_languages")
        ),
        sa.ForeignKeyConstraint(
            ["query_setting_id"], ["settings.id"], name=op.f("fk_evaluations_query_setting_id_settings")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluations")),
        sa.UniqueConstraint("key", name=op.f("uq_evaluations_key")),
    )
    with op.batch_alter_table("evaluations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_evaluations_corpus_id"), ["corpus_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_evaluations_job_id"), ["job_id"], unique=False)
        batch_op.create_index(
            "ix_evaluations_sides",
            ["query_setting_id", "corpus_id", "query_layer", "query_language", "candidate_language"],
            unique=False,
        )

    op.create_table(
        "experiment_settings",
        sa.Column("experiment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("setting_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("control_of_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("baseline_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("choice_group", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["baseline_id"], ["settings.id"], name=op.f("fk_experiment_settings_baseline_id_settings")
        ),
        sa.ForeignKeyConstraint(
            ["control_of_id"], ["settings.id"], name=op.f("fk_experiment_settings_control_of_id_settings")
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_experiment_settings_experiment_id_experiments"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["setting_id"], ["settings.id"], name=op.f("fk_experiment_settings_setting_id_settings")
        ),
        sa.PrimaryKeyConstraint("experiment_id", "setting_id", name=op.f("pk_experiment_settings")),
    )
    with op.batch_alter_table("experiment_settings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_experiment_settings_setting_id"), ["setting_id"], unique=False)

    op.create_table(
        "expert_overlaps",
        sa.Column("expert_set_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("other_set_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("k", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("shared", sa.Integer(), nullable=False),
        sa.Column("jaccard", sa.Float(), nullable=False),
        sa.Column("tied_at_cut", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["expert_set_id"],
            ["expert_sets.id"],
            name=op.f("fk_expert_overlaps_expert_set_id_expert_sets"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_expert_overlaps_job_id_jobs")),
        sa.ForeignKeyConstraint(
            ["other_set_id"],
            ["expert_sets.id"],
            name=op.f("fk_expert_overlaps_other_set_id_expert_sets"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("expert_set_id", "other_set_id", "k", name=op.f("pk_expert_overlaps")),
    )
    with op.batch_alter_table("expert_overlaps", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_expert_overlaps_job_id"), ["job_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_expert_overlaps_other_set_id"), ["other_set_id"], unique=False)

    op.create_table(
        "expert_units",
        sa.Column("expert_set_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("block", sa.Integer(), nullable=False),
        sa.Column("site", sa.String(length=16), nullable=False),
        sa.Column("unit", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("effect", sa.Float(), nullable=False),
        sa.Column("p", sa.Float(), nullable=True),
        sa.Column("minimum_auroc", sa.Float(), nullable=True),
        sa.Column("pooled_mean", sa.Float(), nullable=False),
        sa.Column("token_mean", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["expert_set_id"],
            ["expert_sets.id"],
            name=op.f("fk_expert_units_expert_set_id_expert_sets"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("expert_set_id", "rank", name=op.f("pk_expert_units")),
    )
    op.create_table(
        "mlflow_runs",
        sa.Column("experiment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("setting_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=True),
        sa.Column("dirty", sa.Boolean(), nullable=False),
        sa.Column("synced_ms", sa.BigInteger(), nullable=True),
        sa.Column("logged", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_expires_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_mlflow_runs_experiment_id_experiments"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["setting_id"], ["settings.id"], name=op.f("fk_mlflow_runs_setting_id_settings")),
        sa.PrimaryKeyConstraint("experiment_id", "setting_id", name=op.f("pk_mlflow_runs")),
    )
    op.create_table(
        "snapshots",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("setting_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("corpus_text_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("pooling", sa.String(length=16), nullable=False),
        sa.Column("tokens", sa.String(length=16), nullable=False),
        sa.Column("dtype", sa.String(length=16), nullable=False),
        sa.Column("n_items", sa.Integer(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["corpus_text_id"], ["corpus_texts.id"], name=op.f("fk_snapshots_corpus_text_id_corpus_texts")
        ),
        sa.ForeignKeyConstraint(["setting_id"], ["settings.id"], name=op.f("fk_snapshots_setting_id_settings")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
        sa.UniqueConstraint("key", name=op.f("uq_snapshots_key")),
    )
    with op.batch_alter_table("snapshots", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_snapshots_corpus_text_id"), ["corpus_text_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_snapshots_setting_id"), ["setting_id"], unique=False)

    op.create_table(
        "control_comparisons",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("comparison_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("control", sa.String(length=32), nullable=False),
        sa.Column("n_controls", sa.Integer(), nullable=False),
        sa.Column("control_mean", sa.Float(), nullable=False),
        sa.Column("control_low", sa.Float(), nullable=False),
        sa.Column("control_high", sa.Float(), nullable=False),
        sa.Column("p", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["comparison_id"],
            ["comparisons.id"],
            name=op.f("fk_control_comparisons_comparison_id_comparisons"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_control_comparisons")),
    )
    with op.batch_alter_table("control_comparisons", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_control_comparisons_comparison_id"), ["comparison_id"], unique=False)

    op.create_table(
        "metrics",
        sa.Column("evaluation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("ci_low", sa.Float(), nullable=True),
        sa.Column("ci_high", sa.Float(), nullable=True),
        sa.Column("n_items", sa.Integer(), nullable=True),
        sa.Column("n_groups", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name=op.f("fk_metrics_evaluation_id_evaluations"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["name"], ["metric_names.name"], name=op.f("fk_metrics_name_metric_names")),
        sa.PrimaryKeyConstraint("evaluation_id", "name", name=op.f("pk_metrics")),
    )
    op.create_table(
        "snapshot_parts",
        sa.Column("snapshot_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("layer", sa.String(length=8), nullable=False),
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("artifact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tensor", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifacts.id"], name=op.f("fk_snapshot_parts_artifact_id_artifacts")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_snapshot_parts_job_id_jobs")),
        sa.ForeignKeyConstraint(
            ["snapshot_id"], ["snapshots.id"], name=op.f("fk_snapshot_parts_snapshot_id_snapshots"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("snapshot_id", "layer", name=op.f("pk_snapshot_parts")),
    )
    with op.batch_alter_table("snapshot_parts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_snapshot_parts_artifact_id"), ["artifact_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_snapshot_parts_job_id"), ["job_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("snapshot_parts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_snapshot_parts_job_id"))
        batch_op.drop_index(batch_op.f("ix_snapshot_parts_artifact_id"))

    op.drop_table("snapshot_parts")
    op.drop_table("metrics")
    with op.batch_alter_table("control_comparisons", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_control_comparisons_comparison_id"))

    op.drop_table("control_comparisons")
    with op.batch_alter_table("snapshots", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_snapshots_setting_id"))
        batch_op.drop_index(batch_op.f("ix_snapshots_corpus_text_id"))

    op.drop_table("snapshots")
    op.drop_table("mlflow_runs")
    op.drop_table("expert_units")
    with op.batch_alter_table("expert_overlaps", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_expert_overlaps_other_set_id"))
        batch_op.drop_index(batch_op.f("ix_expert_overlaps_job_id"))

    op.drop_table("expert_overlaps")
    with op.batch_alter_table("experiment_settings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_experiment_settings_setting_id"))

    op.drop_table("experiment_settings")
    with op.batch_alter_table("evaluations", schema=None) as batch_op:
        batch_op.drop_index("ix_evaluations_sides")
        batch_op.drop_index(batch_op.f("ix_evaluations_job_id"))
        batch_op.drop_index(batch_op.f("ix_evaluations_corpus_id"))

    op.drop_table("evaluations")
    with op.batch_alter_table("comparisons", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_comparisons_setting_id"))
        batch_op.drop_index(batch_op.f("ix_comparisons_job_id"))

    op.drop_table("comparisons")
    with op.batch_alter_table("choices", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_choices_setting_id"))
        batch_op.drop_index(batch_op.f("ix_choices_job_id"))

    op.drop_table("choices")
    with op.batch_alter_table("unit_statistics", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_unit_statistics_model_id"))
        batch_op.drop_index(batch_op.f("ix_unit_statistics_job_id"))
        batch_op.drop_index(batch_op.f("ix_unit_statistics_corpus_text_id"))

    op.drop_table("unit_statistics")
    with op.batch_alter_table("settings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_settings_model_id"))
        batch_op.drop_index(batch_op.f("ix_settings_intervention_id"))

    op.drop_table("settings")
    with op.batch_alter_table("job_edges", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_job_edges_needs_id"))

    op.drop_table("job_edges")
    with op.batch_alter_table("job_attempts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_job_attempts_runner_id"))

    op.drop_table("job_attempts")
    op.drop_table("intervention_inputs")
    with op.batch_alter_table("expert_sets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_expert_sets_model_id"))
        batch_op.drop_index(batch_op.f("ix_expert_sets_job_id"))

    op.drop_table("expert_sets")
    with op.batch_alter_table("experiment_jobs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_experiment_jobs_job_id"))

    op.drop_table("experiment_jobs")
    with op.batch_alter_table("directions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_directions_job_id"))

    op.drop_table("directions")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_subject"))
        batch_op.drop_index(
            "ix_jobs_lease", sqlite_where=sa.text("state = 'running'"), postgresql_where=sa.text("state = 'running'")
        )
        batch_op.drop_index(
            "ix_jobs_claim", sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'")
        )
        batch_op.drop_index("ix_jobs_bundle_state")

    op.drop_table("jobs")
    op.drop_table("interventions")
    op.drop_table("experiment_layers")
    with op.batch_alter_table("experiment_corpora", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_experiment_corpora_corpus_id"))

    op.drop_table("experiment_corpora")
    with op.batch_alter_table("corpus_texts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_corpus_texts_corpus_id"))

    op.drop_table("corpus_texts")
    op.drop_table("runners")
    op.drop_table("models")
    op.drop_table("metric_names")
    op.drop_table("languages")
    op.drop_table("experiments")
    with op.batch_alter_table("corpora", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_corpora_collection"))

    op.drop_table("corpora")
    op.drop_table("artifacts")
