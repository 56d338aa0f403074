"""Documents of commands for streams."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.json_value import JsonObject, JsonValue


class StreamedTable(TypedDict):
    """A table of statistics; counts are those since the stream's beginning."""

    readings: int
    duplicates: int
    late: int
    open_windows: int


class OutletDocument(TypedDict):
    """An outlet with its counts of rows."""

    of: str
    to: str
    delivery: str
    sent: int
    waiting: int
    lost: int
    trouble: str | None


class ConfusionDocument(TypedDict):
    """How often a model predicted one label where another was true."""

    actual: str
    predicted: str
    count: int


class FollowerDocument(TypedDict):
    """A model that classifies the stream, with its counts."""

    predicted: int
    version: int | None
    compared: int
    accuracy: float | None
    confusion: list[ConfusionDocument]
    trouble: str | None


class WatchedDocument(TypedDict):
    """A monitor of a streamed table: the windows that were counted, the figures in alarm, and why the last update failed."""

    windows: int
    alarms: list[str]
    trouble: str | None


class TopicDocument(TypedDict):
    """A topic whose messages are rows; counts are those since the stream began."""

    topic: str
    micro_batches: int
    rows: int
    set_aside: int


class StreamDocument(TypedDict):
    """``caudal stream``; a source has ``batches``, its ``tables`` and the counts of its kind."""

    product: str
    seconds: float
    sources: dict[str, dict[str, int | dict[str, StreamedTable]]]
    outlets: dict[str, OutletDocument]
    joins: dict[str, JsonObject]
    models: dict[str, FollowerDocument]
    monitors: dict[str, WatchedDocument]
    topics: dict[str, TopicDocument]


class ParityExample(TypedDict):
    """A row that differs between stream and run."""

    key: list[str]
    stream: str
    run: str


class TableParity(TypedDict):
    """How a table of the stream compares with that of a run."""

    equal: bool
    rows: int
    rows_of_run: int
    differing: int
    only_run: int
    only_stream: int
    not_closed_yet: int
    late: NotRequired[int]
    twice: int
    examples: list[ParityExample]


class ParityDocument(TypedDict):
    """``caudal parity``."""

    product: str
    equal: bool
    tables: dict[str, TableParity]


class BrokerDocument(TypedDict):
    """``caudal broker``."""

    address: str
    folder: str
    pid: int
    log: str


class ReplayDocument(TypedDict):
    """``caudal replay``; ``facts_per_device`` are the disturbances in the replayed signal."""

    what: str
    into: str
    to: str
    wire: str
    readings: int
    samples: int
    payloads: int
    labels: int
    seconds: float
    readings_per_s: int
    most_behind_s: float
    devices: int
    rate_hz: float
    start_us: int
    facts_per_device: JsonValue
    stopped: bool
