"""`sprachbund plot-space`: from a finished experiment to a file."""

import pytest


def test_a_figure_of_every_kind_of_setting(sprachbund, spec_file, root):
    interventions = ["none", "centring", "top_pc_removal", {"method": "experts", "k": 4}]
    assert sprachbund("submit", spec_file(interventions=interventions)).code == 0
    missing = sprachbund("plot-space", "tiny", "experts eng_Latn k=4", "--layer", "1", "--out", "early.png")
    assert missing.code == 2 and "run the experiment first" in missing.err
    assert sprachbund("run").code == 0
    for number, setting in enumerate(("none", "centring", "top_pc_removal r=1", "experts eng_Latn k=4")):
        ran = sprachbund("plot-space", "tiny", setting, "--layer", "1", "--out", f"{number}.png", "--items", "10")
        assert ran.code == 0, ran.err
        assert (root / f"{number}.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tini", "none"), "unknown experiment 'tini'; did you mean 'tiny'?"),
        (("tiny", "nome"), "unknown setting 'nome' of experiment 'tiny'; did you mean 'none'?"),
        (("tiny", "none", "--role", "fit"), "setting 'none' is not evaluated on this corpus"),
        (("tiny", "none", "--corpus", "word"), "'tiny' has no corpus 'word' in role test; did you mean 'words'?"),
    ],
)
def test_refusals(sprachbund, spec_file, arguments, message):
    assert sprachbund("submit", spec_file()).code == 0
    ran = sprachbund("plot-space", *arguments, "--layer", "1", "--out", "never.png")
    assert ran.code == 2 and message in ran.err
