"""The metrics that an audit asks for, by name: those that a task has, and those that are there unless others are named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from caudal.kinds import AUDIT_METRICS
from caudal.stages.audit.tally import Comparison, Form, GroupMetric, Metric

WAYS = ("difference", "ratio")
DEFAULTS: Mapping[Form, tuple[str, ...]] = {
    "positive": (
        "base_rate", "selection_rate", "tpr", "fpr", "fnr", "precision", "false_omission_rate", "accuracy", "calibration_error",
        "calibration_bias", "demographic_parity_difference", "demographic_parity_ratio", "equal_opportunity_difference",
        "equalized_odds_difference",
    ),
    "classes": ("accuracy", "error_rate"),
    "numbers": ("mae", "rmse", "bias"),
}  # fmt: skip


def metric_of(name: str) -> Metric | None:
    """Return a metric by its name, ``<metric>_difference`` and ``<metric>_ratio`` included; None where there is none."""
    if name in AUDIT_METRICS:
        metric: Metric = AUDIT_METRICS[name]
        return metric
    stem, _, way = name.rpartition("_")
    if way in WAYS and stem in AUDIT_METRICS and isinstance(AUDIT_METRICS[stem], GroupMetric):
        return difference_of(stem) if way == "difference" else ratio_of(stem)
    return None


def group_metric(name: str) -> GroupMetric:
    """Return the figure of groups of a name."""
    metric: GroupMetric = AUDIT_METRICS[name]
    return metric


def group_metrics_of(metric: Metric) -> Iterator[GroupMetric]:
    """Yield the figures of groups that a metric is made of: itself, or the parts of a comparison."""
    if isinstance(metric, GroupMetric):
        yield metric
    else:
        yield from (group_metric(part) for part in metric.parts)


def metric_forms(metric: Metric) -> tuple[Form, ...]:
    """Return what a metric can judge."""
    first, *others = (part.forms for part in group_metrics_of(metric))
    return tuple(form for form in first if all(form in other for other in others))


def difference_of(name: str) -> Comparison:
    """Return the greatest difference of a figure between groups."""
    title = group_metric(name).title
    return Comparison(
        f"{name}_difference", f"{title}, difference", (name,), "difference", f"greatest difference of {title} between groups"
    )


def ratio_of(name: str) -> Comparison:
    """Return the smallest ratio of a figure between groups."""
    title = group_metric(name).title
    return Comparison(f"{name}_ratio", f"{title}, ratio", (name,), "ratio", f"least {title} divided by the greatest")


def chosen_metrics(names: Sequence[str] | None, form: Form, has_scores: bool) -> list[Metric]:
    """Return the metrics to compute: the named ones, else those that are usual for what is judged, with the differences of each figure.

    Metrics of scores are left out where the candidate gives none.
    """
    metrics = [
        metric for name in (names or DEFAULTS[form]) if (metric := metric_of(name)) is not None and form in metric_forms(metric)
    ]
    metrics = [metric for metric in metrics if has_scores or not any(part.of_scores for part in group_metrics_of(metric))]
    named = {metric.name for metric in metrics}
    differences = [difference_of(metric.name) for metric in metrics if isinstance(metric, GroupMetric)]
    return [*metrics, *(metric for metric in differences if metric.name not in named)]


def metric_names() -> list[str]:
    """Return the names of all metrics."""
    return list(AUDIT_METRICS)
