"""Peaks of memory, in the process and as the system counts them."""

import numpy as np
import pytest

from sklearn_unlearn.benchmarks.measure import _memory
from sklearn_unlearn.benchmarks.measure._memory import PeakMemory

MEGABYTE = 1 << 20


def hold(megabytes):
    return np.ones(megabytes * MEGABYTE, np.uint8)


def test_the_peak_counts_though_it_is_gone():
    earlier = hold(200)
    del earlier
    with PeakMemory() as memory:
        hold(64)
        kept = hold(16)
    assert memory.exact == _memory._forget_peak()
    if memory.exact:
        assert 63 <= memory.bytes / MEGABYTE <= 72
    assert len(kept)


def test_what_was_there_before_does_not_count():
    kept = hold(64)
    with PeakMemory() as memory:
        kept[::4096].sum()
    assert memory.bytes <= 4 * MEGABYTE


def test_without_a_fresh_start_only_a_new_peak_counts(monkeypatch):
    peaks = iter([500, 500, 500, 730])
    monkeypatch.setattr(_memory, "_forget_peak", lambda: False)
    monkeypatch.setattr(_memory, "_peak", lambda: next(peaks))
    for expected in (0, 230):
        with PeakMemory() as memory:
            pass
        assert memory.bytes == expected and not memory.exact


def test_a_system_without_its_own_account(monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(_memory, "_status", lambda name: None)
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert _memory._peak() >= highest * (1 if _memory.sys.platform == "darwin" else 1024)
    assert not _memory._forget_peak()
