"""Which languages published models were trained on, by the lists of their makers.

Sources: Bloom, its model card (bigscience/bloom: 46 natural languages, the two scripts of Chinese counted apart);
Aya 23, Aryabumi et al. 2024, arXiv 2405.15032 (23 languages, Chinese in both scripts counted once); PolyLM, Wei et al.
2023, arXiv 2307.06018 and the card of DAMO-NLP-MT/polylm-13b (18 languages). A list says what training data was
meant to hold, not that no other language slipped in. The built-in model's is that of the phrasebook.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """Models trained on the same languages. `pattern` matches the last part of a model's path, in lower case."""

    name: str
    pattern: str
    languages: tuple[str, ...]


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
    Family("phrasebook", r"phrasebook-bloom", ("deu_Latn", "eng_Latn", "fra_Latn", "jpn_Jpan", "spa_Latn")),
)  # fmt: skip


def trained_on(*names: str | None) -> Family | None:
    """The family of the model that goes by any of these names: a Hub id, a path, a declared family; None if unknown."""
    for name in names:
        last = (name or "").rstrip("/").rpartition("/")[2].lower()
        for family in FAMILIES:
            if last == family.name or re.fullmatch(family.pattern, last):
                return family
    return None
