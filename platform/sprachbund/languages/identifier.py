"""What the language identifier can tell apart, known without importing it (a test keeps this equal to it)."""

from functools import cache

from sprachbund.languages import table as languages

NAME = "py3langid"
# Releases that hold the same model; part of the key of what was identified.
VERSION = "0.4"

LABELS: tuple[str, ...] = (
    "ace", "af", "am", "an", "ar", "ary", "arz", "as", "az", "ba", "bcl", "be", "bg", "bn", "br", "bs", "ca",
    "crh", "cs", "cy", "da", "de", "dz", "el", "en", "eo", "es", "et", "eu", "ext", "fa", "fi", "fo", "fr",
    "fuv", "fy", "ga", "gcf", "gcr", "gd", "gl", "gom", "grc", "gu", "gug", "guw", "ha", "hbo", "he", "hi",
    "hr", "ht", "hu", "hy", "id", "ig", "is", "it", "ja", "jv", "ka", "kab", "kik", "kk", "km", "kn", "ko",
    "ku", "ky", "la", "lb", "lg", "lij", "ln", "lo", "lt", "ltg", "lv", "mg", "mk", "ml", "mn", "mr", "ms",
    "mt", "my", "ne", "nl", "nn", "no", "nso", "oc", "om", "or", "pa", "pcm", "pl", "ps", "pt", "qu", "ro",
    "ru", "rw", "sa", "sdh", "se", "si", "sk", "sl", "sn", "so", "sq", "sr", "st", "sv", "sw", "ta", "te",
    "tg", "th", "tk", "tl", "tr", "tt", "ug", "uk", "ur", "uz", "uzs", "vec", "vi", "vo", "wa", "wuu", "xh",
    "yo", "yue", "zh", "zu", "zxx",
)  # fmt: skip
"""The labels of the identifier's model; `zxx` is text in no language."""


@cache
def _by_iso() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for label in LABELS:
        code = languages.find(label)
        iso = languages.describe(code).iso639_3 if code is not None else label
        found.setdefault(iso, []).append(label)
    return {iso: tuple(labels) for iso, labels in found.items()}


def labels_of(code: str) -> tuple[str, ...]:
    """The identifier's labels that stand for a language code; scripts are not told apart (`zh` is both of Chinese)."""
    return _by_iso().get(languages.describe(code).iso639_3, ())
