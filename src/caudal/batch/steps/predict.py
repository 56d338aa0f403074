"""``predict:<table>``: publish the champion's predictions for the published features, without training; scikit-learn models need no JVM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import Schema

from caudal.batch.publish import adopt
from caudal.batch.step import StepResult, skipped, up_to_date, waits
from caudal.batch.steps.own_fit import Champion, own_fits_if_changed, transformed_features
from caudal.declarations.build_context import NothingFits
from caudal.declarations.model import Model, Prediction
from caudal.declarations.node import Features
from caudal.errors import NotThere
from caudal.graph.fingerprint import code_of, digest
from caudal.registry import load_version
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.run_record import RunRecord
from caudal.runtime.run_spark import RunSpark
from caudal.runtime.workspace import Workspace
from caudal.stages.predict.batch import predict
from caudal.storage import delta
from caudal.storage.parquet import WRITTEN
from caudal.storage.place import Place, arrow_paths
from caudal.storage.storage_errors import translate_storage_errors
from caudal.tables import changes
from caudal.tables.frames import arrow, pandas_frame

if TYPE_CHECKING:
    import pandas as pd

MODEL = "model"  # the name under which the champion's version stands among the inputs


def work(ws: Workspace, prediction: Prediction) -> StepResult:
    """Predict the rows that were not predicted yet by this champion, and publish them."""
    tables, ledger = ws.tables, ws.record.ledger
    model = ws.product.models[prediction.model]
    features = ws.product.features_by_model[model.name]
    try:
        champion = load_version(
            tables.home, ledger, ws.product.name, model.name, spark=lambda: ws.spark.session, trust=ws.settings.trust
        )
    except NotThere:
        return skipped(f"'{model.name}' has no champion yet")
    published = delta.read_version(tables.folder(features.name))
    inputs = {features.name: published.number, MODEL: champion.version}
    code = digest("predict", prediction.rows, code_of(model))
    fingerprint = digest(code, inputs)
    step = f"predict:{prediction.name}"
    last_row = ledger.last_success(ws.product.name, step)
    if prediction.name not in ws.request.tables_again:
        if (current := up_to_date(last_row, fingerprint, inputs, tables.version(prediction.name))) is not None:
            return current
        if (earlier_result := adopt(tables.folder(prediction.name), fingerprint)) is not None:
            return earlier_result
    predict_all = prediction.name in ws.request.tables_again
    days = None if predict_all else _days_to_predict(tables, prediction, features, code, inputs)
    try:
        table = _features(tables, ws.spark, ws.record.run_id, features, champion, published, days)
    except NothingFits as error:
        return waits(
            f"'{features.name}' was fitted anew, and version {champion.version} has learned from what it was before. {error.what} "
            "Predictions go on when a version that has learned from it is promoted"
        )
    rows = _rows_to_predict(pandas_frame(table, features.key), prediction, features, model)
    frame = predict(champion, features, rows, input_version=published.number)
    predictions = _with_types(pa.Table.from_pandas(frame, preserve_index=False), table, features.key)
    return _publish(ws.record, tables, prediction, features, champion, predictions, code, fingerprint, inputs, days)


def _features(
    tables: ProductTables,
    run_spark: RunSpark,
    run_id: str,
    features: Features,
    champion: Champion,
    published: delta.Version,
    days: set[str | None] | None,
) -> pa.Table:
    """Return the features, transformed by what was fitted when the champion was trained."""
    own_fits = own_fits_if_changed(tables, features, champion)
    if own_fits is None:
        return arrow(published, days=days)
    with transformed_features(tables, run_spark, run_id, features, own_fits) as version:
        return arrow(version, days=days)


def _days_to_predict(
    tables: ProductTables, prediction: Prediction, features: Features, code: str, inputs: dict[str, int]
) -> set[str | None] | None:
    """Return the days to predict, or None for all: with the same champion only those whose features changed."""
    number = tables.version(prediction.name)
    if number is None or not features.partition or prediction.rows == "latest":
        return None
    identity = delta.identity(tables.folder(prediction.name), number)
    old_inputs = identity.get("inputs", {})
    if identity.get("code") != code or old_inputs.get(MODEL) != inputs[MODEL] or features.name not in old_inputs:
        return None
    return changes.changed_days(tables.folder(features.name), old_inputs[features.name], inputs[features.name])


def _rows_to_predict(rows: pd.DataFrame, prediction: Prediction, features: Features, model: Model) -> pd.DataFrame:
    rows = rows.sort_values(list(features.key), kind="stable", ignore_index=True)
    if prediction.rows == "unlabelled":
        return rows[rows[model.label].isna()].reset_index(drop=True)
    if prediction.rows == "latest":
        return (
            rows.sort_values(features.as_of, kind="stable").groupby(list(features.entity), sort=True).tail(1).reset_index(drop=True)
        )
    return rows


def _publish(
    record: RunRecord, tables: ProductTables, prediction: Prediction, features: Features, champion: Champion, table: pa.Table, code: str,
    fingerprint: str, inputs: dict[str, int], days: set[str | None] | None,
) -> StepResult:  # fmt: skip
    partitioned = features.partition is not None
    folder = tables.folder(prediction.name)
    stage = folder / record.stage(f"predict:{prediction.name}")
    _write(table, stage, features, tables.product.tz if partitioned else None)
    files = delta.staged(folder, stage)
    result = StepResult(
        fingerprint=fingerprint, inputs=inputs, rows_read=table.num_rows, rows_written=table.num_rows, rows_quarantined=0,
        partitions=sorted({file.day or "unknown" for file in files}) if partitioned else None,
        detail={"model_version": champion.version, "input_version": inputs[features.name], "rows": table.num_rows},
    )  # fmt: skip
    identity: dict[str, Any] = {
        "run_id": record.run_id, "step": f"predict:{prediction.name}", "code": code, "fingerprint": fingerprint, "inputs": inputs, "at": record.clock(),
    }  # fmt: skip
    result_fields = {name: getattr(result, name) for name in result.__dataclass_fields__ if name != "output_version"}
    version = delta.commit(
        folder, files, _schema(table, partitioned), partitioned=partitioned, replace="all" if days is None or not partitioned else days,
        identity={**identity, "done": result_fields},
    )  # fmt: skip

    return replace(result, output_version=version)


def _with_types(predictions: pa.Table, features: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Return predictions whose keys have the types of the features, whichever nulls there are among the rows at hand."""
    types = {name: features.schema.field(name).type for name in keys}
    return predictions.cast(pa.schema([pa.field(field.name, types.get(field.name, field.type)) for field in predictions.schema]))


