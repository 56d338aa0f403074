"""``caudal run``: the flow, top to bottom."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from caudal.batch.execute import execute
from caudal.batch.plan import Pipeline, plan
from caudal.declarations.settings import Settings
from caudal.errors import CaudalError
from caudal.graph.load import load, product_file, with_data
from caudal.observers.registered import registered
from caudal.report.run_document import RunDocument
from caudal.runtime.lifecycle import begin, end, new_run_id, recover
from caudal.runtime.manifest import nothing_new, remember
from caudal.runtime.opening import checked, held, opened, translate_ledger_errors
from caudal.runtime.storage import check_tables
from caudal.runtime.workspace import Arrived, Process, Progress, Quiet, Workspace, nobody


@dataclass(frozen=True)
class Result:
    """How a run ended: its document (what ``--json`` prints) and its error, if any."""

    document: RunDocument
    error: CaudalError | None

    @property
    def exit_code(self) -> int:
        """0, or that of the error."""
        return 0 if self.error is None else self.error.exit_code


def run(
    folder: Path, settings: Settings, *, pipeline: Pipeline = "all", progress: Progress | None = None, wait_s: float = 0.0,
    run_id: str | None = None, process: Process | None = None, arrived: Arrived = nobody,
) -> Result:  # fmt: skip
    """Bring a product up to date: land, read, build, train, promote, predict; only what is not up to date yet.

    Parameters
    ----------
    run_id : str, what the run is to be called; made up when left out
    process : whose run this is alone, where it is one process's: it can be asked to stop, and is ended when a step hangs
    arrived : hears of files before they are landed

    Raises
    ------
    DeclarationProblem : the product cannot work; nothing was run
    LeaseHeld : another run of the product is at work
    """
    home, file = opened(settings), product_file(folder)
    settings = with_data(settings, file)
    with contextlib.closing(home.ledger()) as ledger, translate_ledger_errors():
        if (idle := nothing_new(file, settings, home, ledger, pipeline)) is not None:
            return Result(idle, None)
        product = checked(load(file))
        with held(home, ledger, product, wait_s) as mine:
            ws = Workspace(
                product, home, ledger, settings, run_id=run_id or new_run_id(), progress=progress or Quiet(), held=mine.check,
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


def train(folder: Path, settings: Settings) -> None:
    """Train on what there is and let the gates decide; what goes wrong is in the ledger and on the run's page."""
    with contextlib.suppress(CaudalError):
        run(folder, settings, pipeline="train")
