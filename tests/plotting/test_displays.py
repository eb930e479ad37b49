"""Figures show the numbers, say what they are, and put no legend over them."""

import copy
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.base import clone

from sklearn_unlearn import ALS, EASE, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import RefitUnlearner, SweepUnlearner
from sklearn_unlearn.metrics import ForgetGap, GapGroup, forget_gap, seed_test
from sklearn_unlearn.model_selection import sample_forget_set
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.plotting import (
    ForgetGapDisplay,
    ForgetTradeoffDisplay,
    SeedTestDisplay,
    SequentialForgetDisplay,
)
from sklearn_unlearn.preprocessing import InteractionEncoder

X = make_interactions(60, 40, random_state=0)
MODEL = MatrixFactorization(8, regularization=3.0, random_state=0).fit(X)
REFIT, OTHER = (
    copy.deepcopy(MODEL).set_params(unlearner=RefitUnlearner(start_seed=seed)).forget(users=[7])
    for seed in (0, 1)
)
SWEEP = SweepUnlearner(n_sweeps=2, tol=None)


def axes():
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.subplots()


def points(line):
    return np.column_stack([np.asarray(part, float) for part in line.get_data()])


def check_readable(display):
    """Axes are labelled, and the legend and all texts are on the figure and off the data."""
    display.figure_.canvas.draw()
    ax, legend = display.ax_, display.ax_.get_legend()
    assert "(" in ax.get_xlabel() or "(" in ax.get_ylabel()
    inside = ax.get_window_extent()
    told = legend.get_window_extent()
    assert not inside.padded(-1).overlaps(told)
    whole = display.figure_.bbox.padded(1)
    labels = [label for label in (ax.xaxis.label, ax.yaxis.label) if label.get_text()]
    for box in (told, *(label.get_window_extent() for label in labels)):
        assert whole.x0 <= box.x0 <= box.x1 <= whole.x1
        assert whole.y0 <= box.y0 <= box.y1 <= whole.y1
    # All points are within the axes.
    for line in display.ax_.get_lines():
        if line.get_transform() == ax.transData:
            place = ax.transData.transform(points(line))
            assert all(inside.padded(1).contains(*xy) for xy in place)


def test_gaps_are_where_the_numbers_are():
    found = forget_gap(MODEL, users=[7], refit=REFIT, other_refit=OTHER)
    ax = axes()
    display = ForgetGapDisplay.from_estimator(
        MODEL, users=[7], refit=REFIT, other_refit=OTHER, ax=ax
    )
    assert display.ax_ is ax and display.figure_ is ax.figure
    groups = list(found.groups.values())
    rows = [0, 1, 2]
    np.testing.assert_allclose(
        points(display.lines_["forgotten"]), np.column_stack([[g.gap for g in groups], rows])
    )
    np.testing.assert_allclose(
        points(display.lines_["floor"]), np.column_stack([[g.floor for g in groups], rows])
    )
    assert display.lines_["nothing"].get_xdata()[0] == 1.0
    assert [text.get_text() for text in ax.texts] == [f"{g.gap:.1e}" for g in groups]
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels == ["affected users and items", "users who share an item", "all pairs"]
    check_readable(display)


def test_gaps_of_scores_and_of_zero():
    S, R = (
        model.predict_pairs(np.argwhere(np.ones((60, 40)))).reshape(60, 40)
        for model in (MODEL, REFIT)
    )
    display = ForgetGapDisplay.from_predictions(S, R, R, users=[7], X=X, ax=axes())
    assert [group.gap for group in display.gap.groups.values()] == [0.0] * 3
    assert np.all(points(display.lines_["forgotten"])[:, 0] == 1e-12)
    assert display.ax_.texts[0].get_text() == "0.0e+00"
    assert "floor" not in display.lines_
    check_readable(display)


def test_tradeoff_measures_each_way():
    ways = {"Newton": "influence", "sweeps": SWEEP}
    display = ForgetTradeoffDisplay.from_estimator(
        MODEL, ways, users=[7], other_refit=OTHER, ax=axes()
    )
    for name, unlearner in ways.items():
        after = copy.deepcopy(MODEL).set_params(unlearner=unlearner).forget(users=[7])
        expected = forget_gap(MODEL, users=[7], after=after).groups["affected"].gap
        [(seconds, gap)] = points(display.lines_[name])
        assert gap == pytest.approx(expected, rel=1e-6) and seconds > 0
    assert display.lines_["refit"].get_xdata()[0] == display.refit_seconds > 0
    assert display.lines_["floor"].get_ydata()[0] == display.floor
    assert "unlearner" not in repr(MODEL)  # is not changed
    check_readable(display)
    with pytest.raises(ValueError, match=r"group='pairs'; expected one of \['affected'"):
        ForgetTradeoffDisplay.from_estimator(MODEL, ways, users=[7], group="pairs")


