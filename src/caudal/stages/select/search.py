"""``search``: an estimator whose parameters are looked for within the rows that it is trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sklearn.model_selection import RandomizedSearchCV, TimeSeriesSplit

from caudal.declarations.location import outside
from caudal.errors import DeclarationProblem, nearest

if TYPE_CHECKING:
    from caudal.declarations.estimator import Estimator


def search(
    estimator: Estimator, parameters: Mapping[str, Any], *, budget: int = 20, folds: int = 3, scoring: str | None = None
) -> RandomizedSearchCV:
    """Return a candidate that tries parameters on folds of its training rows, and is fitted to all of them with the best.

    In each fold of the model the search begins anew, within that fold's training rows: it never sees a row that the candidate is tested on.

    Parameters
    ----------
    parameters : for each parameter a list of values, or a distribution of scipy.stats
    budget : number of combinations that are tried; all of them where lists hold fewer
    folds : stretches of time within the training rows (scikit-learn's ``TimeSeriesSplit``); where the model splits by a key, folds of drawn rows
    scoring : a score of scikit-learn's; the model's metric where left out

    Raises
    ------
    DeclarationProblem : the estimator has no such parameter, or the budget is less than one

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> search(Ridge(), {"alpha": [0.1, 1, 10]}).n_iter
    3
    """
    where = str(outside())
    known = estimator.get_params(deep=True)
    for name in parameters:
        if name not in known:
            raise DeclarationProblem(
                f"cd.search is given the parameter '{name}', which {type(estimator).__name__} does not have.",
                nearest=nearest(name, known),
                where=where,
            )
    if budget < 1 or folds < 2 or not parameters:
        raise DeclarationProblem(
            f"cd.search is given {len(parameters)} parameters, a budget of {budget} and {folds} folds.",
            fix="Give one parameter at least, a budget from 1 and folds from 2.",
            where=where,
        )
    lists = [values for values in parameters.values() if isinstance(values, list | tuple)]
    combinations = math.prod(len(values) for values in lists) if len(lists) == len(parameters) else budget
    return RandomizedSearchCV(
        estimator,
        dict(parameters),
        n_iter=min(budget, combinations),
        cv=TimeSeriesSplit(folds),
        scoring=scoring,
        error_score="raise",
    )
