"""The metrics of each task, and whether a metric needs probabilities from a candidate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, get_args

from caudal import kinds
from caudal.declarations.model import Task

Better = Literal["lower", "higher"]


class _OfTask(Mapping[str, Better]):
    """The metrics of a task, each with the direction that is better; they are loaded at first use."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def __getitem__(self, name: str) -> Better:
        metric = kinds.METRICS[name]
        if metric.task != self._task:
            raise KeyError(name)
        better: Better = metric.better
        return better

    def __iter__(self) -> Iterator[str]:
        return (name for name, metric in kinds.METRICS.items() if metric.task == self._task)

    def __len__(self) -> int:
        return sum(1 for _ in self)


METRICS: Mapping[Task, Mapping[str, Better]] = {task: _OfTask(task) for task in get_args(Task)}


def needs_probabilities(metric: str) -> bool:
    """Return whether a metric needs the probability of each class, and so a candidate with ``predict_proba``.

    Examples
    --------
    >>> needs_probabilities("log_loss"), needs_probabilities("accuracy")
    (True, False)
    """
    return metric in kinds.METRICS and bool(kinds.METRICS[metric].of_probabilities)
