"""Area under the receiver operating characteristic."""

from __future__ import annotations

from sklearn.metrics import roc_auc_score

from caudal.stages.metrics.judged import Judged, Metric

ORDER = 23


def score(judged: Judged) -> float | None:
    """Return the area under the curve; with more than two classes, the mean of each against the rest; None where some class has no label."""
    share = judged.probabilities
    if share is None or len(set(judged.truth)) != len(judged.classes):
        return None
    if judged.binary:
        return float(roc_auc_score(judged.truth == judged.classes[-1], share[:, -1]))
    return float(roc_auc_score(judged.truth, share, multi_class="ovr", labels=list(judged.classes)))


METRIC = Metric("roc_auc", "classification", "higher", score, of_probabilities=True)
