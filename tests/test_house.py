"""The figures of the structure stay where they are."""

import pytest

from tests import house

MOST = {"MatrixFactorization": 27, "ALS": 31, "BPR": 30, "LightGCN": 30, "EASE": 14}


@pytest.mark.parametrize("name", MOST)
def test_a_request_enters_few_files(name):
    files = house.files_entered(name)
    assert {"base.py", "interactions.py"} < files
    assert len(files) <= MOST[name], sorted(files)


def test_few_classes_carry_a_result():
    assert house.result_classes() == {"NewtonResult", "Progress", "ForgetOutcome"}


def test_nothing_above_the_objectives_decides_by_their_class():
    assert house.decisions_by_class() == set()


def test_every_figure_is_printed():
    assert set(house.figures()) >= {"circles", "classes that carry a result"}
