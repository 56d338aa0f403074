"""Finds the functions that do the work of steps: the ``STEPS`` of each module of ``batch/steps`` and of the entry points ``caudal.steps``.

The keys of ``STEPS`` are the kind of node and the kind of step, as in `caudal.graph.registered`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import caudal.batch.steps
from caudal.batch.step import StepResult
from caudal.errors import EnvironmentProblem
from caudal.graph.node_kind import NodeKind, StepKind
from caudal.graph.registered import members, node_kinds
from caudal.runtime.workspace import Workspace

GROUP = "caudal.steps"
Work = Callable[[Workspace, Any], StepResult]


@cache
def works() -> Mapping[tuple[str, str], Work]:
    """Return the function of each kind of step, by the names of the node's kind and of the step's kind.

    Raises
    ------
    EnvironmentProblem : a step of a kind of node has no work
    """
    works_by_step: dict[tuple[str, str], Work] = {}
    for steps in members(caudal.batch.steps, "STEPS", GROUP):
        works_by_step |= steps
    for kind in node_kinds():
        for step in kind.steps:
            if (kind.name, step.name) not in works_by_step:
                raise EnvironmentProblem(
                    f"Nothing does the step '{step.name}' of the kind of node '{kind.name}'.",
                    fix=f"Give it as an entry point of the group {GROUP}: STEPS = {{('{kind.name}', '{step.name}'): work}}.",
                )
    return works_by_step


def work_of(kind: NodeKind[Any], step: StepKind, declaration: Any) -> Callable[[Workspace], StepResult]:
    """Return the function that does a step of a node."""
    work = works()[kind.name, step.name]
    return lambda ws: work(ws, declaration)


def forget_steps() -> None:
    """Clear the cache, so that the functions are searched again."""
    works.cache_clear()
