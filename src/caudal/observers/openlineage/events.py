"""Build the OpenLineage events of a run in the ledger: a START and an end event for the run and for each step that did something."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from openlineage.client import set_producer
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    documentation_job,
    error_message_run,
    job_type_job,
    ownership_job,
    parent_run,
    processing_engine_run,
    sql_job,
)

import caudal
from caudal.declarations.product import Product
from caudal.extras import installed
from caudal.graph.registered import kind_of, step_kind
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import runs
from caudal.ledger.rows import RunRow, StepRow
from caudal.observers.openlineage.datasets import Datasets
from caudal.report.document import iso, step_rows
from caudal.runtime.observer import ObservedRun

PRODUCER = f"urn:caudal:{caudal.__version__}"
_ROOM = uuid.UUID("6f1b7c1e-6d0a-5b1e-9d35-3c0a7d5f4e21")
_ENDS = {"succeeded": RunState.COMPLETE, "failed": RunState.FAIL, "abandoned": RunState.ABORT, "running": RunState.ABORT}


def run_uuid(product: str, run_id: str, step: str = "") -> str:
    """Return the UUID of a run or step, which depends only on the arguments."""
    return str(uuid.uuid5(_ROOM, f"{product}/{run_id}/{step}"))


def start_of(run: ObservedRun, namespace: str) -> RunEvent:
    """Return the START event of a run."""
    return _Events(run, namespace, run.record.run_id).run(RunState.START)


def events_of(run: ObservedRun, namespace: str, run_id: str) -> list[RunEvent]:
    """Return the events of a run that has ended: those of its steps, then its end event."""
    return list(_Events(run, namespace, run_id).all())


class _Events:
    def __init__(self, run: ObservedRun, namespace: str, run_id: str) -> None:
        set_producer(PRODUCER)
        self._observed, self._namespace, self._run_id = run, namespace, run_id
        self._row = _row(run.record.ledger, run_id)
        self._datasets = Datasets(run)

    def all(self) -> Iterator[RunEvent]:
        for step in step_rows(self._observed.record.ledger, self._run_id):
            if _verb(step) is not None and step["state"] in ("succeeded", "failed"):
                yield from self._step(step)
        yield self.run(_ENDS[self._row["state"]])

    def run(self, state: RunState) -> RunEvent:
        """Return an event of the whole run."""
        at = self._row["started_at"] if state == RunState.START else self._row["finished_at"] or self._observed.record.clock()
        run_facets: dict[str, Any] = {"processing_engine": _engine()}
        if state in (RunState.FAIL, RunState.ABORT):
            run_facets["errorMessage"] = _error(self._row["error"] or {"what": "The run's process died."})
        return RunEvent(
            eventType=state,
            eventTime=str(iso(at)),
            run=Run(run_uuid(self._observed.product.name, self._run_id), facets=run_facets),
            job=self._job(self._observed.product.name, "RUN", self._observed.product.description),
        )

    def _step(self, step: StepRow) -> Iterator[RunEvent]:
        kind, name = step["kind"], step["name"]
        job = self._job(
            f"{self._observed.product.name}.{kind}.{name}", str(_verb(step)), self._about(name), _sql(self._observed.product, name)
        )
        inputs = self._datasets.inputs(step)
        ended = step["finished_at"] or self._observed.record.clock()
        began = step["started_at"] or ended
        yield self._event(RunState.START, began, step["step"], job, inputs, [])
        outputs = self._datasets.outputs(step) if step["state"] == "succeeded" else []
        yield self._event(_ENDS[step["state"]], ended, step["step"], job, inputs, outputs, step["error"])
        checked_dataset = self._datasets.checked_dataset(step)
        if checked_dataset is not None:  # OpenLineage treats a check as a job that reads the table
            checking = f"check:{name}"
            job = self._job(f"{self._observed.product.name}.check.{name}", "CHECK", f"The expectations of {name}.")
            yield self._event(RunState.START, ended, checking, job, [], [])
            yield self._event(RunState.COMPLETE, ended, checking, job, [checked_dataset], [])

    def _event(
        self, state: RunState, at: float, step: str, job: Job, inputs: Sequence[InputDataset], outputs: Sequence[OutputDataset],
        error: Mapping[str, Any] | None = None,
    ) -> RunEvent:  # fmt: skip
        product = self._observed.product.name
        facets: dict[str, Any] = {
            "parent": parent_run.ParentRunFacet(
                run=parent_run.Run(run_uuid(product, self._run_id)), job=parent_run.Job(self._namespace, product)
            )
        }
        if state == RunState.FAIL:
            facets["errorMessage"] = _error(error or {})
        run = Run(run_uuid(product, self._run_id, step), facets=facets)
        return RunEvent(eventType=state, eventTime=str(iso(at)), run=run, job=job, inputs=list(inputs), outputs=list(outputs))

    def _job(self, name: str, kind: str, about: str | None, sql: str | None = None) -> Job:
        facets: dict[str, Any] = {"jobType": job_type_job.JobTypeJobFacet("BATCH", "CAUDAL", kind)}
        if about:
            facets["documentation"] = documentation_job.DocumentationJobFacet(about)
        if self._observed.product.owner:
            facets["ownership"] = ownership_job.OwnershipJobFacet([ownership_job.Owner(self._observed.product.owner, "OWNER")])
        if sql:
            facets["sql"] = sql_job.SQLJobFacet(sql, dialect="spark")
        return Job(self._namespace, name, facets=facets)

    def _about(self, name: str) -> str | None:
        product = self._observed.product
        declaration = product.nodes.get(name) or product.models.get(name) or product.custom.get(name)
        return declaration.description if declaration else None


def _row(ledger: Ledger, run_id: str) -> RunRow:
    return ledger.find(runs, run_id=run_id)[0]


def _sql(product: Product, name: str) -> str | None:
    node = product.nodes.get(name)
    return None if node is None else kind_of(node).sql(node)


def _verb(step: StepRow) -> str | None:
    """Return the job type of a step; None for steps without events and for unknown kinds."""
    return step_kind(step["kind"]).verb


def _engine() -> processing_engine_run.ProcessingEngineRunFacet:
    from importlib.metadata import version

    return processing_engine_run.ProcessingEngineRunFacet(installed("pyspark").version, "spark", version("openlineage-python"))


def _error(error: Mapping[str, object]) -> error_message_run.ErrorMessageRunFacet:
    message = " ".join(str(error[name]) for name in ("what", "fix") if error.get(name)) or "The step failed."
    return error_message_run.ErrorMessageRunFacet(message, "PYTHON")
