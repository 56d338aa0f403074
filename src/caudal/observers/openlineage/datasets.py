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
from caudal.report.document import files_of
from caudal.runtime.column_lineage import lineage_of
from caudal.runtime.observer import ObservedRun
from caudal.stages.ingest.origin import base_folder
from caudal.storage import delta
from caudal.storage.place import Place

if TYPE_CHECKING:
    from openlineage.client.facet_v2 import DatasetFacet, OutputDatasetFacet

_TYPES = {"identity": "IDENTITY", "transformation": "TRANSFORMATION", "aggregation": "AGGREGATION"}


class Datasets:
    """The OpenLineage datasets of a product after a run."""

    def __init__(self, run: ObservedRun) -> None:
        self._run = run

    def inputs(self, step: StepRow) -> list[InputDataset]:
        """Return the datasets that a step read."""
        kind, name = step_kind(step["kind"]), step["name"]
        if kind.reads == "origins":
            base = self._base(name)
            origins = sorted({_origin(file["path"], base) for file in files_of(step)})
            return [InputDataset(namespace, path) for namespace, path in origins]
        if kind.reads == "raw":
            return [InputDataset(*self._raw(name))]
        datasets = []
        for input_name, version in (step["inputs"] or {}).items():
            if input_name == "model" and name in self._run.product.predictions:
                datasets.append(InputDataset(*self._model(self._run.product.predictions[name].model), facets=_version(version)))
            elif input_name in self._run.product.nodes:
                datasets.append(InputDataset(*self._table(input_name), facets=self._facets(input_name, version)))
        return datasets

    def outputs(self, step: StepRow) -> list[OutputDataset]:
        """Return the datasets that a step wrote."""
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
        """Return the folder that the names of a source's files are relative to."""
        connection = self._run.product.sources[source].connection
        return base_folder(connection.pattern, self._run.settings.data) if isinstance(connection, Files) else None

    def checked_dataset(self, step: StepRow) -> InputDataset | None:
        """Return a table with the results of its expectations and the profile of its columns; None without expectations."""
        name = step["name"]
        check_rows = self._run.record.ledger.find(checks, product=self._run.product.name, run_id=step["run_id"], table=name)
        if not check_rows or not step_kind(step["kind"]).judged:
            return None
        facets: dict[str, Any] = {
            "dataQualityAssertions": assertions.DataQualityAssertionsDatasetFacet([_assertion(row) for row in check_rows])
        }
        profile = self._run.record.ledger.find(
            profiles, newest=True, limit=1, product=self._run.product.name, run_id=step["run_id"], table=name
        )
        if profile:
            facets["dataQualityMetrics"] = metrics.DataQualityMetricsInputDatasetFacet(
                {column: _metrics(profile_of_column) for column, profile_of_column in profile[0]["columns"].items()},
                rowCount=profile[0]["rows"],
            )
        return InputDataset(*self._table(name), facets=_version(step["output_version"]), inputFacets=facets)

    def _table(self, name: str) -> tuple[str, str]:
        return _dataset_name(self._run.tables.folder(name))

    def _raw(self, source: str) -> tuple[str, str]:
        return _dataset_name(self._run.tables.home.raw(self._run.product.name, source))

    def _model(self, model: str) -> tuple[str, str]:
        return _dataset_name(self._run.tables.home.models(self._run.product.name, model))

    def _facets(self, name: str, number: int | None) -> dict[str, Any]:
        """Return the facets of a table: columns, place, owner, description, version."""
        product = self._run.product
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
            version = delta.read_version(self._run.tables.folder(name), number)
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
        table_lineage = lineage_of(self._run.product, self._run.record.ledger, name)
        fields = {
            column: lineage.Fields(self._fields(origins))
            for column, origins in table_lineage["columns"].items()
            if "unknown" not in origins and (origins["from"] or origins["indirect"])
        }
        if not fields:
            return None
        deciding = self._fields({"from": [], "indirect": table_lineage["rows"]["indirect"]})
        return lineage.ColumnLineageDatasetFacet(fields, deciding)

    def _fields(self, origins: Mapping[str, Any]) -> list[lineage.InputField]:
        transformations: dict[tuple[str, str], list[lineage.Transformation]] = {}
        for origin in origins["from"]:
            how = lineage.Transformation(
                "DIRECT", _TYPES[origin["kind"]], "through a Python function" if origin.get("python") else None, False
            )
            transformations.setdefault((origin["table"], origin["column"]), []).append(how)
        for indirect_origin in origins["indirect"]:
            how = lineage.Transformation("INDIRECT", indirect_origin["how"].upper(), None, False)
            transformations.setdefault((indirect_origin["table"], indirect_origin["column"]), []).append(how)
        return [
            lineage.InputField(*(self._raw(table[4:]) if table.startswith("raw:") else self._table(table)), column, hows)
            for (table, column), hows in transformations.items()
        ]

    def _statistics(self, name: str, number: int | None) -> dict[str, OutputDatasetFacet]:
        try:
            version = delta.read_version(self._run.tables.folder(name), number)
        except NotThere:
            return {}
        size = sum(file.bytes for file in version.files)
        facet = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(version.rows, size, len(version.files))
        return {"outputStatistics": facet}


def _dataset_name(folder: Place) -> tuple[str, str]:
    return ("file", folder.as_posix()) if isinstance(folder, Path) else (folder.root, f"/{folder.path}")


def _origin(path: str, base: Path | None) -> tuple[str, str]:
    """Return the dataset of a landed file's origin: its folder, or its URL."""
    if "://" in path:
        parts = urlsplit(path)
        return f"{parts.scheme}://{parts.netloc}", parts.path or "/"
    return "file", Path(base or "", path).parent.as_posix()


def _version(number: int | None) -> dict[str, DatasetFacet]:
    return {} if number is None else {"version": dataset_version_dataset.DatasetVersionDatasetFacet(str(number))}


def _type(type_: Any) -> str:
    return (
        type_
        if isinstance(type_, str)
        else json.dumps(type_)
        if type_.get("type") != "array"
        else f"array<{_type(type_['elementType'])}>"
    )


def _about(field: Any) -> str | None:
    parts = [] if field is None else [field.description or field.label, f"[{field.unit}]" if field.unit else None]
    return " ".join(part for part in parts if part) or None


def _assertion(row: CheckRow) -> assertions.Assertion:
    severity = "warn" if row["action"] == "warn" else "error"
    return assertions.Assertion(row["kind"], bool(row["passed"]) and not row["broken"], severity=severity, name=row["expectation"], description=row["message"] or None)  # fmt: skip


def _metrics(figures: Mapping[str, Any]) -> metrics.ColumnMetrics:
    def number(name: str) -> float | None:
        value = figures.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    distinct = figures.get("distinct")
    return metrics.ColumnMetrics(
        figures.get("nulls"), int(distinct) if isinstance(distinct, int | float) else None, min=number("min"), max=number("max")
    )
