"""Objects made from text: an import path, and parameters as in a call."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from typing import Any

__all__ = ["is_import_path", "make_imported", "parse_params", "split_names"]

_PATH = re.compile(r"\s*(\w+(?:\.\w+)*):(\w+)\s*(?:\((.*)\))?\s*", re.DOTALL)


def is_import_path(text: str) -> bool:
    """Tell whether a name is an import path: short names have no colon."""
    return ":" in text


def make_imported(text: str, what: str, methods: tuple[str, ...]) -> Any:
    """Import a class and make an object of it.

    Parameters
    ----------
    text : str
        ``"module:Class"`` or ``"module:Class(name=value, ...)"``; values are literals.

    what : {"estimator", "setting"}
        What it is for, in messages.

    methods : tuple of str
        What the object must have.

    Returns
    -------
    made : object

    Raises
    ------
    ValueError
        If there is no such module or class, the class lacks a method, or it does not take the
        parameters.

    Examples
    --------
    >>> from sklearn_unlearn.benchmarks.methods._import_path import make_imported
    >>> path = "sklearn_unlearn.influence:InfluenceUnlearner"
    >>> make_imported(f"{path}(n_steps=1, tol=None)", "setting", ("unlearn",))
    InfluenceUnlearner(n_steps=1, tol=None)
    """
    parts = _PATH.fullmatch(text)
    if parts is None:
        raise ValueError(
            f"Got the {what} {text!r}; expected module:Class or module:Class(name=value, ...). "
            "Write, for instance, 'mypackage.rivals:GradientAscent(n_steps=20)'."
        )
    module, name, params = parts.groups()
    found = _class_at(module, name, what, methods)
    given = parse_params(params or "")
    try:
        return found(**given)
    except TypeError as error:
        raise ValueError(
            f"Got the {what} {text!r}; expected parameters that the class takes: {error}. Write "
            f"them in parentheses, as in '{module}:{name}(name=value)'."
        ) from None


_ADVICE = {
    "estimator": "Add them: ForgetMixin and RecommenderMixin of sklearn_unlearn.base give all but "
    "fit.",
    "setting": "Write a strategy with `unlearn(problem)`, or pass an estimator to --estimator.",
}


def _class_at(module: str, name: str, what: str, methods: tuple[str, ...]) -> type:
    """Import a class, and check that it has its methods."""
    found = _find(module, name, what)
    missing = [method for method in methods if not callable(getattr(found, method, None))]
    if not isinstance(found, type) or missing:
        lacks = f", which lacks {', '.join(missing)}" if missing else ", which is no class"
        raise ValueError(
            f"Got the {what} '{module}:{name}'{lacks}; expected a class with "
            f"{', '.join(methods)}. {_ADVICE[what]}"
        )
    return found


def _find(module: str, name: str, what: str) -> Any:
    try:
        holder = import_module(module)
    except ModuleNotFoundError as error:
        # A module that is there may itself import one that is not.
        absent = f"{module}.".startswith(f"{error.name}.")
        given = "was not found" if absent else f"needs {error.name!r}, which was not found"
        raise ValueError(
            f"Got the {what} '{module}:{name}', whose module {given}; expected a module that can "
            "be imported. Install it, or run the command in the folder that holds it."
        ) from None
    if not hasattr(holder, name):
        known = sorted(key for key, value in vars(holder).items() if isinstance(value, type))
        raise ValueError(
            f"Got the {what} '{module}:{name}', whose module has no such name; expected one of its "
            f"classes, {', '.join(known) or 'of which it has none'}. Correct it."
        )
    return getattr(holder, name)


def parse_params(text: str) -> dict[str, Any]:
    """Read keyword arguments; a bare word is text.

    Examples
    --------
    >>> from sklearn_unlearn.benchmarks.methods._import_path import parse_params
    >>> parse_params("n_factors=24, bias_regularization=(0.7, 8), loss=squared")
    {'n_factors': 24, 'bias_regularization': (0.7, 8), 'loss': 'squared'}
    """
    try:
        call = ast.parse(f"call({text})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError(text)
        return {str(word.arg): _literal(word.value) for word in call.keywords}
    except (SyntaxError, ValueError):
        raise ValueError(
            f"Got the parameters {text!r}; expected NAME=VALUE pairs separated by commas. Write, "
            "for instance, 'n_factors=24,regularization=10'."
        ) from None


def _literal(node: ast.expr) -> Any:
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)


def split_names(text: str) -> list[str]:
    """Split text at its commas, but for those in parentheses, brackets or quotes.

    Examples
    --------
    >>> from sklearn_unlearn.benchmarks.methods._import_path import split_names
    >>> split_names("default, rivals:Ascent(n_steps=5, shape=(2, 3)), tol=1e-2")
    ['default', 'rivals:Ascent(n_steps=5, shape=(2, 3))', 'tol=1e-2']
    """
    words, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character in "([{") - (character in ")]}")
        if character == "," and not depth and not quote:
            words.append("")
        else:
            words[-1] += character
    return [word.strip() for word in words if word.strip()]
