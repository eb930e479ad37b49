"""Pipelines and encoders that break one promise about ids each: a public check must catch each."""

import copy
import time
import warnings

import numpy as np
from sklearn.exceptions import NotFittedError

from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.pipeline import RecommenderPipeline
from sklearn_unlearn.preprocessing import InteractionEncoder
from sklearn_unlearn.utils._verbs import snapshot
from tests.cases import RidgeRecommender

PIPELINE_MUTANTS = []
ENCODER_MUTANTS = []


class Ridge(RidgeRecommender):
    """Without offsets drawn by position: a refit without an item has other positions."""

    def _solve(self, data):
        return {**super()._solve(data), "item_offset_": np.zeros(data.n_items)}


def pipeline_of(kind, model=None):
    """Make a pipeline of a given class; fast, and exact unless the model is not."""
    return kind([("encoder", InteractionEncoder(value="stars")), ("model", model or Ridge())])


def caught_by(*checks):
    """Register a mutant with the checks that must notice it."""

    def register(mutant):
        of_pipelines = issubclass(mutant, RecommenderPipeline)
        prefix, mutants = (
            ("check_ids", PIPELINE_MUTANTS) if of_pipelines else ("check_encoder", ENCODER_MUTANTS)
        )
        mutants.extend((f"{prefix}_{check}", mutant) for check in checks)
        return mutant

    return register


def caught_through_positions(*checks):
    """Register a pipeline with checks of positions, which speak to it through ids."""

    def register(mutant):
        PIPELINE_MUTANTS.extend((f"check_{check}", mutant) for check in checks)
        return mutant

    return register


@caught_through_positions("forget_copies_are_isolated")
class SharesStepsWithCopies(RecommenderPipeline):
    def __copy__(self):
        return snapshot(self)


@caught_through_positions("recommend_during_forget_is_never_torn")
class CommitsInSteps(RecommenderPipeline):
    def forget(self, interactions=None, *, users=None, **kwargs):
        if isinstance(users, str):
            self._encoder.forget_users([users], missing="ignore")
            time.sleep(0.02)
        return super().forget(interactions, users=users, **{**kwargs, "missing": "ignore"})


@caught_through_positions("concurrent_forgets_are_all_applied")
class TakesNoTurns(RecommenderPipeline):
    def forget(self, interactions=None, **kwargs):
        other = RecommenderPipeline(copy.copy(self).steps)
        time.sleep(0.02)
        self.steps = other.forget(interactions, **kwargs).steps
        return self


@caught_through_positions("forget_unfitted")
class SilentWhenUnfitted(RecommenderPipeline):
    def forget(self, interactions=None, **kwargs):
        try:
            return super().forget(interactions, **kwargs)
        except NotFittedError:
            return self


@caught_through_positions("forget_returns_self")
class ReturnsNothing(RecommenderPipeline):
    def forget(self, interactions=None, **kwargs):
        super().forget(interactions, **kwargs)


@caught_through_positions("forget_leaves_params")
class ReplacesItsSteps(RecommenderPipeline):
    def forget(self, interactions=None, **kwargs):
        super().forget(interactions, **kwargs)
        self.steps = copy.copy(self).steps
        return self


@caught_by("are_erased")
class KeepsAListOfRequests(RecommenderPipeline):
    def forget(self, interactions=None, *, users=None, **kwargs):
        super().forget(interactions, users=users, **kwargs)
        self._done = [*getattr(self, "_done", []), users]
        return self


class KeepsIds(RecommenderPipeline):
    """Leaves the vocabulary as it was after some requests."""

    def forget(self, interactions=None, *, users=None, items=None, missing="raise"):
        known = self._encoder._users
        super().forget(interactions, users=users, items=items, missing=missing)
        if self._keeps(interactions, users, items):
            self._encoder._users = known
        return self


@caught_through_positions("forget_user")
@caught_by(
    "are_erased",
    "forget_everything",
    "forget_until_nothing_is_left",
    "of_emptied_users_are_erased",
)
class KeepsAllIds(KeepsIds):
    def _keeps(self, interactions, users, items):
        return True


