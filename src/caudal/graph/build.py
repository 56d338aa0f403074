"""A product → the graph of its nodes, models, predictions and what is served."""

from __future__ import annotations

from caudal.declarations.join import Join
from caudal.declarations.node import Features, Node, Source
from caudal.declarations.product import Product
from caudal.graph.shape import Graph, GraphNode, Kind


def build(product: Product) -> Graph:
    """Return the product's graph; inputs that nothing declares stay as names (``check`` reports them)."""
    nodes: dict[str, GraphNode] = {}
    for name, node in product.nodes.items():
        nodes[name] = GraphNode(name, _kind(node), node.inputs, node.description, _where(node.where))
    for name, model in product.models.items():
        nodes[name] = GraphNode(name, "model", model.inputs, model.description, _where(model.where))
    for name, prediction in product.predictions.items():
        of = product.models.get(prediction.model)
        inputs = (prediction.model, of.features) if of else (prediction.model,)
        nodes[name] = GraphNode(name, "prediction", inputs, None, _where(prediction.where))
    for of_model, serving in product.servings.items():
        name = f"serve:{of_model}"
        nodes[name] = GraphNode(name, "serving", (of_model,), None, _where(serving.where))
    for name, publication in product.publications.items():
        nodes[f"publish:{name}"] = GraphNode(f"publish:{name}", "warehouse", publication.tables, None, _where(publication.where))
    return Graph(nodes)


def _kind(node: Node) -> Kind:
    kinds: tuple[tuple[type[Node], Kind], ...] = ((Source, "source"), (Features, "features"), (Join, "join"))
    return next((kind for declared, kind in kinds if isinstance(node, declared)), "table")


def _where(location: object) -> str | None:
    return None if location is None else str(location)
