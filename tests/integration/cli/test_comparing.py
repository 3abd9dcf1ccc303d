"""The commands that compare and explain, on a run of the tiny experiment."""

import json


def test_what_was_run_can_be_compared_explained_and_reported(sprachbund, spec_file, root):
    dry = sprachbund("submit", spec_file(), "--dry-run")
    assert "detectable difference in top1 over 30 items and 2 pairs" in dry.out
    assert "not detectable with 30 items if 5% differ" in dry.out
    assert sprachbund("submit", spec_file()).code == 0
    assert sprachbund("run").code == 0
    steered = "experts eng_Latn k=4"

    differing = sprachbund("diff", "none", steered, "--experiment", "tiny", "--json").json["differences"]
    assert differing["intervention.k"] == {"a": None, "b": 4}
    assert "intervention.method" in sprachbund("diff", "none", steered).out
    assert sprachbund("diff", "none", "nome").err == "sprachbund: unknown setting 'nome'; did you mean 'none'?\n"

    explained = sprachbund("compare", "tiny", "--explain-number", "2")
    assert explained.code == 0 and "queries whose translation" in explained.out and "McNemar" not in explained.out
    numbers = sprachbund("compare", "tiny", "--explain-number", steered, "--json").json
    assert len(numbers["computed from"]["per-item outcomes"]) == 1

    item = sprachbund("explain", "eng:deu", "--item", "0", "--experiment", "tiny", "--setting", steered, "--json").json
    assert [side["setting"] for side in item["sides"]] == ["none", steered]
    assert (
        "the translation is at place"
        in sprachbund("explain", "eng:deu", "--item", "0", "--experiment", "tiny", "--setting", steered).out
    )

    front = sprachbund("compare", "tiny", "--pareto")
    assert front.code == 2 and "add side_effects" in front.err and front.err.count("\n") == 1
    assert "give it with --pareto" in sprachbund("compare", "tiny", "--out", "a.png").err

    assert sprachbund("report", "tiny", "--out", "tiny.html").code == 0
    assert (root / "tiny.html").read_text().startswith("<!DOCTYPE html>")
    assert "cannot be written" in sprachbund("report", "tiny", "--out", "missing/tiny.html").err


def test_recipes_are_listed_shown_and_submitted(sprachbund, root, tmp_path):
    assert [each["name"] for each in sprachbund("recipes", "list", "--json").json] == [
        "abx-emnlp2025", "steering-acl2025",
    ]  # fmt: skip
    shown = sprachbund("recipes", "show", "steering-acl2025", "--set", "k=[7]", "--json").json
    assert shown["experiment"]["interventions"][2]["k"] == [7]
    assert "FROM distance_table" in sprachbund("recipes", "show", "steering-acl2025", "--tables").out
    values = tmp_path / "values.yaml"
    values.write_text("name: mine\nlayers: [final]\nprobes: null\ntasks: null\n")
    arguments = ("recipes", "submit", "abx-emnlp2025", "--values", values, "--dry-run")
    planned = json.loads(sprachbund(*arguments, "--json").out)
    assert (planned["experiment"], planned["layers"]) == ("mine", ["final"])
    assert "probe" not in planned["new"]
    assert "did you mean 'layers'" in sprachbund(*arguments, "--set", "layer=[0]").err
