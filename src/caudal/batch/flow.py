"""The flow of one run, from top to bottom."""

from __future__ import annotations

from pathlib import Path

from caudal.batch.execute import execute
from caudal.batch.plan import Pipeline, plan
from caudal.batch.result import RunResult
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
        ws = Workspace.compose(
            product, home, settings, RunRecord(product.name, ledger, run_id or new_run_id(), check_claim=product_claim.check),
            request=RunRequest(trains=pipeline != "predict", process=process),
            reporting=RunReporting(progress, registered(), before_landing),
        )  # fmt: skip
        recover(ws)
        check_tables(ws.tables)
        begin(ws, "run" if pipeline == "all" else pipeline)
        run_state = execute(ws, plan(product, pipeline, metastore=settings.metastore is not None))
        document = end(ws, run_state.error)
        if run_state.error is None:
            store_manifest(file, settings, home, ledger, product, pipeline, document)
        return RunResult(document, run_state.error)
