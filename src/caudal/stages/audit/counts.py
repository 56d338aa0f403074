"""Counts of test rows by group, label and prediction: all that an audit keeps of them.

A group's figures, those of groups joined, and their intervals are made of these counts; other metrics can be asked for later without a training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from caudal.declarations.audit import MISSING
from caudal.declarations.signature import PREDICTION, class_name
from caudal.json_value import JsonObject
from caudal.stages.audit.tally import Form, Tally

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from caudal.stages.audit.tally import Numbers

BINS = 10
MOMENTS = ("e", "|e|", "e²", "e·|e|", "e³", "|e|³", "e⁴")
"""The sums of a regression's errors e = prediction − label: they give the means of e, |e| and e², and the covariances of the three."""


@dataclass(frozen=True)
class GroupCounts:
    """Counts of test rows in the finest groups.

    Parameters
    ----------
    by : the columns that rows are grouped by
    groups : the values of these columns, one tuple for each group; nulls are ``(missing)``
    form : what is judged
    strata : int64 [group, bin, label, prediction]: rows by bin of the score, by label and prediction (0 negative, 1 positive).
        For several classes one bin and one label, and prediction 1 is a right one; for numbers one stratum, all rows
    sums : float64 [group, bin, label, prediction] sums of scores; for numbers [group, 7], the sums of `MOMENTS`
    positive : the positive class
    has_scores : whether the candidate gives probabilities
    """

    by: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    form: Form
    strata: NDArray[np.int64]
    sums: Numbers
    positive: str | None = None
    has_scores: bool = False

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Return the number of rows of each group, int64 [group]."""
        counted: NDArray[np.int64] = self.strata.sum(axis=(1, 2, 3))
        return counted

    def joined(self, columns: Sequence[str]) -> GroupCounts:
        """Return the counts by some of the columns, groups in order of their values; without a column, those of all rows as one group."""
        places = [self.by.index(column) for column in columns]
        values = [tuple(group[place] for place in places) for group in self.groups]
        groups = tuple(sorted(set(values)))
        target = np.array([groups.index(value) for value in values], dtype=np.int64)
        strata = np.zeros((len(groups), *self.strata.shape[1:]), dtype=np.int64)
        sums = np.zeros((len(groups), *self.sums.shape[1:]))
        np.add.at(strata, target, self.strata)
        np.add.at(sums, target, self.sums)
        return GroupCounts(tuple(columns), groups, self.form, strata, sums, self.positive, self.has_scores)

    def tally(self) -> Tally:
        """Return the sums that figures are computed from, each [group]."""
        if self.form == "numbers":
            return tally_of_errors(self.rows.astype("float64"), self.sums[..., 0], self.sums[..., 1], self.sums[..., 2])
        return tally_of_strata(self.strata.astype("float64"), self.sums, self.form, self.has_scores)

    def documents(self) -> list[JsonObject]:
        """Return each group's counts, ready for JSON: the strata that hold rows, as place, number of rows and sum of scores."""
        found: list[JsonObject] = []
        for strata, sums in zip(self.strata, self.sums, strict=True):
            if self.form == "numbers":
                found.append({"form": self.form, "rows": int(strata.sum()), "sums": [float(value) for value in sums]})
                continue
            places = np.flatnonzero(strata)
            found.append({
                "form": self.form, "positive": self.positive, "scores": self.has_scores, "bins": int(strata.shape[0]),
                "strata": [[int(place), int(strata.flat[place]), float(sums.flat[place])] for place in places],
            })  # fmt: skip
        return found


def from_documents(by: Sequence[str], groups: Sequence[Sequence[str]], documents: Sequence[Mapping[str, Any]]) -> GroupCounts:
    """Return the counts that ``GroupCounts.documents`` described."""
    first = documents[0]
    values = tuple(tuple(group) for group in groups)
    if first["form"] == "numbers":
        rows = np.array([document["rows"] for document in documents], dtype=np.int64).reshape(-1, 1, 1, 1)
        return GroupCounts(
            tuple(by), values, "numbers", rows, np.array([document["sums"] for document in documents], dtype="float64")
        )
    shape = (len(documents), first["bins"], *((2, 2) if first["form"] == "positive" else (1, 2)))
    strata, sums = np.zeros(shape, dtype=np.int64), np.zeros(shape)
    for index, document in enumerate(documents):
        for place, rows_at, score in document["strata"]:
            strata[index].flat[place], sums[index].flat[place] = rows_at, score
    return GroupCounts(tuple(by), values, first["form"], strata, sums, first["positive"], first["scores"])


@dataclass(frozen=True)
class GroupedRows:
    """Rows with their finest groups: the place of each row's group, int64 [n], and the groups, sorted."""

    by: tuple[str, ...]
    codes: NDArray[np.int64]
    groups: tuple[tuple[str, ...], ...]


def group_rows(frame: pd.DataFrame) -> GroupedRows:
    """Return rows with their groups by all columns of a frame; done once, it serves the counts of every candidate."""
    codes, groups = group_codes(frame)
    return GroupedRows(tuple(map(str, frame.columns)), codes, groups)


