"""Canonical JSON: one text for each value, so that a signature or a hash is over one text."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["canonical_json", "parse_json"]


def canonical_json(value: Any) -> str:
    r"""Return the one text of a value: keys sorted, no spaces, ASCII, no NaN.

    Examples
    --------
    >>> from sklearn_unlearn.audit._canonical import canonical_json
    >>> canonical_json({"b": 1.0, "a": [None, "é"]})
    '{"a":[null,"\\u00e9"],"b":1.0}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def parse_json(text: str | bytes, longest: int) -> Any:
    """Read JSON; refuse what is long, repeats a key, holds NaN, or is nested deep.

    Parameters
    ----------
    text : str or bytes
        The text, in UTF-8.

    longest : int
        The most bytes that are read.

    Returns
    -------
    value : object
        What it says.

    Raises
    ------
    ValueError
        With a short reason that holds nothing of the text.

    Examples
    --------
    >>> from sklearn_unlearn.audit._canonical import parse_json
    >>> parse_json('{"a": 1, "a": 2}', 100)
    Traceback (most recent call last):
    ...
    ValueError: a key is repeated
    """
    if len(text) > longest:
        raise ValueError(f"it is longer than {longest} bytes")
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise ValueError("it is no UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON from character {error.pos} on") from None
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is repeated")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError("a number is NaN or infinite")
