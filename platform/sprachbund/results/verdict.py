"""A comparison in three lines of words: what gains, against what and how surely, at what cost.

They say no more than the tables' tests do. A further fact is a further function in `_GAIN`, `_BESIDE` or `_COST`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from sprachbund.measures import METRICS
from sprachbund.results.comparison import BY, Comparison
from sprachbund.results.wording import chance, number, probability, ranged, signed

# Side effects that are named, in this order; of one sort the first that was measured.
_COSTS = (
    (("bits_per_byte", "bits per byte of the target"), ("perplexity", "perplexity of the target")),
    (("target_share", "share in the target language"),),
    (("degenerate", "share of degenerate texts"),),
    (("chrf", "chrF"),),
)
Outcome = Literal["gain", "loss", "open"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one model on one corpus; setting and layer are those it is about, None where it is about none."""

    corpus: str
    model: str
    setting: str | None
    layer: str | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Best:
    """The steered setting with the best value at the layers that are looked at closely, and what stands beside it.

    row: of `Comparison.rows`; where it was chosen, its differences are those of best against best. rivals: rows it was
    picked from, its own among them. controls: its rows of `Comparison.controls`, where it was chosen of those that
    chose too. centring: best against the best of centring. effects: its row of `Comparison.side_effects`.
    """

    comparison: Comparison
    row: dict[str, Any]
    rivals: Sequence[dict[str, Any]]
    controls: Sequence[dict[str, Any]]
    centring: dict[str, Any] | None
    effects: dict[str, Any] | None

    @property
    def against(self) -> str:
        layer = self.row.get("against_layer")
        return str(self.row["baseline_setting"]) + ("" if layer is None else f" at its best layer, {layer}")


def verdicts(comparison: Comparison) -> list[Verdict]:
    """One per corpus and model; none of a comparison that is broken down by language, or has no rows."""
    if any(BY[each] for each in comparison.by):
        return []
    rows = comparison.rows.filter(pl.col("kind") == "setting", pl.col("metric") == comparison.metric)
    return [
        _verdict(comparison, str(corpus), str(model), own)
        for (corpus, model), own in rows.group_by("corpus", "model", maintain_order=True)
    ]


def _verdict(comparison: Comparison, corpus: str, model: str, rows: pl.DataFrame) -> Verdict:
    if METRICS[comparison.metric].better == "none":
        said = f"Neither way of {comparison.metric} is better: nothing is said of what gains."
        return Verdict(corpus, model, None, None, (said,))
    best = _best(comparison, corpus, rows)
    if best is None:
        return Verdict(corpus, model, None, None, ("No steered setting has a value to judge.",))
    lines = tuple(_sentence(say(best) for say in facts) for facts in (_GAIN, _BESIDE, _COST))
    return Verdict(corpus, model, best.row["setting"], best.row["layer"], lines)


def _best(comparison: Comparison, corpus: str, rows: pl.DataFrame) -> Best | None:
    """Of what was chosen on the select role, else of all that is steered at the layers looked at closely."""
    steered = rows.filter(
        pl.col("method") != "none", pl.col("layer").is_in(comparison.detail_layers), pl.col("value").is_not_null()
    )
    chosen = steered.filter(pl.col("chosen"))
    rivals = chosen if chosen.height else steered
    if not rivals.height:
        return None
    lower = METRICS[comparison.metric].better == "lower"
    row = rivals.sort("value", descending=not lower, maintain_order=True).row(0, named=True)
    controls = comparison.controls.filter(
        pl.col("corpus") == corpus,
        pl.col("metric") == comparison.metric,
        pl.col("setting_key") == row["setting_key"],
        pl.col("layer") == row["layer"],
    )
    effects = comparison.side_effects.filter(pl.col("setting_key") == row["setting_key"]).to_dicts()
    contrasts = _contrasts(comparison, corpus, rivals)
    own = contrasts.filter(pl.col("setting_key") == row["setting_key"], pl.col("layer") == row["layer"])
    centring = own.filter(pl.col("against_key").is_in(_centred(comparison))).to_dicts()
    if contrasts.height:
        chosen_too = comparison.contrasts.controls.filter(
            pl.col("corpus") == corpus, pl.col("contrast") == "best", pl.col("setting_key") == row["setting_key"]
        )
        found = chosen_too.rename({"n_controls": "n_seeds"}).to_dicts()
    else:
        found = controls.to_dicts()
    bests = [_best_against(each, contrasts) for each in rivals.to_dicts()]
    row = next(each for each in bests if each["setting_key"] == row["setting_key"] and each["layer"] == row["layer"])
    return Best(comparison, row, bests, found, centring[0] if centring else None, effects[0] if effects else None)


