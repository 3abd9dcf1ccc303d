"""MLflow's own web interface on a workspace."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import IO

from sprachbund.config import Config, hide_password
from sprachbund.errors import WorkspaceError
from sprachbund.mirror.backend import artifacts_folder, is_database, prepare_environment

START_S = 120
STOP_S = 10


def free_port(host: str, port: int) -> None:
    """Raises WorkspaceError where nothing can listen on `host` and `port`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server does: an old connection that is still closing is no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = f"{error.strerror or error}".lower()
        raise WorkspaceError(
            f"port {port} on {host} cannot be used ({reason}): choose another one, `sprachbund ui --port {port + 1}`"
        ) from None


def command(host: str, port: int) -> list[str]:
    """The arguments that start MLflow's server with one worker."""
    return [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]


@contextmanager
def serving(config: Config, host: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A running MLflow server on this workspace's tracking database, stopped at the end with all it started.

    Yields once it answers on http://host:port.

    Raises:
        WorkspaceError: mlflow is missing, the port is taken, the workspace's mirror is a server already, or the
            server ended by itself.
    """
    if not is_database(config.mlflow_tracking_uri):
        raise WorkspaceError(
            f"this workspace's MLflow is a server already, {hide_password(config.mlflow_tracking_uri)}: open it there"
        )
    if find_spec("mlflow") is None:
        raise WorkspaceError("MLflow's interface needs mlflow: install `sprachbund[mlflow]`")
    free_port(host, port)
    prepare_environment()
    artifacts = artifacts_folder(config).as_uri()
    environment = {
        **os.environ,
        # By environment, since a URL may hold a password and every user can list a command's arguments.
        "MLFLOW_BACKEND_STORE_URI": config.mlflow_tracking_uri,
        "MLFLOW_ARTIFACTS_DESTINATION": artifacts,
    }
    with tempfile.TemporaryFile() as said:
        server = subprocess.Popen(
            command(host, port),
            env=environment,
            cwd=config.root,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            # Ctrl-C reaches only us, and we stop it as a whole.
            start_new_session=True,
        )
        try:
            _await(server, host, port, said)
            yield server
        finally:
            _stop(server)


def _await(server: "subprocess.Popen[bytes]", host: str, port: int, said: IO[bytes]) -> None:
    shown = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host
    address = f"[{shown}]" if ":" in shown else shown
    # Through no proxy: this is our own machine.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            said.seek(0)
            lines = said.read().decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
            raise WorkspaceError(f"MLflow's server ended with code {server.returncode}: {hide_password(lines[-1])}")
        try:
            with direct.open(f"http://{address}:{port}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise WorkspaceError(f"MLflow's server does not answer on {address}:{port} after {START_S} s")


def _stop(server: "subprocess.Popen[bytes]") -> None:
    """End the server and what it started: kindly first, then by force."""
    for wish in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, wish)
        except ProcessLookupError:
            break
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            continue
    server.wait()
