"""`sprachbund run`: a runner."""

import os
import re
from typing import Annotated

import typer

from sprachbund import workspace
from sprachbund.cli.output import in_bytes
from sprachbund.cli.plugin_option import Plugins, load_plugins
from sprachbund.errors import WorkspaceError, nearest
from sprachbund.progress import Bars
from sprachbund.vocabulary import KEEP, Keep


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(run)


def run(
    watch: Annotated[bool, typer.Option("--watch", help="Wait for new jobs instead of ending.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …; auto takes a GPU if there is one.")] = "auto",
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Padded tokens per batch; default: 1024 on CPU, 32768 on GPU.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all cores.")] = None,
    max_jobs: Annotated[int | None, typer.Option(min=1, help="End after so many jobs.")] = None,
    keep: Annotated[
        str | None, typer.Option(help="Which files stay: results or all; default: as sprachbund.toml says.")
    ] = None,
    plugin: Plugins = None,
    lease_ms: Annotated[int | None, typer.Option(min=100, hidden=True)] = None,
) -> None:
    """Work off the queue in this process. Ctrl-C gives unfinished jobs back; run again to go on.

    Embeddings and responses are given up once all jobs that need them are done, unless --keep all.

    Examples: sprachbund run; sprachbund run --watch --device cuda:0; sprachbund run --keep all
    """
    if keep is not None and keep not in KEEP:
        raise WorkspaceError(f"--keep: found '{keep}', expected {' or '.join(KEEP)}{nearest(keep, KEEP)}")
    load_plugins(plugin)
    work(workspace.open(), watch, device, max_tokens, threads, max_jobs, lease_ms, keep)


def work(
    found: workspace.Workspace,
    watch: bool = False,
    device: str = "auto",
    max_tokens: int | None = None,
    threads: int | None = None,
    max_jobs: int | None = None,
    lease_ms: int | None = None,
    keep: Keep | None = None,
) -> None:
    """Serve the queue with progress bars; WorkspaceError if a job failed, or if there is nothing to run with."""
    # Read when torch is loaded. Threads that spin while they wait starve neighbours on shared machines.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import torch

        from sprachbund_runners.worker import LEASE_MS, Options, Worker
    except ModuleNotFoundError as error:
        raise WorkspaceError(
            f"running jobs needs {error.name}: install `sprachbund[runner]` (queueing and querying do not)"
        ) from None
    options = Options(
        device=_device(device, torch.cuda.device_count()),
        max_tokens=max_tokens,
        watch=watch,
        max_jobs=max_jobs,
        lease_ms=lease_ms or LEASE_MS,
        keep=keep or found.config.keep,
    )
    if threads is not None:
        torch.set_num_threads(threads)
    with Bars() as bars:
        tally = Worker(found.engine, found.store, bars, options).run()
    print(f"{tally.done} jobs done, {tally.failed} failed" + (f", {tally.lost} leases lost" if tally.lost else ""))
    if tally.freed:
        print(f"{in_bytes(tally.freed)} of embeddings and responses given up: they are made again when they are needed")
    if tally.failed:
        raise WorkspaceError(
            f"{tally.failed} jobs failed, first: {tally.errors[0]}; see `sprachbund jobs --state failed`"
        )
    states = found.queue.counts()
    if states.get("failed"):
        print(
            f"{states['failed']} jobs failed earlier and hold up {states.get('blocked', 0)}: see `sprachbund jobs"
            " --state failed`; `sprachbund retry` queues them again"
        )


def _device(asked: str, n_cuda: int) -> str:
    """`cpu`, `cuda` or `cuda:N`, of which this machine has `n_cuda`; WorkspaceError for anything else."""
    if asked == "auto":
        return "cuda" if n_cuda else "cpu"
    matched = re.fullmatch(r"cpu|cuda(?::(\d+))?", asked)
    if matched is None:
        raise WorkspaceError(f"--device: found '{asked}'; expected auto, cpu, cuda or cuda:N")
    if asked != "cpu" and int(matched[1] or 0) >= n_cuda:
        raise WorkspaceError(f"--device: found '{asked}', but torch sees {n_cuda or 'no'} CUDA devices on this machine")
    return asked
