"""The flow of one run, top to bottom."""

from __future__ import annotations

from pathlib import Path

from caudal.batch.execute import execute
from caudal.batch.plan import Pipeline, plan
from caudal.batch.result import Result
from caudal.declarations.settings import Settings
from caudal.graph.load import load
from caudal.ledger.ledger import Ledger
from caudal.observers.registered import registered
from caudal.runtime.lifecycle import begin, end, new_run_id, recover
from caudal.runtime.manifest import remember
from caudal.runtime.opening import checked, held
from caudal.runtime.storage import check_tables
from caudal.runtime.workspace import Arrived, Process, Progress, Workspace
from caudal.tables.home import Home


def carry_out(
    file: Path, home: Home, ledger: Ledger, settings: Settings, *, pipeline: Pipeline, progress: Progress, wait_s: float, run_id: str | None,
    process: Process | None, arrived: Arrived,
) -> Result:  # fmt: skip
    """Check the product, hold it, clear up behind runs that died, execute its steps and end the run.

    Raises
    ------
    DeclarationProblem : the product cannot work; nothing was run
    LeaseHeld : another run of the product is at work
    """
    product = checked(load(file))
    with held(home, ledger, product, wait_s) as mine:
        ws = Workspace(
            product, home, ledger, settings, run_id=run_id or new_run_id(), progress=progress, held=mine.check,
            process=process, arrived=arrived, observers=registered(), learns=pipeline != "predict",
        )  # fmt: skip
        recover(ws)
        check_tables(ws)
        begin(ws, "run" if pipeline == "all" else pipeline)
        run_state = execute(ws, plan(product, pipeline, metastore=settings.metastore is not None))
        document = end(ws, run_state.error)
        if run_state.error is None:
            remember(file, settings, home, ledger, product, pipeline, document)
        return Result(document, run_state.error)