def count_groups(
    rows: GroupedRows, label: pd.Series, predicted: pd.DataFrame, *, classes: Sequence[str] | None, positive: str | None = None
) -> GroupCounts:
    """Return the counts of some rows, all arguments in the same order.

    Parameters
    ----------
    rows : n rows with their groups
    label : Series [n], the true classes or numbers
    predicted : DataFrame [n], ``prediction`` and ``probability_<class>``
    classes : the classes, sorted; None for a regression
    positive : the positive class; None: the last of two classes, and none of several
    """
    if classes is None:
        return _count_numbers(rows, label, predicted)
    codes, groups = rows.codes, rows.groups
    guess, truth = predicted[PREDICTION].to_numpy(object), label.to_numpy(object)
    chosen = positive_class(classes, positive)
    if chosen is None:
        strata = np.bincount(codes * 2 + (guess == truth), minlength=len(groups) * 2).reshape(-1, 1, 1, 2)
        return GroupCounts(rows.by, groups, "classes", strata, np.zeros(strata.shape))
    column = f"probability_{chosen}"
    scores = None if column not in predicted else np.clip(predicted[column].to_numpy("float64"), 0.0, 1.0)
    bins = 1 if scores is None else BINS
    place = codes * bins
    if scores is not None:
        place = place + np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    place = (place * 2 + (truth == chosen)) * 2 + (guess == chosen)
    shape, size = (len(groups), bins, 2, 2), len(groups) * bins * 4
    strata = np.bincount(place, minlength=size).reshape(shape)
    sums: Numbers = np.zeros(shape)
    if scores is not None:
        sums = np.bincount(place, weights=scores, minlength=size).reshape(shape).astype("float64")
    return GroupCounts(rows.by, groups, "positive", strata, sums, chosen, scores is not None)


def positive_class(classes: Sequence[str], declared: str | None) -> str | None:
    """Return the positive class: the declared one, else the last of two (1 after 0, true after false, yes after no); None for several.

    Examples
    --------
    >>> positive_class(["<=50K", ">50K"], None), positive_class(["a", "b", "c"], None), positive_class(["a", "b", "c"], "b")
    ('>50K', None, 'b')
    """
    if declared is not None:
        return declared
    return classes[-1] if len(classes) == 2 else None


def group_codes(groups: pd.DataFrame) -> tuple[NDArray[np.int64], tuple[tuple[str, ...], ...]]:
    """Return each row's group as a number, and the values of each group, sorted."""
    combined = np.zeros(len(groups), dtype=np.int64)
    texts_by_column: list[list[str]] = []
    for name in groups.columns:
        codes, texts = column_groups(groups[name])
        combined = combined * len(texts) + codes
        texts_by_column.append(texts)
    places, codes = np.unique(combined, return_inverse=True)
    sizes = [len(texts) for texts in texts_by_column]
    at = np.unravel_index(places, sizes) if sizes else ()
    values = tuple(
        tuple(texts[int(index[row])] for texts, index in zip(texts_by_column, at, strict=True)) for row in range(len(places))
    )
    return codes.reshape(-1).astype(np.int64), values


def column_groups(column: pd.Series) -> tuple[NDArray[np.int64], list[str]]:
    """Return each row's group by one column as a number, and the groups' names, sorted; nulls are the group ``(missing)``."""
    import pandas as pd

    codes, uniques = pd.factorize(column, use_na_sentinel=True)
    names = [*(class_name(value) for value in uniques.tolist()), MISSING]
    texts = sorted({names[code] for code in np.unique(codes)})  # the code of a null is −1, the last name
    place = {text: number for number, text in enumerate(texts)}
    mapped = np.array([place.get(name, -1) for name in names], dtype=np.int64)
    return mapped[codes], texts


def tally_of_strata(strata: Numbers, sums: Numbers, form: Form, has_scores: bool) -> Tally:
    """Return the sums of classifications; ``strata`` and ``sums`` are [..., group, bin, label, prediction]."""
    confusion = strata.sum(axis=-3)
    rows = confusion.sum(axis=(-2, -1))
    nothing = np.zeros_like(rows)
    if form == "classes":
        return Tally(rows, confusion[..., 0, 1], nothing, nothing, nothing, nothing, nothing, nothing, nothing)
    true_negative, false_positive = confusion[..., 0, 0], confusion[..., 0, 1]
    false_negative, true_positive = confusion[..., 1, 0], confusion[..., 1, 1]
    return Tally(
        rows, true_positive + true_negative, true_positive, false_positive, false_negative, true_negative, nothing, nothing, nothing,
        *((strata.sum(axis=(-2, -1)), sums.sum(axis=(-2, -1)), strata[..., 1, :].sum(axis=-1)) if has_scores else ()),
    )  # fmt: skip


def tally_of_errors(rows: Numbers, error: Numbers, absolute: Numbers, squared: Numbers) -> Tally:
    """Return the sums of a regression, each [..., group]."""
    nothing = np.zeros_like(rows)
    return Tally(rows, nothing, nothing, nothing, nothing, nothing, error, absolute, squared)


def _count_numbers(rows: GroupedRows, label: pd.Series, predicted: pd.DataFrame) -> GroupCounts:
    error = predicted[PREDICTION].to_numpy("float64") - label.to_numpy("float64")
    absolute = np.abs(error)
    powers = (error, absolute, error**2, error * absolute, error**3, absolute**3, error**4)
    codes, size = rows.codes, len(rows.groups)
    sums = np.stack([np.bincount(codes, weights=power, minlength=size).astype("float64") for power in powers], axis=-1)
    strata = np.bincount(codes, minlength=size).reshape(-1, 1, 1, 1)
    return GroupCounts(rows.by, rows.groups, "numbers", strata, sums)
