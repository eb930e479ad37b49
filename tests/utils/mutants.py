"""Recommenders that break one promise each: every public check must catch at least one."""

import time
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from scipy import sparse
from sklearn.exceptions import NotFittedError

from sklearn_unlearn.utils._random import draw_seed
from tests.cases import Report, RidgeRecommender

MUTANTS = []


def caught_by(*checks):
    """Register a mutant with the checks that must notice it."""

    def register(mutant):
        MUTANTS.extend((f"check_{check}", mutant) for check in checks)
        return mutant

    return register


@caught_by("forget_unfitted")
class SilentWhenUnfitted(RidgeRecommender):
    def forget(self, *args, **kwargs):
        try:
            return super().forget(*args, **kwargs)
        except NotFittedError:
            return self


@caught_by("forget_returns_self")
class ReturnsNothing(RidgeRecommender):
    def forget(self, *args, **kwargs):
        super().forget(*args, **kwargs)


@caught_by("forget_leaves_params")
class TunesItself(RidgeRecommender):
    def forget(self, *args, **kwargs):
        self.regularization = 2 * self.regularization
        return super().forget(*args, **kwargs)


@caught_by("forget_keeps_shapes")
class DropsTheLastItem(RidgeRecommender):
    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        return {**state, "item_offset_": state["item_offset_"][:-1]}


@caught_by("forget_keeps_shapes")
class ChangesPrecision(RidgeRecommender):
    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        return {**state, "item_similarity_": state["item_similarity_"].astype(np.float32)}


@caught_by("forget_request_forms")
class IgnoresMostOfAMask(RidgeRecommender):
    def forget(self, interactions=None, **kwargs):
        if sparse.issparse(interactions):
            interactions = np.column_stack(interactions.nonzero())[1:]
        return super().forget(interactions, **kwargs)


@caught_by("forget_request_forms")
class SortsTheRequest(RidgeRecommender):
    def forget(self, interactions=None, **kwargs):
        if isinstance(interactions, np.ndarray) and interactions.dtype != bool:
            interactions[:] = interactions[np.lexsort(interactions.T[::-1])][::-1]
        return super().forget(interactions, **kwargs)


@caught_by("forget_request_forms")
class TakesOnePartOnly(RidgeRecommender):
    def forget(self, interactions=None, *, users=None, items=None, missing="raise"):
        if interactions is not None:
            users = None
        return super().forget(interactions, users=users, items=items, missing=missing)


@caught_by("forget_invalid_requests_are_atomic")
class ForgetsTheGoodPartFirst(RidgeRecommender):
    def forget(self, interactions=None, *, users=None, items=None, missing="raise"):
        if users is not None and items is not None:
            super().forget(users=users, missing=missing)
            return super().forget(items=items, missing="ignore")
        return super().forget(interactions, users=users, items=items, missing=missing)


@caught_by("forget_invalid_requests_are_atomic")
class RoundsFloats(RidgeRecommender):
    def forget(self, interactions=None, **kwargs):
        if isinstance(interactions, list) and np.asarray(interactions).dtype.kind == "f":
            interactions = np.asarray(interactions).astype(int)
        return super().forget(interactions, **{"missing": "ignore", **kwargs})


@caught_by("forget_unknown_is_named", "forget_is_idempotent")
class NeverMinds(RidgeRecommender):
    def forget(self, interactions=None, *, users=None, items=None, missing="raise"):
        if missing == "raise":
            missing = "ignore"
        return super().forget(interactions, users=users, items=items, missing=missing)


@caught_by("forget_is_idempotent")
class CountsRequests(RidgeRecommender):
    def forget(self, *args, **kwargs):
        super().forget(*args, **kwargs)
        self._n_requests = getattr(self, "_n_requests", 0) + 1
        return self


@caught_by("forget_empty_request")
class ReportsNothing(RidgeRecommender):
    def forget(self, *args, **kwargs):
        before = self._interactions
        super().forget(*args, **kwargs)
        if self._interactions is before:
            self.forget_report_ = Report("exact", 0, 0, 0)
        return self


@caught_by("forget_equals_refit")
class DropsRowsOnly(RidgeRecommender):
    def _forget(self, retained, request):
        return {"forget_report_": super()._forget(retained, request)["forget_report_"]}


