"""The flow of one run, from top to bottom."""

from __future__ import annotations

from pathlib import Path

from caudal.batch.execute import execute
from caudal.batch.plan import Pipeline, plan
from caudal.batch.result import RunResult
from caudal.batch.retraining import next_training, training_need, waits_for_training
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.graph.load import load
from caudal.ledger.ledger import Ledger
from caudal.observers.registered import registered
from caudal.runtime.lifecycle import begin, end, new_run_id, recover
from caudal.runtime.manifest import store_manifest
from caudal.runtime.opening import checked_product, hold_product
from caudal.runtime.process import Process
from caudal.runtime.progress import Progress
from caudal.runtime.run_record import RunRecord
from caudal.runtime.run_reporting import BeforeLanding, RunReporting
from caudal.runtime.run_request import RunRequest
from caudal.runtime.storage import check_tables
from caudal.runtime.workspace import Workspace
from caudal.streaming.sources import stream_connectors
from caudal.tables.home import Home


def carry_out(
    file: Path, home: Home, ledger: Ledger, settings: Settings, *, pipeline: Pipeline, progress: Progress, wait_s: float, run_id: str | None,
    process: Process | None, before_landing: BeforeLanding | None,
) -> RunResult:  # fmt: skip
    """Check the product, lock it, clean up after runs that died, execute its steps and end the run.

    Raises
    ------
    DeclarationProblem : the product cannot work; nothing was run
    LeaseHeld : another run of the product is at work
    """
    product = checked_product(load(file))
    with hold_product(home, ledger, product, wait_s) as product_claim:
        record = RunRecord(product.name, ledger, run_id or new_run_id(), check_claim=product_claim.check)
        trains = pipeline != "predict" and _trains(product, home, record)
        ws = Workspace.compose(
            product, home, settings, record,
            request=RunRequest(trains=trains, process=process),
            reporting=RunReporting(progress, registered(), before_landing),
            connectors=stream_connectors(home, product),
        )  # fmt: skip
        recover(ws)
        check_tables(ws.tables)
        begin(ws, "run" if pipeline == "all" else pipeline)
        run_state = execute(ws, plan(product, pipeline, metastore=settings.metastore is not None))
        document = end(ws, run_state.error)
        asking = _models_to_train(ws) if run_state.error is None else {}
        if run_state.error is None and not asking:  # else the next run has something to do
            due_at = next_training(ws.tables, ledger)
            store_manifest(file, settings, home, ledger, product, pipeline, document, due_at=due_at)
        return RunResult(document, run_state.error, asking)


def _trains(product: Product, home: Home, record: RunRecord) -> bool:
    """Return whether the run trains, so that functions of tables fit anew: not where every model waits for a reason, and none has one."""
    needs = (training_need(home, record.ledger, product, model, record.clock()) for model in product.models.values())
    return not product.models or any(need.due for need in needs)


def _models_to_train(ws: Workspace) -> dict[str, str]:
    """Return the models that this run gave a reason to be trained, by an alarm of its monitors, each with the reason."""
    needs = {
        name: waits_for_training(ws.tables, ws.record.ledger, model, ws.record.clock()) for name, model in ws.product.models.items()
    }
    return {name: need.why or "its features have changed" for name, need in needs.items() if need is not None}
