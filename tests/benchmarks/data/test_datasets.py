"""Problems: made data, and files in each form."""

import numpy as np
import pytest

from sklearn_unlearn.benchmarks import load_problem

RNG = np.random.default_rng(3)
CELLS = RNG.choice(40 * 30, 400, replace=False)
USERS, ITEMS = np.divmod(CELLS, 30)
RATINGS = RNG.integers(1, 11, 400) / 2


def save(path, **arrays):
    np.savez(path, **arrays)
    return f"npz:{path}"


def dense(triple, shape):
    table = np.zeros(shape)
    table[triple[0], triple[1]] = triple[2]
    return table


def test_ratings_are_split_and_labelled(tmp_path):
    spec = save(tmp_path / "r.npz", user=USERS, item=ITEMS, rating=RATINGS)
    problem = load_problem(spec, threshold=4)
    held_out = np.random.default_rng(0).random(400) < 0.2
    labels = np.where(RATINGS >= 4, 1.0, -1.0)
    shape = (USERS.max() + 1, ITEMS.max() + 1)
    for part, mask in ((problem.X.toarray(), ~held_out), (dense(problem.test, shape), held_out)):
        np.testing.assert_array_equal(part, dense((USERS[mask], ITEMS[mask], labels[mask]), shape))
    assert problem.labels and problem.name == "r.npz"
    assert problem.describe()["n_test"] == held_out.sum()


def test_ratings_without_threshold_stay_ratings(tmp_path):
    spec = save(tmp_path / "r.npz", user=USERS, item=ITEMS, rating=RATINGS)
    problem = load_problem(spec, test_size=0.0)
    assert not problem.labels
    np.testing.assert_array_equal(np.sort(problem.X.data), np.sort(RATINGS))
    assert len(problem.test[0]) == 0


def test_split_file_with_suspects(tmp_path):
    labels = (RATINGS > 3).astype(np.int8)
    spec = save(
        tmp_path / "s.npz",
        **{f"train_{k}": v[:300] for k, v in (("user", USERS), ("item", ITEMS))},
        **{f"test_{k}": v[300:] for k, v in (("user", USERS), ("item", ITEMS))},
        train_label=labels[:300], test_label=labels[300:], n_keep_2pct=np.int64(294),
    )  # fmt: skip
    problem = load_problem(spec)
    shape = problem.X.shape
    assert shape == (USERS.max() + 1, ITEMS.max() + 1)
    signs = 2.0 * labels - 1
    np.testing.assert_array_equal(
        problem.X.toarray(), dense((USERS[:300], ITEMS[:300], signs[:300]), shape)
    )
    np.testing.assert_array_equal(problem.test[2], signs[300:])
    assert list(problem.suspects) == ["2%"]
    np.testing.assert_array_equal(problem.suspects["2%"], np.column_stack([USERS, ITEMS])[294:300])


def test_the_last_value_of_a_pair_counts(tmp_path):
    spec = save(tmp_path / "d.npz", user=[0, 0, 1], item=[0, 0, 1], rating=[1.0, 5.0, 2.0])
    problem = load_problem(spec, threshold=3, test_size=0.0)
    np.testing.assert_array_equal(problem.X.toarray(), [[1, 0], [0, -1]])


def test_implicit_feedback_needs_no_values(tmp_path):
    spec = save(
        tmp_path / "g.npz", train_user=USERS[:300], train_item=ITEMS[:300],
        test_user=USERS[300:], test_item=ITEMS[300:],
    )  # fmt: skip
    problem = load_problem(spec, implicit=True)
    shape = problem.X.shape
    assert shape == (USERS.max() + 1, ITEMS.max() + 1)
    ones = np.ones(300)
    np.testing.assert_array_equal(
        problem.X.toarray(), dense((USERS[:300], ITEMS[:300], ones), shape)
    )
    for part, expected in zip(problem.test, (USERS[300:], ITEMS[300:], ones[:100]), strict=True):
        np.testing.assert_array_equal(part, expected)
    told = problem.describe()
    assert problem.implicit and told["values"] == "observed" and told["share_positive"] is None
    with pytest.raises(ValueError, match=r"no array 'train_label'.*expected user, item"):
        load_problem(spec)


@pytest.mark.parametrize(("threshold", "liked"), [(None, RATINGS > 0), (4.0, RATINGS >= 4)])
def test_implicit_feedback_from_ratings(tmp_path, threshold, liked):
    spec = save(tmp_path / "r.npz", user=USERS, item=ITEMS, rating=RATINGS)
    problem = load_problem(spec, threshold=threshold, test_size=0.0, implicit=True)
    expected = dense((USERS[liked], ITEMS[liked], np.ones(liked.sum())), problem.X.shape)
    np.testing.assert_array_equal(problem.X.toarray(), expected)
    with pytest.raises(ValueError, match=r"none of 400 values is 99.*expected.*lower --threshold"):
        load_problem(spec, threshold=99, test_size=0.0, implicit=True)


def test_implicit_feedback_leaves_out_dislikes():
    likes = load_problem("synthetic-50", seed=3, implicit=True)
    both = load_problem("synthetic-50", seed=3)
    assert (both.X.maximum(0) != likes.X).nnz == 0
    np.testing.assert_array_equal(likes.test[0], both.test[0][both.test[2] > 0])


def test_events(tmp_path):
    path = tmp_path / "ratings.csv"
    rows = (f"u{u},i{i},{r}" for u, i, r in zip(USERS, ITEMS, RATINGS, strict=True))
    path.write_text("\n".join(["user,item,rating", *rows]))
    problem = load_problem(f"events:{path}", threshold=4)
    assert problem.name == "ratings.csv" and problem.labels
    assert problem.X.nnz + len(problem.test[0]) == 400
    n_liked = (problem.X.data > 0).sum() + (problem.test[2] > 0).sum()
    assert n_liked == (RATINGS >= 4).sum()


def test_made_data_depend_on_the_seed_alone():
    a, b, c = (load_problem("synthetic-60", seed=seed) for seed in (1, 1, 2))
    assert (a.X != b.X).nnz == 0
    assert (a.X != c.X).nnz > 0
    assert a.X.shape == (60, 30)


@pytest.mark.parametrize("spec", ["", "synth", "synthetic-x", "npz:", "csv:x", "synthetic-50:x"])
def test_unknown_problem(spec):
    with pytest.raises(ValueError, match=r"Got the problem .*expected 'synthetic'.*See --help"):
        load_problem(spec)


def test_bad_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected an \.npz file. Check the path"):
        load_problem(f"npz:{tmp_path / 'no.npz'}")
    with pytest.raises(ValueError, match=r"no array 'user'.*expected user, item.*Rename"):
        load_problem(save(tmp_path / "a.npz", who=USERS))
    with pytest.raises(ValueError, match=r"dtypes .*expected positions.*Use events:PATH"):
        load_problem(save(tmp_path / "b.npz", user=USERS / 1, item=ITEMS, rating=RATINGS))
    same = save(tmp_path / "c.npz", user=USERS, item=ITEMS, rating=RATINGS)
    with pytest.raises(ValueError, match=r"labels are equal; expected both kinds.*--threshold"):
        load_problem(same, threshold=99)