@caught_by("forget_equals_refit")
class AlmostExact(RidgeRecommender):
    """Wrong by one in a million, and tagged exact."""

    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        return {**state, "item_similarity_": state["item_similarity_"] * (1 + 1e-6)}


class PartOfTheWay(RidgeRecommender):
    """Not exact: a share of the distance to the refit is left."""

    left = 0.1

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.forget_tags.exact = False
        return tags

    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        for name in ("item_similarity_", "mean_"):
            state[name] = state[name] + self.left * (getattr(self, name) - state[name])
        return state


@caught_by("forget_equals_refit")
class StopsEarly(PartOfTheWay):
    pass


@caught_by("forget_sequential_equals_batch")
class SkipsSmallRequests(RidgeRecommender):
    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        return state if request.n_interactions > 1 else {"forget_report_": state["forget_report_"]}


@caught_by("forget_order_is_irrelevant")
class SkipsItemsAfterUsers(RidgeRecommender):
    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        if hasattr(self, "forget_report_") and len(request.items):
            return {"forget_report_": state["forget_report_"]}
        return state


@caught_by("forget_user")
class EmptiesTheUserOnly(RidgeRecommender):
    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        return {"forget_report_": state["forget_report_"]} if len(request.users) else state


@caught_by("forget_item")
class EmptiesTheItemOnly(RidgeRecommender):
    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        if len(request.items):
            state["item_similarity_"] = self.item_similarity_.copy()
            state["item_similarity_"][:, request.items] = 0
        return state


@caught_by("forget_everything")
class RemembersUsersApart(RidgeRecommender):
    def _solve(self, data):
        state = super()._solve(data)
        if not hasattr(self, "_interactions"):
            state["_user_offset"] = np.arange(data.n_users) / data.n_users
        return state

    def _score_pairs(self, users, items):
        return super()._score_pairs(users, items) + self._user_offset[users]


@caught_by("forget_is_deterministic")
class AddsNoise(RidgeRecommender):
    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        return {**state, "mean_": state["mean_"] + 1e-12 * np.random.default_rng().normal()}


@caught_by("forget_random_states")
class DrawsASeedAgain(RidgeRecommender):
    def _forget(self, retained, request):
        draw_seed(self.random_state)
        return super()._forget(retained, request)


@caught_by("refit_after_forget_is_fresh")
class StartsWarm(RidgeRecommender):
    def _solve(self, data):
        state = super()._solve(data)
        old = getattr(self, "mean_", state["mean_"])
        return {**state, "mean_": (state["mean_"] + old) / 2}


@caught_by("refit_after_forget_is_fresh")
class KeepsOldReports(RidgeRecommender):
    def fit(self, X, y=None, sample_weight=None):
        report = getattr(self, "forget_report_", None)
        super().fit(X, sample_weight=sample_weight)
        if report is not None:
            self.forget_report_ = report
        return self


@caught_by("forget_dense_equals_sparse")
class RoundsDenseInput(RidgeRecommender):
    def fit(self, X, y=None, sample_weight=None):
        return super().fit(X if sparse.issparse(X) else np.round(X, 6), sample_weight=sample_weight)


@caught_by("forget_pickle_round_trip")
class LosesPartOfItself(RidgeRecommender):
    def __getstate__(self):
        return {**super().__getstate__(), "mean_": 0.0}


class Keeps(RidgeRecommender):
    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        gone = self._interactions.values[request.positions]
        return {**state, "_kept": [*getattr(self, "_kept", []), self._keep(gone)]}


@caught_by("forget_leaves_nothing_in_pickle", "forget_leaves_nothing_in_memory")
class KeepsAForeignCopy(Keeps):
    def _keep(self, gone):
        return gone.astype(">f8")


@caught_by("forget_leaves_nothing_in_pickle", "forget_leaves_nothing_in_memory")
class KeepsSinglePrecision(Keeps):
    def _keep(self, gone):
        return {"deep": ({"er": gone.astype(np.float32)},)}


@caught_by("forget_leaves_nothing_in_memory")
class KeepsAClosure(Keeps):
    def _keep(self, gone):
        return lambda: gone