@caught_by("of_events_and_of_users_agree", "of_emptied_users_are_erased")
class KeepsIdsOfUsersEmptiedByEvents(KeepsIds):
    def _keeps(self, interactions, users, items):
        return interactions is not None


@caught_by("of_emptied_users_are_erased")
class KeepsIdsOfUsersEmptiedByItems(KeepsIds):
    def _keeps(self, interactions, users, items):
        return items is not None


@caught_by("forget_everything")
class KeepsTheIdsOfManyUsers(KeepsIds):
    def _keeps(self, interactions, users, items):
        return np.size(users) > 30


@caught_by("forget_until_nothing_is_left")
class CannotLoseTheLast(RecommenderPipeline):
    """Fails where a solver meets a large operator of zeros, as ARPACK does."""

    def forget(self, interactions=None, **kwargs):
        super().forget(interactions, **kwargs)
        data = self.steps[-1][1]._interactions
        if not data.n_interactions and min(data.shape) > 64:
            raise np.linalg.LinAlgError("Singular matrix")
        return self


@caught_by("of_emptied_users_are_erased")
class HidesForgottenItems(RecommenderPipeline):
    def forget(self, interactions=None, *, items=None, **kwargs):
        super().forget(interactions, items=items, **kwargs)
        self._hidden = list(items) if items is not None else []
        return self

    def recommend(self, X=None, **options):
        table = super().recommend(X, **options)
        shown = ~np.isin(table["item"], getattr(self, "_hidden", []))
        return {name: column[shown] for name, column in table.items()}


@caught_by("are_erased")
class ErasesANeighbour(RecommenderPipeline):
    def forget(self, interactions=None, *, users=None, **kwargs):
        known = self._encoder._users.positions
        super().forget(interactions, users=users, **kwargs)
        if len(self._encoder._users.positions) < len(known):
            self._encoder._erase_users(self._encoder._users.positions[:1])
        return self


@caught_by("are_not_shown")
class ShowsIdsInItsText(RecommenderPipeline):
    def __repr__(self, N_CHAR_MAX=700):
        fitted = "_users" in vars(self.steps[0][1])
        known = self.steps[0][1]._users.ids[:3] if fitted else ""
        return f"<{super().__repr__()} of {known}>"


@caught_by("are_not_shown")
class ShowsIdsInItsDiagram(RecommenderPipeline):
    def fit(self, X, y=None, **params):
        super().fit(X, y, **params)
        self.item_names_ = self._encoder.get_feature_names_out().tolist()
        return self


@caught_by("are_not_shown")
class SuggestsIdsInErrors(RecommenderPipeline):
    def recommend(self, X=None, **options):
        try:
            return super().recommend(X, **options)
        except UnknownInteractionError as error:
            raise UnknownInteractionError(
                f"{error} Did you mean {self._encoder._users.ids[0]!r}?"
            ) from None


@caught_by("are_not_shown")
class ChainsErrorsThatShowIds(RecommenderPipeline):
    def predict_pairs(self, events):
        try:
            return super().predict_pairs(events)
        except UnknownInteractionError as error:
            raise error from KeyError(self._encoder._users.ids[0])


@caught_by("are_not_shown")
class WarnsWithIds(RecommenderPipeline):
    def fit(self, X, y=None, **params):
        warnings.warn(f"{X['user'][0]} has few events", UserWarning, stacklevel=2)
        return super().fit(X, y, **params)


@caught_by("are_not_shown")
class ReportsIds(RecommenderPipeline):
    @property
    def forget_report_(self):
        return Named(super().forget_report_, self._encoder._users.ids[0])


class Named:
    def __init__(self, report, one):
        self._report, self._one = report, one

    def to_dict(self):
        return {**self._report.to_dict(), "next": self._one}


@caught_by("failures_change_nothing")
class FitsTheEncoderFirst(RecommenderPipeline):
    def fit(self, X, y=None, **params):
        self.steps[0][1].fit(X)
        return super().fit(X, y, **params)


