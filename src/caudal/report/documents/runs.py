"""Documents of commands that run a product, or plan a run."""

from __future__ import annotations

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.json_value import JsonObject, JsonValue
from caudal.ledger.rows import ErrorDocument
from caudal.report.run_document import RunDocument


class AnswerDocument(TypedDict):
    """A request to the web app and its prediction."""

    model: str
    url: str
    asked: JsonObject
    answer: JsonValue


class DemoFacts(TypedDict):
    """The demo's input, and the address at which it serves."""

    input: str
    data: str
    url: str
    predictions: list[AnswerDocument]


class DemoDocument(RunDocument):
    """``caudal demo``: the run, and the requests to the web app."""

    demo: DemoFacts


class NewDocument(TypedDict):
    """``caudal new``."""

    product: str
    folder: str


class CheckDocument(TypedDict):
    """``caudal check``."""

    ok: bool
    problems: list[ErrorDocument]
    notes: list[str]


class NodeDocument(TypedDict):
    """A node of the graph."""

    name: str
    kind: str
    inputs: list[str]
    description: str | None


class GraphDocument(TypedDict):
    """``caudal graph``."""

    nodes: list[NodeDocument]
    svg: str | None


class UsualDocument(TypedDict):
    """The usual duration of a step (``Usual``)."""

    expected_s: float
    limit_s: float
    trend: float
    executions: int


class ExecutionDocument(TypedDict):
    """An execution of a step."""

    run_id: str
    at: float | None
    seconds: float
    rows: int | None


class StepTimes(TypedDict):
    """How long a step took, oldest first."""

    step: str
    last_s: float
    usual: UsualDocument | None
    history: list[ExecutionDocument]


class TimesDocument(TypedDict):
    """``caudal times``."""

    product: str
    steps: list[StepTimes]


class PlannedFile(TypedDict):
    """A raw file that would be read again."""

    path: str
    bytes: int


class PlannedTable(TypedDict):
    """A table that would be rebuilt: its days, or all of it (null)."""

    table: str
    days: list[str] | None
    rows: int


class PlannedSource(PlannedTable):
    """A source that would be read again: its days, and the files."""

    files: list[PlannedFile]


class _Plan(TypedDict):
    product: str
    to: str
    sources: list[PlannedSource]
    tables: list[PlannedTable]


_First = TypedDict("_First", {"from": str})  # "from" cannot be a field of a class


class BackfillPlan(_Plan, _First):
    """``caudal backfill`` without ``--yes``."""
