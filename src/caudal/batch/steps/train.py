"""``train:<model>``: candidates on the published features; the chosen one becomes the next version in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from caudal.batch.step import StepResult, skipped
from caudal.batch.steps.own_fit import ByOwnFit, Champion, champion_by_own_fit, fits_now
from caudal.declarations.build_context import called
from caudal.declarations.model import Model
from caudal.declarations.node import Features
from caudal.errors import CaudalError, NotThere
from caudal.graph.check_holdouts import fits_apart
from caudal.graph.fingerprint import code_of, digest
from caudal.registry import find, load, register, warm_up
from caudal.registry.fits import TableFits
from caudal.runtime.workspace import Workspace
from caudal.stages.train import train
from caudal.storage import delta
from caudal.tables.frames import arrow


def fingerprint_of(ws: Workspace, model: Model) -> str:
    """Return what a training is made of: the declaration and the version of its features."""
    return digest(code_of(model), {name: ws.version(name) for name in model.inputs})


def _fitted_before(fits: Mapping[str, TableFits]) -> str:
    """Return a sentence on what the features fit, which saw the rows of the test folds too; nothing where nothing is fitted."""
    named = [f"{called(name)} of '{table}'" for table, held in fits.items() for name in sorted(held.fits)]
    return f" The features hold fits to all rows, those of the test folds among them: {', '.join(named)}." if named else ""


def work(ws: Workspace, model: Model) -> StepResult:
    """Train on the newest features unless that has been done; store and register what comes of it."""
    features = ws.product.features_by_model[model.name]
    published = delta.read(ws.folder(model.features))
    fingerprint = fingerprint_of(ws, model)
    inputs = {model.features: published.number}
    held_out = None
    if model.holdout is not None and model.holdout.table is not None:
        held_out = delta.read(ws.folder(model.holdout.table))
        inputs[model.holdout.table] = held_out.number
    if (row := find(ws.home, ws.ledger, ws.product.name, model.name, fingerprint)) is not None:
        return skipped("trained on this data already", fingerprint=fingerprint, inputs=inputs, output_version=int(row["version"]))
    fits = fits_now(ws, features.name)
    if problem := next(fits_apart(model, ws.product, {table: list(held.fits) for table, held in fits.items()}), None):
        raise problem
    warm_up(ws.home.path)  # MLflow takes seconds to be imported; beside the training they cost nothing
    serving = ws.product.servings.get(model.name)
    trained = train(
        model,
        features,
        arrow(published).to_pandas(),
        champion=_champion(ws, model, features),
        spark=lambda: ws.spark,
        fields=serving.fields if serving else None,
        held_out=arrow(held_out).to_pandas() if held_out is not None else None,
    )
    trained = replace(trained, rule=trained.rule + _fitted_before(fits))
    registered = register(
        ws.home, ws.ledger, ws.product.name, model.name, trained,
        fingerprint=fingerprint, code=code_of(model), training_table=model.features, training_version=published.number, run_id=ws.run_id, fits=fits,
        clock=ws.clock, trust=ws.settings.trust,
    )  # fmt: skip
    detail = {
        "rule": trained.rule, "chosen": trained.chosen, "rows": trained.rows, "from": trained.training_from, "until": trained.training_until,
        "version": registered.version, "unlabelled": trained.rows_unlabelled, "older": trained.rows_older,
        "warning": registered.warning, "holdout": trained.holdout,
    }  # fmt: skip
    return StepResult(
        fingerprint=fingerprint, inputs=inputs, output_version=registered.version, rows_read=published.rows, detail=detail
    )


def _champion(ws: Workspace, model: Model, features: Features) -> Champion | ByOwnFit | None:
    """Return the version in production, where a gate asks for it."""
    if not any(gate.asks_champion for gate in model.gates):
        return None
    try:
        champion = load(ws.home, ws.ledger, ws.product.name, model.name, spark=lambda: ws.spark, trust=ws.settings.trust)
    except NotThere:
        return None
    except CaudalError as error:
        raise type(error)(
            f"The champion of '{model.name}' cannot be loaded to be compared with: {error.what}", where=error.where, fix=error.fix
        ) from error
    return champion_by_own_fit(ws, features, champion)


STEPS = {("model", "train"): work}
