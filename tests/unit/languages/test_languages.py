"""Every usual word for a language finds its code; others get an error that helps."""

import csv
import unicodedata
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprachbund.errors import SpecError
from sprachbund.languages import table as languages

# The 204 codes of FLORES-200, written out here so that none gets lost from the table.
FLORES_200 = """
ace_Arab ace_Latn acm_Arab acq_Arab aeb_Arab afr_Latn ajp_Arab aka_Latn als_Latn amh_Ethi apc_Arab arb_Arab
arb_Latn ars_Arab ary_Arab arz_Arab asm_Beng ast_Latn awa_Deva ayr_Latn azb_Arab azj_Latn bak_Cyrl bam_Latn
ban_Latn bel_Cyrl bem_Latn ben_Beng bho_Deva bjn_Arab bjn_Latn bod_Tibt bos_Latn bug_Latn bul_Cyrl cat_Latn
ceb_Latn ces_Latn cjk_Latn ckb_Arab crh_Latn cym_Latn dan_Latn deu_Latn dik_Latn dyu_Latn dzo_Tibt ell_Grek
eng_Latn epo_Latn est_Latn eus_Latn ewe_Latn fao_Latn fij_Latn fin_Latn fon_Latn fra_Latn fur_Latn fuv_Latn
gaz_Latn gla_Latn gle_Latn glg_Latn grn_Latn guj_Gujr hat_Latn hau_Latn heb_Hebr hin_Deva hne_Deva hrv_Latn
hun_Latn hye_Armn ibo_Latn ilo_Latn ind_Latn isl_Latn ita_Latn jav_Latn jpn_Jpan kab_Latn kac_Latn kam_Latn
kan_Knda kas_Arab kas_Deva kat_Geor kaz_Cyrl kbp_Latn kea_Latn khk_Cyrl khm_Khmr kik_Latn kin_Latn kir_Cyrl
kmb_Latn kmr_Latn knc_Arab knc_Latn kon_Latn kor_Hang lao_Laoo lij_Latn lim_Latn lin_Latn lit_Latn lmo_Latn
ltg_Latn ltz_Latn lua_Latn lug_Latn luo_Latn lus_Latn lvs_Latn mag_Deva mai_Deva mal_Mlym mar_Deva min_Arab
min_Latn mkd_Cyrl mlt_Latn mni_Beng mos_Latn mri_Latn mya_Mymr nld_Latn nno_Latn nob_Latn npi_Deva
nso_Latn nus_Latn nya_Latn oci_Latn ory_Orya pag_Latn pan_Guru pap_Latn pbt_Arab pes_Arab plt_Latn pol_Latn
por_Latn prs_Arab quy_Latn ron_Latn run_Latn rus_Cyrl sag_Latn san_Deva sat_Olck scn_Latn shn_Mymr sin_Sinh
slk_Latn slv_Latn smo_Latn sna_Latn snd_Arab som_Latn sot_Latn spa_Latn srd_Latn srp_Cyrl ssw_Latn sun_Latn
swe_Latn swh_Latn szl_Latn tam_Taml taq_Latn taq_Tfng tat_Cyrl tel_Telu tgk_Cyrl tgl_Latn tha_Thai tir_Ethi
tpi_Latn tsn_Latn tso_Latn tuk_Latn tum_Latn tur_Latn twi_Latn tzm_Tfng uig_Arab ukr_Cyrl umb_Latn urd_Arab
uzn_Latn vec_Latn vie_Latn war_Latn wol_Latn xho_Latn ydd_Hebr yor_Latn yue_Hant zho_Hans zho_Hant zsm_Latn
zul_Latn
"""


