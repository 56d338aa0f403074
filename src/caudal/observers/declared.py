"""A product's declaration as a document of the ledger: so that the catalog needs neither its folder nor its code."""

from __future__ import annotations

from caudal.declarations.product import Product
from caudal.graph.build import build
from caudal.graph.registered import kind_of
from caudal.json_value import JsonObject
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import declarations
from caudal.report.run_document import RunDocument
from caudal.runtime.observer import RunObserver
from caudal.runtime.workspace import Workspace
from caudal.secret import redacted


def declaration(product: Product) -> JsonObject:
    """Return what a product declares, JSON-ready."""
    graph = build(product)
    return {
        "name": product.name, "owner": product.owner, "description": product.description, "tz": product.tz,
        "nodes": {name: {"kind": node.kind, "inputs": list(node.inputs), "description": node.description, "where": _short(node.where)} for name, node in graph.nodes.items()},
        "tables": {name: _table(product, name) for name in product.nodes},
        "models": {
            name: {"features": model.features, "label": model.label, "metric": model.metric, "unit": model.unit, "task": model.task}
            for name, model in product.models.items()
        },
        "predictions": {name: {"model": prediction.model, "rows": prediction.rows} for name, prediction in product.predictions.items()},
        "outlets": [{"name": outlet.name, "of": outlet.of, "to": outlet.to.kind, "delivery": outlet.delivery} for outlet in product.outlets.values()],
        "detections": [{"name": name, "of": detection.of} for name, detection in product.detections.items()],
        "slas": {sla.table: sla.within_s for sla in product.slas},
        "subjects": [{"column": subject.column, "tables": list(subject.tables)} for subject in product.subjects],
        "about": {table: {column: {"text": one.text, "unit": one.unit} for column, one in said.items()} for table, said in product.abouts.items()},
    }  # fmt: skip


def remember(product: Product, ledger: Ledger, run_id: str, now: float) -> None:
    """Keep the declaration where it differs from the one that is kept."""
    said = redacted(declaration(product))
    known = ledger.find(declarations, product=product.name, newest=True, limit=1)
    if not known or known[0]["document"] != said:
        ledger.add(declarations, {"product": product.name, "run_id": run_id, "at": now, "document": said})


def _table(product: Product, name: str) -> JsonObject:
    node = product.nodes[name]
    said: JsonObject = {
        "event_time": node.event_time, "partition": node.partition, "expect": [expectation.name for expectation in node.expect],
        "columns": {
            column.name: {"type": column.type, "unit": column.unit, "about": column.description or column.label, "raw": column.raw_name}
            for column in node.schema or ()
        },
    }  # fmt: skip
    return said | kind_of(node).document(node)


def _short(where: str | None) -> str | None:
    """Return a place in the code by the folder and the file's name: pages are shown to others."""
    return None if where is None else "/".join(where.replace("\\", "/").split("/")[-2:])


class KeptDeclaration(RunObserver):
    """Keeps the declaration of each run's product in the ledger."""

    order = 10

    def run_ended(self, ws: Workspace, document: RunDocument) -> None:
        """Keep it where it has changed."""
        if document["run_id"] == ws.run_id:
            remember(ws.product, ws.ledger, ws.run_id, ws.clock())


OBSERVER = KeptDeclaration()
