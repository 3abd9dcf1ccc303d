"""`sprachbund gc`, `evict` and `delete`: what makes room."""

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from sprachbund import workspace
from sprachbund.cli.output import Json, counts, in_bytes, print_json
from sprachbund.db.engine import reading
from sprachbund.db.names import find_experiment
from sprachbund.errors import QueryError, WorkspaceError, nearest
from sprachbund.files import eviction, garbage
from sprachbund.files.bulk import BULK
from sprachbund.planning.deletion import delete_experiment
from sprachbund.progress import Bars, Silent

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    for command in (gc, evict, delete):
        app.command()(command)


def gc(
    older_than_h: Annotated[
        float, typer.Option("--older-than", min=0, help="Hours; younger files may belong to jobs at work.")
    ] = garbage.GRACE_S / 3600,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove files that nobody refers to: temporary ones, leftovers of evicted ones, those of jobs that never finished.

    Safe beside runners. The artifact folder must belong to this database alone; other files in it are left alone.

    Examples: sprachbund gc --dry-run; sprachbund gc --yes
    """
    found = workspace.open()
    age_s = older_than_h * 3600
    planned = garbage.find_garbage(found.engine, found.store, age_s)
    if not as_json:
        for name in planned.__slots__:
            heap: garbage.Heap = getattr(planned, name)
            print(f"{name:<13}{heap.n_files} files, {in_bytes(heap.n_bytes)}")
    if not dry_run:
        _confirm(f"remove {in_bytes(planned.n_bytes)}", yes, as_json)
        with Bars() as bars:
            planned = garbage.collect_garbage(found.engine, found.store, bars.start, age_s)
    _tell(planned.n_bytes, dry_run, as_json, asdict(planned))


def evict(
    experiment: Annotated[str, typer.Argument(help="The experiment's name.")],
    kind: Annotated[list[str], typer.Option("--kind", help=f"Which files: {', '.join(BULK)}. May be repeated.")],
    shared: Annotated[bool, typer.Option("--shared", help="Also what other experiments' plans have.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete an experiment's files of some kinds; results stay, and jobs that need a file have it made again.

    Files that other experiments have too are left unless --shared; those that jobs wait for are always left.

    Examples: sprachbund evict demo --kind snapshot --dry-run; sprachbund evict demo --kind snapshot --yes
    """
    for each in kind:
        if each not in BULK:
            raise QueryError(f"--kind: found '{each}', expected one of {', '.join(BULK)}{nearest(each, BULK)}")
    found = workspace.open()
    with reading(found.engine) as connection:
        experiment_id = find_experiment(connection, experiment)
    planned = eviction.evictable(found.engine, experiment_id, dict.fromkeys(kind), shared=shared)
    n_bytes = _size(planned.going)
    if not as_json:
        print(f"evict  {len(planned.going)} files, {in_bytes(n_bytes)}: {counts(_kinds(planned.going))}")
        others = sorted({name for each in planned.left["shared"] for name in each.shared_with})
        if others:
            print(
                f"left   {_described(planned.left['shared'])} shared with {', '.join(others)}; --shared takes them too"
            )
        if planned.left["needed"]:
            print(f"left   {_described(planned.left['needed'])} that jobs wait for")
    if not dry_run:
        _confirm(f"evict {in_bytes(n_bytes)}", yes, as_json)
        with Bars() as bars:
            step = bars.start("files", len(planned.going))
            n_bytes = eviction.evict(found.engine, found.store, planned.going, step)
    _tell(n_bytes, dry_run, as_json, {
        "experiment": experiment,
        "evicted": _kinds(planned.going),
        "left": {why: _kinds(files) for why, files in planned.left.items()},
    })  # fmt: skip


def delete(
    experiment: Annotated[str, typer.Argument(help="The experiment's name.")],
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete an experiment: its plan, and the results, jobs and files that no other experiment's plan has.

    Its MLflow runs stay. Submitting it again plans what is gone.

    Examples: sprachbund delete demo --dry-run; sprachbund delete demo --yes
    """
    found = workspace.open()
    with reading(found.engine) as connection:
        find_experiment(connection, experiment)
    arguments = (found.engine, found.store, experiment)
    planned = delete_experiment(*arguments, Silent().start, dry_run=True)
    if not as_json:
        print(f"delete {sum(planned.jobs.values())} jobs: {counts(planned.jobs)}")
        print(f"       {sum(planned.rows.values())} rows: {counts(planned.rows)}")
        print(f"       {planned.files.n_files} files, {in_bytes(planned.files.n_bytes)}")
        print(f"keep   {planned.kept} jobs that other experiments have too")
    if not dry_run:
        _confirm(f"delete experiment {experiment}", yes, as_json)
        with Bars() as bars:
            planned = delete_experiment(*arguments, bars.start, dry_run=False)
    _tell(planned.files.n_bytes, dry_run, as_json, asdict(planned))


def _size(files: Iterable[eviction.File]) -> int:
    return sum(each.n_bytes for each in files)


def _kinds(files: Iterable[eviction.File]) -> dict[str, int]:
    return dict(Counter(each.kind for each in files))


def _described(files: tuple[eviction.File, ...]) -> str:
    return f"{len(files)} files, {in_bytes(_size(files))},"


def _confirm(what: str, yes: bool, as_json: bool) -> None:
    """Go on if told so; WorkspaceError where nobody can be asked."""
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise WorkspaceError(f"nobody can be asked whether to {what}: say --yes, or --dry-run to look only")
    if not typer.confirm(f"{what}?"):
        print("nothing was done")
        raise typer.Exit(0)


def _tell(n_bytes: int, dry_run: bool, as_json: bool, details: dict[str, Any]) -> None:
    if as_json:
        print_json({**details, "dry_run": dry_run, "freed_bytes": n_bytes})
        return
    print(f"{'would free' if dry_run else 'freed'} {in_bytes(n_bytes)}")