def test_flores_200_is_complete() -> None:
    codes = FLORES_200.split()
    assert len(codes) == len(set(codes)) == 204
    assert [code for code in codes if languages.find(code) != code] == []


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("es", "spa_Latn"),
        ("spa", "spa_Latn"),
        ("spa_Latn", "spa_Latn"),
        ("Spanish", "spa_Latn"),
        (" spanish ", "spa_Latn"),
        ("zh", "zho_Hans"),
        ("cmn", "zho_Hans"),
        ("zho-CN", "zho_Hans"),
        ("zh-TW", "zho_Hant"),
        ("cmn_Hant", "zho_Hant"),
        ("zh-hant", "zho_Hant"),
        ("ara", "arb_Arab"),
        ("ekk", "est_Latn"),
        ("ekk_Latn", "est_Latn"),
        ("fas", "pes_Arab"),
        ("no", "nob_Latn"),
        ("swa", "swh_Latn"),
        ("sr-Latn", "srp_Latn"),
        ("srp", "srp_Cyrl"),
        ("ace", "ace_Latn"),
        ("ber", "ber"),
    ],
)
def test_words_for_languages(word: str, code: str) -> None:
    assert languages.resolve(word) == code


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("spanich", "'spa_Latn' (Spanish)"),
        ("deu_Lat", "'deu_Latn' (German)"),
        ("en-GB", "'eng_Latn' (English)"),
        ("por-BR", "'por_Latn' (Portuguese)"),
        ("spa_Cyrl", "'spa_Latn' (Spanish)"),
    ],
)
def test_unknown_words_name_the_nearest(word: str, near: str) -> None:
    assert languages.find(word) is None
    with pytest.raises(SpecError, match="unknown language") as caught:
        languages.resolve(word)
    assert near in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_is_suggested_for_a_word_like_no_other() -> None:
    with pytest.raises(SpecError, match=r"^unknown language 'qqqqqq'$"):
        languages.resolve("qqqqqq")


def test_a_code_that_the_table_lacks_counts_only_where_a_corpus_lists_it() -> None:
    assert languages.resolve("xyz", listed=["xyz", "deu_Latn"]) == "xyz"
    assert languages.resolve("xyz_Latn", listed=["xyz_Latn"]) == "xyz_Latn"
    with pytest.raises(SpecError):
        languages.resolve("xyz", listed=["deu_Latn"])
    # A plain label of a corpus never hides the language's code.
    assert languages.resolve("spa", listed=["spa"]) == "spa_Latn"


def test_suggestions_can_be_limited_to_what_a_corpus_has() -> None:
    assert "srp_Latn" in languages.suggestion("srp_Cyrl", ["srp_Latn", "deu_Latn"])
    assert languages.suggestion("kor_Hang", ["zho_Hans"]) == ""


def test_describe() -> None:
    assert languages.describe("kab_Latn") == languages.Language(
        "kab_Latn", "kab", "Latn", "Kabyle", "kaby1243", "Afro-Asiatic", ("Berber", "Kabyle-Atlas Berber"),
        36.4103, 4.7614,
    )  # fmt: skip
    assert languages.describe("xyz") == languages.Language("xyz", "xyz", None, "xyz")
    with pytest.raises(SpecError, match="'spanish' is no language code"):
        languages.describe("spanish")


def rows() -> list[dict[str, str]]:
    return list(csv.DictReader(languages.TABLE.read_text(encoding="utf-8").splitlines(), delimiter="\t"))


def known() -> list[languages.Language]:
    """Every language of the table, in its order."""
    return [languages.describe(row["code"]) for row in rows()]


def test_the_table_is_well_formed() -> None:
    table = known()
    codes = [language.code for language in table]
    assert len(codes) == len(set(codes))
    assert all(languages.is_code(code) for code in codes)
    assert all(language.code == f"{language.iso639_3}_{language.script}" or not language.script for language in table)
    names = [language.name.casefold() for language in table]
    assert len(names) == len(set(names))
    for language in table:
        assert languages.resolve(language.code) == languages.resolve(language.name) == language.code
        assert language.family


def test_no_word_means_two_languages() -> None:
    """Only the plain ISO code of a language with several scripts is shared; its first row has it."""
    words = Counter(
        word.casefold()
        for row in rows()
        for word in {row["code"], row["alpha2"], row["name"], *row["aliases"].split(";")}
        if word
    )
    assert [word for word, count in words.items() if count > 1] == []


@given(st.text())
def test_any_word_is_found_or_refused_in_one_line(word: str) -> None:
    code = languages.find(word)
    if code is not None:
        assert languages.resolve(word) == languages.find(code) == code
        return
    with pytest.raises(SpecError) as caught:
        languages.resolve(word)
    assert len(str(caught.value).splitlines()) == 1


