"""What mitigated candidates share: each row's group, classes, and fits with weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from sklearn.pipeline import Pipeline

from caudal.declarations.audit import group_name
from caudal.discovery import mark_kind
from caudal.errors import DeclarationProblem, nearest

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., object])


def mitigates(function: F) -> F:
    """Mark a function as a mitigation of its name."""
    return mark_kind("mitigations", function.__name__)(function)


def groups_of(rows: Any, columns: Sequence[str], groups: pd.DataFrame | None = None) -> NDArray[np.object_]:
    """Return each row's group as text, values of several columns joined by ``×``; nulls are the group ``(missing)``.

    Parameters
    ----------
    rows : DataFrame that holds the columns, unless ``groups`` gives them
    """
    import pandas as pd

    frame = rows if groups is None else groups
    if not hasattr(frame, "columns"):
        raise DeclarationProblem(
            f"A mitigation by '{columns[0]}' is given an array without columns.",
            fix="Give it a pandas frame with that column, or groups=.",
        )
    texts: list[NDArray[np.object_]] = []
    for column in columns:
        if column not in frame.columns:
            raise DeclarationProblem(
                f"A mitigation groups rows by '{column}', which the rows do not have.", nearest=nearest(column, map(str, frame.columns)),
                column=column,
            )  # fmt: skip
        codes, uniques = pd.factorize(frame[column], use_na_sentinel=True)
        names = np.array([*(group_name(value) for value in uniques.tolist()), group_name(None)], dtype=object)
        texts.append(names[codes])  # the code of a null is −1, the last name
    joined: NDArray[np.object_] = texts[0]
    for text in texts[1:]:
        joined = joined + " × " + text
    return joined


def fit_weighted(estimator: Any, rows: Any, labels: Any, weights: NDArray[np.float64]) -> Any:
    """Fit an estimator, or the last step of a pipeline, with a weight for each row."""
    last = estimator
    name = "sample_weight"
    while isinstance(last, Pipeline):
        step, last = last.steps[-1]
        name = f"{step}__{name}"
    try:
        return estimator.fit(rows, labels, **{name: weights})
    except TypeError as error:
        if "sample_weight" not in str(error):
            raise
        raise DeclarationProblem(
            f"A {type(last).__name__} takes no weights of rows (fit has no sample_weight), which this mitigation needs.",
            fix="Use another estimator, such as LogisticRegression or HistGradientBoostingClassifier.",
        ) from None


def two_classes(labels: Any, positive: str | None, name: str) -> tuple[NDArray[np.object_], str]:
    """Return the two classes, sorted, and the positive one: the declared one, else the last.

    Raises
    ------
    DeclarationProblem : there are not two classes, or the declared one is not among them
    """
    classes = np.unique(np.asarray(labels, dtype=object))
    if len(classes) != 2:
        raise DeclarationProblem(f"cd.{name} is for two classes, and the rows have {len(classes)}.")
    if positive is not None and positive not in classes:
        raise DeclarationProblem(
            f"cd.{name} takes '{positive}' as the positive class, which no row is of.", nearest=nearest(positive, map(str, classes))
        )
    return classes, classes[-1] if positive is None else positive
