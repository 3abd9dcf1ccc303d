"""Which languages published models were trained on, by the lists of their makers.

Sources: Bloom, its model card (bigscience/bloom: 46 natural languages, the two scripts of Chinese counted apart);
Aya 23, Aryabumi et al. 2024, arXiv 2405.15032 (23 languages, Chinese in both scripts counted once); PolyLM, Wei et al.
2023, arXiv 2307.06018 and the card of DAMO-NLP-MT/polylm-13b (18 languages). A list says what training data was
meant to hold, not that no other language slipped in. The built-in model's is that of the phrasebook. Shares of the
training text are given where makers give them: of Bloom for its Niger-Congo and Indic languages alone (model card).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Family:
    """Models trained on the same languages. `pattern` matches the last part of a model's path, in lower case.

    shares: of the training text by language, 0 … 1, as far as they are published.
    """

    name: str
    pattern: str
    languages: tuple[str, ...]
    shares: Mapping[str, float] = field(default_factory=dict)


# In per cent: the card has those of other languages in a chart without numbers, and none of Twi.
_BLOOM = {
    "tum_Latn": 0.00002, "kik_Latn": 0.00004, "bam_Latn": 0.00004, "aka_Latn": 0.00007, "tso_Latn": 0.00007,
    "sot_Latn": 0.00007, "nya_Latn": 0.0001, "tsn_Latn": 0.0002, "lin_Latn": 0.0002, "nso_Latn": 0.0002,
    "fon_Latn": 0.0002, "run_Latn": 0.0003, "wol_Latn": 0.0004, "lug_Latn": 0.0004, "sna_Latn": 0.001,
    "zul_Latn": 0.001, "ibo_Latn": 0.001, "xho_Latn": 0.001, "kin_Latn": 0.003, "yor_Latn": 0.006, "swh_Latn": 0.02,
    "asm_Beng": 0.01, "ory_Orya": 0.04, "guj_Gujr": 0.04, "mar_Deva": 0.05, "pan_Guru": 0.05, "kan_Knda": 0.06,
    "npi_Deva": 0.07, "tel_Telu": 0.09, "mal_Mlym": 0.10, "urd_Arab": 0.10, "tam_Taml": 0.20, "ben_Beng": 0.50,
    "hin_Deva": 0.70,
}  # fmt: skip
_PHRASEBOOK = ("deu_Latn", "eng_Latn", "fra_Latn", "jpn_Jpan", "spa_Latn")

FAMILIES: tuple[Family, ...] = (
    Family(
        "bloom",
        r"bloom(-(560m|1b1|1b7|3b|7b1))?(-intermediate)?",
        (
            "aka_Latn", "arb_Arab", "asm_Beng", "bam_Latn", "ben_Beng", "cat_Latn", "eng_Latn", "eus_Latn", "fon_Latn",
            "fra_Latn", "guj_Gujr", "hin_Deva", "ibo_Latn", "ind_Latn", "kan_Knda", "kik_Latn", "kin_Latn", "lin_Latn",
            "lug_Latn", "mal_Mlym", "mar_Deva", "npi_Deva", "nso_Latn", "nya_Latn", "ory_Orya", "pan_Guru", "por_Latn",
            "run_Latn", "sna_Latn", "sot_Latn", "spa_Latn", "swh_Latn", "tam_Taml", "tel_Telu", "tsn_Latn", "tso_Latn",
            "tum_Latn", "twi_Latn", "urd_Arab", "vie_Latn", "wol_Latn", "xho_Latn", "yor_Latn", "zho_Hans", "zho_Hant",
            "zul_Latn",
        ),
        {code: percent / 100 for code, percent in _BLOOM.items()},
    ),
    Family(
        "aya-23",
        r"aya-23-(8b|35b)",
        (
            "arb_Arab", "ces_Latn", "deu_Latn", "ell_Grek", "eng_Latn", "fra_Latn", "heb_Hebr", "hin_Deva", "ind_Latn",
            "ita_Latn", "jpn_Jpan", "kor_Hang", "nld_Latn", "pes_Arab", "pol_Latn", "por_Latn", "ron_Latn", "rus_Cyrl",
            "spa_Latn", "tur_Latn", "ukr_Cyrl", "vie_Latn", "zho_Hans", "zho_Hant",
        ),
    ),
    Family(
        "polylm",
        r"polylm-(1\.7b|13b|chat-13b|multialpaca-13b)(-fine-grained-shards)?",
        (
            "arb_Arab", "deu_Latn", "eng_Latn", "fra_Latn", "heb_Hebr", "ind_Latn", "ita_Latn", "jpn_Jpan", "kor_Hang",
            "nld_Latn", "pol_Latn", "por_Latn", "rus_Cyrl", "spa_Latn", "tha_Thai", "tur_Latn", "vie_Latn", "zho_Hans",
        ),
    ),
    Family("phrasebook", r"phrasebook-bloom", _PHRASEBOOK, dict.fromkeys(_PHRASEBOOK, 1 / len(_PHRASEBOOK))),
)  # fmt: skip


def trained_on(*names: str | None) -> Family | None:
    """The family of the model that goes by any of these names: a Hub id, a path, a declared family; None if unknown."""
    for name in names:
        last = (name or "").rstrip("/").rpartition("/")[2].lower()
        for family in FAMILIES:
            if last == family.name or re.fullmatch(family.pattern, last):
                return family
    return None
