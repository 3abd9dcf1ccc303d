"""Every branch of the verdict, on made frames."""

from typing import Any

import polars as pl
import pytest

from sprachbund.results.comparison import Comparison
from sprachbund.results.contrasts import Contrasts
from sprachbund.results.reader import schema
from sprachbund.results.side_effects import COLUMNS, PARTS
from sprachbund.results.verdict import Verdict, verdicts

ROW: dict[str, Any] = {
    "kind": "setting", "corpus": "book", "model": "tiny", "setting": "experts", "setting_key": "e", "method": "experts",
    "layer": "3", "metric": "top1", "value": 0.2, "chance": 0.01, "chosen": False, "baseline_setting": "none",
    "baseline_key": "n", "transform": "none",
    "delta": 0.05, "delta_ci_low": 0.01, "delta_ci_high": 0.09, "q": 0.02, "population_low": 0.02,
    "population_high": 0.08, "population_p": 0.004, "delta_centring": 0.03,
}  # fmt: skip
NONE = {**ROW, "setting": "none", "setting_key": "n", "method": "none", "value": 0.15, "baseline_setting": None} | {
    name: None for name in ROW if name.startswith(("delta", "population"))
}
CONTROL = {
    "corpus": "book", "setting_key": "e", "layer": "3", "metric": "top1", "control": "random:profile", "n_seeds": 5,
    "delta": 0.025, "p": 1 / 6,
}  # fmt: skip
EFFECT = {"setting_key": "e", **{f"{name}{part}": None for name in COLUMNS for part in PARTS}}


def of(
    *rows: dict[str, Any], controls: Any = (CONTROL,), effects: Any = (), layers: Any = ("3",), best: Any = (),
    chosen_controls: Any = (), **fields: Any,
) -> list[Verdict]:  # fmt: skip
    given = {"metric": "top1", "by": ("setting",), "confidence": 0.95, "vs": None, **fields}
    frame = pl.DataFrame([NONE, *rows], infer_schema_length=None)
    measured = pl.DataFrame(list(effects) or [EFFECT], infer_schema_length=None)
    contrasts = Contrasts(
        pl.DataFrame([{"contrast": "best", **each} for each in best], schema("contrasts")),
        pl.DataFrame([{"contrast": "best", **each} for each in chosen_controls], schema("contrast_controls")),
    )
    found = Comparison(
        experiment="made", role="test", scope="all", metrics=("top1",), layers=("3", "final"), detail_layers=layers,
        layer_reason="", chosen=(), contrasts=contrasts, left_out=(), missing=[],
        rows=frame,
        controls=pl.DataFrame(controls, schema=None if controls else dict.fromkeys(CONTROL, pl.String)),
        side_effects=measured if effects else measured.clear(), probes=frame.clear(), **given,
    )  # fmt: skip
    return verdicts(found)


def lines(*rows: dict[str, Any], **fields: Any) -> tuple[str, ...]:
    (found,) = of(*rows, **fields)
    return found.lines


def test_three_lines_say_what_gains_against_what_how_surely_and_at_what_cost() -> None:
    measured = {**EFFECT, "bits_per_byte": 1.25, "bits_per_byte_delta": 0.01, "target_share": 0.25}
    (found,) = of(ROW, effects=[measured])
    assert (found.corpus, found.model, found.setting, found.layer) == ("book", "tiny", "experts", "3")
    assert found.lines == (
        "Gains against none: experts at layer 3, the only one, top1 .200 (chance .01), Δ +.050, languages and items "
        "+.020 … +.080, p .004.",
        "Not told from random:profile ×5 (+.025, p .167, the least that 5 can give); better than centring alone "
        "(+.030, not tested).",
        "Cost: bits per byte of the target 1.250 (+.010), share in the target language .250.",
    )


def test_languages_and_items_come_before_these_pairs() -> None:
    """An interval of these pairs that excludes zero is no gain where languages and items do not."""
    wide = {**ROW, "population_low": -0.02, "population_p": 0.2}
    assert lines(wide)[0].startswith("No steered setting gains more than its interval against none: experts")
    pairs = {**ROW, "population_low": None, "population_high": None, "population_p": None}
    assert lines(pairs)[0].startswith("Gains against none for these pairs: ")
    assert lines(pairs)[0].endswith("Δ +.050, these pairs +.010 … +.090, q .020.")
    loses = {**ROW, "delta": -0.05, "population_low": -0.08, "population_high": -0.02}
    assert lines(loses)[0].startswith("Loses against none: ")


