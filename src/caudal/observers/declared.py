"""Store each product's declaration in the ledger, so that the catalog needs neither the product's folder nor its code."""

from __future__ import annotations

from caudal.declarations.product import Product
from caudal.declarations.requests import Requests
from caudal.graph.build import build
from caudal.graph.registered import kind_of
from caudal.json_value import JsonObject
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import declarations
from caudal.report.run_document import RunDocument
from caudal.runtime.observer import ObservedRun, RunObserver
from caudal.secret import redacted
from caudal.service_levels.agreed import agreement_documents


def declaration(product: Product) -> JsonObject:
    """Return a product's declarations as a JSON-ready document."""
    graph = build(product)
    service_levels = {"service_levels": agreement_documents(product)} if product.service_levels else {}
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
        "slas": {agreement.subject: agreement.level.fresh_s for agreement in product.service_levels if agreement.level.fresh_s}, **service_levels,
        "subjects": [{"column": subject.column, "tables": list(subject.tables)} for subject in product.subjects],
        **({"request_logs": logs} if (logs := request_logs(product)) else {}),
        **({"consumers": [{"name": consumer.name, "of": list(consumer.of)} for consumer in product.consumers]} if product.consumers else {}),
        "about": {table: {column: {"text": about.text, "unit": about.unit} for column, about in columns.items()} for table, columns in product.abouts.items()},
    }  # fmt: skip


def request_logs(product: Product) -> list[JsonObject]:
    """Return which models servers log the requests of, for which source, and which share."""
    return [
        {"model": source.connection.model, "source": name, "sample": source.connection.sample}
        for name, source in product.sources.items()
        if isinstance(source.connection, Requests)
    ]


def store_declaration(product: Product, ledger: Ledger, run_id: str, now: float) -> None:
    """Store the declaration if it differs from the one that is stored."""
    document = redacted(declaration(product))
    newest = ledger.find(declarations, product=product.name, newest=True, limit=1)
    if not newest or newest[0]["document"] != document:
        ledger.add(declarations, {"product": product.name, "run_id": run_id, "at": now, "document": document})


def _table(product: Product, name: str) -> JsonObject:
    node = product.nodes[name]
    document: JsonObject = {
        "event_time": node.event_time, "partition": node.partition, "expect": [expectation.name for expectation in node.expect],
        "columns": {
            column.name: {"type": column.type, "unit": column.unit, "about": column.description or column.label, "raw": column.raw_name}
            for column in node.schema or ()
        },
    }  # fmt: skip
    return document | kind_of(node).document(node)


def _short(where: str | None) -> str | None:
    """Return a place in the code by its folder and file name only, since other people see the pages."""
    return None if where is None else "/".join(where.replace("\\", "/").split("/")[-2:])


class KeptDeclaration(RunObserver):
    """Stores the declaration of each run's product in the ledger."""

    order = -10  # before the page, whose section on service levels reads it

    def run_ended(self, run: ObservedRun, document: RunDocument) -> None:
        """Store the declaration if it has changed."""
        if document["run_id"] == run.record.run_id:
            store_declaration(run.product, run.record.ledger, run.record.run_id, run.record.clock())


OBSERVER = KeptDeclaration()
