"""A run in the ledger → OpenLineage events: one START and one end for the run and for each of its steps that did something."""

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
from caudal.graph.registered import kind_of, step_kind
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import runs
from caudal.ledger.rows import RunRow, StepRow
from caudal.observers.openlineage.datasets import Datasets
from caudal.report.document import iso, step_rows
from caudal.runtime.workspace import Workspace

PRODUCER = f"urn:caudal:{caudal.__version__}"
_ROOM = uuid.UUID("6f1b7c1e-6d0a-5b1e-9d35-3c0a7d5f4e21")
_ENDS = {"succeeded": RunState.COMPLETE, "failed": RunState.FAIL, "abandoned": RunState.ABORT, "running": RunState.ABORT}


def run_uuid(product: str, run_id: str, step: str = "") -> str:
    """Return the UUID of a run or step: the same each time that it is asked for."""
    return str(uuid.uuid5(_ROOM, f"{product}/{run_id}/{step}"))


def start_of(ws: Workspace, namespace: str) -> RunEvent:
    """Return the event that says that a run has begun."""
    return _Events(ws, namespace, ws.run_id).run(RunState.START)


def events_of(ws: Workspace, namespace: str, run_id: str) -> list[RunEvent]:
    """Return what is to be said of a run that has ended: its steps, then its end."""
    return list(_Events(ws, namespace, run_id).all())


class _Events:
    def __init__(self, ws: Workspace, namespace: str, run_id: str) -> None:
        set_producer(PRODUCER)
        self._ws, self._namespace, self._run_id = ws, namespace, run_id
        self._row = _row(ws.ledger, run_id)
        self._datasets = Datasets(ws)

    def all(self) -> Iterator[RunEvent]:
        for step in step_rows(self._ws.ledger, self._run_id):
            if _verb(step) is not None and step["state"] in ("succeeded", "failed"):
                yield from self._step(step)
        yield self.run(_ENDS[self._row["state"]])

    def run(self, state: RunState) -> RunEvent:
        """Return an event of the whole run."""
        at = self._row["started_at"] if state == RunState.START else self._row["finished_at"] or self._ws.clock()
        run_facets: dict[str, Any] = {"processing_engine": _engine()}
        if state in (RunState.FAIL, RunState.ABORT):
            run_facets["errorMessage"] = _error(self._row["error"] or {"what": "The run was cut off."})
        return RunEvent(
            eventType=state,
            eventTime=str(iso(at)),
            run=Run(run_uuid(self._ws.product.name, self._run_id), facets=run_facets),
            job=self._job(self._ws.product.name, "RUN", self._ws.product.description),
        )

    def _step(self, step: StepRow) -> Iterator[RunEvent]:
        kind, name = step["kind"], step["name"]
        job = self._job(f"{self._ws.product.name}.{kind}.{name}", str(_verb(step)), self._about(name), _sql(self._ws, name))
        inputs = self._datasets.inputs(step)
        ended = step["finished_at"] or self._ws.clock()
        began = step["started_at"] or ended
        yield self._event(RunState.START, began, step["step"], job, inputs, [])
        outputs = self._datasets.outputs(step) if step["state"] == "succeeded" else []
        yield self._event(_ENDS[step["state"]], ended, step["step"], job, inputs, outputs, step["error"])
        judged = self._datasets.judged(step)
        if judged is not None:  # by OpenLineage's rules, whoever checks a table reads it
            checking = f"check:{name}"
            job = self._job(f"{self._ws.product.name}.check.{name}", "CHECK", f"The expectations of {name}.")
            yield self._event(RunState.START, ended, checking, job, [], [])
            yield self._event(RunState.COMPLETE, ended, checking, job, [judged], [])

    def _event(
        self, state: RunState, at: float, step: str, job: Job, inputs: Sequence[InputDataset], outputs: Sequence[OutputDataset],
        error: Mapping[str, Any] | None = None,
    ) -> RunEvent:  # fmt: skip
        product = self._ws.product.name
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
        if self._ws.product.owner:
            facets["ownership"] = ownership_job.OwnershipJobFacet([ownership_job.Owner(self._ws.product.owner, "OWNER")])
        if sql:
            facets["sql"] = sql_job.SQLJobFacet(sql, dialect="spark")
        return Job(self._namespace, name, facets=facets)

    def _about(self, name: str) -> str | None:
        product = self._ws.product
        thing = product.nodes.get(name) or product.models.get(name) or product.custom.get(name)
        return thing.description if thing else None


def _row(ledger: Ledger, run_id: str) -> RunRow:
    return ledger.find(runs, run_id=run_id)[0]


def _sql(ws: Workspace, name: str) -> str | None:
    node = ws.product.nodes.get(name)
    return None if node is None else kind_of(node).sql(node)


def _verb(step: StepRow) -> str | None:
    """Return what is told that a step did; None of a step that is not told of, or of a kind that is gone."""
    return step_kind(step["kind"]).verb


def _engine() -> processing_engine_run.ProcessingEngineRunFacet:
    from importlib.metadata import version

    return processing_engine_run.ProcessingEngineRunFacet(version("pyspark"), "spark", version("openlineage-python"))


def _error(error: Mapping[str, object]) -> error_message_run.ErrorMessageRunFacet:
    what = " ".join(str(error[name]) for name in ("what", "fix") if error.get(name)) or "The step failed."
    return error_message_run.ErrorMessageRunFacet(what, "PYTHON")
