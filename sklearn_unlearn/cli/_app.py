"""The application: its commands, and how errors become exit codes."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

from sklearn_unlearn.audit._errors import StaleModelError, StoreError
from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.utils._command import BAD_INPUT

__all__ = ["run"]

# What bad input raises; anything else is a fault of the program.
_BAD_INPUT = (
    *(ValueError, TypeError, LookupError, OSError, ImportError, ArithmeticError),
    *(StoreError, StaleModelError),
)
# What advice for who writes Python is at a prompt.
_COMMANDS_FOR = {"replay()": "replay", "pending()": "status", "generate_key": "key"}
_KNOWN = "expected ids that the model was fitted on and has not forgotten. Check them."


def run(argv: list[str]) -> int:
    """Run a command; errors that bad input raises are one line on standard error."""
    try:
        app = _make_app()
    except ImportError as error:
        print(f"sklearn-unlearn: {error}", file=sys.stderr)
        return BAD_INPUT
    try:
        app(args=argv, prog_name="sklearn-unlearn")
    except SystemExit as stop:  # how typer ends, whatever it did
        return stop.code if isinstance(stop.code, int) else 0
    except BrokenPipeError:
        raise
    except _BAD_INPUT as error:
        text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
        if isinstance(error, UnknownInteractionError):  # its advice is for who writes Python
            text = f"{text.split('; expected')[0]}; {_KNOWN}"
        for call, command in _COMMANDS_FOR.items():
            text = text.replace(call, f"`sklearn-unlearn {command}`")
        print(f"sklearn-unlearn: error: {text}", file=sys.stderr)
        return BAD_INPUT
    return 0


def _make_app() -> Any:
    """Put the commands together; they need packages that not everybody installs."""
    try:
        import typer
    except ImportError:
        raise ImportError(
            "the package typer is not installed; expected it for all commands but demo. Install "
            'what they need by pip install "sklearn-unlearn[audit]".'
        ) from None
    from sklearn_unlearn.cli import _models, _proofs, _queue

    app = typer.Typer(
        name="sklearn-unlearn",
        help="Recommenders that forget: fit, serve, delete, prove.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def _shown_warnings() -> None:
        warnings.showwarning = _show_warning

    for module in (_models, _queue, _proofs):
        for command in module.COMMANDS:
            app.command(command.__name__.removesuffix("_"))(_with_code(command))
    app.command("demo", help="Fit, forget, refit and compare; see `demo --help`.")(_demo)
    return app


def _with_code(command: Callable[..., int | None]) -> Callable[..., None]:
    """Let a command end the process with the code that it returns."""

    @wraps(command)
    def run_it(*args: Any, **kwargs: Any) -> None:
        code = command(*args, **kwargs)
        if code:
            raise SystemExit(code)

    return run_it


def _demo() -> None:  # for the list of commands: `main` calls the demo before
    raise AssertionError


def _show_warning(message: object, *_: object, **__: object) -> None:
    print(f"sklearn-unlearn: warning: {message}", file=sys.stderr)
