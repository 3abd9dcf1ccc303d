"""Rows of the comparison, as the experiment file names them: which units or directions, and what happens to them."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sprachbund.catalogue.directions import DIRECTIONS, edits_along
from sprachbund.catalogue.edits import EDITS, EditRule, canonical_value, parse_value
from sprachbund.corpora.source import Code
from sprachbund.errors import nearest
from sprachbund.fields import Among, Strict, as_list
from sprachbund.spec.base import ScorerName
from sprachbund.spec.controls import ControlSpec, as_control
from sprachbund.vocabulary import (
    POOLED_TRANSFORMS,
    SITES,
    UNIT_METHODS,
    EditTokens,
    How,
    Method,
    Pooling,
    Site,
    SteeredSide,
    Transform,
)


class SelectionSpec(Strict):
    """Which units of a ranking are edited.

    `top`: the k best; `top_and_bottom`: the k best and the k worst; `per_block`: k in every site of every block;
    `threshold`: those whose Mann–Whitney p passes Benjamini–Hochberg at `q` with an effect size of at least
    `effect`.
    """

    how: How = "top"
    q: Annotated[float, Field(gt=0, lt=1)] | None = None
    effect: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, content: Any) -> Any:
        if isinstance(content, dict) and content.get("how") == "threshold":
            return {"q": 0.05, "effect": 0.8, **content}
        return content

    @model_validator(mode="after")
    def _fields_that_apply(self) -> "SelectionSpec":
        if self.how != "threshold" and (self.q is not None or self.effect is not None):
            raise ValueError(f"q and effect belong to the selection 'threshold', found them with '{self.how}'")
        return self


def _as_selection(value: Any) -> Any:
    return {"how": value} if isinstance(value, str) else value


class InterventionSpec(Strict):
    """One row of the comparison, or several: targets, k, strengths, values and scorers sweep."""

    method: Method = "none"
    transform: Transform = "none"
    components: Annotated[int, Field(ge=1)] | None = None
    targets: Annotated[list[Code] | None, BeforeValidator(as_list)] = None
    selection: Annotated[SelectionSpec | None, BeforeValidator(_as_selection)] = None
    k: Annotated[list[int | float] | None, BeforeValidator(as_list)] = None
    scorers: Annotated[list[ScorerName] | None, BeforeValidator(as_list)] = None
    direction: Annotated[str, Among(DIRECTIONS)] | None = None
    rank: Annotated[int, Field(ge=1)] | None = None
    edit: Annotated[str, Among(EDITS)] | None = None
    strength: Annotated[list[float] | None, BeforeValidator(as_list)] = None
    value: Annotated[list[str] | None, BeforeValidator(as_list)] = None
    value_from: Literal["pooled", "tokens"] | None = None
    pooling: Pooling | None = None
    source: Literal["others", "input"] | None = None
    fit: Literal["at_once", "incremental"] = "at_once"
    sites: Annotated[list[Site] | None, BeforeValidator(as_list)] = None
    score_sites: Annotated[list[Site] | None, BeforeValidator(as_list)] = None
    edit_sites: Annotated[list[Site] | None, BeforeValidator(as_list)] = None
    blocks: Annotated[list[int] | None, BeforeValidator(as_list)] = None
    tokens: EditTokens = "all"
    side: SteeredSide = "both"
    controls: list[Annotated[ControlSpec, BeforeValidator(as_control)]] = Field(default=[])

    @property
    def rule(self) -> EditRule:
        """What this row's edit takes."""
        assert self.edit is not None
        return EDITS[self.edit]

    @property
    def targetless(self) -> bool:
        """Whether no language is steered towards."""
        if self.method == "direction":
            assert self.direction is not None
            return DIRECTIONS[self.direction].targetless
        return self.method == "own" and (not self.rule.to_target or self.value == ["zero"])

    @property
    def per_language(self) -> bool:
        """Whether edits differ by input language, so that it has to be known."""
        return self.method == "own" or self.source == "input"

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, content: Any) -> Any:
        """Defaults that depend on the method and the edit; a field that does not apply has none."""
        if not isinstance(content, dict):
            return content
        filled = {name: value for name, value in content.items() if value is not None}
        if filled.get("transform") == "top_pc_removal":
            filled.setdefault("components", 1)
        method = filled.get("method", "none")
        if method == "direction":
            filled.setdefault("direction", "diff_mean")
            direction = DIRECTIONS.get(str(filled["direction"]))
            filled.setdefault("edit", "project_out" if direction is not None and direction.targetless else "add")
            filled.setdefault("pooling", "mean")
            filled.setdefault("sites", ["block"])
        elif method in UNIT_METHODS:
            filled.setdefault("selection", "top")
            filled.setdefault("edit", "set")
            selection = filled["selection"]
            if (selection.get("how", "top") if isinstance(selection, dict) else selection) != "threshold":
                filled.setdefault("k", [0.035])
        rule = EDITS.get(str(filled.get("edit")))
        if rule is not None and method != "none":
            if rule.strength is not None:
                filled.setdefault("strength", [rule.strength])
            if rule.value:
                filled.setdefault("value", ["mean"])
            if rule.of == "units" and rule.to_target:
                filled.setdefault("value_from", "pooled")
            if rule.transport:
                filled.setdefault("pooling", "mean")
                filled.setdefault("source", "input" if method == "own" else "others")
        return filled

    @field_validator("k", "strength", mode="before")
    @classmethod
    def _no_boolean(cls, value: Any) -> Any:
        if any(isinstance(each, bool) for each in as_list(value) or []):
            raise ValueError(
                "k is a count (200) or a fraction (0.035), strength a number such as 0.5; lists of them sweep"
            )
        return value

    @field_validator("targets", "k", "scorers", "strength", "value", "sites", "score_sites", "edit_sites", "blocks")
    @classmethod
    def _not_empty(cls, chosen: list[Any] | None) -> list[Any] | None:
        if chosen == []:
            raise ValueError("the list is empty; give a value, or leave the field out for its default")
        return chosen

    @field_validator("sites", "blocks")
    @classmethod
    def _as_set(cls, chosen: list[Any] | None) -> list[Any] | None:
        # The same work has the same key, however it was written down.
        return (
            None
            if chosen is None
            else sorted(set(chosen), key=lambda each: SITES.index(each) if each in SITES else each)
        )

    @field_validator("k")
    @classmethod
    def _positive(cls, ks: list[int | float] | None) -> list[int | float] | None:
        for k in ks or ():
            if (isinstance(k, float) and not 0 < k <= 1) or (isinstance(k, int) and k < 1):
                raise ValueError(f"k is {k}; expected a count of at least 1 or a fraction in (0, 1]")
        return ks

    @field_validator("value")
    @classmethod
    def _known_value(cls, values: list[str] | None) -> list[str] | None:
        return None if values is None else list(dict.fromkeys(canonical_value(value) for value in values))

    @model_validator(mode="after")
    def _sites_in_pairs(self) -> "InterventionSpec":
        scored, edited = self.score_sites, self.edit_sites
        if scored is None and edited is None:
            return self
        if self.method not in UNIT_METHODS:
            raise ValueError(f"score_sites and edit_sites are of units; method '{self.method}' takes 'sites' at most")
        if scored is None or edited is None:
            missing = "score_sites" if scored is None else "edit_sites"
            raise ValueError(f"{missing} is missing: score_sites and edit_sites go together ('sites' stands for both)")
        if self.sites is not None:
            raise ValueError("sites stands for score_sites and edit_sites: give either it or them")
        if len(scored) != len(edited):
            raise ValueError(
                f"score_sites has {len(scored)} and edit_sites {len(edited)} sites; expected as many: a unit that is"
                " scored at one is edited at the other in its place"
            )
        for name, sites in (("score_sites", scored), ("edit_sites", edited)):
            if len(set(sites)) < len(sites):
                raise ValueError(f"{name} lists a site twice")
        return self

    @property
    def site_pairs(self) -> list[tuple[Site, Site]] | None:
        """(scored, edited) of sites that are told apart, in the order of the edited; None where they are the same."""
        if self.score_sites is None or self.edit_sites is None:
            return None
        pairs = zip(self.score_sites, self.edit_sites, strict=True)
        return sorted(pairs, key=lambda pair: SITES.index(pair[1]))

    @model_validator(mode="after")
    def _fields_that_apply(self) -> "InterventionSpec":
        if self.transform not in POOLED_TRANSFORMS:
            self._refuse("components", f"components belongs to {' and '.join(POOLED_TRANSFORMS)}, leave it out")
        if self.method == "none":
            self._refuse_all_but(("method", "transform", "components"))
            return self
        rule = self.rule
        if (rule.of == "direction") != (self.method == "direction"):
            known = [name for name, each in EDITS.items() if (each.of == "direction") == (self.method == "direction")]
            raise ValueError(f"edit '{self.edit}' does not go with method '{self.method}'; use {', '.join(known)}")
        if self.method == "direction":
            self._check_direction()
        else:
            self._check_units(rule)
        if rule.strength is None:
            self._refuse("strength", f"edit '{self.edit}' has no strength; use interpolate for part of the way")
        for strength in self.strength or ():
            low, high = rule.range
            if (low is not None and strength < low) or (high is not None and strength > high):
                span = f"{'-∞' if low is None else low} to {'∞' if high is None else high}"
                raise ValueError(f"strength is {strength:g}; edit '{self.edit}' takes {span}")
        if self.transform == "centring_transductive" and self.side != "both":
            raise ValueError("side: a transform fitted on the evaluated text takes both sides; leave side out")
        self._check_controls(rule)
        return self

    def _check_direction(self) -> None:
        assert self.direction is not None and self.edit is not None
        why = "method 'direction' moves along a direction, it selects no units; use 'experts' with {}"
        for name in ("k", "selection", "scorers", "value", "value_from"):
            self._refuse(name, why.format(name))
        rule, edits = DIRECTIONS[self.direction], edits_along(self.direction)
        if self.edit not in edits:
            raise ValueError(
                f"edit '{self.edit}' does not go with direction '{self.direction}'; use {', '.join(edits)}"
            )
        if self.source == "input" and not rule.per_input:
            known = " and ".join(f"'{name}'" for name, each in DIRECTIONS.items() if each.per_input)
            raise ValueError(f"source 'input' goes with direction {known} only")
        if self.rank is not None and not rule.ranked:
            known = " and ".join(name for name, each in DIRECTIONS.items() if each.ranked)
            raise ValueError(f"rank goes with directions {known}, '{self.direction}' has its own")

    def _check_units(self, rule: EditRule) -> None:
        for name in ("direction", "rank"):
            self._refuse(name, f"{name} belongs to method 'direction', found it with '{self.method}'")
        assert self.selection is not None
        if self.selection.how == "threshold":
            self._refuse("k", "selection 'threshold' takes as many units as pass it; leave k out")
        if not rule.value:
            self._refuse("value", f"edit '{self.edit}' sets no value; leave value out or use edit: set")
        for value in self.value or ():
            if self.value_from == "tokens" and parse_value(value)[0] == "quantile":
                raise ValueError(
                    f"value is '{value}' with value_from: tokens; per-token values are not kept, only their"
                    " mean: use mean or zero, or value_from: pooled"
                )
        if self.value_from == "tokens" and rule.reads == "samples":
            raise ValueError(f"value_from: tokens keeps means and variances only; {self.edit} needs pooled responses")
        if not rule.transport:
            self._refuse("source", f"edit '{self.edit}' does not depend on where activations start; leave source out")
            if self.fit == "incremental":
                raise ValueError(f"fit 'incremental' changes nothing for edit '{self.edit}'; leave it out")
        if rule.reads == "auroc" and (self.scorers or ["auroc"]) != ["auroc"]:
            raise ValueError(f"edit '{self.edit}' scales by AUROC; leave scorers out or use auroc")
        if self.targetless and self.targets is not None:
            raise ValueError("targets has no meaning where every language's own experts are dampened; leave it out")

    def _check_controls(self, rule: EditRule) -> None:
        for control in self.controls:
            if self.method == "direction" and control.variant not in ("uniform", "wrong_language"):
                raise ValueError(
                    f"control '{control.variant}' has no meaning for a direction; use 'uniform' (a random direction"
                    " as long) or 'wrong_language'"
                )
            of_one_language = self.method in ("experts", "direction") and not self.targetless
            if control.variant == "wrong_language" and not of_one_language:
                others = "'uniform'" if self.method == "direction" else "'profile' or 'wrong_values'"
                raise ValueError(f"'wrong_language' has no meaning for method '{self.method}' here; use {others}")
            if control.variant == "wrong_values" and not rule.to_target:
                raise ValueError(f"control 'wrong_values' has no meaning for edit '{self.edit}', which takes no values")
            if control.values == "experts" and self.fit == "incremental":
                raise ValueError(
                    f"control '{control.label}' takes the experts' maps, which fit 'incremental' makes place by place;"
                    " use 'own' values"
                )
            if control.variant == "shift" and self.edit != "set":
                raise ValueError(
                    f"control '{control.label}' needs values to set, edit '{self.edit}' has none; use 'profile'"
                )

    def _refuse(self, name: str, why: str) -> None:
        if getattr(self, name) is not None:
            raise ValueError(why)

    def _refuse_all_but(self, allowed: tuple[str, ...]) -> None:
        for name, field in type(self).model_fields.items():
            if name not in allowed and getattr(self, name) != field.default:
                raise ValueError(f"{name} belongs to a method that edits activations; 'none' edits nothing")


def as_intervention(value: Any) -> Any:
    """A method or a transform, such as `experts` or `centring`, may stand for a mapping."""
    transforms = [name for name in get_args(Transform) if name != "none"]
    if isinstance(value, dict) and value.get("method") in transforms:
        name = value["method"]
        raise ValueError(f"method: '{name}' is a transform; write 'transform: {name}', or '{name}' for the whole row")
    if isinstance(value, (dict, InterventionSpec)):
        return value
    if value in transforms:
        return {"method": "none", "transform": value}
    words = [*get_args(Method), *transforms]
    if value not in words:
        hint = nearest(value, words) if isinstance(value, str) else ""
        raise ValueError(f"expected a mapping, or one of {', '.join(words)}; found {value!r}{hint}")
    return {"method": value}
