"""The command ``sklearn-unlearn``: models, deletion requests and their proofs, for scripts."""

from __future__ import annotations

import sys

from sklearn_unlearn.utils._command import run_command

__all__ = ["COMMANDS", "entry_point", "main"]

#: Names of the commands.
COMMANDS = (
    *("fit", "recommend", "forget", "key", "submit", "status", "cancel", "flush", "replay"),
    *("verify", "ledger", "certify", "residue", "demo"),
)


def entry_point() -> None:
    """Run the command of the process, and end the process with its exit code."""
    run_command("sklearn_unlearn.cli")


def main(argv: list[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; those of the process if None.

    Returns
    -------
    code : int
        0: done. 1: what was asked to hold does not, such as a ledger that was edited. 2: the input
        cannot be used. 3: a failure of the program.
    """
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["demo"]:  # needs none of the packages that the other commands do
        from sklearn_unlearn.demo import main as demo

        return demo(argv[1:])
    from sklearn_unlearn.cli._app import run

    return run(argv)
