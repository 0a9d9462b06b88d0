"""The command ``light-splade``: the program itself, called through the extension module."""

import signal
import sys


def main() -> None:
    """Runs the program with the arguments of this process, and ends the process with the program's exit code."""
    # Until the program listens by itself, Ctrl-C ends the process as it ends any program.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ._native import run_command

    sys.exit(run_command(sys.argv))
