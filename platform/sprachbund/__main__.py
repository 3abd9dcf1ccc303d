"""The program `sprachbund`, also as `python -m sprachbund`."""

import os
import signal
from types import FrameType


def _leave(signum: int, frame: FrameType | None) -> None:
    # No exception: what is being imported might catch it, or print it. Nothing has been opened yet.
    os.write(2, b"sprachbund: interrupted: nothing was begun\n")
    os._exit(130)


def main() -> None:
    """Import the command line, which takes a while, and run it; Ctrl-C is one line and exit code 130 throughout."""
    before = signal.getsignal(signal.SIGINT)
    # Where it is ignored (a job in a shell's background) it stays so.
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    from sprachbund.cli.main import main as commands

    signal.signal(signal.SIGINT, before)
    commands()


if __name__ == "__main__":
    main()