def _contrasts(comparison: Comparison, corpus: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Best against best of some rows."""
    best = comparison.contrasts.of("best").filter(pl.col("corpus") == corpus)
    return best.join(rows.select("setting_key", "layer"), on=["setting_key", "layer"], how="semi")


def _centred(comparison: Comparison) -> list[str]:
    rows = comparison.rows.filter(pl.col("transform") == "centring", pl.col("method") == "none")
    return rows["setting_key"].unique().to_list()


# What a row against the baseline at the same layer has in other numbers against the baseline's best.
_AGAINST = ("delta", "delta_ci_low", "delta_ci_high", "p", "q", "population_low", "population_high", "population_p")


def _best_against(row: dict[str, Any], contrasts: pl.DataFrame) -> dict[str, Any]:
    """A row with the numbers against its baseline's own best, where both were chosen."""
    for each in contrasts.iter_rows(named=True):
        if (each["setting_key"], each["layer"], each["against_key"]) == (
            row["setting_key"], row["layer"], row["baseline_key"],
        ):  # fmt: skip
            at = each["against_layer"]
            return {**row, **{name: each[name] for name in _AGAINST}, "against_layer": at}
    return row


def _outcome(best: Best, low: float, high: float) -> Outcome:
    """Where an interval of a difference lies, by the metric's direction."""
    if METRICS[best.comparison.metric].better == "lower":
        low, high = -high, -low
    return "gain" if low > 0 else "loss" if high < 0 else "open"


def _interval(row: dict[str, Any]) -> tuple[float, float, str] | None:
    """Low, high and whom it is about: other languages and items, else these pairs; None where nothing was tested."""
    for low, high, whom in (
        ("population_low", "population_high", "languages and items"),
        ("delta_ci_low", "delta_ci_high", "these pairs"),
    ):
        if row[low] is not None and row[high] is not None:
            return row[low], row[high], whom
    return None


def _conclusion(best: Best) -> str:
    found = _interval(best.row)
    if best.row["delta"] is None:
        return "Compared with nothing"
    if found is None:
        return f"Not tested against {best.against}"
    low, high, whom = found
    outcome = _outcome(best, low, high)
    if outcome != "open":
        over = "" if whom == "languages and items" else f" for {whom}"
        but = " but not against centring" if outcome == "gain" and _above_centring(best) is False else ""
        return f"{'Gains' if outcome == 'gain' else 'Loses'} against {best.against}{over}{but}"
    spans = [span for span in map(_interval, best.rivals) if span is not None]
    if any(_outcome(best, *span[:2]) == "gain" for span in spans):
        return f"The best by value gains no more than its interval against {best.against}"
    return f"No steered setting gains more than its interval against {best.against}"


def _setting(best: Best) -> str:
    row, n = best.row, len(best.rivals)
    if row["chosen"]:
        how = "chosen on the select role" if n == 1 else f"the best of {n} that were chosen on the select role"
    else:
        how = "the only one" if n == 1 else f"the best of {n}, picked on this text itself"
    return f"{row['setting']} at layer {row['layer']}, {how}"


def _level(best: Best) -> str:
    level = f"{best.comparison.metric} {number(best.row['value'])}"
    return level if best.row["chance"] is None else f"{level} (chance {chance(best.row['chance'])})"


def _difference(best: Best) -> str | None:
    row, found = best.row, _interval(best.row)
    if row["delta"] is None:
        return None
    said = f"Δ {signed(row['delta'])}"
    if found is None:
        return said
    low, high, whom = found
    name, p = ("p", row["population_p"]) if whom == "languages and items" else ("q", row["q"])
    return f"{said}, {whom} {ranged(low, high, signed=True)}" + ("" if p is None else f", {name} {probability(p)}")


def _controls(best: Best) -> str:
    return "; ".join(_control(best, each) for each in best.controls) or "no controls beside it"


def _control(best: Best, control: dict[str, Any]) -> str:
    name, n, delta, p = (control[name] for name in ("control", "n_seeds", "delta", "p"))
    facts = [signed(delta)]
    if p is None:
        verb = "not tested against"
    else:
        facts.append(f"p {probability(p)}")
        verb = "beats" if p <= 1 - best.comparison.confidence else "not told from"
        if p * (1 + n) <= 1 + 1e-9:
            facts.append(f"the least that {n} can give")
    return f"{verb} {name} ×{n} ({', '.join(facts)})"


def _centring(best: Best) -> str:
    above = _above_centring(best)
    if above is None:
        return "no centring beside it"
    if best.centring is not None and (found := _interval(best.centring)) is not None:
        outcome = {"gain": "better than", "loss": "worse than", "open": "not told from"}[_outcome(best, *found[:2])]
        span = f"{found[2]} {ranged(*found[:2], signed=True)}"
        return f"{outcome} centring at its best ({signed(best.centring['delta'])}, {span})"
    side = "better" if above else "not better"
    return f"{side} than centring alone ({signed(best.row['delta_centring'])}, not tested)"


def _above_centring(best: Best) -> bool | None:
    delta = best.row["delta_centring"] if best.centring is None else best.centring["delta"]
    return (
        None if delta is None else bool(delta < 0 if METRICS[best.comparison.metric].better == "lower" else delta > 0)
    )


def _cost(best: Best) -> str:
    if best.effects is None:
        return "Cost not measured"
    named = []
    for sort in _COSTS:
        column, name = next(((column, name) for column, name in sort if best.effects[column] is not None), (None, ""))
        if column is not None:
            delta = best.effects[f"{column}_delta"]
            change = "" if delta is None else f" ({signed(delta)})"
            named.append(f"{name} {number(best.effects[column])}{change}")
    return f"Cost: {', '.join(named)}" if named else "Cost not measured"


def _headline(best: Best) -> str:
    parts = [_setting(best), _level(best), _difference(best)]
    return f"{_conclusion(best)}: {', '.join(part for part in parts if part)}"


Fact = Callable[[Best], str | None]
_GAIN: tuple[Fact, ...] = (_headline,)
_BESIDE: tuple[Fact, ...] = (_controls, _centring)
_COST: tuple[Fact, ...] = (_cost,)


def _sentence(facts: Iterable[str | None]) -> str:
    said = "; ".join(fact for fact in facts if fact)
    return f"{said[0].upper()}{said[1:]}."