@caught_by("forget_leaves_nothing_in_memory")
class KeepsTheBaseOfAView(Keeps):
    def _keep(self, gone):
        return np.append(gone, 0.0)[-1:]


@caught_by("forget_leaves_nothing_in_pickle", "forget_leaves_nothing_in_memory")
class KeepsTheOldPattern(RidgeRecommender):
    def _forget(self, retained, request):
        pattern = self._interactions.to_csr().copy()
        pattern.data[:] = 1
        return {**super()._forget(retained, request), "_pattern": pattern.T.tocsc()}


@caught_by("forget_leaves_nothing_stale")
class LeavesPopularityStale(RidgeRecommender):
    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, sample_weight=sample_weight)
        self._popularity = self._interactions.item_degrees
        return self


@caught_by("forget_writes_nothing_in_place")
class WritesInPlace(RidgeRecommender):
    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        self.item_similarity_[:] = state.pop("item_similarity_")
        return state


@caught_by("forget_copies_are_isolated")
class CopiesShareArrays(WritesInPlace):
    def __deepcopy__(self, memo):
        other = type(self)()
        other.__dict__ = dict(self.__dict__)
        return other


@caught_by("forget_input_is_not_aliased")
class LooksAtTheCallersData(RidgeRecommender):
    def fit(self, X, y=None, sample_weight=None):
        self._callers = X
        return super().fit(X, sample_weight=sample_weight)

    def _forget(self, retained, request):
        return {**super()._forget(retained, request), "mean_": float(self._callers.mean())}

    def __deepcopy__(self, memo):
        other = type(self)(**self.get_params())
        other.__dict__ = {**self.__dict__, "_callers": self._callers.copy()}
        return other


@caught_by("forget_input_is_not_aliased")
class WritesToTheCallersData(RidgeRecommender):
    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, sample_weight=sample_weight)
        (X.data if sparse.issparse(X) else X)[0] += 1
        return self


@caught_by("forget_until_nothing_is_left")
class CannotLoseTheLast(RidgeRecommender):
    """Fails where a solver meets a large operator of zeros, as ARPACK does."""

    def _forget(self, retained, request):
        if not retained.n_interactions and min(retained.shape) > 64:
            raise np.linalg.LinAlgError("Singular matrix")
        return super()._forget(retained, request)


@caught_by("forget_until_nothing_is_left")
class RemembersTheLast(RidgeRecommender):
    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        return state if retained.n_interactions else {"forget_report_": state["forget_report_"]}


@caught_by("forget_until_nothing_is_left")
class StopsNearTheEnd(RidgeRecommender):
    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        few = np.count_nonzero(retained.user_degrees) == 1
        return {"forget_report_": state["forget_report_"]} if few else state


@caught_by("forget_until_nothing_is_left")
class CannotCertifyNothing(RidgeRecommender):
    def certify(self):
        share = 1 / self._interactions.n_interactions
        return SimpleNamespace(certified=share > 0)


@caught_by("forget_until_nothing_is_left")
class IsNeverCertain(RidgeRecommender):
    def certify(self):
        return SimpleNamespace(certified=False)


@caught_by("forget_on_read_only_memmap")
class GivesUpOnReadOnlyArrays(RidgeRecommender):
    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        if not self.item_similarity_.flags.writeable:
            state.pop("item_similarity_")
        return state


class Reporting(RidgeRecommender):
    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        return {**state, "forget_report_": self._report(request)}


@caught_by("forget_report_holds_no_data")
class ReportsPositions(Reporting):
    def _report(self, request):
        return DetailedReport("exact", request.n_interactions, request.n_users, request.n_items,
                              request.positions)  # fmt: skip


@caught_by("forget_report_holds_no_data")
class Miscounts(Reporting):
    def _report(self, request):
        return Report("exact", request.n_interactions, request.n_users, 0)


@caught_by("forget_report_holds_no_data")
class PromisesTooMuch(Reporting):
    def _report(self, request):
        return Report("compliant", request.n_interactions, request.n_users, request.n_items)


