"""`sprachbund sync`, `ui`: the MLflow mirror."""

import signal
import time
from dataclasses import asdict
from typing import Annotated

import typer

from sprachbund import mirror, workspace
from sprachbund.cli.output import Json, print_json
from sprachbund.errors import WorkspaceError
from sprachbund.mirror.server import free_port, serving
from sprachbund.progress import Bars

Experiment = Annotated[str | None, typer.Argument(help="The experiment's name; default: all.")]


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    for command in (sync, ui):
        app.command()(command)


def sync(experiment: Experiment = None, as_json: Json = False) -> None:
    """Bring MLflow up to date with the database: what is new is appended, deleted runs are made again.

    Example: sprachbund sync
    """
    found = workspace.open()
    with Bars() as bars:
        done = mirror.sync(found.engine, found.config, experiment, bars)
    if as_json:
        print_json(asdict(done))
    else:
        print(_told(done))


def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 5000,
    host: Annotated[str, typer.Option(help="Address to listen on; the default is this machine only.")] = "127.0.0.1",
) -> None:
    """Sync, then show this workspace in MLflow's web interface until Ctrl-C.

    Example: sprachbund ui --port 5001
    """
    found = workspace.open()
    free_port(host, port)
    with Bars() as bars:
        print(_told(mirror.sync(found.engine, found.config, None, bars)))
    print("starting MLflow …", flush=True)
    # Ctrl-C is the way to end this, also where a shell made us ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with serving(found.config, host, port) as server:
            print(f"MLflow shows this workspace on http://{host}:{port} (Ctrl-C ends it)", flush=True)
            # Waking up now and then, for a signal may have gone to one of MLflow's threads.
            while server.poll() is None:
                time.sleep(0.2)
            raise WorkspaceError(f"MLflow's server ended by itself with code {server.returncode}")
    except KeyboardInterrupt:
        print("stopped")


def _told(done: mirror.Synced) -> str:
    if done.experiments == 0:
        return "no experiment was submitted yet: nothing to mirror"
    text = (
        f"{done.experiments} experiments: {done.created} runs made, {done.updated} updated, {done.unchanged} unchanged,"
        f" {done.points} metric values appended"
    )
    if done.retired:
        text += f", {done.retired} runs no longer planned"
    if done.elsewhere:
        text += f"; {done.elsewhere} runs are in another sync's hands"
    return text
