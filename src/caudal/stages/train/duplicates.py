"""Find near-duplicate rows, which must not lie on both sides of a fold: a model that has seen one knows the other.

Two rows are near-duplicates where all their inputs are equal, or where the cosine distance of their vectors is small. Vectors are what ``cd.embed`` and
``cd.pca`` give: eight or more numeric inputs that are named alike and numbered. Small is less than the distance that 99 in 100 rows keep from every
row of another label: that is how alike two photographs of different things can be. For a number as label, labels that differ by more than a standard
deviation are different ones. Where labels lie so far apart that this would make one group of all rows of a label, the distance is halved
until every label has two groups.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from caudal.stages.train.rows import LabelledRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_VECTOR = 8
"""Numbered inputs of one name that make a vector."""
MAX_COMPARED = 20_000
"""Rows up to which vectors are compared; the time grows with the square of the rows."""
FAR_SHARE = 0.01
CHANCE_SHARE = 0.1
MIN_GROUPS = 2
MAX_HALVINGS = 20


@dataclass(frozen=True)
class Duplicates:
    """The groups of near-duplicate rows.

    Parameters
    ----------
    group : int64 [n], the group of each row; a row without a near-duplicate has a group of its own
    rows : number of rows that are near-duplicates of others
    groups : number of groups with several rows
    distance : the cosine distance below which vectors are near-duplicates; None where none were compared
    not_compared : why vectors were not compared though there are some; None where they were
    scattered : whether there are too few groups for the folds, so that near-duplicates lie in different ones
    """

    group: NDArray[np.int64]
    rows: int
    groups: int
    distance: float | None = None
    not_compared: str | None = None
    scattered: bool = False

    @property
    def sentence(self) -> str | None:
        """What was found, and what was left out; None where there is nothing to say."""
        parts = []
        if self.rows:
            parts.append(
                f"{self.rows:,} rows are near-duplicates of others ({self.groups:,} groups) and "
                + (
                    "lie in different folds, since there are too few groups for the folds: the scores may be too good"
                    if self.scattered
                    else "stay in one fold with them"
                )
            )
        if self.not_compared:
            parts.append(self.not_compared)
        return ". ".join(part[0].upper() + part[1:] for part in parts) + "." if parts else None


def find_duplicates(rows: LabelledRows) -> Duplicates:
    """Return the groups of near-duplicates among labelled rows; each label keeps two groups at least, where it has as many rows."""
    equal = _equal_pairs(rows)
    columns = vector_columns([input_["name"] for input_ in rows.inputs if input_["type"] != "string"])
    if not columns:
        return _grouped(len(rows), equal)
    if len(rows) > MAX_COMPARED:
        left_out = (
            f"of {len(rows):,} rows only those with equal inputs are looked for, since vectors are compared up to {MAX_COMPARED:,}"
        )
        return replace(_grouped(len(rows), equal), not_compared=left_out)
    vectors = rows.frame[columns].to_numpy("float64")
    known = np.flatnonzero(np.isfinite(vectors).all(axis=1) & (np.abs(vectors).sum(axis=1) > 0))
    if known.size < 2:
        return _grouped(len(rows), equal)
    unit = normalize(vectors[known])
    distance = _least_distance(unit, _label_codes(rows)[known])
    for _ in range(MAX_HALVINGS):
        if not distance:
            break
        grouped = _grouped(len(rows), np.concatenate([equal, known[_near_pairs(unit, distance)]]))
        if rows.classes is None or _is_spread(grouped.group, rows.y):
            return replace(grouped, distance=distance)
        distance /= 2
    return _grouped(len(rows), equal)


def _grouped(count: int, pairs: NDArray[np.int64]) -> Duplicates:
    graph = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    sizes = np.bincount(group)
    return Duplicates(group.astype("int64"), int((sizes[group] > 1).sum()), int((sizes > 1).sum()))


def _is_spread(group: NDArray[np.int64], label: pd.Series) -> bool:
    """Return whether no label has all its rows in one group."""
    by_label = pd.Series(group).groupby(label.to_numpy())
    return bool((by_label.nunique() >= np.minimum(MIN_GROUPS, by_label.size())).all())


def vector_columns(names: Sequence[str]) -> list[str]:
    """Return the columns that form a vector: those of the longest numbered series, where it has eight members at least.

    Examples
    --------
    >>> vector_columns(["fare", "hour_1", *[f"pc_{number}" for number in range(1, 9)]])[:2]
    ['pc_1', 'pc_2']
    >>> vector_columns(["lag_1", "lag_4"])
    []
    """
    series: dict[str, list[str]] = {}
    for name in names:
        if numbered := re.fullmatch(r"(.*?)\d+", name):
            series.setdefault(numbered[1], []).append(name)
    longest = max(series.values(), key=len, default=[])
    return longest if len(longest) >= MIN_VECTOR else []


def _equal_pairs(rows: LabelledRows) -> NDArray[np.int64]:
    """Return neighbours of equal inputs, unless so many are equal by chance that equality says nothing."""
    inputs = rows.frame[[input_["name"] for input_ in rows.inputs]]
    hashes = pd.util.hash_pandas_object(inputs, index=False).to_numpy()
    order = np.argsort(hashes, kind="stable")
    equal = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
    by_chance = _pairs_of(np.ones(1) * len(rows))
    for name in inputs.columns:
        by_chance *= _pairs_of(inputs[name].value_counts(dropna=False).to_numpy()) / _pairs_of(np.ones(1) * len(rows))
    observed = _pairs_of(np.unique(hashes, return_counts=True)[1])
    if not equal.size or by_chance > CHANCE_SHARE * observed:
        return np.empty((0, 2), np.int64)
    return np.stack([order[equal], order[equal + 1]], axis=1).astype("int64")


def _pairs_of(counts: NDArray[np.number]) -> float:
    """Return the number of pairs within groups of these sizes."""
    sizes = counts.astype("float64")
    return float((sizes * (sizes - 1) / 2).sum())


def _label_codes(rows: LabelledRows) -> NDArray[np.float64]:
    """Return labels as numbers of which two are different labels where they are more than 1 apart."""
    if rows.classes is not None:
        numbers = {name: 2.0 * number for number, name in enumerate(rows.classes)}
        return np.array([numbers[name] for name in rows.y], "float64")
    spread = float(rows.y.std(ddof=0)) or 1.0
    return np.array(rows.y, "float64") / spread


def _least_distance(unit: NDArray[np.float64], labels: NDArray[np.float64]) -> float | None:
    """Return the distance that 99 in 100 rows keep from all rows of another label; None where every row has one label."""

    def nearest_other(distances: NDArray[np.float64], start: int) -> NDArray[np.float64]:
        own = labels[start : start + len(distances), None]
        least: NDArray[np.float64] = np.where(np.abs(own - labels[None]) > 1, distances, np.inf).min(axis=1)
        return least

    least = np.concatenate(list(pairwise_distances_chunked(unit, metric="cosine", reduce_func=nearest_other)))
    least = least[np.isfinite(least)]
    return float(np.quantile(least, FAR_SHARE)) if least.size else None


def _near_pairs(unit: NDArray[np.float64], distance: float) -> NDArray[np.int64]:
    """Return pairs of rows that are nearer than a cosine distance."""
    # Of vectors of length 1 the squared Euclidean distance is twice the cosine distance.
    near = NearestNeighbors(radius=float(np.sqrt(2 * distance))).fit(unit).radius_neighbors(return_distance=False)
    counts = [len(each) for each in near]
    if not sum(counts):
        return np.empty((0, 2), np.int64)
    return np.stack([np.repeat(np.arange(len(near)), counts), np.concatenate(near).astype("int64")], axis=1)
