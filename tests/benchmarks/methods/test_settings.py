"""Names into strategies."""

import pytest

from sklearn_unlearn.benchmarks.methods._settings import SETTINGS, make_settings


def test_settings():
    made = make_settings([*SETTINGS, "tol=0.5"])
    assert made.pop("default") is None  # the model chooses
    assert [(s.n_steps, s.tol) for s in made.values()] == [
        (10, 1e-2),
        (1, None),
        (10, 0.5),
    ]
    swept = make_settings(["touched", "touched x2"]).values()
    assert [(s.scope, s.n_sweeps, s.tol) for s in swept] == [
        ("touched", 1, None),
        ("touched", 2, None),
    ]
    for name in ("", "tol=2", "tol=", "ifru", "touched x0", "touched 2"):
        with pytest.raises(ValueError, match=r"Got the setting .*; expected 'default'.*Choose"):
            make_settings([name])