def test_another_that_gains_is_not_denied() -> None:
    best = {**ROW, "population_low": -0.1}
    other = {**ROW, "setting": "other", "setting_key": "o", "value": 0.19}
    said = lines(best, other)[0]
    assert said.startswith("The best by value gains no more than its interval against none: experts at layer 3, ")
    assert "the best of 2, picked on this text itself" in said


def test_what_was_chosen_is_judged_though_another_is_better_on_the_text() -> None:
    chosen = {**ROW, "chosen": True, "value": 0.1}
    said = lines({**ROW, "setting": "other", "setting_key": "o"}, chosen)[0]
    assert "experts at layer 3, chosen on the select role, top1 .100" in said
    second = {**chosen, "setting": "second", "setting_key": "s", "value": 0.12}
    assert "second at layer 3, the best of 2 that were chosen on the select role" in lines(chosen, second)[0]
    # What was chosen at a layer that is not looked at is not judged there.
    assert "other" in lines({**ROW, "setting": "other", "setting_key": "o"}, {**chosen, "layer": "final"})[0]


def test_what_was_chosen_is_held_against_what_was_chosen_of_the_baselines() -> None:
    """At the layer chosen for steering all gain; controls and centring choose for themselves too."""
    chosen = {**ROW, "chosen": True}
    centring = {**NONE, "setting": "centring", "setting_key": "c", "transform": "centring"}
    against = {
        "corpus": "book", "model": "tiny", "setting": "experts", "setting_key": "e", "layer": "3", "against": "none",
        "against_key": "n", "against_layer": "1", "delta": -0.04, "q": 0.03, "population_low": -0.09,
        "population_high": 0.01, "population_p": 0.12,
    }  # fmt: skip
    better = {**against, "against": "centring", "against_key": "c", "against_layer": "1", "delta": -0.2,
              "population_low": -0.3, "population_high": -0.1}  # fmt: skip
    beside = {"corpus": "book", "setting_key": "e", "layer": "3", "control": "random:profile", "n_controls": 20,
              "delta": 0.01, "p": 0.4}  # fmt: skip
    said = lines(chosen, centring, best=[against, better], chosen_controls=[beside])
    assert said[0] == (
        "No steered setting gains more than its interval against none at its best layer, 1: experts at layer 3, chosen "
        "on the select role, top1 .200 (chance .01), Δ −.040, languages and items −.090 … +.010, p .120."
    )
    assert said[1] == (
        "Not told from random:profile ×20 (+.010, p .400); worse than centring at its best (−.200, languages and items "
        "−.300 … −.100)."
    )
    gains = {**against, "population_low": 0.01, "population_high": 0.1}
    said = lines(chosen, centring, best=[gains, better], chosen_controls=[beside])
    assert said[0].startswith("Gains against none at its best layer, 1 but not against centring: ")
    level = {**better, "population_high": 0.1}
    assert "not told from centring at its best" in lines(chosen, centring, best=[gains, level])[1]


def test_without_interval_or_baseline_nothing_is_claimed() -> None:
    untested = ROW | dict.fromkeys(("population_low", "population_p", "delta_ci_low", "q"))
    assert lines(untested)[0].startswith("Not tested against none: ")
    assert lines(untested)[0].endswith("(chance .01), Δ +.050.")
    assert lines({**untested, "delta": None})[0].startswith("Compared with nothing: experts")
    assert lines({**untested, "delta": None, "chance": None})[0].endswith("top1 .200.")


