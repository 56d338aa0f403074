"""A product → its steps, in an order in which each comes after what it needs."""

from __future__ import annotations

from functools import partial
from typing import Literal

from caudal.batch.step import Step
from caudal.batch.steps import build, join, land, metastore as hive, predict, promote, read, star, stream, train, warehouse
from caudal.declarations.connection import CHANNELLED
from caudal.declarations.join import Join
from caudal.declarations.node import Source, Table
from caudal.declarations.product import Product
from caudal.declarations.star import Star
from caudal.declarations.statistics import Statistics
from caudal.graph.order import in_order, needs_of

Pipeline = Literal["all", "train", "predict"]


def plan(product: Product, pipeline: Pipeline = "all", *, metastore: bool = False) -> list[Step]:
    """Return the steps of a product.

    Training and prediction are two pipelines that share their tables: prediction needs the features and a champion, never the
    training of the same run. When both run, prediction comes last, so that it finds a new champion. ``metastore`` tells whether one is set.
    """
    steps: list[Step] = []
    needs: tuple[str, ...]
    wanted = _wanted(product, pipeline)
    for name in in_order(product):
        if name not in wanted:
            continue
        node = product.nodes[name]
        if isinstance(node, Source) and isinstance(node.connection, CHANNELLED):
            steps.append(Step(f"land:{name}", "land", name, (), partial(stream.land, source=node)))
            steps.append(Step(f"read:{name}", "read", name, (f"land:{name}",), partial(stream.published, node=node)))
        elif isinstance(node, Statistics):
            needs = (f"read:{node.inputs[0]}",)
            steps.append(Step(f"{node.kind}:{name}", node.kind, name, needs, partial(stream.published, node=node)))
        elif isinstance(node, Join):
            needs = tuple(_making(product, input_) for input_ in node.inputs)
            steps.append(Step(f"{node.kind}:{name}", node.kind, name, needs, partial(join.work, declared=node)))
        elif isinstance(node, Source):
            steps.append(Step(f"land:{name}", "land", name, (), partial(land.work, source=node), behind=node.after))
            steps.append(Step(f"read:{name}", "read", name, (f"land:{name}",), partial(read.work, source=node)))
        else:
            needs = tuple(dict.fromkeys(_making(product, need) for need in needs_of(node)))
            steps.append(Step(f"{node.kind}:{name}", node.kind, name, needs, partial(build.work, table=node)))
    if pipeline in ("all", "train"):
        for name, model in product.models.items():
            needs = tuple(_making(product, table) for table in model.inputs)
            steps.append(Step(f"train:{name}", "train", name, needs, partial(train.work, model=model)))
            steps.append(Step(f"promote:{name}", "promote", name, (f"train:{name}",), partial(promote.work, model=model)))
    if pipeline in ("all", "predict"):
        for name, prediction in product.predictions.items():
            features = product.models[prediction.model].features
            steps.append(
                Step(f"predict:{name}", "predict", name, (f"features:{features}",), partial(predict.work, prediction=prediction))
            )
    made = {step.subject: step.name for step in steps if step.kind not in ("land", "train", "promote")}
    for name, publication in product.publications.items() if pipeline != "train" else ():
        if all(table in made for table in publication.tables):
            needs = tuple(made[table] for table in publication.tables)
            do = (
                partial(star.work, star=publication)
                if isinstance(publication, Star)
                else partial(warehouse.work, publication=publication)
            )
            steps.append(Step(f"publish:{name}", "publish", name, needs, do))
    if metastore:
        steps += [Step(f"register:{name}", "register", name, (of,), partial(hive.work, table=name)) for name, of in made.items()]
    return steps


def _making(product: Product, name: str) -> str:
    node = product.nodes[name]
    return f"read:{name}" if isinstance(node, Source) else f"{node.kind}:{name}"


def _wanted(product: Product, pipeline: Pipeline) -> set[str]:
    """Return the nodes that a pipeline needs: all of them, or those that lead to its features."""
    if pipeline == "all":
        return set(product.nodes)
    models = (
        [product.models[prediction.model] for prediction in product.predictions.values()]
        if pipeline == "predict"
        else list(product.models.values())
    )
    found: set[str] = set()
    waiting = [name for model in models for name in ((model.features,) if pipeline == "predict" else model.inputs)]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        node = product.nodes[name]
        waiting += list(needs_of(node)) if isinstance(node, Table) else []
    return found