def test_pipelines_are_drawn_in_ids():
    rows, columns = np.nonzero(X.toarray())
    events = np.column_stack([rows + 100, columns, X.toarray()[rows, columns].astype(int)])
    encoder = InteractionEncoder(value="value")
    pipeline = make_recommender_pipeline(encoder, clone(MODEL)).fit(events)
    ways = {"Newton": "influence", "sweeps": SWEEP}
    drawn = ForgetTradeoffDisplay.from_estimator(pipeline, ways, users=[107], ax=axes())
    expected = ForgetTradeoffDisplay.from_estimator(MODEL, ways, users=[7], ax=axes())
    np.testing.assert_allclose(drawn.gaps, expected.gaps, rtol=1e-6)
    gaps = ForgetGapDisplay.from_estimator(pipeline, users=[107], ax=axes()).gap
    assert gaps.groups["affected"].gap == pytest.approx(expected.gaps[0], rel=1e-6)
    requests = [{"users": [107]}, {"users": [103]}]
    sequence = SequentialForgetDisplay.from_estimator(pipeline, requests, n_refits=2, ax=axes())
    by_position = [{"users": [7]}, {"users": [3]}]
    same = SequentialForgetDisplay.from_estimator(MODEL, by_position, n_refits=2, ax=axes())
    np.testing.assert_allclose(sequence.gaps, same.gaps, rtol=1e-6)


def test_tradeoff_of_many_ways_tells_them_apart():
    names = [f"method {number}" for number in range(6)]
    display = ForgetTradeoffDisplay.from_predictions(
        names, np.logspace(-6, 0, 6), np.logspace(-3, 1, 6), refit_seconds=3.0, floor=1e-5,
        ax=axes(),
    )  # fmt: skip
    lines = [display.lines_[name] for name in names]
    assert (
        len({line.get_color() for line in lines}) == len({one.get_marker() for one in lines}) == 6
    )
    assert display.lines_["nothing"].get_color() not in {line.get_color() for line in lines}
    check_readable(display)


@pytest.mark.parametrize(
    ("model", "data"),
    [(MODEL, X), (EASE().fit(abs(X)), abs(X))],
    ids=["MatrixFactorization", "EASE"],
)
def test_sequence_is_compared_with_refits(model, data):
    requests = sample_forget_set(data, "pairs", 30, random_state=0).batches(10)
    requests[3] = {"users": np.array([5])}
    display = SequentialForgetDisplay.from_estimator(model, requests, ax=axes())
    assert display.n_requests == [3, 5, 8, 10]
    after = copy.deepcopy(model)
    for request in requests[:5]:
        after.forget(**request)
    pairs = np.concatenate([one["interactions"] for one in (*requests[:3], requests[4])])
    expected = forget_gap(model, pairs, users=[5], after=after).groups["affected"].gap
    assert display.gaps[1] == pytest.approx(expected, rel=1e-6, abs=1e-12)
    shown = points(display.lines_["forgotten"])
    np.testing.assert_array_equal(shown[:, 0], display.n_requests)
    np.testing.assert_array_equal(shown[:, 1], np.maximum(display.gaps, 1e-12))
    assert max(display.gaps) < 0.02
    check_readable(display)
    assert not hasattr(model, "forget_report_")


def test_sequence_from_elsewhere():
    display = SequentialForgetDisplay.from_predictions(
        [1, 2, 4], [0.1, 0.2, 0.3], [0.01, 0.02, 0.01], ax=axes()
    )
    np.testing.assert_array_equal(points(display.lines_["floor"])[:, 1], [0.01, 0.02, 0.01])
    check_readable(display)


def test_seed_test_is_drawn_with_its_verdict():
    data = make_interactions(40, 30, feedback="implicit", random_state=0)
    model = ALS(4, alpha=10.0, regularization=2.0, n_sweeps=3, max_iter=0)
    options = {"n_seeds": 4, "forget": lambda model, request: model}
    pairs = np.argwhere(data.toarray())[::20]
    display = SeedTestDisplay.from_estimator(model, data, pairs, ax=axes(), **options)
    assert display.result.verdict == seed_test(model, data, pairs, **options).verdict
    assert display.result.verdict in " ".join(display.ax_.get_xlabel().split())
    check_readable(display)


GAP = ForgetGap({"all": GapGroup(0.5)}, 3)
MADE = [
    ForgetGapDisplay(GAP),
    ForgetTradeoffDisplay(["a"], [0.1], [1.0]),
    SequentialForgetDisplay([1], [0.1]),
    SeedTestDisplay(None),
]


@pytest.mark.parametrize("display", MADE, ids=lambda one: type(one).__name__)
def test_without_matplotlib_it_says_what_to_do(display, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"not installed; expected .* Install the extra 'plot'"):
        display.plot()


@pytest.mark.parametrize("display", MADE[:3], ids=lambda one: type(one).__name__)
def test_a_figure_is_made_where_none_is_given(display):
    import matplotlib.pyplot as plt

    assert display.plot() is display
    assert display.figure_.number in plt.get_fignums()
    check_readable(display)
    plt.close(display.figure_)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ForgetTradeoffDisplay(["a"], [0.1, 0.2], [1.0]), r"lengths \(1, 2, 1\); expected"),
        (lambda: ForgetTradeoffDisplay([], [], []), "at least one"),
        (lambda: ForgetTradeoffDisplay(["a"], [0.1], [0.0]), "seconds has 0.0; expected positive"),
        (lambda: SequentialForgetDisplay([1], [0.1, 0.2]), "lengths 1 and 2; expected"),
        (
            lambda: SequentialForgetDisplay.from_estimator(MODEL, [{"users": [1]}]),
            "n_refits=4 and there are 1 requests",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
