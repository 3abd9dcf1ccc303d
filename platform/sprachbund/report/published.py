"""Values that Sundar et al. (ACL 2025, arXiv 2502.15639) published, to stand beside ours where the model is theirs."""

from dataclasses import dataclass
from types import MappingProxyType

SOURCE = "Sundar et al., ACL 2025 (arXiv 2502.15639)"


@dataclass(frozen=True, slots=True)
class Published:
    """What the study reports of one model. Pairs are (before, after); gains in points with the target as query."""

    name: str
    all_pairs: tuple[float, float]
    target_to_medoid: tuple[float, float]
    others_to_medoid: tuple[float, float]
    to_target: tuple[float, float]
    median_gain: float
    greatest_gain: float
    # Tatoeba top-1 into English by target language.
    tatoeba: MappingProxyType[str, tuple[float, float]]


def _tatoeba(**values: tuple[float, float]) -> MappingProxyType[str, tuple[float, float]]:
    return MappingProxyType(values)


AYA = Published(
    "Aya-8B", (0.72, 0.19), (0.62, 0.14), (0.58, 0.12), (0.77, 0.20), 0.32, 0.74,
    _tatoeba(spa_Latn=(0.114, 0.415), fra_Latn=(0.087, 0.251), deu_Latn=(0.119, 0.444), jpn_Jpan=(0.034, 0.307)),
)  # fmt: skip
BLOOM = Published(
    "Bloom-7B", (0.72, 0.17), (0.60, 0.04), (0.50, 0.11), (0.78, 0.13), 0.14, 0.89,
    _tatoeba(spa_Latn=(0.008, 0.551), fra_Latn=(0.011, 0.434), deu_Latn=(0.006, 0.032), jpn_Jpan=(0.002, 0.043)),
)  # fmt: skip
POLYLM = Published(
    "PolyLM-13B", (0.85, 0.56), (0.72, 0.43), (0.72, 0.43), (0.86, 0.54), 0.005, 0.12,
    _tatoeba(spa_Latn=(0.082, 0.178), fra_Latn=(0.067, 0.130), deu_Latn=(0.029, 0.171), jpn_Jpan=(0.000, 0.040)),
)  # fmt: skip
# Hub ids by their last part, as results name models.
MODELS: dict[str, Published] = {"aya-23-8b": AYA, "bloom-7b1": BLOOM, "polylm-chat-13b": POLYLM}


def published(model: str) -> Published | None:
    """The study's values of a model by its name (`bigscience/bloom-7b1`, `bloom-7b1`); None for any other model."""
    return MODELS.get(model.rsplit("/", 1)[-1].lower())
