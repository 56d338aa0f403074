"""Which columns each table's columns are made of, by its newest build or by its declaration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from caudal.declarations.model import Prediction
from caudal.declarations.product import Product
from caudal.graph.registered import kind_of, tables_of
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import lineages, model_versions

Column = tuple[str, str]
NOT_BUILT = "no build has told"


def lineage_of(product: Product, ledger: Ledger, name: str) -> dict[str, Any]:
    """Return the column lineage of a table, a source or predictions: ``{columns: {name: {from, indirect, unknown?}}, rows}``.

    The columns of a source come from those of its raw files; these stand under the table ``raw:<source>``.
    """
    if name in product.predictions:
        return _of_predictions(product, ledger, product.predictions[name])
    node = product.nodes.get(name)
    if node is not None and kind_of(node).columns == "raw":
        raw = f"raw:{name}"
        return _document({column.name: [(raw, column.raw_name, "transformation")] for column in node.schema or ()})
    rows = ledger.find(lineages, product=product.name, table=name, newest=True, limit=1)
    return dict(rows[0]["document"]) if rows else {"columns": {}, "rows": {"indirect": [], "unknown": NOT_BUILT}}


def tables_with_columns(product: Product) -> tuple[str, ...]:
    """Return the names of all tables: sources, tables, features, predictions."""
    return tables_of(product)


def upstream(product: Product, ledger: Ledger, start: Column) -> Iterator[tuple[Column, dict[str, Any]]]:
    """Yield the lineage of a column and of the columns that it is made of, back to the raw files; each column once."""
    waiting, visited, lineage_by_table = [start], {start}, dict[str, dict[str, Any]]()
    while waiting:
        table, column = waiting.pop(0)
        if table not in lineage_by_table:
            lineage_by_table[table] = (
                lineage_of(product, ledger, table) if table in tables_with_columns(product) else {"columns": {}}
            )
        column_lineage = lineage_by_table[table]["columns"].get(column)
        if column_lineage is None:
            continue
        yield (table, column), column_lineage
        for origin in column_lineage["from"]:
            origin_column = (origin["table"], origin["column"])
            if origin_column not in visited:
                visited.add(origin_column)
                waiting.append(origin_column)


def flows(product: Product, ledger: Ledger, start: set[Column]) -> dict[str, dict[str, str]]:
    """Return the columns that hold the values of some columns unchanged: ``{table: {column: the one of them that it comes from}}``."""
    start_by_column: dict[str, dict[str, str]] = {}
    for table, column in start:
        start_by_column.setdefault(table, {})[column] = f"{table}.{column}"
    has_grown = True
    while has_grown:
        has_grown = False
        for name in tables_with_columns(product):
            for column, column_lineage in lineage_of(product, ledger, name)["columns"].items():
                start_column = next((start_by_column[origin["table"]][origin["column"]] for origin in column_lineage["from"]
                              if origin["kind"] == "identity" and origin["column"] in start_by_column.get(origin["table"], {})), None)  # fmt: skip
                if start_column and column not in start_by_column.get(name, {}):
                    start_by_column.setdefault(name, {})[column] = start_column
                    has_grown = True
    return start_by_column


def _of_predictions(product: Product, ledger: Ledger, prediction: Prediction) -> dict[str, Any]:
    """Return the lineage of predictions: keys come from the features, predictions from all inputs of the newest model version."""
    model = product.models[prediction.model]
    features = product.features_by_model[model.name]
    versions = ledger.find(model_versions, product=product.name, model=model.name, newest=True, limit=1)
    takes = [input_["name"] for input_ in versions[0]["signature"]["inputs"]] if versions else []
    columns: dict[str, list[tuple[str, str, str]]] = {column: [(features.name, column, "identity")] for column in features.key}
    columns["prediction"] = [(features.name, take, "transformation") for take in takes]
    return _document({**columns, "model_version": [], "input_version": []})


def _document(columns: dict[str, list[tuple[str, str, str]]]) -> dict[str, Any]:
    return {
        "columns": {
            name: {"from": [{"table": table, "column": column, "kind": kind} for table, column, kind in origins], "indirect": []}
            for name, origins in columns.items()
        },
        "rows": {"indirect": []},
    }
