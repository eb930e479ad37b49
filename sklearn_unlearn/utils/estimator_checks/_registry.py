"""Which checks there are, and for whom."""

from __future__ import annotations

from sklearn_unlearn.utils.estimator_checks._emptying import (
    check_forget_until_nothing_is_left,
    check_ids_forget_until_nothing_is_left,
)
from sklearn_unlearn.utils.estimator_checks._id_answers import (
    check_ids_forget_everything,
    check_ids_new_users_are_folded_in,
    check_ids_order_and_kind_are_irrelevant,
    check_ids_recommend_answers_in_ids,
    check_ids_request_forms,
)
from sklearn_unlearn.utils.estimator_checks._id_requests import (
    check_ids_failures_change_nothing,
    check_ids_invalid_requests_are_atomic,
    check_ids_memory_is_refused,
    check_ids_row_wise_steps_are_refused,
    check_ids_unknown_is_named,
)
from sklearn_unlearn.utils.estimator_checks._id_traces import (
    check_ids_are_erased,
    check_ids_are_not_shown,
    check_ids_input_is_not_aliased,
    check_ids_of_emptied_users_are_erased,
    check_ids_of_events_and_of_users_agree,
)
from sklearn_unlearn.utils.estimator_checks._outcome import (
    check_forget_dense_equals_sparse,
    check_forget_equals_refit,
    check_forget_everything,
    check_forget_is_deterministic,
    check_forget_item,
    check_forget_order_is_irrelevant,
    check_forget_random_states,
    check_forget_sequential_equals_batch,
    check_forget_user,
    check_refit_after_forget_is_fresh,
)
from sklearn_unlearn.utils.estimator_checks._request_checks import (
    check_forget_empty_request,
    check_forget_invalid_requests_are_atomic,
    check_forget_is_idempotent,
    check_forget_keeps_shapes,
    check_forget_leaves_params,
    check_forget_request_forms,
    check_forget_returns_self,
    check_forget_unfitted,
    check_forget_unknown_is_named,
)
from sklearn_unlearn.utils.estimator_checks._serving import (
    check_concurrent_forgets_are_all_applied,
    check_forget_tags,
    check_forgotten_item_is_recommendable,
    check_recommend_during_forget_is_never_torn,
    check_recommend_follows_scores_after_forget,
)
from sklearn_unlearn.utils.estimator_checks._traces import (
    check_forget_copies_are_isolated,
    check_forget_input_is_not_aliased,
    check_forget_leaves_nothing_in_memory,
    check_forget_leaves_nothing_in_pickle,
    check_forget_leaves_nothing_stale,
    check_forget_on_read_only_memmap,
    check_forget_pickle_round_trip,
    check_forget_report_holds_no_data,
    check_forget_shows_no_ids,
    check_forget_writes_nothing_in_place,
)

__all__ = ["CHECKS", "CHECKS_OF_PARAMETERS", "ID_CHECKS", "IN_IDS"]

CHECKS = (
    check_forget_dense_equals_sparse,
    check_forget_equals_refit,
    check_forget_everything,
    check_forget_is_deterministic,
    check_forget_item,
    check_forget_order_is_irrelevant,
    check_forget_random_states,
    check_forget_sequential_equals_batch,
    check_forget_until_nothing_is_left,
    check_forget_user,
    check_refit_after_forget_is_fresh,
    check_forget_empty_request,
    check_forget_invalid_requests_are_atomic,
    check_forget_is_idempotent,
    check_forget_keeps_shapes,
    check_forget_leaves_params,
    check_forget_request_forms,
    check_forget_returns_self,
    check_forget_unfitted,
    check_forget_unknown_is_named,
    check_concurrent_forgets_are_all_applied,
    check_forget_tags,
    check_forgotten_item_is_recommendable,
    check_recommend_during_forget_is_never_torn,
    check_recommend_follows_scores_after_forget,
    check_forget_copies_are_isolated,
    check_forget_input_is_not_aliased,
    check_forget_leaves_nothing_in_memory,
    check_forget_leaves_nothing_in_pickle,
    check_forget_leaves_nothing_stale,
    check_forget_on_read_only_memmap,
    check_forget_pickle_round_trip,
    check_forget_report_holds_no_data,
    check_forget_shows_no_ids,
    check_forget_writes_nothing_in_place,
)

# What asks about positions as such has a version of its own for estimators that take events.
IN_IDS = {
    check_forget_everything: check_ids_forget_everything,
    check_forget_until_nothing_is_left: check_ids_forget_until_nothing_is_left,
    check_forget_invalid_requests_are_atomic: check_ids_invalid_requests_are_atomic,
    check_forget_unknown_is_named: check_ids_unknown_is_named,
}

ID_CHECKS = (
    check_ids_are_erased,
    check_ids_are_not_shown,
    check_ids_failures_change_nothing,
    check_ids_input_is_not_aliased,
    check_ids_new_users_are_folded_in,
    check_ids_of_emptied_users_are_erased,
    check_ids_of_events_and_of_users_agree,
    check_ids_order_and_kind_are_irrelevant,
    check_ids_recommend_answers_in_ids,
    check_ids_request_forms,
)

# Checks of what only some estimators have, by the name of that parameter.
CHECKS_OF_PARAMETERS = {
    "steps": check_ids_row_wise_steps_are_refused,
    "memory": check_ids_memory_is_refused,
}
