"""The ledger's tables: what is remembered of runs, steps, files, checks, models, decisions and events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.schema import SchemaItem

from caudal.ledger import rows
from caudal.ledger.column_types import Document, Scalars, Words

metadata = MetaData()
R = TypeVar("R", bound=Mapping[str, object])

if TYPE_CHECKING:

    class RowTable(Table, Generic[R]):
        """A table whose rows come back as ``R``."""


def _table(row: type[R], name: str, *parts: SchemaItem) -> RowTable[R]:
    """Return a table of the ledger; ``row`` is the type that its rows have."""
    return cast("RowTable[R]", Table(name, metadata, *parts))


runs = _table(
    rows.RunRow, "runs",
    Column("run_id", String(40), primary_key=True),
    Column("product", String(100), nullable=False),
    Column("command", String(40), nullable=False),
    Column("state", String(20), nullable=False),  # running | succeeded | failed | stopped (asked to) | abandoned (died)
    Column("started_at", Float, nullable=False),  # seconds since 1970, UTC
    Column("finished_at", Float),
    Column("who", String(100)),
    Column("host", String(200)),
    Column("pid", Integer),
    Column("code", String(64)),  # fingerprint of the product folder
    Column("caudal_version", String(40)),
    Column("error", Document),
    Column("summary", Document),  # the document that `caudal run --json` prints
    Column("at_hand", Document),  # {step, since, expected_s, slow} while a step is at work for longer than a moment
    Column("seq", BigInteger, nullable=False, server_default="0"),  # the order in which runs began, whatever the clock said
)  # fmt: skip

steps = _table(
    rows.StepRow, "steps",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(40), nullable=False),
    Column("product", String(100), nullable=False),
    Column("step", String(200), nullable=False),  # land:trips_raw, read:trips_raw, table:trips, train:duration …
    Column("kind", String(20), nullable=False),  # land | read | table | features | train | promote | predict | publish
    Column("name", String(100), nullable=False),  # source, table, model or prediction
    Column("state", String(20), nullable=False),  # running | succeeded | skipped | failed | waiting
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("seconds", Float),
    Column("fingerprint", String(64)),
    Column("inputs", JSON),  # {input: version}
    Column("output_version", Integer),
    Column("rows_read", BigInteger),
    Column("rows_written", BigInteger),
    Column("rows_quarantined", BigInteger),
    Column("partitions", JSON),  # days written; null when the table has no partitions
    Column("detail", Document),  # what else the step says, by kind
    Column("error", Document),
    Index("steps_by_name", "product", "step", "id"),
    Index("steps_by_run", "run_id"),
)  # fmt: skip

landed = _table(
    rows.LandedRow, "landed",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("product", String(100), nullable=False),
    Column("source", String(100), nullable=False),
    Column("path", Text, nullable=False),  # where it came from
    Column("base", Text),  # the data folder that the path lies below; null where it is a whole path or an address
    Column("sha256", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("landed_at", Float, nullable=False),
    Column("run_id", String(40), nullable=False),
    Column("kind", String(20), nullable=False),  # data | correction | refused | erased
    Column("etag", Text),
    Column("seq", BigInteger, nullable=False, server_default="0"),  # the order in which contents landed, whatever the clock said
    UniqueConstraint("product", "source", "path", "sha256", name="landed_once"),
)  # fmt: skip

counters = _table(
    rows.CounterRow, "counters",
    Column("name", String(40), primary_key=True),  # a table whose rows are numbered
    Column("value", BigInteger, nullable=False),  # the last number that was given
)  # fmt: skip

checks = _table(
    rows.CheckRow, "checks",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(40), nullable=False),
    Column("product", String(100), nullable=False),
    Column("table", String(100), nullable=False),
    Column("expectation", Text, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("action", String(20), nullable=False),
    Column("rows", BigInteger),
    Column("broken", BigInteger),
    Column("passed", Boolean, nullable=False),
    Column("message", Words),
    Index("checks_by_run", "run_id", "table"),
)  # fmt: skip

profiles = _table(
    rows.ProfileRow, "profiles",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(40), nullable=False),
    Column("product", String(100), nullable=False),
    Column("table", String(100), nullable=False),
    Column("version", Integer),
    Column("rows", BigInteger, nullable=False),
    Column("columns", JSON, nullable=False),  # {column: {nulls, min, max, mean, stddev, distinct}}
    Index("profiles_by_table", "product", "table", "id"),
)  # fmt: skip

lineages = _table(
    rows.LineageRow, "lineages",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(40), nullable=False),
    Column("product", String(100), nullable=False),
    Column("table", String(100), nullable=False),
    Column("version", Integer),  # the first version that is made so
    Column("document", JSON, nullable=False),  # {columns: {name: {from, indirect, unknown?}}, rows}
    Index("lineages_by_table", "product", "table", "id"),
)  # fmt: skip

candidates = _table(
    rows.CandidateRow, "candidates",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(40), nullable=False),
    Column("product", String(100), nullable=False),
    Column("model", String(100), nullable=False),
    Column("candidate", String(100), nullable=False),
    Column("metric", String(40), nullable=False),
    Column("score", Float),  # mean over folds
    Column("spread", Float),  # standard deviation over folds
    Column("folds", JSON),  # one object of all metrics per fold
    Column("seconds", Float),
    Column("chosen", Boolean, nullable=False),
    Column("baseline", Boolean, nullable=False),
    Column("error", Words),
    Column("parameters", JSON),
)  # fmt: skip

model_versions = _table(
    rows.ModelVersionRow, "model_versions",
    Column("product", String(100), primary_key=True),
    Column("model", String(100), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("candidate", String(100), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("run_id", String(40), nullable=False),
    Column("fingerprint", String(64), nullable=False),  # of the training step
    Column("code", String(64), nullable=False),
    Column("training_table", String(100), nullable=False),
    Column("training_version", Integer, nullable=False),  # Delta version
    Column("training_rows", BigInteger, nullable=False),
    Column("training_from", String(40)),
    Column("training_until", String(40)),
    Column("parameters", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("signature", JSON, nullable=False),
    Column("environment", JSON, nullable=False),
    Column("artifact", Text, nullable=False),  # path below the home
    Column("artifact_sha256", String(64), nullable=False),
    Column("format", String(20), nullable=False),  # skops | spark | pickle
    Column("mlflow_run", String(64)),
    Column("gates", JSON),  # what the training's gates found: [{gate, passed, figures, message}]
    Column("rule", Text),  # why this candidate was chosen
    Column("holdout", JSON),  # how it does on rows that were held out: {of, rows, left_out, metric, metrics}
    Column("cause", Document),  # why it was trained, by which code, for which alarms: {why, made_by, alarms}
    Column("compiled", Document),  # whether it is served by arrays: {reason, rows, pipeline_from_rows}; null for versions of before, and other formats
)  # fmt: skip

decisions = _table(
    rows.DecisionRow, "decisions",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("product", String(100), nullable=False),
    Column("model", String(100), nullable=False),
    Column("version", Integer, nullable=False),
    Column("decision", String(20), nullable=False),  # promoted | refused | rolled back | shadow | canary | withdrawn
    Column("gates", JSON, nullable=False),  # [{gate, passed, figures, message}]
    Column("who", String(100), nullable=False),
    Column("at", Float, nullable=False),
    Column("replaced", Integer),
    Column("reason", Words),
    Column("run_id", String(40)),
    Column("trial", Document),  # of shadow and canary: {share, by}
    Index("decisions_by_model", "product", "model", "id"),
)  # fmt: skip

tombstones = _table(
    rows.TombstoneRow, "tombstones",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("product", String(100), nullable=False),
    Column("source", String(100), nullable=False),
    Column("old_sha256", String(64), nullable=False),  # of raw bytes that are no more
    Column("new_sha256", String(64), nullable=False),
    Column("rows", BigInteger, nullable=False),  # that were taken out
    Column("erasure", String(40), nullable=False),
    Column("at", Float, nullable=False),
    Index("tombstones_by_hash", "product", "source", "old_sha256"),
)  # fmt: skip

erasures = _table(
    rows.ErasureRow, "erasures",
    Column("erasure", String(40), primary_key=True),
    Column("product", String(100), nullable=False),
    Column("column", String(100), nullable=False),
    Column("salt", String(64), nullable=False),
    Column("subject", String(64), nullable=False),  # SHA-256 of salt and value: the value itself is not kept
    Column("state", String(20), nullable=False),  # running | done
    Column("who", String(100), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("before", JSON, nullable=False),  # what was found before anything was done
    Column("proof_sha256", String(64)),
)  # fmt: skip

deletions = _table(
    rows.DeletionRow, "deletions",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("product", String(100), nullable=False),
    Column("table", String(100)),
    Column("kind", String(20), nullable=False),  # versions | days | quarantine | pages | live | erasure
    Column("why", Words, nullable=False),
    Column("who", String(100), nullable=False),
    Column("at", Float, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("document", Document, nullable=False),  # which versions, days, files
    Index("deletions_by_table", "product", "table", "id"),
)  # fmt: skip

declarations = _table(
    rows.DeclarationRow, "declarations",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("product", String(100), nullable=False),
    Column("run_id", String(40), nullable=False),
    Column("at", Float, nullable=False),
    Column("document", Document, nullable=False),  # what the product declared, as the catalog shows it
    Index("declarations_by_product", "product", "id"),
)  # fmt: skip

lineage_events = _table(
    rows.LineageEventRow, "lineage_events",
    Column("id", Integer, primary_key=True, autoincrement=True),  # the order in which they are sent
    Column("product", String(100), nullable=False),
    Column("run_id", String(40), nullable=False),
    Column("at", Float, nullable=False),
    Column("event", Document, nullable=False),  # by OpenLineage's schema
    Column("state", String(20), nullable=False),  # new | sent
    Column("sent_at", Float),
    Column("error", Words),
    Index("lineage_events_by_state", "state", "id"),
    Index("lineage_events_by_run", "run_id"),
)  # fmt: skip

manifests = _table(
    rows.ManifestRow, "manifests",
    Column("product", String(100), primary_key=True),
    Column("folder", Text, primary_key=True),
    Column("document", JSON, nullable=False),
)  # fmt: skip

events = _table(
    rows.EventRow, "events",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("product", String(100), nullable=False),
    Column("trigger", String(200), nullable=False),  # source:trips_raw, schedule:cron '0 6 * * *', prediction:forecast …
    Column("kind", String(20), nullable=False),  # file | images | rows | time | table | alarm
    Column("subject", Text, nullable=False),  # the file, the images, the time, the table
    Column("key", String(64), nullable=False),  # one a happening
    Column("at", Float, nullable=False),  # seconds since 1970, UTC
    Column("pipeline", String(20), nullable=False),  # all | predict
    Column("alone", Boolean, nullable=False),  # gets a run of its own
    Column("state", String(20), nullable=False),  # new | taken | done | failed
    Column("taken_by", String(300)),  # the daemon
    Column("run_id", String(40)),
    Column("attempts", Integer, nullable=False),  # runs that failed by what may pass
    Column("not_before", Float, nullable=False),
    Column("detail", Document),
    UniqueConstraint("product", "key", name="happened_once"),
    Index("events_by_state", "state", "product", "id"),
)  # fmt: skip

schedules = _table(
    rows.ScheduleRow, "schedules",
    Column("product", String(100), primary_key=True),
    Column("trigger", String(200), primary_key=True),
    Column("until", Float, nullable=False),  # what was due up to then is among the events
    Column("next_at", Float),
)  # fmt: skip

claims = _table(
    rows.ClaimRow, "claims",
    Column("name", String(200), primary_key=True),
    Column("holder", String(300), nullable=False),
    Column("beat", Integer, nullable=False),  # goes up while the holder lives
    Column("at", Float, nullable=False),  # by the holder's clock
)  # fmt: skip

alerts = _table(
    rows.AlertRow, "alerts",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("product", String(100), nullable=False),
    Column("happening", String(20), nullable=False),  # failure | recovery | quarantine | sla | slow | promoted | refused
    Column("subject", String(200), nullable=False),  # step, table or model
    Column("run_id", String(40), nullable=False),
    Column("at", Float, nullable=False),
    Column("last_at", Float, nullable=False),  # when it happened last
    Column("repeats", Integer, nullable=False),  # how often since, without being told again
    Column("kind", String(20), nullable=False),  # mail | webhook
    Column("target", Text, nullable=False),
    Column("place", JSON, nullable=False),
    Column("document", Document, nullable=False),  # {what, fix, page, …}
    Column("state", String(20), nullable=False),  # new | sending | sent | failed
    Column("attempts", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("sent_at", Float),
    Column("error", Words),
    Index("alerts_by_subject", "product", "happening", "subject", "id"),
    Index("alerts_by_state", "state", "next_at"),
)  # fmt: skip

measurements = _table(
    rows.MeasurementRow, "measurements",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("product", String(100), nullable=False),
    Column("run_id", String(40), nullable=False),
    Column("at", Float, nullable=False),  # when it was measured, seconds since 1970, UTC
    Column("subject_kind", String(20), nullable=False),  # table | prediction | model | step | stream | serving | platform …
    Column("subject", String(200), nullable=False),  # its name
    Column("metric", String(100), nullable=False),
    Column("value", Float, nullable=False),
    Column("low", Float),  # the interval that the value lies in
    Column("high", Float),
    Column("count", BigInteger),  # the rows that it rests on
    Column("window_start", Float),  # the stretch of event time that it is of, seconds since 1970, UTC
    Column("window_end", Float),
    Column("group_by", Scalars),  # names of what the rows were divided by: ["sex", "age"]
    Column("group_value", Scalars),  # the value of each: ["f", "60+"]
    Column("version", Integer),  # of the subject
    Column("detail", Document),
    Index("measurements_by_subject", "product", "subject", "metric", "id"),
    Index("measurements_by_metric", "product", "metric", "id"),
    Index("measurements_by_run", "run_id"),
)  # fmt: skip

access_keys = _table(
    rows.AccessKeyRow, "access_keys",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(100), nullable=False),  # of one valid key at a time
    Column("sha256", String(64), nullable=False),  # of the key, which is kept nowhere
    Column("start", String(20), nullable=False),  # the key's first characters, to tell keys apart
    Column("role", String(20), nullable=False),  # predict | observe | admin
    Column("rate_count", Integer),  # most requests within rate_s seconds; null: any number
    Column("rate_s", Float),
    Column("created_at", Float, nullable=False),
    Column("created_by", String(100), nullable=False),
    Column("expires_at", Float),  # null: it does not expire
    Column("revoked_at", Float),
    Column("revoked_by", String(100)),
    Column("reason", Words),  # why it was revoked
    Index("access_keys_by_hash", "sha256", unique=True),
)  # fmt: skip

access_events = _table(
    rows.AccessEventRow, "access_events",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),  # seconds since 1970, UTC
    Column("event", String(20), nullable=False),  # signed in | signed out | held back (for wrong keys)
    Column("key_name", String(100)),  # null for an address that is held back
    Column("address", String(100), nullable=False),
    Column("server", String(20), nullable=False),  # serve | console
    Column("host", String(200), nullable=False),  # the server's machine
    Index("access_events_by_time", "at"),
)  # fmt: skip
