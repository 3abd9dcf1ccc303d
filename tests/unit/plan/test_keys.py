"""A key is what makes results reusable: the keys of one fixed plan, of every kind, are a stored list."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from sprachbund.planning.blueprint import draw_up
from sprachbund.planning.resolve import resolve
from sprachbund.spec.experiment import load
from sprachbund.work.jobs import jobs_for
from sprachbund.work.keys import content_key
from sprachbund.work.kinds import KINDS

HERE = Path(__file__).parent


def planned() -> Mapping[str, list[str]]:
    """The keys of plan.yaml's jobs by kind, and those of its settings."""
    resolved = resolve(load(HERE / "plan.yaml"), HERE)
    blueprint = draw_up(resolved.spec, [model.plan for model in resolved.models], resolved.plan_corpora())
    keys: dict[str, list[str]] = defaultdict(list)
    for job in jobs_for(blueprint.wants, {}).new:
        keys[job.kind.name].append(job.key)
    keys["setting"] = [setting.key for setting in blueprint.settings]
    return keys


def lines() -> list[str]:
    """A line per kind: how many keys, and the digest of them all."""
    return [
        f"{kind} {len(keys)} {content_key('keys', 1, keys=sorted(keys))}" for kind, keys in sorted(planned().items())
    ]


def test_keys_are_what_they_were():
    """Where this fails, results that exist will be computed again: change keys.txt only if that is meant."""
    assert lines() == (HERE / "keys.txt").read_text().splitlines()


def test_the_plan_has_every_kind():
    # A registered measure's kind has keys that no file can hold: they depend on the user's code.
    assert set(KINDS) - set(planned()) == {"own_measures"}
