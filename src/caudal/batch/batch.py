"""``caudal run``: return at once when nothing has changed, else run the flow of ``flow.py``."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.batch.result import RunResult
from caudal.declarations.settings import Settings
from caudal.engine.choice import engines
from caudal.errors import CaudalError, LeaseHeld
from caudal.extras import require_spark
from caudal.graph.load import product_file, with_data
from caudal.runtime.manifest import nothing_new
from caudal.runtime.opening import open_home, translate_ledger_errors
from caudal.runtime.process import Process
from caudal.runtime.progress import NoProgress, Progress

if TYPE_CHECKING:
    from caudal.batch.plan import Pipeline
    from caudal.runtime.run_reporting import BeforeLanding


def run(
    folder: Path, settings: Settings, *, pipeline: Pipeline = "all", progress: Progress | None = None, wait_s: float = 0.0,
    run_id: str | None = None, process: Process | None = None, before_landing: BeforeLanding | None = None, go_on: bool = False,
) -> RunResult:  # fmt: skip
    """Bring a product up to date: land, read, build, train, promote and predict what is not up to date yet.

    Parameters
    ----------
    run_id : str, the id of the run; a new one when left out
    process : the process, where this run is the only work in it: the run stops when the process is asked to, and ends it when a step hangs
    before_landing : called with each source's new files before they are landed
    go_on : run once more, in the same call, where the run's monitors give models a reason to be trained

    Raises
    ------
    DeclarationProblem : the product cannot work; nothing was run
    LeaseHeld : another run of the product is at work
    """
    home, file = open_home(settings), product_file(folder)
    settings = with_data(settings, file)
    with contextlib.closing(home.ledger()) as ledger, translate_ledger_errors():
        if (idle := nothing_new(file, settings, home, ledger, pipeline)) is not None:
            return RunResult(idle, None)
        if settings.engine == "spark":
            require_spark("The engine 'spark'")
        if pipeline == "all":  # beside the imports below, which take as long
            engines(settings.engine, master=settings.master, conf=settings.spark)[0].start_ahead(settings.cores)
        from caudal.batch.flow import carry_out  # heavy libraries are loaded once there is something to do

        progress = progress or NoProgress()
        result = carry_out(
            file, home, ledger, settings, pipeline=pipeline, progress=progress, wait_s=wait_s, run_id=run_id, process=process,
            before_landing=before_landing,
        )  # fmt: skip
        goes_on = go_on and pipeline == "all" and not (process is not None and process.stop_requested)
        for model, why in result.to_train.items():
            progress.noted(f"'{model}' is trained {'now, by another run' if goes_on else 'by the next caudal run'}: {why}.")
        if result.to_train and goes_on:
            with contextlib.suppress(LeaseHeld):  # another process was quicker: its run trains
                second = carry_out(
                    file, home, ledger, settings, pipeline=pipeline, progress=progress, wait_s=wait_s, run_id=None, process=process,
                    before_landing=before_landing,
                )  # fmt: skip
                return replace(second, before=result.document)
        return result


def run_training(folder: Path, settings: Settings) -> None:
    """Run the training pipeline on the data that is there; errors are recorded in the ledger and on the run's page."""
    with contextlib.suppress(CaudalError):
        run(folder, settings, pipeline="train")
