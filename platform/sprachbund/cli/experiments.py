"""`sprachbund submit`, `status`, `show`, `cancel`, `retry`, `presets`."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import select

from sprachbund import workspace
from sprachbund.cli.changed import as_json as revision_json
from sprachbund.cli.changed import described, print_submitted_change, shortened
from sprachbund.cli.output import Json, Wide, counts, print_json, print_table
from sprachbund.cli.plugin_option import Plugins, load_plugins
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.names import experiment_ids, find_experiment
from sprachbund.errors import SpecError, nearest
from sprachbund.planning.revisions import find_revision, revisions
from sprachbund.planning.submission import PlanChanged, Submission
from sprachbund.results.left_out import left_out
from sprachbund.spec.experiment import load
from sprachbund.spec.presets import PRESETS
from sprachbund.spec.reading import write_yaml
from sprachbund.statistics import detectable_before
from sprachbund.workspace import Workspace

Name = Annotated[str | None, typer.Argument(help="The experiment's name; default: all.")]
Replace = Annotated[bool, typer.Option("--replace", help="Plan this in place of another plan of the same name.")]


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    for command in (submit, status, show, cancel, retry, presets):
        app.command()(command)


def submit(
    spec: Annotated[Path, typer.Argument(help="The experiment file (YAML).")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan and check only; queue nothing.")] = False,
    replace: Replace = False,
    expand: Annotated[bool, typer.Option("--expand", help="Print the spec with presets and defaults.")] = False,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Check an experiment, plan it, and queue what nobody has done yet.

    A name that has another plan already is refused, and what differs is printed, unless --replace.

    Examples: sprachbund submit experiment.yaml --dry-run; sprachbund submit experiment.yaml --replace
    """
    load_plugins(plugin)
    if expand:
        print(write_yaml(load(spec).expanded()), end="")
        return
    submit_and_print(workspace.open(), spec, dry_run, replace, as_json)


def submit_and_print(
    found: Workspace, spec: Path | Mapping[str, Any], dry_run: bool, replace: bool, as_json: bool
) -> None:
    """Submit, and print what that did or would do; of a submission that is refused, what it would have changed."""
    try:
        submission = found.submit(spec, dry_run=dry_run, replace=replace)
    except PlanChanged as refused:
        if as_json:
            print_json(asdict(refused.submission))
        else:
            print_submitted_change(refused.submission)
        raise
    if as_json:
        print_json(asdict(submission))
    else:
        _print_submission(submission, dry_run)
        if dry_run and submission.change and submission.change.replaces and not replace:
            print(f"to plan this in place of revision {submission.change.since}: --replace")


def _print_submission(found: Submission, dry_run: bool) -> None:
    done = "would queue" if dry_run else "queued"
    print(f"experiment {found.experiment}" + ("" if dry_run else f", revision {found.revision}"))
    print(f"settings   {len(found.settings)}: {shortened(found.settings)}")
    if found.n_refits:
        print(f"refits     {found.n_refits}: settings fitted anew on halves of the fit text")
    print(f"layers     {', '.join(found.layers)}")
    print(f"{done:<10} {found.n_new} new jobs: {counts(found.new)}")
    print(f"existing   {sum(found.existing.values())} jobs: {counts(found.existing)}")
    if found.reopened:
        print(f"reopened   {found.reopened} jobs that had failed or were cancelled")
    print(f"to run     {found.sentences} sentences through a model")
    print(f"draws      {_drawn(found.drawn)}")
    for warning in found.warnings:
        print(f"warning    {warning}")
    if dry_run and found.n_items and found.n_pairs:
        print(f"detectable {_detectable(found)}")
    for roles, shared in found.audit["overlap"].items():
        print(f"overlap    {roles}: {shared['texts']} texts, {shared['groups']} groups")
    for corpus, dropped in found.audit["dropped"].items():
        print(f"dropped    {corpus}: {dropped} items that lack a language")
    print_submitted_change(found)


def _drawn(drawn: Mapping[str, Any]) -> str:
    """What comparisons draw, and how often."""
    units = ", ".join(f"{unit}s of {where}" for where, unit in drawn["unit"].items())
    return f"{drawn['resamples']} of {units}; largest family: {drawn['largest_family']} tests"


def _detectable(found: Submission) -> str:
    """Smallest differences in top-1 that a run this size can find, by how often two settings disagree on an item."""
    shares = (0.05, 0.1, 0.2, 0.4)

    def said(share: float, shared: float) -> str:
        least = detectable_before(found.n_items, found.pairs_per_item, share, shared=shared)
        what = f"not detectable with {found.n_items} items" if math.isnan(least) else f"{least:.3f}"
        return f"{what} if {share:.0%} differ"

    whole, single = (", ".join(said(share, shared) for share in shares) for shared in (1.0, 0.0))
    return (
        f"difference in top1 over {found.n_items} items and {found.n_pairs} pairs, 80 % power at 5 %, one test:\n"
        f"           {whole} (pairs agree on every item)\n           {single} (pairs are as good as new items)"
    )


