"""Tables, raw folders and models as OpenLineage datasets with their facets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    column_lineage_dataset as lineage,
    data_quality_assertions_dataset as assertions,
    data_quality_metrics_input_dataset as metrics,
    dataset_version_dataset,
    datasource_dataset,
    documentation_dataset,
    output_statistics_output_dataset,
    ownership_dataset,
    schema_dataset,
)

from caudal.declarations.connection import Files
from caudal.errors import NotThere
from caudal.graph.registered import step_kind
from caudal.ledger.records import checks, profiles
from caudal.ledger.rows import CheckRow, StepRow
from caudal.runtime.column_lineage import lineage_of
from caudal.runtime.workspace import Workspace
from caudal.stages.ingest.origin import base_of
from caudal.storage import delta
from caudal.storage.place import Place

if TYPE_CHECKING:
    from openlineage.client.facet_v2 import DatasetFacet, OutputDatasetFacet

_TYPES = {"identity": "IDENTITY", "transformation": "TRANSFORMATION", "aggregation": "AGGREGATION"}


class Datasets:
    """The datasets of one product, as a run left them."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws

    def inputs(self, step: StepRow) -> list[InputDataset]:
        """Return what a step read."""
        kind, name = step_kind(step["kind"]), step["name"]
        if kind.reads == "origins":
            base = self._base(name)
            origins = sorted({_origin(file["path"], base) for file in (step["detail"] or {}).get("files", [])})
            return [InputDataset(namespace, path) for namespace, path in origins]
        if kind.reads == "raw":
            return [InputDataset(*self._raw(name))]
        found = []
        for one, version in (step["inputs"] or {}).items():
            if one == "model" and name in self._ws.product.predictions:
                found.append(InputDataset(*self._model(self._ws.product.predictions[name].model), facets=_version(version)))
            elif one in self._ws.product.nodes:
                found.append(InputDataset(*self._table(one), facets=self._facets(one, version)))
        return found

    def outputs(self, step: StepRow) -> list[OutputDataset]:
        """Return what a step made."""
        writes, name, number = step_kind(step["kind"]).writes, step["name"], step["output_version"]
        if writes == "raw":
            return [OutputDataset(*self._raw(name))]
        if writes == "model":
            return [OutputDataset(*self._model(name), facets=_version(number))]
        if writes != "table":
            return []
        facets = self._facets(name, number)
        if (columns := self._lineage(name)) is not None:
            facets["columnLineage"] = columns
        return [OutputDataset(*self._table(name), facets=facets, outputFacets=self._statistics(name, number))]

    def _base(self, source: str) -> Path | None:
        """Return the folder that a source's files are named below."""
        connection = self._ws.product.sources[source].connection
        return base_of(connection.pattern, self._ws.settings.data) if isinstance(connection, Files) else None

    def judged(self, step: StepRow) -> InputDataset | None:
        """Return a table with what its expectations found in this run and how its columns look; None where nothing was judged."""
        name = step["name"]
        found = self._ws.ledger.find(checks, product=self._ws.product.name, run_id=step["run_id"], table=name)
        if not found or not step_kind(step["kind"]).judged:
            return None
        facets: dict[str, Any] = {
            "dataQualityAssertions": assertions.DataQualityAssertionsDatasetFacet([_assertion(one) for one in found])
        }
        profile = self._ws.ledger.find(
            profiles, newest=True, limit=1, product=self._ws.product.name, run_id=step["run_id"], table=name
        )
        if profile:
            facets["dataQualityMetrics"] = metrics.DataQualityMetricsInputDatasetFacet(
                {column: _metrics(one) for column, one in profile[0]["columns"].items()}, rowCount=profile[0]["rows"]
            )
        return InputDataset(*self._table(name), facets=_version(step["output_version"]), inputFacets=facets)

    def _table(self, name: str) -> tuple[str, str]:
        return _named(self._ws.folder(name))

    def _raw(self, source: str) -> tuple[str, str]:
        return _named(self._ws.home.raw(self._ws.product.name, source))

    def _model(self, model: str) -> tuple[str, str]:
        return _named(self._ws.home.models(self._ws.product.name, model))

    def _facets(self, name: str, number: int | None) -> dict[str, Any]:
        """Return what is known of a table: columns, place, owner, description, version."""
        product = self._ws.product
        namespace, path = self._table(name)
        facets: dict[str, Any] = {
            **_version(number),
            "dataSource": datasource_dataset.DatasourceDatasetFacet(namespace, f"{namespace}://{path}"),
        }
        node = product.nodes.get(name)
        if node is not None and node.description:
            facets["documentation"] = documentation_dataset.DocumentationDatasetFacet(node.description)
        if product.owner:
            facets["ownership"] = ownership_dataset.OwnershipDatasetFacet([ownership_dataset.Owner(product.owner, "OWNER")])
        try:
            version = delta.read(self._ws.folder(name), number)
        except NotThere:
            return facets
        declared = {column.name: column for column in (node.schema if node is not None else None) or ()}
        facets["schema"] = schema_dataset.SchemaDatasetFacet(
            [
                schema_dataset.SchemaDatasetFacetFields(field["name"], _type(field["type"]), _about(declared.get(field["name"])))
                for field in version.schema["fields"]
                if field["name"] != delta.DAY
            ]
        )
        return facets

    def _lineage(self, name: str) -> lineage.ColumnLineageDatasetFacet | None:
        """Return the column lineage of a table; columns whose origin is unknown are left out."""
        told = lineage_of(self._ws.product, self._ws.ledger, name)
        fields = {
            column: lineage.Fields(self._fields(made))
            for column, made in told["columns"].items()
            if "unknown" not in made and (made["from"] or made["indirect"])
        }
        if not fields:
            return None
        deciding = self._fields({"from": [], "indirect": told["rows"]["indirect"]})
        return lineage.ColumnLineageDatasetFacet(fields, deciding)

    def _fields(self, made: Mapping[str, Any]) -> list[lineage.InputField]:
        found: dict[tuple[str, str], list[lineage.Transformation]] = {}
        for origin in made["from"]:
            how = lineage.Transformation(
                "DIRECT", _TYPES[origin["kind"]], "through a Python function" if origin.get("python") else None, False
            )
            found.setdefault((origin["table"], origin["column"]), []).append(how)
        for one in made["indirect"]:
            how = lineage.Transformation("INDIRECT", one["how"].upper(), None, False)
            found.setdefault((one["table"], one["column"]), []).append(how)
        return [
            lineage.InputField(*(self._raw(table[4:]) if table.startswith("raw:") else self._table(table)), column, hows)
            for (table, column), hows in found.items()
        ]

    def _statistics(self, name: str, number: int | None) -> dict[str, OutputDatasetFacet]:
        try:
            version = delta.read(self._ws.folder(name), number)
        except NotThere:
            return {}
        size = sum(file.bytes for file in version.files)
        facet = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(version.rows, size, len(version.files))
        return {"outputStatistics": facet}


