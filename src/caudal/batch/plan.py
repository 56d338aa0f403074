"""A product's steps, each after the steps that it needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from caudal.batch.registered import work_of
from caudal.batch.step import Step, StepResult
from caudal.batch.steps.metastore import register_table
from caudal.declarations.product import Product
from caudal.graph.build import build
from caudal.graph.node_kind import REGISTER, StepKind
from caudal.graph.registered import DeclaredNode, declared_nodes, step_kind
from caudal.runtime.workspace import Workspace

Pipeline = Literal["all", "train", "predict"]


def plan(product: Product, pipeline: Pipeline = "all", *, metastore: bool = False) -> list[Step]:
    """Return the steps of a product.

    Training and prediction are two pipelines that share their tables: prediction needs the features and a champion, never the
    training of the same run. When both run, prediction comes last, so that it finds a new champion. ``metastore`` tells whether one is set.
    """
    graph = build(product)
    nodes = {node.name: node for node in declared_nodes(product)}
    chosen = [name for name, node in nodes.items() if name in graph.nodes and pipeline in node.kind.pipelines]
    names = {*graph.needed(name for name in chosen if not nodes[name].kind.follows), *chosen}
    steps: list[Step] = []
    writers: dict[str, str] = {}  # table or model → the step that writes it
    for name in graph.order():
        node = nodes[name]
        needs = graph.nodes[name].needs
        if name in names and (not node.kind.follows or all(table in writers for table in needs)):
            node_steps = _steps(node, tuple(writers[needed] for needed in needs))
            writers |= {step.subject: step.name for step in node_steps if step_kind(step.kind).writes in ("table", "model")}
            at = _place_behind(steps, [writers[needed] for needed in needs])
            steps[at:at] = node_steps
    if metastore:
        tables = [step for step in steps if step_kind(step.kind).writes == "table"]
        steps += [_step(REGISTER, step.subject, (step.name,), partial(register_table, table=step.subject)) for step in tables]
    return steps


def _place_behind(steps: list[Step], needed: list[str]) -> int:
    """Return where a node's steps stand: last, or, where they need a training, behind it and before the decision on its version."""
    places = [place for place, step in enumerate(steps) if step.name in needed and step_kind(step.kind).writes == "model"]
    return max(places) + 1 if places else len(steps)


def _steps(node: DeclaredNode, needs: tuple[str, ...]) -> list[Step]:
    """Return the steps of a node; each needs the one before it."""
    subject = node.kind.subject(node.declaration)
    behind = node.kind.after(node.declaration)
    steps: list[Step] = []
    for kind in node.kind.steps:
        steps.append(_step(kind, subject, needs, work_of(node.kind, kind, node.declaration), behind))
        needs, behind = (steps[-1].name,), ()
    return steps


def _step(
    kind: StepKind, subject: str, needs: tuple[str, ...], work: Callable[[Workspace], StepResult], behind: tuple[object, ...] = ()
) -> Step:
    return Step(f"{kind.name}:{subject}", kind.name, subject, needs, work, behind=behind)
