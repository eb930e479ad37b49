"""The figure of the first page: what forgetting changes against what a refit changes."""

from pathlib import Path

import numpy as np

# Text, axes, the user who is forgotten, everybody else.
SIDES = {
    "light": ("#24292f", "#c4ccd6", "#c2410c", "#0a5c7d"),
    "dark": ("#e6edf3", "#56657a", "#ff9e64", "#6cc5e8"),
}


def changes():
    """Return the changes of scores by forgetting and by a refit, and the share that is left."""
    from sklearn_unlearn import MatrixFactorization
    from sklearn_unlearn.datasets import make_interactions
    from sklearn_unlearn.metrics import remaining_gap

    X = make_interactions(150, 80, random_state=0)
    rest = X.tolil()
    rest[1] = 0
    before, forgot = (MatrixFactorization(16, regularization=4.0, random_state=0) for _ in "ab")
    before.fit(X)
    forgot.fit(X).forget(users=[1])
    refit = MatrixFactorization(16, regularization=4.0, random_state=7).fit(rest.tocsr())
    pairs = np.argwhere(np.ones(X.shape))
    start = before.predict_pairs(pairs)
    left = remaining_gap(before, forgot, refit)
    assert left < 1e-2, left  # what the figure claims
    forget, again = (model.predict_pairs(pairs) - start for model in (forgot, refit))
    return forget.reshape(X.shape), again.reshape(X.shape), left


def draw(side, forgot, refit, left, path):
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    ink, faint, user, others = SIDES[side]
    look = {"text.color": ink, "axes.labelcolor": ink, "xtick.color": ink, "ytick.color": ink}
    with rc_context({**look, "axes.edgecolor": faint, "font.size": 11}):
        figure = Figure(figsize=(5.2, 4.4), layout="constrained")
        axes = figure.subplots()
        ends = [min(refit.min(), forgot.min()), max(refit.max(), forgot.max())]
        axes.plot(ends, ends, color=faint, linewidth=1.5, zorder=1)
        rest = np.arange(len(refit)) != 1
        for rows, colour, label in ((rest, others, "everybody else"), (~rest, user, "user 1")):
            axes.scatter(refit[rows], forgot[rows], s=11, color=colour, linewidths=0, label=label)
        axes.legend(loc="upper left", frameon=False, markerscale=2, title="scores of")
        axes.set_xlabel("change of a score by a refit without user 1")
        axes.set_ylabel("change by forget(users=[1])")
        axes.set_title(f"{left:.2%} of the effect is left; the line is the refit", fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, transparent=True, dpi=160)


def write(app):
    folder = Path(app.srcdir, "_static", "generated")
    paths = {side: folder / f"landing-{side}.png" for side in SIDES}
    source = Path(__file__).stat().st_mtime
    if all(path.exists() and path.stat().st_mtime > source for path in paths.values()):
        return
    folder.mkdir(exist_ok=True)
    figures = changes()
    for side, path in paths.items():
        draw(side, *figures, path)


def setup(app):
    app.connect("builder-inited", write, priority=20)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