def _named(folder: Place) -> tuple[str, str]:
    return ("file", folder.as_posix()) if isinstance(folder, Path) else (folder.root, f"/{folder.path}")


def _origin(path: str, base: Path | None) -> tuple[str, str]:
    """Return where a landed file came from, as a dataset: its folder, or its address."""
    if "://" in path:
        parts = urlsplit(path)
        return f"{parts.scheme}://{parts.netloc}", parts.path or "/"
    return "file", Path(base or "", path).parent.as_posix()


def _version(number: int | None) -> dict[str, DatasetFacet]:
    return {} if number is None else {"version": dataset_version_dataset.DatasetVersionDatasetFacet(str(number))}


def _type(said: Any) -> str:
    return (
        said
        if isinstance(said, str)
        else json.dumps(said)
        if said.get("type") != "array"
        else f"array<{_type(said['elementType'])}>"
    )


def _about(field: Any) -> str | None:
    parts = [] if field is None else [field.description or field.label, f"[{field.unit}]" if field.unit else None]
    return " ".join(part for part in parts if part) or None


def _assertion(row: CheckRow) -> assertions.Assertion:
    severity = "warn" if row["action"] == "warn" else "error"
    return assertions.Assertion(row["kind"], bool(row["passed"]) and not row["broken"], severity=severity, name=row["expectation"], description=row["message"] or None)  # fmt: skip


def _metrics(said: Mapping[str, Any]) -> metrics.ColumnMetrics:
    def number(name: str) -> float | None:
        value = said.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    distinct = said.get("distinct")
    return metrics.ColumnMetrics(
        said.get("nulls"), int(distinct) if isinstance(distinct, int | float) else None, min=number("min"), max=number("max")
    )
