"""What a group's figures are computed from, and the two kinds of figures: of each group, and between groups.

The names follow Aequitas (Saleiro et al. 2018, arXiv:1811.05577, table 2) and Fairlearn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

Form = Literal["positive", "classes", "numbers"]
"""What is judged: whether a row is of the positive class, which of several classes it is of, or a number."""


@dataclass(frozen=True)
class Tally:
    """Sums over the rows of each group; the last axis is the groups, axes before it are resamples.

    Parameters
    ----------
    rows : number of rows
    hits : rows that are predicted right
    true_positive, false_positive, false_negative, true_negative : rows by label and prediction, for a positive class
    bin_rows, bin_scores, bin_positives : [..., groups, bins], of the rows whose score lies in a bin: number, sum of scores, positive labels; None
        where the candidate gives no probabilities
    error, absolute, squared : sums of prediction − label, of its absolute value and of its square, for a regression
    """

    rows: Numbers
    hits: Numbers
    true_positive: Numbers
    false_positive: Numbers
    false_negative: Numbers
    true_negative: Numbers
    error: Numbers
    absolute: Numbers
    squared: Numbers
    bin_rows: Numbers | None = None
    bin_scores: Numbers | None = None
    bin_positives: Numbers | None = None


@dataclass(frozen=True)
class GroupMetric:
    """A figure of each group.

    Parameters
    ----------
    title : the name in a table
    of : returns the figure of each group, NaN where it has none
    forms : what it can judge
    better : which values are good for those who are judged; None where that depends on what the prediction is used for
    of_scores : whether it needs the probability of the positive class
    description : what it is, as the rest of a sentence
    """

    name: str
    title: str
    of: Callable[[Tally], Numbers]
    description: str
    forms: tuple[Form, ...] = ("positive",)
    better: Literal["lower", "higher"] | None = None
    of_scores: bool = False


@dataclass(frozen=True)
class Comparison:
    """A figure between groups: the greatest difference, or the smallest ratio, of one or several figures of groups.

    Parameters
    ----------
    parts : names of the figures of groups; of several the worst counts
    way : ``difference``, greatest minus least, or ``ratio``, least by greatest
    """

    name: str
    title: str
    parts: tuple[str, ...]
    way: Literal["difference", "ratio"]
    description: str


Metric = GroupMetric | Comparison


def share(part: Numbers, whole: Numbers) -> Numbers:
    """Return one count divided by another, NaN where the other is zero.

    Examples
    --------
    >>> import numpy as np
    >>> share(np.array([1.0, 0.0]), np.array([4.0, 0.0])).tolist()
    [0.25, nan]
    """
    divisor = np.where(whole > 0, whole, np.nan)
    quotient: Numbers = part / divisor
    return quotient
