"""``predict:<table>``: the champion's predictions of the published features. Trains nothing, and needs no JVM for scikit-learn models."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import Schema

from caudal.batch.publish import adopt
from caudal.batch.step import StepResult, skipped, waits
from caudal.batch.steps.own_fit import Champion, changed_since, transformed
from caudal.declarations.build_context import NothingFits
from caudal.declarations.model import Model, Prediction
from caudal.declarations.node import Features
from caudal.errors import NotThere
from caudal.graph.fingerprint import code_of, digest
from caudal.registry import load
from caudal.runtime.workspace import Workspace
from caudal.stages.predict.batch import predict
from caudal.storage import delta
from caudal.storage.parquet import WRITTEN
from caudal.storage.place import Place, arrow_paths
from caudal.storage.storage_errors import translate_storage_errors
from caudal.tables import changes
from caudal.tables.frames import arrow

if TYPE_CHECKING:
    import pandas as pd

MODEL = "model"  # the name under which the champion's version stands among the inputs


def work(ws: Workspace, prediction: Prediction) -> StepResult:
    """Predict the rows that were not predicted yet by this champion, and publish them."""
    model = ws.product.models[prediction.model]
    features = ws.product.features_by_model[model.name]
    try:
        champion = load(ws.home, ws.ledger, ws.product.name, model.name, spark=lambda: ws.spark, trust=ws.settings.trust)
    except NotThere:
        return skipped(f"'{model.name}' has no champion yet")
    published = delta.read(ws.folder(features.name))
    inputs = {features.name: published.number, MODEL: champion.version}
    code = digest("predict", prediction.rows, code_of(model))
    fingerprint = digest(code, inputs)
    step = f"predict:{prediction.name}"
    last = ws.ledger.last_success(ws.product.name, step)
    if prediction.name not in ws.rebuilt:
        if last is not None and last["fingerprint"] == fingerprint and last["output_version"] == ws.version(prediction.name):
            return skipped("up to date", fingerprint=fingerprint, inputs=inputs, output_version=last["output_version"])
        if (found := adopt(ws, ws.folder(prediction.name), fingerprint)) is not None:
            return found
    days = _days(ws, prediction, features, code, inputs)
    try:
        table = _features(ws, features, champion, published, days)
    except NothingFits as error:
        return waits(
            f"'{features.name}' was fitted anew, and version {champion.version} has learned from what it was before. {error.what} "
            "Predictions go on when a version that has learned from it is promoted"
        )
    rows = _wanted(table.to_pandas(), prediction, features, model)
    return _publish(ws, prediction, features, champion, rows, code, fingerprint, inputs, days)


def _features(
    ws: Workspace, features: Features, champion: Champion, published: delta.Version, days: set[str | None] | None
) -> pa.Table:
    """Return the features as the champion knows them: by what was fitted when it was trained."""
    own = changed_since(ws, features, champion)
    if own is None:
        return arrow(published, days=days)
    with transformed(ws, features, own) as version:
        return arrow(version, days=days)


def _days(ws: Workspace, prediction: Prediction, features: Features, code: str, inputs: dict[str, int]) -> set[str | None] | None:
    """Return the days to predict, or None for all: with the same champion only those whose features changed."""
    number = ws.version(prediction.name)
    if number is None or prediction.name in ws.rebuilt or not features.partition or prediction.rows == "latest":
        return None
    said = delta.identity(ws.folder(prediction.name), number)
    old = said.get("inputs", {})
    if said.get("code") != code or old.get(MODEL) != inputs[MODEL] or features.name not in old:
        return None
    return changes.changed_days(ws.folder(features.name), old[features.name], inputs[features.name])


def _wanted(rows: pd.DataFrame, prediction: Prediction, features: Features, model: Model) -> pd.DataFrame:
    rows = rows.sort_values(list(features.key), kind="stable", ignore_index=True)
    if prediction.rows == "unlabelled":
        return rows[rows[model.label].isna()].reset_index(drop=True)
    if prediction.rows == "latest":
        return (
            rows.sort_values(features.as_of, kind="stable").groupby(list(features.entity), sort=True).tail(1).reset_index(drop=True)
        )
    return rows


def _publish(
    ws: Workspace, prediction: Prediction, features: Features, champion: Champion, rows: pd.DataFrame, code: str,
    fingerprint: str, inputs: dict[str, int], days: set[str | None] | None,
) -> StepResult:  # fmt: skip
    told = predict(champion, features, rows, input_version=inputs[features.name])
    table = pa.Table.from_pandas(told, preserve_index=False)
    partitioned = features.partition is not None
    folder = ws.folder(prediction.name)
    stage = folder / f"part-{ws.run_id}-predict-{prediction.name}"
    _write(table, stage, features, ws.product.tz if partitioned else None)
    files = delta.staged(folder, stage)
    done = StepResult(
        fingerprint=fingerprint, inputs=inputs, rows_read=len(rows), rows_written=table.num_rows, rows_quarantined=0,
        partitions=sorted({file.day or "unknown" for file in files}) if partitioned else None,
        detail={"model_version": champion.version, "input_version": inputs[features.name], "rows": table.num_rows},
    )  # fmt: skip
    said: dict[str, Any] = {
        "run_id": ws.run_id, "step": f"predict:{prediction.name}", "code": code, "fingerprint": fingerprint, "inputs": inputs, "at": ws.clock(),
    }  # fmt: skip
    told_done = {name: getattr(done, name) for name in done.__dataclass_fields__ if name != "output_version"}
    version = delta.commit(
        folder, files, _schema(table, partitioned), partitioned=partitioned, replace="all" if days is None or not partitioned else days,
        identity={**said, "done": told_done},
    )  # fmt: skip

    return replace(done, output_version=version)


def _write(table: Any, stage: Place, features: Features, tz: str | None) -> None:
    """Write the rows as Spark would lay them out: a folder a day."""
    by = None
    if tz is not None:
        moment = table.column(features.as_of)
        if moment.type.tz is not None:
            moment = pc.local_timestamp(moment.cast(pa.timestamp("us", tz=str(ZoneInfo(tz)))))
        table = table.append_column(delta.DAY, pc.strftime(moment, format="%Y-%m-%d"))
        by = ds.partitioning(pa.schema([(delta.DAY, pa.string())]), flavor="hive")
    (named,), filesystem = arrow_paths([str(stage)])
    with translate_storage_errors(stage):
        ds.write_dataset(
            table, named, format="parquet", file_options=ds.ParquetFileFormat().make_write_options(**WRITTEN), partitioning=by, max_partitions=100_000, filesystem=filesystem,
            existing_data_behavior="delete_matching", create_dir=filesystem is None,
        )  # fmt: skip


def _schema(table: Any, partitioned: bool) -> dict[str, Any]:
    schema = json.loads(Schema.from_arrow(table.schema).to_json())
    if partitioned:
        schema["fields"].append({"name": delta.DAY, "type": "date", "nullable": True, "metadata": {}})
    return dict(schema)


STEPS = {("prediction", "predict"): work}