@caught_through_positions("forget_leaves_nothing_in_memory", "forget_leaves_nothing_in_pickle")
@caught_by("input_is_not_aliased")
class HoldsOnToTheTable(RecommenderPipeline):
    def fit(self, X, y=None, **params):
        super().fit(X, y, **params)
        self._events = X
        return self


@caught_by("input_is_not_aliased")
class SortsTheRequest(RecommenderPipeline):
    def forget(self, interactions=None, **kwargs):
        if isinstance(interactions, dict) and isinstance(interactions["user"], np.ndarray):
            order = np.argsort(interactions["item"])
            for column in interactions.values():
                column[:] = column[order]
        return super().forget(interactions, **kwargs)


@caught_by("new_users_are_folded_in")
class RemembersNewUsers(RecommenderPipeline):
    def recommend(self, X=None, **options):
        self._last = X
        return super().recommend(X, **options)


@caught_by("new_users_are_folded_in")
class ListsWhatNewUsersHave(RecommenderPipeline):
    def recommend(self, X=None, *, exclude_seen=True, **options):
        return super().recommend(X, exclude_seen=exclude_seen and X is None, **options)


@caught_by("new_users_are_folded_in")
class ServesNewUsersTheAverage(RecommenderPipeline):
    def recommend(self, X=None, **options):
        table = super().recommend(X, **options)
        if X is not None:
            table["score"] = np.full(len(table["score"]), table["score"].mean())
        return table


@caught_by("order_and_kind_are_irrelevant")
class TrustsLateEventsMore(RecommenderPipeline):
    def fit(self, X, y=None, **params):
        if isinstance(X, dict):
            X = {**X, "stars": X["stars"] * np.linspace(1, 1.01, len(X["stars"]))}
        return super().fit(X, y, **params)


@caught_by("order_and_kind_are_irrelevant")
class AnswersInDicts(RecommenderPipeline):
    def recommend(self, X=None, **options):
        table = super().recommend(X, **options)
        names = getattr(table, "columns", None)
        return table if names is None else {name: table[name] for name in table}


@caught_through_positions("recommend_follows_scores_after_forget")
@caught_by("recommend_answers_in_ids")
class MixesUsersUp(RecommenderPipeline):
    def recommend(self, X=None, **options):
        table = super().recommend(X, **options)
        return {**table, "user": table["user"][::-1]}


@caught_by("recommend_answers_in_ids")
class ScoresAnotherItem(RecommenderPipeline):
    def predict_pairs(self, events):
        return super().predict_pairs({**events, "item": np.roll(events["item"], 1)})


@caught_by("recommend_answers_in_ids")
class ListsWorstFirst(RecommenderPipeline):
    def recommend(self, X=None, **options):
        table = super().recommend(X, **options)
        order = np.lexsort((table["score"], np.cumsum(table["rank"] == 1)))
        return {**table, "item": table["item"][order], "score": table["score"][order]}


@caught_by("recommend_answers_in_ids")
class DisregardsCandidates(RecommenderPipeline):
    def recommend(self, X=None, *, candidates=None, **options):
        return super().recommend(X, **options)


@caught_by("request_forms")
class MissesSingleIds(RecommenderPipeline):
    def forget(self, interactions=None, *, users=None, **kwargs):
        return super().forget(interactions, users=[] if isinstance(users, str) else users, **kwargs)


@caught_by("row_wise_steps_are_refused")
class TakesAnyStep(RecommenderPipeline):
    def _check_steps(self):
        pass


@caught_by("memory_is_refused")
class LeavesMemoryUnused(RecommenderPipeline):
    def fit(self, X, y=None, **params):
        memory, self.memory = self.memory, None
        try:
            return super().fit(X, y, **params)
        finally:
            self.memory = memory


@caught_by("invalid_requests_are_atomic")
class PassesOverWrongTypes(RecommenderPipeline):
    def forget(self, interactions=None, **kwargs):
        try:
            return super().forget(interactions, **kwargs)
        except TypeError:
            return self


@caught_by("invalid_requests_are_atomic")
class ForgetsTheGoodPartFirst(RecommenderPipeline):
    def forget(self, interactions=None, *, users=None, items=None, missing="raise"):
        if users is not None and items is not None:
            super().forget(users=users, missing=missing)
            return super().forget(items=items, missing="ignore")
        return super().forget(interactions, users=users, items=items, missing=missing)


