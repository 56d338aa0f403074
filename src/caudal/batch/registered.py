"""The work of steps is found: each module of ``batch/steps`` that has ``STEPS``, and the entry points ``caudal.steps`` of other packages.

``STEPS`` is by kind of node and kind of step, as `caudal.graph.registered` has them.
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
    """Return the work of each kind of step, by the name of the node's kind and that of the step's.

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
    """Return what does a step of a node."""
    work = works()[kind.name, step.name]
    return lambda ws: work(ws, declaration)


def forget() -> None:
    """Have the work of steps found anew."""
    works.cache_clear()
