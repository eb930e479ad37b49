"""What command lines share: exit codes, output files, and the end of the process."""

from __future__ import annotations

import atexit
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import NoReturn

__all__ = [
    "BAD_INPUT",
    "FAILED",
    "INTERRUPTED",
    "NOT_VERIFIED",
    "NO_READER",
    "VERIFIED",
    "check_output",
    "run_command",
]

VERIFIED, NOT_VERIFIED, BAD_INPUT, FAILED = 0, 1, 2, 3
# What shells report of a command that SIGINT or SIGPIPE ended.
INTERRUPTED, NO_READER = 130, 141


def check_output(path: Path | None, flag: str) -> None:
    """Refuse a file that cannot be written, by opening it, before any work is done.

    Parameters
    ----------
    path : Path or None
        Where results will go. What is there stays as it is, and nothing new stays.

    flag : str
        The option that names it, for the message.

    Raises
    ------
    ValueError
        If it cannot be opened for writing.
    """
    if path is None:
        return
    try:
        there = path.exists() or path.is_symlink()
        path.open("a", encoding="utf-8").close()
    except OSError as error:
        raise ValueError(
            f"Got {flag} '{path}', which cannot be written ({error.strerror}); expected a file in "
            "a folder that exists. Make the folder, or choose another place."
        ) from error
    if not there:
        path.unlink()


def run_command(module: str) -> NoReturn:
    """Import a module, run its ``main``, and end the process with the code that it returns.

    Ctrl-C ends with one line and code 130, also while modules are still being imported; a reader of
    the output that went away, as ``| head`` does, with code 141. An error that nobody foresaw has
    its traceback and code 3: Python's own code for it, 1, means "not verified".

    The process ends without the destructors of C++ libraries. pyarrow, for one, keeps a pool of
    threads, and destroying a thread that has not been joined calls ``std::terminate``: on a busy
    machine that aborted a few runs which had done their work. Functions registered with `atexit`
    are called.
    """
    try:
        code = import_module(module).main()
        sys.stdout.flush()
    except SystemExit as stop:  # of argparse
        code = stop.code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = INTERRUPTED
    except BrokenPipeError:
        code = NO_READER
    except BaseException:
        traceback.print_exc()
        code = FAILED
    _end(code if isinstance(code, int) else 0 if code is None else FAILED)


def _end(code: int) -> NoReturn:
    for finish in (atexit._run_exitfuncs, sys.stdout.flush, sys.stderr.flush):
        try:
            finish()
        except BrokenPipeError:
            code = NO_READER
        except KeyboardInterrupt:
            code = INTERRUPTED
    os._exit(code)
