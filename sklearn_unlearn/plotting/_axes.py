"""Axes, colours and legends that the figures share."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Colours of Okabe and Ito (2008), which all can tell apart; each comes with a marker of its own.
#: Vermilion is doing nothing, in all figures.
BLUE, VERMILION = "#0072B2", "#D55E00"
STYLES = (
    (BLUE, "o"),
    ("#E69F00", "D"),
    ("#009E73", "^"),
    ("#CC79A7", "v"),
    ("#56B4E9", "s"),
    ("#000000", "X"),
    # The colours again, with other markers: twelve ways that are told apart.
    (BLUE, "P"),
    ("#E69F00", "<"),
    ("#009E73", ">"),
    ("#CC79A7", "*"),
    ("#56B4E9", "p"),
    ("#000000", "h"),
)
GREY = "0.35"
#: Gaps below this are drawn here: a logarithmic axis has no zero.
LEAST = 1e-12
GAP_LABEL = "difference from a refit (share of the request's effect)"
NOTHING, REFITS = "doing nothing", "another refit"


def new_axes(ax: Any, size: tuple[float, float]) -> Any:
    """Return `ax`, or the axes of a new figure of `size` inches."""
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "matplotlib is not installed; expected it for a figure. Install the extra 'plot'."
        ) from error
    return plt.subplots(figsize=size, layout="constrained")[1]


def legend_above(ax: Any) -> Any:
    """Put the legend over the axes, where it covers no data."""
    return ax.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, frameon=False, handletextpad=0.4
    )


def whole_decades(ax: Any) -> None:
    """Let a logarithmic x axis end at powers of ten, so that their labels do not run together."""
    low, high = np.log10(ax.get_xlim())
    ax.set_xlim(10.0 ** np.floor(low), 10.0 ** np.ceil(high))
    ax.tick_params(axis="x", which="minor", labelbottom=False)


def drawn(values: Any) -> Any:
    """Return gaps as a logarithmic axis can show them."""
    return np.maximum(np.asarray(values, dtype=np.float64), LEAST)