@caught_by("forget_shows_no_ids")
class ReportsAPair(Reporting):
    def _report(self, request):
        first = request.positions[0]
        pair = int(self._interactions.rows[first]), int(self._interactions.indices[first])
        return DetailedReport("exact", request.n_interactions, request.n_users, request.n_items,
                              f"forgot {pair} and others")  # fmt: skip


@dataclass(frozen=True)
class DetailedReport(Report):
    detail: object = None


@caught_by("forgotten_item_is_recommendable")
class HidesForgottenItems(RidgeRecommender):
    def _forget(self, retained, request):
        hidden = np.zeros(retained.shape, bool)
        gone = self._interactions.subset(request.positions)
        hidden[gone.rows, gone.indices] = True
        return {**super()._forget(retained, request), "_hidden": hidden}

    def _score_users(self, users):
        scores = super()._score_users(users)
        return (
            np.where(self._hidden[users], -np.inf, scores) if hasattr(self, "_hidden") else scores
        )


@caught_by("forgotten_item_is_recommendable")
class ListsSeenItems(RidgeRecommender):
    def recommend(self, X=None, *, exclude_seen=True, **kwargs):
        return super().recommend(X, exclude_seen=False, **kwargs)


@caught_by("recommend_follows_scores_after_forget")
class ServesFromAStaleCache(RidgeRecommender):
    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, sample_weight=sample_weight)
        self._old = self._score_rows(self._interactions.to_csr())
        return self

    def _score_users(self, users):
        return self._old[users] if hasattr(self, "_old") else super()._score_users(users)

    def _score_pairs(self, users, items):
        return super()._score_rows(self._interactions.to_csr()[users])[np.arange(len(users)), items]


@caught_by("recommend_during_forget_is_never_torn")
class CommitsInSteps(RidgeRecommender):
    def forget(self, *args, **kwargs):
        other = object.__new__(RidgeRecommender)
        other.__dict__ = dict(self.__dict__)
        other.forget(*args, **kwargs)
        for name, value in vars(other).items():
            setattr(self, name, value)
            time.sleep(0.01)
        return self


@caught_by("concurrent_forgets_are_all_applied")
class TakesNoTurns(RidgeRecommender):
    def forget(self, *args, **kwargs):
        other = object.__new__(RidgeRecommender)
        other.__dict__ = dict(self.__dict__)
        time.sleep(0.02)
        self.__dict__.update(vars(other.forget(*args, **kwargs)))
        return self


@caught_by("forget_tags")
class HasNoType(RidgeRecommender):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = None
        return tags


@caught_by("forget_tags")
class IsVagueAboutExactness(RidgeRecommender):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.forget_tags.exact = "nearly"
        return tags


@caught_by("learn_equals_refit")
class LearnsOnes(RidgeRecommender):
    def learn(self, interactions, values=None, **kwargs):
        return super().learn(interactions, **kwargs)


@caught_by("forget_undoes_learn")
class LearnsForEver(RidgeRecommender):
    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        more = 1e-6 * len(request.added) + getattr(self, "_more", 0.0)
        return {**state, "item_offset_": state["item_offset_"] + more, "_more": more}


@caught_by("rectify_equals_refit")
class ForgetsTwice(RidgeRecommender):
    def rectify(self, old, new, values=None, **kwargs):
        return self.forget(old)


@caught_by("learn_grows")
class ForgetsTheOthersWhenItGrows(RidgeRecommender):
    def _forget(self, retained, request):
        if retained.n_items > len(self.item_offset_) or retained.n_users > 40:
            return super()._forget(retained, request)
        state = super()._forget(retained, request)
        wide = getattr(self, "_wide", False)
        return {**state, "item_offset_": state["item_offset_"] + 0.1 * wide}

    def _grown(self, data):
        return {**super()._grown(data), "_wide": True}


@caught_by("learn_invalid_requests_are_atomic")
class LearnsWhatItCan(RidgeRecommender):
    def learn(self, interactions, values=None, existing="ignore", **kwargs):
        return super().learn(interactions, values, existing=existing, **kwargs)


@caught_by("learn_is_idempotent")
class CountsLessons(RidgeRecommender):
    def learn(self, *args, **kwargs):
        super().learn(*args, **kwargs)
        self._n_lessons = getattr(self, "_n_lessons", 0) + 1
        return self
