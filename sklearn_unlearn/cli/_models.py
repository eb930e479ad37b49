"""Commands on snapshots of models: fit, recommend, forget; and keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import sklearn_unlearn
from sklearn_unlearn.audit import DeletionService, digest_of, save
from sklearn_unlearn.audit._names import Names
from sklearn_unlearn.benchmarks.methods._import_path import parse_params
from sklearn_unlearn.cli._options import (
    Items,
    Json,
    KeyFile,
    Model,
    Pairs,
    Users,
    existing_store,
    key_of,
    load_model,
    reader_of,
    request_fields,
    request_of,
)
from sklearn_unlearn.cli._show import say, show, show_rows
from sklearn_unlearn.cli._side_tables import CategoryFile, EventFile, side_tables
from sklearn_unlearn.datasets import load_interactions
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder

__all__ = ["COMMANDS"]

_ESTIMATORS = (
    "ALS",
    "BPR",
    "EASE",
    "GraphFilter",
    "ItemKNN",
    "LightGCN",
    "MatrixFactorization",
    "PolynomialFilter",
    "SparseEASE",
)


def fit(
    events: Annotated[Path, typer.Argument(help="Table of events: CSV, Parquet, JSON lines, ...")],
    model: Annotated[Path, typer.Argument(help="Snapshot to write.")],
    estimator: Annotated[str, typer.Option(help=", ".join(_ESTIMATORS))] = "ALS",
    params: Annotated[str, typer.Option(help="Its parameters: 'n_factors=64, alpha=10'.")] = "",
    user: Annotated[str | None, typer.Option(help="Column of users.")] = None,
    item: Annotated[str | None, typer.Option(help="Column of items.")] = None,
    value: Annotated[str | None, typer.Option(help="Column of values.")] = None,
    likes: Annotated[
        float | None, typer.Option(help="Keep events of this value and above, as likes.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fit a model on a table of events, and write a snapshot of it."""
    if estimator not in _ESTIMATORS:
        raise ValueError(
            f"the estimator is {estimator!r}; expected one of {', '.join(_ESTIMATORS)}. Choose one."
        )
    table = load_interactions(events, user=_column(user), item=_column(item), value=_column(value))
    if likes is not None:
        table = table[table.value >= likes]
        table.value[:] = 1.0
    recommender = getattr(sklearn_unlearn, estimator)(**parse_params(params))
    pipeline = make_recommender_pipeline(InteractionEncoder(value="value"), recommender)
    pipeline.fit(table)
    digest = save(pipeline, model)
    data = Names(pipeline).data
    fitted = pipeline.steps[-1][1]
    show(
        {
            "n_users": data.n_users,
            "n_items": data.n_items,
            "n_interactions": data.n_interactions,
            "converged": getattr(fitted, "converged_", True),
            "digest": digest,
        },
        as_json,
    )


def recommend(
    model: Model,
    user: Annotated[list[str], typer.Option("--user", help="A user; may be repeated.")],
    n_items: Annotated[int, typer.Option("--n-items", "-n", min=1)] = 10,
    store: Annotated[
        str | None, typer.Option(help="Leave out what is to be deleted, by this store.")
    ] = None,
    categories: CategoryFile = None,
    events: EventFile = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """List the best items of users that the model knows."""
    served: Any = load_model(model)
    users = [reader_of(served, None).user(one) for one in user]
    if store is not None:
        tables = side_tables(served, categories, events)
        served = DeletionService(
            served, existing_store(store), model, key=key_of(key_file), **tables
        )
    found = served.recommend(users=users, n_items=n_items)
    show_rows(_rows(found, users), ("user", "rank", "item", "score"), as_json)


def forget(
    model: Model,
    user: Users = None,
    item: Items = None,
    pair: Pairs = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go; change nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a model forget at once, and replace its snapshot. Requests belong into a store."""
    found = load_model(model)
    request = request_fields(reader_of(found, None), user, item, pair)
    if not request:
        raise ValueError("nothing is named; expected --user, --item or --pair. Pass one.")
    if dry_run:
        show(_touched(found, request), as_json)
        return
    before = digest_of(found)
    found.forget(**request_of(found, request))
    after = save(found, model)
    report = found.forget_report_.to_dict()
    show({**report, "model_before": before, "model_after": after}, as_json)
    say(f"wrote {model}; backups and exports of the old one still hold what was forgotten")


def key(
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist.")],
    signing: Annotated[
        bool, typer.Option("--signing", help="A pair to sign with: FILE, and FILE.pub beside it.")
    ] = False,
) -> None:
    """Make the key of a store, or a pair of keys for certificates."""
    from sklearn_unlearn.audit import (
        generate_key,
        generate_signing_key,
        public_key_pem,
        signing_key_pem,
    )

    if not signing:
        _write_secret(file, generate_key() + "\n")
        return
    pair, public = generate_signing_key(), file.with_name(file.name + ".pub")
    for one in (file, public):  # both before either is written
        if one.exists():
            raise FileExistsError(
                f"there is a file '{one}'; expected none, as a key that is written over is lost. "
                "Name another file."
            )
    _write_secret(file, signing_key_pem(pair))
    public.write_text(public_key_pem(pair), encoding="ascii")


def _write_secret(file: Path, text: str) -> None:
    """Write a new file that its owner alone can read."""
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(text, encoding="ascii")


def _column(name: str | None) -> str | int | None:
    return int(name) if name is not None and name.isdecimal() else name


def _touched(model: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Count what a request covers, and what the model holds."""
    from sklearn_unlearn.audit import DeletionRequest
    from sklearn_unlearn.audit._scopes import Scopes

    names = Names(model)
    [covered] = Scopes(None, None).cover_all([DeletionRequest(**request)], names)
    return {
        "n_interactions": covered.n_interactions,
        "n_users": covered.n_users,
        "n_items": covered.n_items,
        "of_interactions": names.data.n_interactions,
        "found": covered.found,
    }


def _rows(found: Any, users: list[Any]) -> list[dict[str, Any]]:
    """Rows of a table of recommendations, or of arrays of positions."""
    if isinstance(found, tuple):
        items, scores = found
        return [
            {"user": user, "rank": rank, "item": one, "score": float(score)}
            for user, row, values in zip(users, items.tolist(), scores, strict=True)
            for rank, (one, score) in enumerate(zip(row, values, strict=True), 1)
            if one >= 0
        ]
    columns = [found[name] for name in ("user", "rank", "item", "score")]
    return [
        dict(zip(("user", "rank", "item", "score"), row, strict=True))
        for row in zip(*(column.tolist() for column in columns), strict=True)
    ]


COMMANDS = (fit, recommend, forget, key)
