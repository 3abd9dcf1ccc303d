"""Published lists of training languages."""

import pytest

from sprachbund.languages import table as languages
from sprachbund.languages.trained import FAMILIES, trained_on


@pytest.mark.parametrize(
    ("name", "family", "count"),
    [
        ("bigscience/bloom-7b1", "bloom", 46),
        ("/models/bloom-560m/", "bloom", 46),
        ("CohereForAI/aya-23-8B", "aya-23", 24),  # 23 languages, one of them in two scripts
        ("DAMO-NLP-MT/polylm-chat-13b", "polylm", 18),
        ("phrasebook-bloom", "phrasebook", 5),
    ],
)
def test_a_published_model_is_known_by_the_last_part_of_its_path(name, family, count):
    found = trained_on(name)
    assert found is not None and found.name == family
    assert len(set(found.languages)) == len(found.languages) == count


@pytest.mark.parametrize("name", ["bible-bloom", "bloom-7b1-finetuned", "aya-101", "bloomz-7b1", None, ""])
def test_a_model_of_another_training_is_not_taken_for_a_published_one(name):
    assert trained_on(name) is None


def test_shares_are_of_listed_languages():
    for family in FAMILIES:
        assert set(family.shares) <= set(family.languages)
        assert all(0 < share < 1 for share in family.shares.values()) and sum(family.shares.values()) <= 1 + 1e-9
    bloom = trained_on("bloom-560m")
    assert (bloom.shares["hin_Deva"], bloom.shares["swh_Latn"]) == pytest.approx((0.007, 0.0002))
    assert "eng_Latn" not in bloom.shares


def test_a_declared_family_counts():
    assert trained_on("/runs/17", "bloom").name == "bloom"


def test_all_languages_are_in_the_table_of_languages():
    for code in {code for family in FAMILIES for code in family.languages}:
        assert languages.resolve(code) == languages.describe(code).code == code


def test_what_the_study_says_of_its_languages():
    """Its 22 languages: Thai is in PolyLM's list alone, Japanese and German are not in Bloom's."""
    by_name = {family.name: set(family.languages) for family in FAMILIES}
    assert "tha_Thai" in by_name["polylm"] and "tha_Thai" not in by_name["aya-23"] | by_name["bloom"]
    assert not {"jpn_Jpan", "deu_Latn"} & by_name["bloom"]
