"""`sprachbund run`: a runner."""

from typing import Annotated

import typer

from sprachbund import workspace
from sprachbund.errors import WorkspaceError
from sprachbund.progress import Bars


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
) -> None:
    """Work off the queue in this process. Ctrl-C gives unfinished jobs back; run again to go on.

    Examples: sprachbund run; sprachbund run --watch --device cuda:0
    """
    work(workspace.open(), watch, device, max_tokens, threads, max_jobs)


def work(
    found: workspace.Workspace,
    watch: bool = False,
    device: str = "auto",
    max_tokens: int | None = None,
    threads: int | None = None,
    max_jobs: int | None = None,
) -> None:
    """Serve the queue with progress bars; WorkspaceError if a job failed, or if there is nothing to run with."""
    try:
        import torch

        from sprachbund_runners.worker import Options, Worker
    except ModuleNotFoundError as error:
        raise WorkspaceError(
            f"running jobs needs {error.name}: install `sprachbund[runner]` (queueing and querying do not)"
        ) from None
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        parsed = torch.device(device)
    except RuntimeError:
        raise WorkspaceError(f"--device: found '{device}'; expected auto, cpu, cuda or cuda:N") from None
    if parsed.type == "cuda" and not torch.cuda.is_available():
        raise WorkspaceError(f"--device {device}: this machine shows no CUDA device to torch")
    if threads is not None:
        torch.set_num_threads(threads)
    with Bars() as bars:
        options = Options(device=device, max_tokens=max_tokens, watch=watch, max_jobs=max_jobs)
        tally = Worker(found.engine, found.store, bars, options).run()
    print(f"{tally.done} jobs done, {tally.failed} failed" + (f", {tally.lost} leases lost" if tally.lost else ""))
    if tally.failed:
        raise WorkspaceError(
            f"{tally.failed} jobs failed, first: {tally.errors[0]}; see `sprachbund jobs --state failed`"
        )
