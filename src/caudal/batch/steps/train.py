"""``train:<model>``: train the candidates on the published features, and register the chosen one as the next version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from caudal.batch.retraining import cause_of, fingerprint_of, training_need
from caudal.batch.step import StepResult, skipped
from caudal.batch.steps.audit import Counting
from caudal.batch.steps.own_fit import ByOwnFit, Champion, champion_by_own_fit, fits_of_published
from caudal.declarations.build_context import fit_label
from caudal.declarations.model import Model
from caudal.declarations.node import Features
from caudal.declarations.product import Product
from caudal.errors import CaudalError, NotThere
from caudal.graph.check_holdouts import problems_of_fits
from caudal.graph.fingerprint import code_of
from caudal.ledger.records import model_versions
from caudal.ledger.rows import HoldoutDocument, StepDetail
from caudal.registry import find, load_version, register, warm_up
from caudal.registry.fits import TableFits
from caudal.runtime.workspace import Workspace
from caudal.stages.train import train
from caudal.storage import delta
from caudal.tables.frames import arrow, pandas_frame


def _note_of_fits(fits: Mapping[str, TableFits]) -> str:
    """Return a sentence on what the features have fitted to all rows, those of the test folds included; an empty text where nothing is fitted."""
    fit_names = [f"{fit_label(name)} of '{table}'" for table, table_fits in fits.items() for name in sorted(table_fits.fits)]
    return f" The features hold fits to all rows, those of the test folds among them: {', '.join(fit_names)}." if fit_names else ""


def work(ws: Workspace, model: Model) -> StepResult:
    """Train on the newest features unless that was done before or is not needed yet, and register the chosen candidate."""
    tables, ledger, product = ws.tables, ws.record.ledger, ws.product

    features = product.features_by_model[model.name]
    published = delta.read_version(tables.folder(model.features))
    audit = product.audits.get(model.name)
    fingerprint = fingerprint_of(tables, model, audit)
    inputs = {model.features: published.number}
    held_out = None
    if model.holdout is not None and model.holdout.table is not None:
        held_out = delta.read_version(tables.folder(model.holdout.table))
        inputs[model.holdout.table] = held_out.number
    need = training_need(tables.home, ledger, product, model, ws.record.clock())
    if not need.due:
        newest = ledger.find(model_versions, product=product.name, model=model.name, newest=True, limit=1)[0]["version"]
        return skipped(need.why or "not needed yet", fingerprint=fingerprint, inputs=inputs, output_version=newest)
    if (row := find(tables.home, ledger, product.name, model.name, fingerprint)) is not None:
        return skipped("trained on this data already", fingerprint=fingerprint, inputs=inputs, output_version=int(row["version"]))
    fits = fits_of_published(tables, features.name)
    if problem := next(
        problems_of_fits(model, product, {table: list(table_fits.fits) for table, table_fits in fits.items()}), None
    ):
        raise problem
    warm_up(tables.home.path)  # MLflow takes seconds to be imported; beside the training they cost nothing
    # A null among whole numbers makes floats of them in pandas: keys stay as they are, and so do the folds that go by their text.
    frame = pandas_frame(arrow(published), features.entity)
    counting = None if audit is None else Counting.of(audit, model, frame)
    trained = train(
        model,
        features,
        frame,
        champion=_champion(ws, model, features),
        spark=lambda: ws.spark.session,
        fields=_fields(product, model, features, published),
        held_out=arrow(held_out).to_pandas() if held_out is not None else None,
        examine=counting.count if counting is not None else None,
        progress=ws.reporting.progress.awaited,
        jobs=ws.settings.jobs,
    )
    ws.reporting.progress.awaited(None)
    trained = replace(trained, rule=trained.rule + _note_of_fits(fits))
    registered = register(
        tables.home, ledger, product.name, model.name, trained,
        fingerprint=fingerprint, code=code_of(model), training_table=model.features, training_version=published.number, run_id=ws.record.run_id, fits=fits,
        cause=cause_of(product, model, need), training=frame, clock=ws.record.clock, trust=ws.settings.trust,
        figures=counting.measurements if counting is not None else None,
    )  # fmt: skip
    detail: StepDetail = {
        "rule": trained.rule, "chosen": trained.chosen, "rows": trained.rows, "from": trained.training_from, "until": trained.training_until,
        "version": registered.version, "unlabelled": trained.rows_unlabelled, "older": trained.rows_older,
        "warning": registered.warning, "holdout": _holdout_document(trained.holdout),
    }  # fmt: skip
    return StepResult(
        fingerprint=fingerprint, inputs=inputs, output_version=registered.version, rows_read=published.rows, detail=detail
    )


def _fields(
    product: Product, model: Model, features: Features, published: delta.Version
) -> Mapping[str, Mapping[str, object]] | None:
    """Return what a product declares of a model's inputs; what it declares of keys and times that are looked up by is not of the model."""
    serving = product.servings.get(model.name)
    if serving is None or model.name not in product.lookups:
        return serving.fields if serving else None
    columns = {field["name"] for field in published.schema["fields"]}
    asked = columns.intersection(features.not_inputs)
    return {name: declared for name, declared in serving.fields.items() if name not in asked}


def _holdout_document(figures: Mapping[str, Any] | None) -> HoldoutDocument | None:
    """Return the figures of rows that training never saw, as the ledger stores them; None where no rows were held out."""
    if figures is None:
        return None
    return {
        "of": figures["of"], "rows": figures["rows"], "left_out": figures["left_out"], "metric": figures["metric"],
        "metrics": figures["metrics"],
    }  # fmt: skip


def _champion(ws: Workspace, model: Model, features: Features) -> Champion | ByOwnFit | None:
    """Return the version in production, where a gate asks for it."""
    if not any(gate.asks_champion for gate in model.gates):
        return None
    try:
        champion = load_version(
            ws.tables.home, ws.record.ledger, ws.product.name, model.name, spark=lambda: ws.spark.session, trust=ws.settings.trust
        )
    except NotThere:
        return None
    except CaudalError as error:
        raise type(error)(
            f"The champion of '{model.name}' cannot be loaded to be compared with: {error.what}", where=error.where, fix=error.fix
        ) from error
    return champion_by_own_fit(ws.tables, ws.spark, ws.record.run_id, features, champion)


STEPS = {("model", "train"): work}
