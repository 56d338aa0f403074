"""The catalog of a home: each product's tables and models, with columns, statistics, checks, freshness, lineage and readers."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.declarations.settings import Settings
from caudal.errors import NotThere
from caudal.graph.load import load
from caudal.graph.registered import labels_where
from caudal.ledger.json_ready import json_ready, text_or_number
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import checks, declarations, landed, lineages, model_versions, profiles, runs, steps
from caudal.observers.declared import declaration
from caudal.registry import card
from caudal.runtime.opening import open_home
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home
from caudal.tables.landing import origin_of

if TYPE_CHECKING:
    from caudal.ledger.rows import ColumnProfile
    from caudal.report.documents import FoundDocument


Thing = dict[str, Any]
HIDDEN = "•••"


def catalog(settings: Settings, folders: Sequence[Path] = (), *, samples: int = 0) -> Thing:
    """Return the catalog of all products that have run in a home, and of the products in ``folders`` as they are declared now.

    Parameters
    ----------
    samples : int, rows shown of each table; columns that identify a person are masked
    """
    home = open_home(settings)
    with contextlib.closing(home.ledger()) as ledger:
        declared = {row["product"]: row["document"] for row in ledger.find(declarations)}
        declared |= {str(document["name"]): document for document in (declaration(load(folder)) for folder in folders)}
        if not declared:
            raise NotThere(
                f"No product has run in {home.path}.",
                fix="Run one, or name the folders of products: caudal catalog build FOLDER --out DIR.",
            )
        products = {name: _Product(home, ledger, document, samples).document() for name, document in sorted(declared.items())}
        _readers_elsewhere(home, ledger, products)
        return json_ready({"home": home.path.name, "products": list(products.values())}, text_or_number)  # type: ignore[no-any-return]


def search_catalog(document: Thing, word: str) -> list[FoundDocument]:
    """Return products, things and columns whose name, description or owner contains the word; exact names come first."""
    ranked_hits: list[tuple[int, FoundDocument]] = []

    def look(kind: str, where: str, name: str, *texts: str | None) -> None:
        matching = [text for text in texts if text and word.lower() in text.lower()]
        if word.lower() in name.lower() or matching:
            about = (matching or [texts[0] or ""])[0]
            rank = 0 if name.lower() == word.lower() else 1 if word.lower() in name.lower() else 2
            ranked_hits.append((rank, {"kind": kind, "where": where, "name": name, "about": about}))

    for product in document["products"]:
        look("product", "", product["name"], product["description"], product["owner"])
        for entry in product["things"]:
            look(entry["kind"], product["name"], entry["name"], entry["description"])
            for column in entry["columns"]:
                look("column", f"{product['name']}.{entry['name']}", column["name"], column["about"], column["unit"])
    return [hit for _, hit in sorted(ranked_hits, key=lambda ranked: ranked[0])]


class _Product:
    """One product's part of the catalog."""

    def __init__(self, home: Home, ledger: Ledger, declared: Thing, samples: int) -> None:
        self._home, self._ledger, self._declared, self._samples = home, ledger, declared, samples
        self._name = str(declared["name"])
        self._lineages = {name: self._lineage(name) for name in (*declared["tables"], *declared["predictions"])}

    def document(self) -> Thing:
        last = self._ledger.find(runs, product=self._name, newest=True, limit=1)
        entries = [
            *(self._table(name) for name in self._declared["tables"]), *(self._model(name) for name in self._declared["models"]),
            *(self._table(name) for name in self._declared["predictions"]),
        ]  # fmt: skip
        for entry in entries:
            for column in entry["columns"]:
                self._inherit(entry["name"], column, entries)
        return {
            **{name: self._declared[name] for name in ("name", "owner", "description", "tz", "nodes")},
            "last_run": {name: last[0][name] for name in ("run_id", "state", "started_at")} if last else None, "things": entries,
        }  # fmt: skip

    def _table(self, name: str) -> Thing:
        node = self._declared["nodes"][name]
        declared = self._declared["tables"].get(name, {"columns": {}, "expect": [], "event_time": None, "partition": None})
        profile = self._ledger.find(profiles, product=self._name, table=name, newest=True, limit=1)
        newest_check = self._ledger.find(checks, product=self._name, table=name, newest=True, limit=1)
        check_rows = (
            self._ledger.find(checks, product=self._name, table=name, run_id=newest_check[0]["run_id"]) if newest_check else []
        )
        step_rows = (
            self._ledger.find(steps, product=self._name, name=name, run_id=newest_check[0]["run_id"], state="succeeded")
            if newest_check
            else []
        )
        published = any(row["rows_written"] is not None for row in step_rows)
        folder = self._home.table(self._name, name)
        number = delta.version_of(folder)
        version = delta.read_version(folder, number) if number is not None else None
        names = (
            [field["name"] for field in version.schema["fields"] if field["name"] != delta.DAY]
            if version
            else list(declared["columns"])
        )
        types = {field["name"]: field["type"] for field in version.schema["fields"]} if version else {}
        figures = profile[0]["columns"] if profile else {}
        return {
            "name": name, "kind": node["kind"], "description": node["description"] or self._about_prediction(name), "where": node["where"],
            "owner": self._declared["owner"], "inputs": node["inputs"], "readers": self._readers(name), "event_time": declared["event_time"],
            "partition": declared["partition"], "from": declared.get("from"), "sql": declared.get("sql"), "expect": declared["expect"],
            "version": number, "versions": 0 if number is None else number + 1, "rows": version.rows if version else None,
            "bytes": sum(file.bytes for file in version.files) if version else None,
            "updated_at": float(version.identity["at"]) if version and "at" in version.identity else None,
            "days": _span(version), "fresh_within_s": self._declared["slas"].get(name), "set_aside": self._set_aside(name),
            "columns": [self._column(name, column, types.get(column), declared, figures.get(column), profile[0]["rows"] if profile else None) for column in names],
            "rows_decided_by": self._lineages.get(name, {}).get("rows", {}),
            "checks": [{**{name: row[name] for name in ("expectation", "action", "rows", "broken", "passed", "message", "run_id")}, "published": published} for row in check_rows],
            "sample": self._sample(version, names) if version and self._samples else [],
            "more": {name: declared[name] for name in ("entity", "as_of", "labels", "kept") if declared.get(name)},
        }  # fmt: skip

    def _model(self, name: str) -> Thing:
        node, declared = self._declared["nodes"][name], self._declared["models"][name]
        versions = self._ledger.find(model_versions, product=self._name, model=name, newest=True)
        champion = self._ledger.champion(self._name, name)
        model_card = (
            card(self._ledger, self._name, name, champion["version"] if champion else versions[0]["version"]) if versions else None
        )
        inputs = model_card["signature"]["inputs"] if model_card else []
        features = self._lineages.get(declared["features"], {}).get("columns", {})
        columns: list[dict[str, object]] = [
            {"name": input_["name"], "type": str(input_.get("type", "")), "unit": None, "about": None, "raw": None, "figures": {}, "unknown": None,
             "from": [{"table": declared["features"], "column": input_["name"], "kind": "identity"}] if input_["name"] in features or not features else [],
             "indirect": [], "to": [{"table": prediction, "column": "prediction", "kind": "transformation"} for prediction, declared_prediction in self._declared["predictions"].items() if declared_prediction["model"] == name]}
            for input_ in inputs
        ]  # fmt: skip
        return {
            "name": name, "kind": "model", "description": node["description"], "where": node["where"], "owner": self._declared["owner"],
            "inputs": [declared["features"]], "readers": self._readers(name), "columns": columns, "checks": [], "rows": None, "bytes": None,
            "version": model_card["version"] if model_card else None, "versions": len(versions), "updated_at": model_card["created_at"] if model_card else None,
            "model": declared,
            "champion": None if champion is None else {
                "version": champion["version"], "candidate": champion["candidate"], "metrics": champion["metrics"], "at": champion["decision"]["at"],
                "who": champion["decision"]["who"], "training_table": champion["training_table"], "training_version": champion["training_version"],
                "training_rows": champion["training_rows"], "training_from": champion["training_from"], "training_until": champion["training_until"],
            },
            "gates": model_card["gates"] if model_card else [], "sample": [], "more": {}, "expect": [], "rows_decided_by": {}, "set_aside": None,
            "event_time": None, "partition": None, "from": None, "sql": None, "days": None, "fresh_within_s": None,
        }  # fmt: skip

    def _column(
        self,
        table: str,
        name: str,
        type: object,
        table_declaration: Thing,
        figures: ColumnProfile | None,
        rows: int | None,
    ) -> Thing:
        declared = table_declaration["columns"].get(name, {})
        metadata = self._declared["about"].get(table, {}).get(name, {})
        lineage = self._lineages.get(table, {}).get("columns", {}).get(name, {"from": [], "indirect": []})
        return {
            "name": name, "type": _type(type or declared.get("type")), "unit": metadata.get("unit") or declared.get("unit"),
            "about": metadata.get("text") or declared.get("about"), "raw": declared.get("raw"), "figures": {**(figures or {}), "rows": rows} if figures else {},
            "from": lineage["from"], "indirect": lineage["indirect"], "unknown": lineage.get("unknown"), "to": self._goes_to(table, name),
        }  # fmt: skip

    def _goes_to(self, table: str, column: str) -> list[Thing]:
        readers = [
            {"table": name, "column": other, "kind": origin["kind"]}
            for name, lineage in self._lineages.items()
            for other, column_lineage in lineage["columns"].items()
            for origin in column_lineage["from"]
            if (origin["table"], origin["column"]) == (table, column)
        ]
        for name, model in self._declared["models"].items():
            if model["features"] == table and model["label"] == column:
                readers.append({"table": name, "column": None, "kind": "label"})
        return readers

    def _inherit(self, table: str, column: Thing, entries: Sequence[Thing]) -> None:
        """Copy the unit and the description from the column that this one carries unchanged."""
        position, visited = (table, column["name"]), set[tuple[str, str]]()
        while (not column["unit"] or not column["about"]) and position not in visited:
            visited.add(position)
            lineage = self._lineages.get(position[0], {}).get("columns", {}).get(position[1])
            if lineage is None or len(lineage["from"]) != 1 or lineage["from"][0]["kind"] != "identity":
                return
            position = (lineage["from"][0]["table"], lineage["from"][0]["column"])
            origin = next(
                (
                    column
                    for entry in entries
                    if entry["name"] == position[0]
                    for column in entry["columns"]
                    if column["name"] == position[1]
                ),
                None,
            )
            if origin is not None:
                column["unit"], column["about"] = column["unit"] or origin["unit"], column["about"] or origin["about"]

    def _lineage(self, name: str) -> Thing:
        """Return a table's column lineage from its newest build; for a source or predictions, as declared."""
        empty: Thing = {"columns": {}, "rows": {}}
        if name in self._declared["predictions"]:
            model = self._declared["models"][self._declared["predictions"][name]["model"]]
            table = self._declared["tables"][model["features"]]
            keys = [*table.get("entity", ()), table.get("as_of")]
            versions = self._ledger.find(
                model_versions, product=self._name, model=self._declared["predictions"][name]["model"], newest=True, limit=1
            )
            inputs = [input_["name"] for input_ in versions[0]["signature"]["inputs"]] if versions else []
            origins = {key: [(model["features"], key, "identity")] for key in keys if key} | {
                "prediction": [(model["features"], input_, "transformation") for input_ in inputs]
            }
            return {
                "columns": {
                    column: {
                        "from": [dict(zip(("table", "column", "kind"), parts, strict=True)) for parts in origin],
                        "indirect": [],
                    }
                    for column, origin in origins.items()
                },
                "rows": {},
            }
        if self._declared["nodes"][name]["kind"] in labels_where(columns="raw"):
            return empty
        lineage_rows = self._ledger.find(lineages, product=self._name, table=name, newest=True, limit=1)
        return dict(lineage_rows[0]["document"]) if lineage_rows else empty

    def _readers(self, name: str) -> list[dict[str, str]]:
        readers = [
            {"kind": node["kind"], "name": other} for other, node in self._declared["nodes"].items() if name in node["inputs"]
        ]
        readers += [
            {"kind": f"outlet ({outlet['to']}, {outlet['delivery']})", "name": outlet["name"]}
            for outlet in self._declared["outlets"]
            if outlet["of"] == name
        ]
        readers += [
            {"kind": "detector", "name": detection["name"]} for detection in self._declared["detections"] if detection["of"] == name
        ]
        readers += [
            {"kind": "consumer", "name": consumer["name"]}
            for consumer in self._declared.get("consumers", ())
            if name in consumer["of"]
        ]
        return readers

    def _about_prediction(self, name: str) -> str | None:
        declared = self._declared["predictions"].get(name)
        return None if declared is None else f"What the champion of {declared['model']} predicts."

    def _set_aside(self, name: str) -> int | None:
        folder = self._home.quarantine(self._name, name)
        return delta.read_version(folder).rows if delta.version_of(folder) is not None else None

    def _sample(self, version: delta.Version, names: Sequence[str]) -> list[Thing]:
        persons = {subject["column"] for subject in self._declared["subjects"]}
        first_file = delta.Version(
            version.folder, version.number, version.files[:1], version.schema, version.partitioned, version.identity
        )
        sample_columns = [name for name in names if not name.startswith("_")]
        return [
            {name: HIDDEN if name in persons else row[name] for name in sample_columns}
            for row in arrow(first_file, sample_columns).slice(0, self._samples).to_pylist()
        ]


def _readers_elsewhere(home: Home, ledger: Ledger, products: Mapping[str, Thing]) -> None:
    """Add products whose sources read another product's table in place."""
    for row in ledger.find(landed):
        parts = origin_of(row).parts
        lake = Path(home.path, "lake").parts
        if parts[: len(lake)] != lake or len(parts) < len(lake) + 2:
            continue
        owner, table = parts[len(lake) : len(lake) + 2]
        for entry in products.get(owner, {}).get("things", ()):
            reader = {"kind": "another product", "name": f"{row['product']}.{row['source']}"}
            if entry["name"] == table and reader not in entry["readers"]:
                entry["readers"].append(reader)


def _span(version: delta.Version | None) -> list[str] | None:
    days = sorted(day for day in version.days if day) if version else []
    return [days[0], days[-1]] if days else None


def _type(declared: object) -> str:
    if isinstance(declared, Mapping):
        return f"array<{_type(declared['elementType'])}>" if declared.get("type") == "array" else str(declared.get("type"))
    return {"timestamp_ntz": "timestamp (local)", "timestamp": "timestamp (UTC)", "timestamp_utc": "timestamp (UTC)"}.get(
        str(declared), str(declared or "")
    )
