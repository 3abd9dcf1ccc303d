"""Every command that takes a layer shows the same one where nobody names it, and says why."""

import re

from typer.main import get_command

from sprachbund.cli.main import app
from sprachbund.results.layers import ASKED, BEST

STEERED = "experts eng_Latn k=4"
# What each takes beside a layer, and how it is run.
COMMANDS = {
    "compare": ("compare", "tiny"),
    "explain": ("explain", "eng:deu", "--item", "0", "--experiment", "tiny", "--setting", STEERED),
    "plot-space": ("plot-space", "tiny", STEERED, "--out", "space.png", "--items", "10"),
    "report": ("report", "tiny", "--out", "tiny.html"),
}
_SAID = re.compile(r"[Ll]ayer (\w+): ([^.<\n]+)")


def test_commands_that_take_a_layer_are_these_and_have_no_default_of_their_own():
    taking = {
        name: option.default
        for name, command in get_command(app).commands.items()
        for option in command.params
        if option.name == "layer"
    }
    assert taking == dict.fromkeys(COMMANDS)


def test_they_show_the_same_layer_and_say_why(sprachbund, spec_file, root):
    assert sprachbund("submit", spec_file()).code == 0
    assert sprachbund("run").code == 0
    best = sprachbund("compare", "tiny", "--json").json["detail_layers"]
    assert len(best) == 1
    other = "1" if best == ["final"] else "final"
    for asked, expected in ((), (best[0], BEST)), (("--layer", other), (other, ASKED)):
        for name, arguments in COMMANDS.items():
            ran = sprachbund(*arguments, *asked)
            assert ran.code == 0, ran.err
            said = (root / "tiny.html").read_text() if name == "report" else ran.out
            assert set(_SAID.findall(" ".join(said.split()) if name == "plot-space" else said)) == {expected}, name