def test_gains_but_not_against_centring() -> None:
    below = lines({**ROW, "delta_centring": -0.01})
    assert below[0].startswith("Gains against none but not against centring: ")
    assert below[1].endswith("not better than centring alone (−.010, not tested).")
    assert lines({**ROW, "delta_centring": 0.0})[0].startswith("Gains against none but not against centring: ")
    without = lines({**ROW, "delta_centring": None})
    assert without[0].startswith("Gains against none: ")
    assert without[1].endswith("; no centring beside it.")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n_seeds": 20, "p": 1 / 21}, "Beats random:profile ×20 (+.025, p .048, the least that 20 can give)"),
        ({"n_seeds": 99, "p": 0.02}, "Beats random:profile ×99 (+.025, p .020)"),
        ({"p": 0.5}, "Not told from random:profile ×5 (+.025, p .500)"),
        ({"p": None}, "Not tested against random:profile ×5 (+.025)"),
    ],
)
def test_controls(changes: dict[str, Any], said: str) -> None:
    assert lines(ROW, controls=[CONTROL | changes])[1].startswith(said + "; ")


def test_several_controls_and_none() -> None:
    two = [CONTROL, {**CONTROL, "control": "wrong_language", "n_seeds": 4, "p": 0.4}]
    assert "); not told from wrong_language ×4 (+.025, p .400); " in lines(ROW, controls=two)[1]
    assert lines(ROW, controls=[])[1].startswith("No controls beside it; ")
    elsewhere = [{**CONTROL, "layer": "final"}, {**CONTROL, "setting_key": "o"}, {**CONTROL, "corpus": "other"}]
    assert lines(ROW, controls=elsewhere)[1].startswith("No controls beside it; ")


def test_costs() -> None:
    assert lines(ROW)[2] == "Cost not measured."
    assert lines(ROW, effects=[EFFECT])[2] == "Cost not measured."
    assert lines(ROW, effects=[{**EFFECT, "setting_key": "o", "chrf": 20.0}])[2] == "Cost not measured."
    measured = {**EFFECT, "perplexity": 1234.5, "perplexity_delta": -3.0, "degenerate": 0.1, "chrf": 20.0}
    assert lines(ROW, effects=[measured])[2] == (
        "Cost: perplexity of the target 1234.5 (−3.000), share of degenerate texts .100, chrF 20.000."
    )


def test_where_lower_is_better_signs_turn() -> None:
    row = ROW | {"metric": "xsim", "delta": -0.05, "population_low": -0.08, "population_high": -0.02}
    lower = {**row, "setting": "lower", "setting_key": "o", "value": 0.1, "delta_centring": -0.02}
    none = {**NONE, "metric": "xsim"}
    controls = [{**CONTROL, "metric": "xsim", "setting_key": "o"}]
    said = lines(none, row, lower, metric="xsim", controls=controls)
    assert said[0].startswith("Gains against none: lower at layer 3, the best of 2")
    assert "better than centring alone (−.020" in said[1]
    worse = {**lower, "population_low": 0.02, "population_high": 0.08, "delta": 0.05, "delta_centring": 0.02}
    assert lines(none, worse, metric="xsim")[0].startswith("Loses against none: ")
    assert "not better than centring alone" in lines(none, worse, metric="xsim")[1]


def test_nothing_to_judge() -> None:
    assert lines() == ("No steered setting has a value to judge.",)
    assert lines({**ROW, "value": None}) == ("No steered setting has a value to judge.",)
    assert lines(ROW, layers=("final",)) == ("No steered setting has a value to judge.",)
    neither = {**ROW, "metric": "paired_distance"}
    assert lines(neither, metric="paired_distance") == (
        "Neither way of paired_distance is better: nothing is said of what gains.",
    )
    assert of(ROW, by=("pair",)) == []
    assert of(metric="mrr") == []
    assert len(of(ROW, by=("target",))) == 1


def test_one_for_each_corpus_and_model() -> None:
    other = {**ROW, "corpus": "news"}
    bigger = {**ROW, "model": "bigger", "setting_key": "b"}
    found = of(ROW, other, bigger)
    assert [(each.corpus, each.model) for each in found] == [("book", "tiny"), ("news", "tiny"), ("book", "bigger")]
    assert found[1].lines[1].startswith("No controls beside it")


def test_rows_of_controls_are_never_the_best() -> None:
    control = {**ROW, "kind": "control", "value": 0.9, "setting": "random"}
    assert "experts at layer 3, the only one" in lines(ROW, control)[0]
