"""An audit of one candidate: all groupings that are declared, and sentences on what has no value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from caudal.stages.audit.counts import GroupCounts
from caudal.stages.audit.figures import GroupFigures, Grouping, Reference, figures_by
from caudal.stages.audit.metrics_of import chosen_metrics
from caudal.stages.audit.tally import GroupMetric


@dataclass(frozen=True)
class Audited:
    """The figures of one candidate.

    Parameters
    ----------
    overall : of all test rows
    groupings : by each column, then by all together
    notes : sentences on what could not be computed, and why
    """

    overall: GroupFigures
    groupings: tuple[Grouping, ...]
    notes: tuple[str, ...]


def audited(
    counts: GroupCounts,
    groupings: Iterable[Sequence[str]],
    *,
    metrics: Sequence[str] | None = None,
    reference: Reference = "largest",
    min_rows: int = 100,
    seed: int = 0,
) -> Audited:
    """Return the figures of a candidate by each grouping."""
    chosen = chosen_metrics(metrics, counts.form, counts.has_scores)
    by_columns = tuple(
        figures_by(counts, columns, chosen, reference=reference, min_rows=min_rows, seed=seed) for columns in groupings
    )
    of_groups = [metric for metric in chosen if isinstance(metric, GroupMetric)]
    (overall,) = figures_by(counts, (), of_groups, min_rows=1, seed=seed).groups
    return Audited(overall, by_columns, tuple(_notes(counts, by_columns, reference, min_rows)))


def _notes(counts: GroupCounts, groupings: Sequence[Grouping], reference: Reference, min_rows: int) -> Iterable[str]:
    if counts.form == "positive":
        rows = counts.strata.sum(axis=(0, 1, 3))
        for label, name, lost in ((1, "positive", "tpr and fnr"), (0, "negative", "fpr")):
            if not rows[label]:
                yield f"No test row has a {name} label ('{counts.positive}' is the positive class): {lost} have no value."
        if not counts.has_scores:
            yield "It gives no probabilities: calibration has no value."
    for grouping in groupings:
        large = np.count_nonzero([not group.small for group in grouping.groups])
        columns = " × ".join(grouping.by)
        if large < 2:
            yield f"By {columns}, {large} of {len(grouping.groups)} groups {'has' if large == 1 else 'have'} {min_rows} test rows: nothing is compared."
        elif (
            not isinstance(reference, str)
            and any(column in reference for column in grouping.by)
            and not any(group.references for group in grouping.groups)
        ):
            yield f"By {columns}, the reference group has fewer than {min_rows} test rows: nothing is compared."
