"""The catalog of a home: every product's things with columns, statistics, checks, freshness, lineage and readers, from the ledger and the lake."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from caudal.declarations.settings import Settings
from caudal.errors import NotThere
from caudal.graph.registered import labels_where
from caudal.ledger.json_ready import json_ready, text_or_number
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import checks, declarations, landed, lineages, model_versions, profiles, runs, steps
from caudal.observers.declared import declaration
from caudal.registry import card
from caudal.report.documents import FoundDocument
from caudal.runtime.opening import opened
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home
from caudal.tables.landing import origin_of

Thing = dict[str, Any]
HIDDEN = "•••"


def catalog(settings: Settings, folders: Sequence[Path] = (), *, samples: int = 0) -> dict[str, Any]:
    """Return the catalog of all products that have run in a home, and of the products in ``folders`` as they are declared now.

    Parameters
    ----------
    samples : int, rows of each table that are shown; columns that name a person are blotted out in them
    """
    from caudal.graph.load import load

    home = opened(settings)
    with contextlib.closing(home.ledger()) as ledger:
        said = {row["product"]: row["document"] for row in ledger.find(declarations)}
        said |= {one["name"]: one for one in (declaration(load(folder)) for folder in folders)}
        if not said:
            raise NotThere(
                f"No product has run in {home.path}.",
                fix="Run one, or name the folders of products: caudal catalog build FOLDER --out DIR.",
            )
        told = {name: _Product(home, ledger, one, samples).told() for name, one in sorted(said.items())}
        _readers_elsewhere(home, ledger, told)
        return json_ready({"home": home.path.name, "products": list(told.values())}, text_or_number)  # type: ignore[no-any-return]


def search(told: Mapping[str, Any], word: str) -> list[FoundDocument]:
    """Return products, things and columns whose name, description or owner holds the word; names that are it come first."""
    found: list[tuple[int, FoundDocument]] = []

    def look(kind: str, where: str, name: str, *texts: str | None) -> None:
        held = [text for text in texts if text and word.lower() in text.lower()]
        if word.lower() in name.lower() or held:
            about = (held or [texts[0] or ""])[0]
            rank = 0 if name.lower() == word.lower() else 1 if word.lower() in name.lower() else 2
            found.append((rank, {"kind": kind, "where": where, "name": name, "about": about}))

    for product in told["products"]:
        look("product", "", product["name"], product["description"], product["owner"])
        for thing in product["things"]:
            look(thing["kind"], product["name"], thing["name"], thing["description"])
            for column in thing["columns"]:
                look("column", f"{product['name']}.{thing['name']}", column["name"], column["about"], column["unit"])
    return [one for _, one in sorted(found, key=lambda ranked: ranked[0])]


class _Product:
    """One product's part of the catalog."""

    def __init__(self, home: Home, ledger: Ledger, said: Mapping[str, Any], samples: int) -> None:
        self._home, self._ledger, self._said, self._samples = home, ledger, said, samples
        self._name = str(said["name"])
        self._lineages = {name: self._lineage(name) for name in (*said["tables"], *said["predictions"])}

    def told(self) -> dict[str, Any]:
        last = self._ledger.find(runs, product=self._name, newest=True, limit=1)
        things = [
            *(self._table(name) for name in self._said["tables"]), *(self._model(name) for name in self._said["models"]),
            *(self._table(name) for name in self._said["predictions"]),
        ]  # fmt: skip
        for thing in things:
            for column in thing["columns"]:
                self._inherit(thing["name"], column, things)
        return {
            **{name: self._said[name] for name in ("name", "owner", "description", "tz", "nodes")},
            "last_run": {name: last[0][name] for name in ("run_id", "state", "started_at")} if last else None, "things": things,
        }  # fmt: skip

    def _table(self, name: str) -> Thing:
        node = self._said["nodes"][name]
        said = self._said["tables"].get(name, {"columns": {}, "expect": [], "event_time": None, "partition": None})
        profile = self._ledger.find(profiles, product=self._name, table=name, newest=True, limit=1)
        judged = self._ledger.find(checks, product=self._name, table=name, newest=True, limit=1)
        found = self._ledger.find(checks, product=self._name, table=name, run_id=judged[0]["run_id"]) if judged else []
        made = (
            self._ledger.find(steps, product=self._name, name=name, run_id=judged[0]["run_id"], state="succeeded") if judged else []
        )
        published = any(row["rows_written"] is not None for row in made)
        folder = self._home.table(self._name, name)
        number = delta.version_of(folder)
        version = delta.read(folder, number) if number is not None else None
        names = (
            [field["name"] for field in version.schema["fields"] if field["name"] != delta.DAY]
            if version
            else list(said["columns"])
        )
        types = {field["name"]: field["type"] for field in version.schema["fields"]} if version else {}
        figures = profile[0]["columns"] if profile else {}
        return {
            "name": name, "kind": node["kind"], "description": node["description"] or self._about_prediction(name), "where": node["where"],
            "owner": self._said["owner"], "inputs": node["inputs"], "readers": self._readers(name), "event_time": said["event_time"],
            "partition": said["partition"], "from": said.get("from"), "sql": said.get("sql"), "expect": said["expect"],
            "version": number, "versions": 0 if number is None else number + 1, "rows": version.rows if version else None,
            "bytes": sum(file.bytes for file in version.files) if version else None,
            "updated_at": float(version.identity["at"]) if version and "at" in version.identity else None,
            "days": _span(version), "fresh_within_s": self._said["slas"].get(name), "set_aside": self._set_aside(name),
            "columns": [self._column(name, one, types.get(one), said, figures.get(one), profile[0]["rows"] if profile else None) for one in names],
            "rows_decided_by": self._lineages.get(name, {}).get("rows", {}),
            "checks": [{**{name: row[name] for name in ("expectation", "action", "rows", "broken", "passed", "message", "run_id")}, "published": published} for row in found],
            "sample": self._sample(version, names) if version and self._samples else [],
            "more": {name: said[name] for name in ("entity", "as_of", "labels", "kept") if said.get(name)},
        }  # fmt: skip

    def _model(self, name: str) -> Thing:
        node, said = self._said["nodes"][name], self._said["models"][name]
        versions = self._ledger.find(model_versions, product=self._name, model=name, newest=True)
        champion = self._ledger.champion(self._name, name)
        shown = (
            card(self._ledger, self._name, name, champion["version"] if champion else versions[0]["version"]) if versions else None
        )
        takes = shown["signature"]["inputs"] if shown else []
        features = self._lineages.get(said["features"], {}).get("columns", {})
        columns: list[dict[str, object]] = [
            {"name": take["name"], "type": str(take.get("type", "")), "unit": None, "about": None, "raw": None, "figures": {}, "unknown": None,
             "from": [{"table": said["features"], "column": take["name"], "kind": "identity"}] if take["name"] in features or not features else [],
             "indirect": [], "to": [{"table": each, "column": "prediction", "kind": "transformation"} for each, p in self._said["predictions"].items() if p["model"] == name]}
            for take in takes
        ]  # fmt: skip
        return {
            "name": name, "kind": "model", "description": node["description"], "where": node["where"], "owner": self._said["owner"],
            "inputs": [said["features"]], "readers": self._readers(name), "columns": columns, "checks": [], "rows": None, "bytes": None,
            "version": shown["version"] if shown else None, "versions": len(versions), "updated_at": shown["created_at"] if shown else None,
            "model": said,
            "champion": None if champion is None else {
                "version": champion["version"], "candidate": champion["candidate"], "metrics": champion["metrics"], "at": champion["decision"]["at"],
                "who": champion["decision"]["who"], "training_table": champion["training_table"], "training_version": champion["training_version"],
                "training_rows": champion["training_rows"], "training_from": champion["training_from"], "training_until": champion["training_until"],
            },
            "gates": shown["gates"] if shown else [], "sample": [], "more": {}, "expect": [], "rows_decided_by": {}, "set_aside": None,
            "event_time": None, "partition": None, "from": None, "sql": None, "days": None, "fresh_within_s": None,
        }  # fmt: skip

    def _column(
        self, table: str, name: str, type: Any, said: Mapping[str, Any], figures: Mapping[str, Any] | None, rows: int | None
    ) -> Thing:
        declared = said["columns"].get(name, {})
        told = self._said["about"].get(table, {}).get(name, {})
        made = self._lineages.get(table, {}).get("columns", {}).get(name, {"from": [], "indirect": []})
        return {
            "name": name, "type": _type(type or declared.get("type")), "unit": told.get("unit") or declared.get("unit"),
            "about": told.get("text") or declared.get("about"), "raw": declared.get("raw"), "figures": {**(figures or {}), "rows": rows} if figures else {},
            "from": made["from"], "indirect": made["indirect"], "unknown": made.get("unknown"), "to": self._goes_to(table, name),
        }  # fmt: skip

    def _goes_to(self, table: str, column: str) -> list[dict[str, Any]]:
        found = [
            {"table": name, "column": other, "kind": origin["kind"]}
            for name, made in self._lineages.items()
            for other, said in made["columns"].items()
            for origin in said["from"]
            if (origin["table"], origin["column"]) == (table, column)
        ]
        for name, model in self._said["models"].items():
            if model["features"] == table and model["label"] == column:
                found.append({"table": name, "column": None, "kind": "label"})
        return found

    def _inherit(self, table: str, column: Thing, things: Sequence[Thing]) -> None:
        """Give a column the unit and the meaning of the one that it carries on unchanged."""
        at, seen = (table, column["name"]), set[tuple[str, str]]()
        while (not column["unit"] or not column["about"]) and at not in seen:
            seen.add(at)
            made = self._lineages.get(at[0], {}).get("columns", {}).get(at[1])
            if made is None or len(made["from"]) != 1 or made["from"][0]["kind"] != "identity":
                return
            at = (made["from"][0]["table"], made["from"][0]["column"])
            origin = next(
                (column for thing in things if thing["name"] == at[0] for column in thing["columns"] if column["name"] == at[1]),
                None,
            )
            if origin is not None:
                column["unit"], column["about"] = column["unit"] or origin["unit"], column["about"] or origin["about"]

    def _lineage(self, name: str) -> dict[str, Any]:
        """Return a table's column lineage as its newest build told; of a source and of predictions as they are declared."""
        empty: dict[str, Any] = {"columns": {}, "rows": {}}
        if name in self._said["predictions"]:
            model = self._said["models"][self._said["predictions"][name]["model"]]
            table = self._said["tables"][model["features"]]
            keys = [*table.get("entity", ()), table.get("as_of")]
            versions = self._ledger.find(
                model_versions, product=self._name, model=self._said["predictions"][name]["model"], newest=True, limit=1
            )
            takes = [input_["name"] for input_ in versions[0]["signature"]["inputs"]] if versions else []
            made = {key: [(model["features"], key, "identity")] for key in keys if key} | {
                "prediction": [(model["features"], take, "transformation") for take in takes]
            }
            return {
                "columns": {
                    column: {"from": [dict(zip(("table", "column", "kind"), one, strict=True)) for one in origin], "indirect": []}
                    for column, origin in made.items()
                },
                "rows": {},
            }
        if self._said["nodes"][name]["kind"] in labels_where(columns="raw"):
            return empty
        told = self._ledger.find(lineages, product=self._name, table=name, newest=True, limit=1)
        return dict(told[0]["document"]) if told else empty

    def _readers(self, name: str) -> list[dict[str, str]]:
        own = [{"kind": node["kind"], "name": other} for other, node in self._said["nodes"].items() if name in node["inputs"]]
        own += [
            {"kind": f"outlet ({outlet['to']}, {outlet['delivery']})", "name": outlet["name"]}
            for outlet in self._said["outlets"]
            if outlet["of"] == name
        ]
        own += [
            {"kind": "detector", "name": detection["name"]} for detection in self._said["detections"] if detection["of"] == name
        ]
        return own

    def _about_prediction(self, name: str) -> str | None:
        said = self._said["predictions"].get(name)
        return None if said is None else f"What the champion of {said['model']} predicts."

    def _set_aside(self, name: str) -> int | None:
        folder = self._home.quarantine(self._name, name)
        return delta.read(folder).rows if delta.version_of(folder) is not None else None

    def _sample(self, version: delta.Version, names: Sequence[str]) -> list[dict[str, Any]]:
        persons = {subject["column"] for subject in self._said["subjects"]}
        few = delta.Version(
            version.folder, version.number, version.files[:1], version.schema, version.partitioned, version.identity
        )
        shown = [name for name in names if not name.startswith("_")]
        return [
            {name: HIDDEN if name in persons else row[name] for name in shown}
            for row in arrow(few, shown).slice(0, self._samples).to_pylist()
        ]


def _readers_elsewhere(home: Home, ledger: Ledger, told: Mapping[str, dict[str, Any]]) -> None:
    """Note products whose sources read another product's table where it lies."""
    for row in ledger.find(landed):
        parts = origin_of(row).parts
        lake = Path(home.path, "lake").parts
        if parts[: len(lake)] != lake or len(parts) < len(lake) + 2:
            continue
        owner, table = parts[len(lake) : len(lake) + 2]
        for thing in told.get(owner, {}).get("things", ()):
            reader = {"kind": "another product", "name": f"{row['product']}.{row['source']}"}
            if thing["name"] == table and reader not in thing["readers"]:
                thing["readers"].append(reader)


def _span(version: delta.Version | None) -> list[str] | None:
    days = sorted(day for day in version.days if day) if version else []
    return [days[0], days[-1]] if days else None


def _type(said: Any) -> str:
    if isinstance(said, Mapping):
        return f"array<{_type(said['elementType'])}>" if said.get("type") == "array" else str(said.get("type"))
    return {"timestamp_ntz": "timestamp (local)", "timestamp": "timestamp (UTC)", "timestamp_utc": "timestamp (UTC)"}.get(
        str(said), str(said or "")
    )
