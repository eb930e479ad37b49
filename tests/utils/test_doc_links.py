"""The HTML diagrams of estimators link to their pages, where there are any."""

import re
from importlib import metadata

import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.utils import estimator_html_repr

import sklearn_unlearn
from sklearn_unlearn import (
    ALS,
    EASE,
    MatrixFactorization,
    ShardedRecommender,
    UnlearningRecommender,
)
from sklearn_unlearn.base import ForgetMixin, RecommenderMixin
from sklearn_unlearn.influence import (
    AsTrainedUnlearner,
    InfluenceUnlearner,
    RefitUnlearner,
    SweepUnlearner,
)
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder, RatingBinarizer
from sklearn_unlearn.pruning import HopPruner, ImportancePruner
from sklearn_unlearn.utils import _doc_links

SITE = "https://docs.example.org/en/stable"
ENCODER = InteractionEncoder("user", "item")
LINKED = {
    "recommenders.ALS": ALS(),
    "recommenders.MatrixFactorization": MatrixFactorization(),
    "recommenders.UnlearningRecommender": UnlearningRecommender(ALS()),
    "sharding.ShardedRecommender": ShardedRecommender(EASE()),
    "pipeline.RecommenderPipeline": make_recommender_pipeline(ENCODER, RatingBinarizer(4), ALS()),
    "preprocessing.InteractionEncoder": ENCODER,
    "preprocessing.RatingBinarizer": RatingBinarizer(4),
    "influence.InfluenceUnlearner": InfluenceUnlearner(),
    "influence.SweepUnlearner": SweepUnlearner(),
    "influence.RefitUnlearner": RefitUnlearner(),
    "influence.AsTrainedUnlearner": AsTrainedUnlearner(),
    "pruning.HopPruner": HopPruner(),
    "pruning.ImportancePruner": ImportancePruner(),
}


def page(name):
    return f"{SITE}/api/generated/sklearn_unlearn.{name}.html"


@pytest.mark.parametrize("name", LINKED)
def test_each_diagram_links_to_its_page(name, monkeypatch):
    monkeypatch.setenv("SKLEARN_UNLEARN_DOCS", f"{SITE}/")
    html = estimator_html_repr(clone(LINKED[name]))
    assert f'href="{page(name)}"' in html


def test_links_name_public_places():
    for name in LINKED:
        home, _, kind = name.rpartition(".")
        assert kind in getattr(sklearn_unlearn, home).__all__


def test_steps_inside_are_linked_too(monkeypatch):
    monkeypatch.setenv("SKLEARN_UNLEARN_DOCS", SITE)
    model = ALS(unlearner=InfluenceUnlearner(pruner=HopPruner()))
    html = estimator_html_repr(make_recommender_pipeline(ENCODER, RatingBinarizer(4), model))
    links = set(re.findall(r'href="([^"#]*)["#]', html))
    for name in ("pipeline.RecommenderPipeline", "preprocessing.RatingBinarizer"):
        assert page(name) in links
    assert {page("preprocessing.InteractionEncoder"), page("recommenders.ALS")} <= links


def test_without_an_address_there_is_no_link(monkeypatch):
    monkeypatch.delenv("SKLEARN_UNLEARN_DOCS", raising=False)
    monkeypatch.setattr(_doc_links, "_stated_url", lambda: "")
    assert ALS()._get_doc_link() == ""
    assert "href=" not in estimator_html_repr(ALS())


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (["Source, https://a.example", f"Documentation, {SITE}/"], SITE),
        (["Source, https://a.example"], ""),
        (None, ""),
    ],
)
def test_the_address_is_that_of_the_installed_package(stated, expected, monkeypatch):
    class Stated:
        def get_all(self, name):
            assert name == "Project-URL"
            return stated

    monkeypatch.delenv("SKLEARN_UNLEARN_DOCS", raising=False)
    monkeypatch.setattr(_doc_links, "metadata", lambda name: Stated())
    monkeypatch.setattr(_doc_links, "_stated_url", _doc_links._stated_url.__wrapped__)
    assert _doc_links.documentation_url() == expected


def test_a_package_that_is_not_installed_has_no_address(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(_doc_links, "metadata", missing)
    assert _doc_links._stated_url.__wrapped__() == ""


def test_classes_from_elsewhere_are_not_linked(monkeypatch):
    class Own(RecommenderMixin, ForgetMixin, BaseEstimator):
        pass

    monkeypatch.setenv("SKLEARN_UNLEARN_DOCS", SITE)
    assert Own()._get_doc_link() == ""
