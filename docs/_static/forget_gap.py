"""The figure of the README: ``python docs/_static/forget_gap.py`` draws it anew.

It shows the numbers of the example ``examples/basics/plot_forget_user.py``, which asserts them.
"""

import runpy
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[2]
FIGURE = Path(__file__).with_suffix(".svg")


def draw(tolerances, gaps, floor):
    """Draw how much of a user is left, over the tolerance that was asked for."""
    plt.style.use("seaborn-v0_8-colorblind")
    # The same numbers give the same bytes.
    plt.rcParams.update({"svg.hashsalt": "", "path.simplify": True, "font.size": 11})
    figure, axes = plt.subplots(figsize=(7, 3.3), layout="constrained")
    axes.axhline(1, color="C2", label="doing nothing")
    axes.loglog(tolerances, gaps, "o-", color="C0", label="forget")
    axes.axhline(floor, color="0.35", linestyle="--", label="a refit from another seed")
    axes.axvline(1e-3, color="0.85", zorder=0)
    axes.annotate("default", (1e-3, floor * 1.8), (6, 0), textcoords="offset points", color="0.35")
    axes.set_ylim(floor / 3, 40)
    axes.set_xlabel("tolerance that forget is asked for")
    axes.set_ylabel("difference from a refit\n(share of the user's effect)")
    axes.legend(loc="upper left", ncols=3, frameon=False)
    figure.savefig(FIGURE, facecolor="white", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    matplotlib.pyplot.show = lambda *args: plt.close("all")
    found = runpy.run_path(str(ROOT / "examples" / "basics" / "plot_forget_user.py"))
    draw(found["tolerances"], found["gaps"], found["floor"])
    print(FIGURE)
