"""Which edits go with which direction method: what the experiment file may ask for."""

from typing import Literal

DIRECTION_EDITS: dict[str, tuple[str, ...]] = {
    "diff_mean": ("add", "project_out"),
    "pca": ("add", "project_out"),
    "lda": ("add", "project_out"),
    "probe": ("add", "project_out"),
    "leace": ("project_out",),
    "language_means": ("project_out",),
}


DirectionMethod = Literal["diff_mean", "pca", "lda", "leace", "probe", "language_means"]
# These tell all languages apart at once: no language is their target.
TARGETLESS_DIRECTIONS = ("leace", "language_means")
