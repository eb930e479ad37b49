"""Fits and requests give what they gave before: factors, and what reports say."""

import copy
import json
import warnings

import pytest

from tests import golden

RECORD = json.loads(golden.FILE.read_text(encoding="utf-8"))
CASES = {name: case for name, *case in golden.cases() if name in RECORD}


def test_every_case_of_the_record_is_run():
    assert CASES.keys() == RECORD.keys()


@pytest.mark.parametrize("name", RECORD)
def test_results_are_those_of_the_record(name):
    estimator, X, fit_params = CASES[name]
    states = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = copy.deepcopy(estimator).fit(X, **(fit_params or {}))
        states.append(golden.summary(model))
        for request in golden.requests_of(X)[: len(RECORD[name]) - 1]:
            states.append(golden.summary(model.forget(**request)))
    now = json.loads(json.dumps([golden.digest(state) for state in states]))
    # Single precision, and the number of steps that rounding decides, move tables by so much.
    rtol = 1e-3 if "; f4;" in name else 1e-5
    assert not [*golden.differences(RECORD[name], now, rtol, rtol)]
