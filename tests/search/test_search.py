"""Random problems over all families: no foreign error, no saddle, no broken promise."""

import numpy as np
import pytest

from tests.search.problems import FAMILIES, make_problem
from tests.search.verdict import judge

N_PROBLEMS, N_PARTS = 5500, 55


def search(seeds):
    verdicts = [judge(make_problem(seed)) for seed in seeds]
    findings = [finding for verdict in verdicts for finding in verdict.findings]
    return findings, sum(v.n_requests for v in verdicts), sum(v.n_eligible for v in verdicts)


def test_a_few_problems_of_every_family_hold_their_promises():
    findings, n_requests, n_eligible = search(range(2 * len(FAMILIES)))
    assert not findings, "\n".join(findings)
    assert n_eligible > n_requests / 10


@pytest.mark.slow
@pytest.mark.parametrize("part", range(N_PARTS))
def test_no_problem_breaks_a_promise(part):
    seeds = np.arange(part, N_PROBLEMS, N_PARTS)
    findings, _, n_eligible = search(seeds)
    assert not findings, "\n".join(findings)
    assert n_eligible
