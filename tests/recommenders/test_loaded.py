"""What a file holds is checked when it is loaded, and what a model holds passes."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_unlearn import ALS, EASE, ItemKNN
from sklearn_unlearn.interactions import Interactions
from tests.malformed import DENSE, FILES, crafted, fitted_models, through_file

N_FILES = 200


@pytest.fixture(scope="module")
def models():
    return fitted_models()


@pytest.mark.parametrize("first", range(0, N_FILES, 20))
def test_a_crafted_pickle_is_refused_in_three_parts(models, first):
    for seed in range(first, first + 20):
        model, what = crafted(models, seed)
        with pytest.raises(
            ValueError, match=r"the loaded .* (is|are) damaged: .*; expected .*\. L"
        ):
            through_file(model, "pickle", None)
            pytest.fail(what)


@pytest.mark.parametrize("how", FILES)
def test_what_a_fit_leaves_is_loaded_and_forgets(models, how, tmp_path):
    for name, model in models.items():
        loaded = through_file(model, how, tmp_path)
        users = [1]
        items, scores = (
            loaded.recommend(users=users, n_items=3),
            model.recommend(users=users, n_items=3),
        )
        if name == "pipeline":
            assert items["item"].tolist() == scores["item"].tolist()
        else:
            assert_array_equal(items[0], scores[0])
            assert_array_equal(items[1], scores[1])
        after = copy.deepcopy(loaded).forget(users=users)
        again = through_file(after, how, tmp_path)
        assert again.forget_report_ == after.forget_report_


@pytest.mark.parametrize("how", FILES[:2])
def test_crafted_files_of_other_kinds_are_refused_too(models, how, tmp_path):
    for seed in range(0, N_FILES, 13):
        model, _ = crafted(models, seed)
        with pytest.raises(ValueError, match="damaged"):
            through_file(model, how, tmp_path)


@pytest.mark.parametrize("name", ["ItemKNN", "EASE"])
def test_an_emptied_model_is_loaded(models, name):
    everybody = np.arange(len(DENSE))
    emptied = copy.deepcopy(models[name]).forget(users=everybody, missing="ignore")
    assert through_file(emptied, "pickle", None)._interactions.n_interactions == 0


def test_weights_and_single_precision_are_loaded():
    weights = np.linspace(0, 3, len(DENSE))
    for model in (EASE(2.0), EASE(2.0, top_k=2), ItemKNN(2), ALS(2, random_state=0)):
        fitted = model.fit(DENSE.astype(np.float32), sample_weight=weights)
        loaded = through_file(fitted, "pickle", None)
        assert_array_equal(loaded._interactions.row_weights, fitted._interactions.row_weights)


def test_a_shallow_copy_is_not_checked_again(models, monkeypatch):
    monkeypatch.setattr(ItemKNN, "_check_loaded", lambda *_: pytest.fail("checked"))
    assert copy.copy(models["ItemKNN"])._interactions is models["ItemKNN"]._interactions


def test_interactions_without_a_state_are_no_interactions():
    model = ItemKNN(2).fit(DENSE)
    model.__dict__["_interactions"] = object.__new__(Interactions)
    with pytest.raises(ValueError, match="it has no interactions"):
        ItemKNN(2).__setstate__(model.__dict__)
