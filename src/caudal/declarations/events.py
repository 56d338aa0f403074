"""The declaration of a topic whose messages are rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, get_args

from caudal.declarations.connection import Connection, Http, http
from caudal.declarations.schema import Field, Schema
from caudal.errors import DeclarationProblem, nearest
from caudal.secret import secrets_hidden

Encoding = Literal["json", "avro", "debezium"]
POSITION = Schema(
    (
        Field("kafka_partition", "int", nullable=False),
        Field("kafka_offset", "long", nullable=False),
        Field(
            "kafka_time", "timestamp_utc", description="the broker's or the producer's time of the message, by the topic's setting"
        ),
        Field("kafka_key", "string", required=False),
    )
)
"""The columns that every row of a topic has beside those of its message."""
CHANGE = Schema(
    (
        Field(
            "change",
            "string",
            required=False,
            description="c created, u updated, d deleted, r read in a first snapshot, t truncated",
        ),
        Field("changed_at", "timestamp_utc", required=False, description="when Debezium saw the change"),
    )
)
"""The columns that a row of Debezium has, too."""


@dataclass(frozen=True)
class Events(Connection):
    """Messages of a Kafka topic, each a row.

    Parameters
    ----------
    encoding : how a message holds its row: a JSON object; an Avro record in Confluent's wire format, whose schema the registry has; an
        event of Debezium in JSON, with or without its schema
    servers : str, optional, ``host:port`` of brokers; from the setting ``kafka`` (``CAUDAL_KAFKA``) when left out
    since : datetime, optional, the first landing begins with the first message of each partition that is not older, by ``kafka_time``; without it
        with all that the topic holds
    registry : optional, a Confluent Schema Registry
    epoch : int; raised, the topic is read from its beginning again, and the rows of the earlier epoch are not part of the source any more
    client : mapping, further options of Kafka's Java client (``kafka.security.protocol``); `Env` values are looked up when the topic is read
    schema : the declared columns of a message
    """

    topic: str
    encoding: Encoding = "json"
    servers: str | None = None
    since: dt.datetime | None = None
    registry: Http | None = None
    epoch: int = 0
    client: Mapping[str, object] = field(default_factory=dict)
    schema: Schema | None = None
    kind: ClassVar[str] = "events"
    changed: ClassVar[str] = "set"
    options: ClassVar[Mapping[str, object]] = {"lines": True}

    def __post_init__(self) -> None:
        self._set("client", secrets_hidden(self.client))

    def row_schema(self, declared: Schema | None) -> Schema:
        """Return the declared columns, none of which a message must hold, with those of its position and of its change."""
        columns = tuple(replace(column, required=False) for column in declared or ())
        added = (*POSITION, *(CHANGE if self.encoding == "debezium" else ()))
        names = {column.name for column in columns}
        return Schema((*columns, *(column for column in added if column.name not in names)), declared is None or declared.open)


def events(
    topic: str,
    *,
    encoding: Encoding = "json",
    schema: Schema | None = None,
    servers: str | None = None,
    since: str | dt.datetime | None = None,
    registry: str | Http | None = None,
    epoch: int = 0,
    **client: object,
) -> Events:
    """Return a source of the messages of a Kafka topic, each a row, with ``kafka_partition, kafka_offset, kafka_time, kafka_key``.

    ``since`` is a time such as ``"2024-03-01T10:00:00Z"``: older messages are not landed.
    """
    if encoding not in get_args(Encoding):
        raise DeclarationProblem(
            f"Messages of topic '{topic}' are declared with the unknown encoding '{encoding}'.",
            nearest=nearest(encoding, get_args(Encoding)),
            fix=f"Use one of {', '.join(get_args(Encoding))}.",
        )
    if encoding == "avro" and registry is None:
        raise DeclarationProblem(
            f"Topic '{topic}' holds Avro, whose schemas are in a registry.", fix="Give its address with registry=."
        )
    registry = http(registry) if isinstance(registry, str) else registry
    return Events(topic, encoding, servers, None if since is None else _instant(topic, since), registry, epoch, client, schema)


def _instant(topic: str, since: str | dt.datetime) -> dt.datetime:
    """Return a time with its zone, which is UTC where none is given."""
    try:
        moment = dt.datetime.fromisoformat(since) if isinstance(since, str) else since
    except ValueError:
        raise DeclarationProblem(
            f"Messages of topic '{topic}' are to be landed since '{since}', which is no time.",
            fix="Write it as 2024-03-01T10:00:00Z.",
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