def test_glottocodes_and_families_are_those_of_glottolog(shared: Path) -> None:
    with (shared / "data/linguistic/glottolog/languages.csv").open(encoding="utf-8", newline="") as file:
        glottolog = {row["ID"]: row for row in csv.DictReader(file)}
    for language in known():
        row = glottolog[language.glottocode]
        family = glottolog[row["Family_ID"]]["Name"] if row["Family_ID"] else "Isolate"
        assert (language.code, language.family) == (language.code, family)
        of_language = row if row["Latitude"] else glottolog.get(row["Language_ID"], row)
        place = [float(of_language[name]) if of_language[name] else None for name in ("Latitude", "Longitude")]
        assert (language.latitude, language.longitude) == pytest.approx(tuple(place), abs=5.1e-5)
        if row["ISO639P3code"]:
            assert languages.find(row["ISO639P3code"]).split("_")[0] == language.iso639_3  # type: ignore[union-attr]


def test_branches_are_those_of_another_reading_of_the_tree(shared: Path) -> None:
    table = pl.read_parquet(shared / "data/linguistic/similarities/languages.parquet")
    paths = dict(table.filter(pl.col("level") == "language").select("glottocode", "subfamilies").rows())
    compared, itself = 0, {}
    for language in known():
        path = paths.get(language.glottocode)
        if path:
            found = " > ".join([str(language.family), *(language.branches or ())])
            compared += 1
            if found != path:
                itself[language.code] = found.removeprefix(f"{path} > ")
    assert compared > 150
    # What others stand below is the last of its own branches: Twi, South Levantine Arabic and Southern Ndebele.
    assert itself == {"aka_Latn": "Akan", "apc_Arab": "Levantine Arabic", "zul_Latn": "Zulu"}


def test_groups_of_one_family_have_names_of_their_own() -> None:
    """What is grouped by the name of a branch is that branch alone: its path is the same wherever it is."""
    paths: dict[tuple[str, str], tuple[str, ...]] = {}
    for language in known():
        assert language.family is not None and language.branches is not None
        for depth, branch in enumerate(language.branches):
            path = language.branches[:depth]
            assert paths.setdefault((language.family, branch), path) == path


SCRIPTS = """
Arab=ARABIC Armn=ARMENIAN Beng=BENGALI Cyrl=CYRILLIC Deva=DEVANAGARI Ethi=ETHIOPIC
Geor=GEORGIAN Grek=GREEK Gujr=GUJARATI Guru=GURMUKHI Hang=HANGUL Hans=CJK
Hant=CJK Hebr=HEBREW Jpan=HIRAGANA Khmr=KHMER Knda=KANNADA Laoo=LAO
Latn=LATIN Mlym=MALAYALAM Mymr=MYANMAR Sinh=SINHALA Taml=TAMIL Telu=TELUGU
Thaa=THAANA Thai=THAI Tibt=TIBETAN
"""  # Unicode's word for the letters of a script


@pytest.mark.parametrize(
    ("table", "not_tags"),
    [
        ("open/sib200", set()),
        ("open/tatoeba", set()),
        ("open/tatoeba_other76_clean", set()),
        ("ntrex128/ntrex128", {"eng-GB", "eng-IN", "eng-US", "fra-CA", "por-BR", "spa-MX"}),
        ("bible/bible_main", set()),
        ("xquad/xquad", set()),
        ("ud/pud_sentences", set()),
    ],
)
def test_real_corpora_are_in_the_languages_and_scripts_of_the_table(
    shared: Path, table: str, not_tags: set[str]
) -> None:
    text = "question" if table.startswith("xquad") else "text"
    frame = pl.read_parquet(shared / f"data/{table}.parquet", columns=["lang", text])
    scripts = dict(pair.split("=") for pair in SCRIPTS.split())
    unknown = set()
    for (label,), part in frame.group_by("lang"):
        code = languages.find(str(label))
        if code is None:
            unknown.add(label)
            continue
        script = languages.describe(code).script
        letters = Counter(
            unicodedata.name(character, "?").split()[0]
            for sentence in part[text].gather_every(max(1, len(part) // 60))
            for character in sentence
            if character.isalpha()
        )
        if script is None or (table, code) == ("open/tatoeba_other76_clean", "srp_Cyrl"):
            continue  # Tatoeba writes most of its Serbian in Latin script: map it by hand there
        assert letters.most_common(1)[0][0] == scripts[script], (label, letters.most_common(3))
    assert unknown == not_tags
