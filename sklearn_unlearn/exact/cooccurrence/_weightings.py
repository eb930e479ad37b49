"""Weights of interactions, users and items, of which similarities of items are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.exact.cooccurrence._cooccurrence_kernels import find_cells
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils._interactions import index_dtype, rows_of

__all__ = ["SIMILARITIES", "ItemCells", "Rule", "Weighting"]

SIMILARITIES = (
    "cosine",
    "tfidf",
    "bm25",
    "asymmetric_cosine",
    "rp3beta",
    "turbo",
    "jaccard",
    "dice",
)

Floats = NDArray[Any]

# So many values tell, nearly always, that not all are 1: the others need not be read.
_FEW = 256


@dataclass(frozen=True)
class Rule:
    """What similar means.

    Parameters
    ----------
    similarity : str
        Name of the similarity, of `SIMILARITIES`.

    k1, b : float
        Saturation and length normalisation of BM25.

    alpha, beta, power : float
        Exponents: see `ItemKNN`.
    """

    similarity: str
    k1: float = 1.2
    b: float = 0.75
    alpha: float = 0.5
    beta: float = 0.5
    power: float = 1.0

    @property
    def is_global(self) -> bool:
        """Whether an interaction less changes all similarities."""
        return self.similarity == "bm25"

    @property
    def counts_items(self) -> bool:
        """Whether similarities depend on how many items there are, those that nobody met too."""
        return self.similarity in ("tfidf", "bm25")

    @property
    def weighs_users(self) -> bool:
        """Whether the weight of a user depends on its row."""
        return self.similarity in ("tfidf", "bm25", "rp3beta", "turbo")

    @property
    def is_of_sets(self) -> bool:
        """Whether items are compared as sets of users: values do not count."""
        return self.similarity in ("jaccard", "dice")

    @property
    def form(self) -> tuple[int, float]:
        """How the kernels make a similarity of a co-count: 1 and 2 are Jaccard's and Dice's."""
        kind = {"jaccard": 1, "dice": 2}.get(self.similarity, 0)
        return kind, self.power if self.similarity == "turbo" else 1.0

    def scales(self, item_scales: Floats) -> tuple[Floats, Floats]:
        """Scales of an item as a row, and as an entry of other rows.

        Parameters
        ----------
        item_scales : ndarray of float64, shape (n_items,)
            Of a `Weighting` by this rule.

        Returns
        -------
        rows, columns : ndarray of float64, shape (n_items,)
        """
        if self.similarity == "asymmetric_cosine":
            return _powers(item_scales, -self.alpha), _powers(item_scales, self.alpha - 1)
        if self.similarity == "rp3beta":
            return _powers(item_scales, -self.alpha), _powers(item_scales, -self.beta)
        return item_scales, item_scales


@dataclass(frozen=True)
class ItemCells:
    """The interactions of some items, item by item, users ascending.

    Parameters
    ----------
    items : ndarray of int64, shape (n,)
        Distinct items, ascending.

    starts : ndarray of int64, shape (n + 1,)
        Where each item starts in the other two.

    users, positions : ndarray of int, shape (n_cells,)
        The user and the position of each interaction.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.exact.cooccurrence._weightings import ItemCells
    >>> from sklearn_unlearn.interactions import Interactions
    >>> data = Interactions.from_matrix([[1, 0, 3], [0, 2, 4]])
    >>> cells = ItemCells.of(data, np.array([2]))
    >>> cells.users
    array([0, 1])
    >>> cells.sums(data.values[cells.positions])
    array([7.])
    """

    items: NDArray[np.int64]
    starts: NDArray[np.int64]
    users: NDArray[Any]
    positions: NDArray[Any]

    @classmethod
    def of(cls, data: Interactions, items: NDArray[np.int64]) -> ItemCells:
        """Find the interactions of some items in one pass over all."""
        is_wanted = np.zeros(data.n_items, bool)
        is_wanted[items] = True
        found = np.empty(data.n_interactions + 1, index_dtype(data.n_interactions))
        found = found[: find_cells(np.asarray(data.indices), is_wanted, found)]
        columns = data.indices[found]
        order = np.argsort(columns, kind="stable")
        positions = found[order].astype(np.int64)
        users = rows_of(data.indptr, positions)
        starts = np.searchsorted(columns[order], np.append(items, data.n_items))
        return cls(items, starts, users, positions)

    @classmethod
    def of_all(cls, data: Interactions) -> ItemCells:
        """Sort all interactions by item."""
        # On a bare table: the transposed pattern is needed once and must not stay.
        return cls(np.arange(data.n_items), *data.bare().transpose_pattern())

    def part(self, start: int, stop: int) -> ItemCells:
        """Return those of the items ``start`` to ``stop``, counted from the first one here."""
        starts = self.starts[start : stop + 1]
        cells = slice(starts[0], starts[-1])
        items = self.items[start:stop]
        return ItemCells(items, starts - starts[0], self.users[cells], self.positions[cells])

    def sums(self, terms: Floats) -> Floats:
        """Add up one term an interaction for each item, in the order of its users."""
        numbers = np.repeat(np.arange(len(self.items)), np.diff(self.starts))
        # Without terms, they would be counts.
        return np.bincount(numbers, terms, len(self.items)).astype(np.float64, copy=False)


@dataclass(frozen=True)
class Weighting:
    """Strengths of interactions, weights of users and scales of items.

    Parameters
    ----------
    strengths : ndarray of float64, shape (n_interactions,) or (0,)
        By position. Empty where all are 1.

    user_weights : ndarray of float64, shape (n_users,)
        How much each user counts.

    item_scales : ndarray of float64, shape (n_items,)
        Zero for items that are similar to none. Where a similarity is not symmetric, or is one of
        sets, what both scales are made of (`Rule.scales`): the square of the norm, or the sum.

    Examples
    --------
    >>> from sklearn_unlearn.exact.cooccurrence._weightings import ItemCells, Rule, Weighting
    >>> from sklearn_unlearn.interactions import Interactions
    >>> data = Interactions.from_matrix([[1, 0, 1], [1, 1, 1], [1, 0, 0], [1, 0, 0]])
    >>> Weighting.of(data, ItemCells.of_all(data), Rule("cosine")).item_scales
    array([0.5       , 1.        , 0.70710678])
    """

    strengths: Floats
    user_weights: Floats
    item_scales: Floats

    @classmethod
    def of(cls, data: Interactions, cells: ItemCells, rule: Rule) -> Weighting:
        """Weigh all interactions; `cells` are all of them."""
        strengths = _strengths(data, rule, False)
        weights = _user_weights(data, rule, not len(strengths))
        if rule.similarity == "bm25":
            return _bm25(data, cells, weights, strengths, rule)
        return cls(strengths, weights, _item_scales(data, cells, weights, strengths, rule))

    @classmethod
    def again(
        cls,
        retained: Interactions,
        cells: ItemCells,
        rule: Rule,
        old_scales: Floats,
        all_ones: bool,
    ) -> Weighting:
        """Weigh interactions of which only the items of some cells have another norm than before.

        Parameters
        ----------
        retained : Interactions
            The interactions then.

        cells : ItemCells
            Those of these items.

        rule : Rule
            One that is not global.

        old_scales : ndarray of float64, shape (n_items,)
            Scales before. Not written to.

        all_ones : bool
            Whether all values were 1 before, and those that came are.

        Returns
        -------
        weighting : Weighting
            Equal to that of `of`, bit for bit.
        """
        strengths = _strengths(retained, rule, all_ones)
        weights = _user_weights(retained, rule, not len(strengths))
        scales = np.array(old_scales)
        scales[cells.items] = _item_scales(retained, cells, weights, strengths, rule)
        return cls(strengths, weights, scales)

    @property
    def all_ones(self) -> bool:
        """Whether all values are 1."""
        return not len(self.strengths)

    def own(self, cells: ItemCells) -> Floats:
        """Return the strengths of some cells, empty where all are 1."""
        return self.strengths if self.all_ones else self.strengths[cells.positions]


def _multiples(data: Interactions) -> Floats:
    return np.ones(data.n_users) if data.row_weights is None else np.array(data.row_weights)


def _user_weights(data: Interactions, rule: Rule, all_ones: bool) -> Floats:
    if not rule.weighs_users:
        return _multiples(data)
    if rule.similarity in ("rp3beta", "turbo"):
        sums = data.user_degrees.astype(np.float64)
        if not all_ones:
            sums = data.to_csr() @ np.ones(data.n_items)
        return _multiples(data) * _powers(sums, -(1 + (rule.similarity == "turbo")) * rule.alpha)
    # Items are the documents, users the terms. A weight is a number of copies of a user, and
    # copies are terms of their own: they do not change how rare each one is.
    idf = np.log(data.n_items) - np.log1p(data.user_degrees)
    return _multiples(data) * (idf * idf)


def _strengths(data: Interactions, rule: Rule, all_ones: bool) -> Floats:
    if rule.is_of_sets:
        return np.empty(0)
    values = np.asarray(data.values)
    if all_ones or (np.all(values[:_FEW] == 1) and np.all(values == 1)):
        return np.empty(0)
    values = values.astype(np.float64, copy=False)
    if rule.similarity == "rp3beta":
        return np.power(values, rule.alpha)
    return np.sqrt(values) if rule.similarity == "tfidf" else values


def _powers(sums: Floats, power: float) -> Floats:
    return np.power(sums, power, out=np.zeros(len(sums)), where=sums > 0)


def _item_scales(
    data: Interactions, cells: ItemCells, weights: Floats, strengths: Floats, rule: Rule
) -> Floats:
    if rule.similarity in ("rp3beta", "turbo"):
        sums = cells.sums(_weighted_values(data, cells, strengths))
        return _powers(sums, rule.alpha - 1) if rule.similarity == "turbo" else sums
    terms = weights[cells.users]
    if len(strengths):
        own = strengths[cells.positions]
        terms = (own * own) * terms
    norms = cells.sums(terms)
    if rule.is_of_sets or rule.similarity == "asymmetric_cosine":
        return norms
    return np.divide(1.0, np.sqrt(norms), out=np.zeros(len(norms)), where=norms > 0)


def _weighted_values(data: Interactions, cells: ItemCells, strengths: Floats) -> Floats:
    terms = _multiples(data)[cells.users]
    return data.values[cells.positions] * terms if len(strengths) else terms


def _bm25(
    data: Interactions, cells: ItemCells, weights: Floats, values: Floats, rule: Rule
) -> Weighting:
    lengths = cells.sums(_weighted_values(data, cells, values))
    mean = lengths.mean()
    relative = lengths / mean if mean > 0 else lengths
    shifts = rule.k1 * (1 - rule.b + rule.b * relative)
    if not len(values):
        # Values of 1 have one strength an item, which is better kept out of the sums.
        return Weighting(values, weights, (rule.k1 + 1) / (shifts + 1))
    strengths = values * (rule.k1 + 1) / (shifts[data.indices] + values)
    return Weighting(strengths, weights, np.ones(data.n_items))