@caught_by("unknown_is_named")
class NamesNobody(RecommenderPipeline):
    def forget(self, interactions=None, **kwargs):
        try:
            return super().forget(interactions, **kwargs)
        except UnknownInteractionError:
            raise UnknownInteractionError("something is unknown") from None


@caught_by("unknown_is_named")
class NeverMinds(RecommenderPipeline):
    def forget(self, interactions=None, *, missing="raise", **kwargs):
        return super().forget(interactions, missing="ignore", **kwargs)


@caught_by("round_trip")
class EncodesItemsBackwards(InteractionEncoder):
    def encode_items(self, ids):
        return self.n_items_ - 1 - super().encode_items(ids)


@caught_by("round_trip")
class LosesValues(InteractionEncoder):
    def inverse_transform(self, X):
        return super().inverse_transform(X != 0)


@caught_by("round_trip")
class DecodesTheNextUser(InteractionEncoder):
    def decode_users(self, positions):
        return super().decode_users((np.asarray(positions) + 1) % self.n_users_)


@caught_by("forgets_users")
class KeepsAListOfErasedIds(InteractionEncoder):
    def forget_users(self, ids, *, missing="raise"):
        super().forget_users(ids, missing=missing)
        self._erased = list(ids)
        return self


@caught_by("forgets_users")
class ClosesTheGap(InteractionEncoder):
    def forget_users(self, ids, *, missing="raise"):
        super().forget_users(ids, missing=missing)
        object.__setattr__(self._users, "positions", np.arange(len(self._users.ids)))
        return self


@caught_by("forgets_users")
class CountsRequests(InteractionEncoder):
    def forget_users(self, ids, *, missing="raise"):
        self._n_requests = getattr(self, "_n_requests", 0) + 1
        return super().forget_users(ids, missing=missing)


@caught_by("unknown_ids")
class TakesStrangersForTheFirst(InteractionEncoder):
    def encode_users(self, ids):
        return np.maximum(super().encode_users(ids), 0)


@caught_by("unknown_ids")
class IsSilentAboutStrangers(InteractionEncoder):
    def encode_items(self, ids):
        try:
            return super().encode_items(ids)
        except UnknownInteractionError:
            raise UnknownInteractionError("some ids are unknown") from None


@caught_by("unknown_ids")
class LearnsNewUsers(InteractionEncoder):
    def transform_new_users(self, events):
        rows = super().transform_new_users(events)
        items = self._items
        self.fit(events)
        self._items, self.n_items_ = items, len(items.ids)
        return rows


@caught_by("shows_no_ids")
class HasIdsInPublic(InteractionEncoder):
    def fit(self, events, y=None):
        super().fit(events)
        self.item_ids_ = self._items.ids.tolist()
        return self


@caught_by("shows_no_ids")
class SuggestsIds(InteractionEncoder):
    def encode_users(self, ids):
        try:
            return super().encode_users(ids)
        except UnknownInteractionError as error:
            raise UnknownInteractionError(f"{error} Try {self._users.ids[-1]}.") from None


@caught_by("order_and_kind_are_irrelevant")
class CountsLateEventsMore(InteractionEncoder):
    def fit_transform(self, events, y=None):
        X = super().fit_transform(events)
        X.data[0] = float(np.asarray(events["stars"])[-1]) if isinstance(events, dict) else 0.5
        return X


@caught_by("order_and_kind_are_irrelevant")
class AlwaysGivesDicts(InteractionEncoder):
    def fit_transform(self, events, y=None):
        X = super().fit_transform(events)
        self._kind = "dict"
        return X


@caught_by("failures_change_nothing")
class LearnsBeforeItLooks(InteractionEncoder):
    def fit(self, events, y=None):
        self.n_users_ = len(set(events["user"]))
        return super().fit(events)


@caught_by("failures_change_nothing")
class ForgetsOneByOne(InteractionEncoder):
    def forget_users(self, ids, *, missing="raise"):
        for one in ids:
            super().forget_users([one], missing=missing)
        return self