def status(experiment: Name = None, as_json: Json = False, wide: Wide = False) -> None:
    """Jobs by kind and state, and the runners at work.

    Example: sprachbund status
    """
    found = workspace.open()
    with reading(found.engine) as connection:
        ids = experiment_ids(connection)
        names = ids if experiment is None else {experiment: find_experiment(connection, experiment)}
        absent = [(name, each) for name, number in names.items() for each in left_out(connection, number)]
    table = found.queue.status(experiment)
    runners = found.queue.alive()
    if as_json:
        print_json(
            {
                "jobs": table,
                "runners": runners,
                "left_out": [{"experiment": name, **asdict(each)} for name, each in absent],
            }
        )
        return
    states = sorted({state for kinds in table.values() for state in kinds})
    print_table(
        ["kind", *states],
        [[kind, *(kinds.get(state, 0) for state in states)] for kind, kinds in table.items()],
        wide=wide,
    )
    for name, each in absent:
        print(f"{each.role}: {each.line}" if experiment else f"{name}, {each.role}: {each.line}")
    print(f"{len(runners)} runners alive" + "".join(f"; {row['name']}" for row in runners))


def show(
    experiment: Annotated[str, typer.Argument()],
    revision: Annotated[int | None, typer.Option(help="The spec of this revision alone; default: the last.")] = None,
    as_json: Json = False,
    wide: Wide = False,
) -> None:
    """An experiment: its spec, roles and settings; or what one revision of it asked for.

    Examples: sprachbund show demo; sprachbund show demo --revision 1 > earlier.yaml
    """
    found = workspace.open()
    if revision is not None:
        _show_revision(found, experiment, revision, as_json)
        return
    with reading(found.engine) as connection:
        last = revisions(connection, experiment)[-1]
        experiment_id = find_experiment(connection, experiment)
        row = connection.execute(select(t.Experiment).where(t.Experiment.id == experiment_id)).one()
        settings = connection.execute(
            select(t.ExperimentSetting.ordinal, t.ExperimentSetting.label, t.Setting.key, t.Intervention.n_edited,
                   t.Intervention.shift_norm)
            .join(t.Setting, t.Setting.id == t.ExperimentSetting.setting_id)
            .join(t.Intervention, t.Intervention.id == t.Setting.intervention_id)
            .where(t.ExperimentSetting.experiment_id == experiment_id)
            .order_by(t.ExperimentSetting.ordinal)
        ).all()  # fmt: skip
    if as_json:
        print_json(
            {
                "name": row.name,
                **revision_json(last),
                "spec": row.spec,
                "audit": row.audit,
                "settings": [dict(each._mapping) for each in settings],
            }
        )
        return
    print(f"{row.name}{', cancelled' if row.cancelled else ''}: {described(last)}")
    print(write_yaml(row.spec))
    print(f"draws: {_drawn(row.audit['drawn'])}\n")
    print_table(
        ["setting", "key", "units edited", "E‖h' − h‖"],
        [
            [each.label, each.key[:10], each.n_edited, None if each.shift_norm is None else f"{each.shift_norm:.3g}"]
            for each in settings
        ],
        wide=wide,
    )


def _show_revision(found: Workspace, experiment: str, number: int, as_json: bool) -> None:
    with reading(found.engine) as connection:
        known = revisions(connection, experiment)
    shown = find_revision(known, number)
    if as_json:
        print_json({"name": experiment, **revision_json(shown), "current": len(known), "spec": shown.asked.spec})
        return
    # As a comment: what is printed is an experiment file.
    print(f"# {experiment}: {described(shown)}; current is revision {len(known)}")
    print(write_yaml(shown.asked.spec), end="")


def cancel(experiment: Annotated[str, typer.Argument()]) -> None:
    """Stop wanting an experiment's jobs; those that another experiment wants go on.

    Example: sprachbund cancel demo
    """
    queue = workspace.open().queue
    print(f"cancelled {queue.cancel_experiment(experiment)} queued jobs of {experiment}; results stay")


def retry(experiment: Name = None) -> None:
    """Queue failed and cancelled jobs again.

    Examples: sprachbund retry; sprachbund retry demo
    """
    print(f"queued {workspace.open().queue.retry(experiment)} jobs again")


def presets(name: Annotated[str | None, typer.Argument(help="Which one to print.")] = None) -> None:
    """List presets, or print what one expands to.

    Example: sprachbund presets careful
    """
    if name is None:
        for each in PRESETS:
            print(each)
        return
    if name not in PRESETS:
        raise SpecError(f"preset '{name}' does not exist; known: {', '.join(PRESETS)}{nearest(name, PRESETS)}")
    print(write_yaml(PRESETS[name]), end="")