def _write(table: Any, stage: Place, features: Features, tz: str | None) -> None:
    """Write the rows as Spark lays them out: a folder for each day."""
    partitioning = None
    if tz is not None:
        event_time = table.column(features.as_of)
        if event_time.type.tz is not None:
            event_time = pc.local_timestamp(event_time.cast(pa.timestamp("us", tz=str(ZoneInfo(tz)))))
        table = table.append_column(delta.DAY, pc.strftime(event_time, format="%Y-%m-%d"))
        partitioning = ds.partitioning(pa.schema([(delta.DAY, pa.string())]), flavor="hive")
    (named,), filesystem = arrow_paths([str(stage)])
    with translate_storage_errors(stage):
        ds.write_dataset(
            table, named, format="parquet", file_options=ds.ParquetFileFormat().make_write_options(**WRITTEN), partitioning=partitioning, max_partitions=100_000, filesystem=filesystem,
            existing_data_behavior="delete_matching", create_dir=filesystem is None,
        )  # fmt: skip


def _schema(table: Any, partitioned: bool) -> dict[str, Any]:
    schema = json.loads(Schema.from_arrow(table.schema).to_json())
    if partitioned:
        schema["fields"].append({"name": delta.DAY, "type": "date", "nullable": True, "metadata": {}})
    return dict(schema)


STEPS = {("prediction", "predict"): work}
