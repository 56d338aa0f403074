"""Land the messages of a Kafka topic, each a row: those beyond the offsets that were landed, in files of some megabytes.

A file is named by the offsets that it begins and ends with, and holds for each message its position. So the same messages are the same
file, and equal messages at two positions are two rows. Where the next landing begins is noted with the files themselves: a run that dies
lands nothing, or all that it notes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.declarations.connection import Connection, Http, Kafka
from caudal.declarations.events import Events, events
from caudal.errors import EnvironmentProblem, SourceProblem
from caudal.extras import require
from caudal.stages.ingest.arrival import Arrival, Clock, KnownFile, fetches
from caudal.stages.ingest.message_rows import Names, NoRow, Position, line_of
from caudal.stages.ingest.streams.kafka import KafkaTap
from caudal.stages.ingest.streams.tap import Offsets, SourceUnavailable
from caudal.stages.ingest.web import Client

if TYPE_CHECKING:
    from confluent_kafka import Message

__all__ = ["EventReader", "events", "fetch", "kept_open"]

FILE_BYTES = 64 << 20
_ANEW = "Raise epoch= of cd.events, and the source is what the topic holds now; what was landed before is kept in the lake."


@fetches("events")
def fetch(
    connection: Connection, *, data: Path | None, scratch: Path, landed: Mapping[str, KnownFile], clock: Clock
) -> list[Arrival]:
    """Return files of the messages that have come since the last landing, up to those that are there now."""
    assert isinstance(connection, Events)
    kept = next((reader for reader in _KEPT if reader.connection == connection), None)
    with contextlib.nullcontext(kept) if kept is not None else closing(EventReader(connection)) as reader:
        return reader.arrivals(landed, scratch, int(clock() * 1e9))


class EventReader:
    """Reads a topic's messages, again and again by the same connection to its brokers.

    Parameters
    ----------
    connection : the topic
    """

    def __init__(self, connection: Events) -> None:
        self.connection = connection
        self._folder = f"kafka:{connection.topic}/{_declaration_key(connection)}"
        self._schemas = _Schemas(connection.registry)
        self._tap: KafkaTap | None = None
        self._looked_at: tuple[Offsets | None, Offsets] | None = None  # what was landed, and up to where nothing followed

    def close(self) -> None:
        """Leave the brokers; the next use connects again, and sees partitions that were added."""
        tap, self._tap = self._tap, None
        if tap is not None:
            tap.close()

    def has_messages(self, landed: Mapping[str, KnownFile]) -> bool:
        """Return whether the topic holds what was not landed; also where its messages are gone, which `arrivals` tells.

        Raises
        ------
        SourceUnavailable : the brokers do not answer
        """
        noted = _newest_notes(self._folder, landed)
        start: Offsets | None = None if noted is None else tuple(noted["offsets"])
        if self._looked_at is not None and self._looked_at[0] == start:
            start = self._looked_at[1]
        try:
            first, last = _ends(self._open(), start, 1 << 62)
        except EnvironmentProblem as problem:
            if "offset" in problem.facts:
                return True
            raise
        return first != last

    def arrivals(self, landed: Mapping[str, KnownFile], scratch: Path, at_ns: int) -> list[Arrival]:
        """Return files of the messages beyond those that were landed, up to those that are there now."""
        noted = _newest_notes(self._folder, landed)
        topic = self.connection.topic
        try:
            return self._read(self._open(), noted, scratch, at_ns)
        except EnvironmentProblem as problem:
            fix = (
                f"Messages were deleted before they were landed: retain them longer. {_ANEW}"
                if "offset" in problem.facts
                else problem.fix
            )
            is_away = isinstance(problem, SourceUnavailable)
            raise SourceProblem(problem.what, fix=fix, topic=topic, transient=is_away) from None

    def _open(self) -> KafkaTap:
        if self._tap is None:
            self._tap = KafkaTap(Kafka(self.connection.topic, (), servers=self.connection.servers, options=self.connection.client))
        return self._tap

    def _read(self, tap: KafkaTap, noted: Mapping[str, Any] | None, scratch: Path, at_ns: int) -> list[Arrival]:
        connection = self.connection
        noted_offsets: Offsets | None = None if noted is None else tuple(noted["offsets"])
        start, identity = noted_offsets, _identity(tap)
        if noted is not None and identity and noted["topic"] and noted["topic"] != identity:
            raise SourceProblem(
                f"Kafka's topic '{connection.topic}' was deleted and made anew since its messages were landed.",
                fix=_ANEW,
                topic=connection.topic,
            )
        if start is None and connection.since is not None:
            start = tap.offsets_since(int(connection.since.timestamp() * 1000))
        start, last = _ends(tap, start, 1 << 62)
        arrivals: list[Arrival] = []
        first = start
        while first != last:
            part = scratch / "messages.part"
            end, lines = _write(part, connection, tap, first, last, self._schemas)
            if not lines:  # only tombstones, or markers of transactions
                part.unlink()
                break
            path = part.replace(scratch / f"{sum(first):015d}-{sum(end):015d}.ndjson")
            notes = json.dumps({"offsets": end, "topic": identity})
            arrivals.append(Arrival(f"{self._folder}/{path.name}", path, path.stat().st_size, at_ns, notes))
            first = end
        if _identity(tap) != identity:
            raise SourceProblem(
                f"Kafka's topic '{connection.topic}' was deleted and made anew while its messages were read; none of them is landed.",
                topic=connection.topic,
                transient=True,
            )
        self._looked_at = (noted_offsets if not arrivals else first, last)
        return arrivals


_KEPT: list[EventReader] = []


@contextlib.contextmanager
def kept_open(reader: EventReader) -> Iterator[EventReader]:
    """Let `fetch` read by this reader within the block, so that each look does not connect anew."""
    _KEPT.append(reader)
    try:
        yield reader
    finally:
        _KEPT.remove(reader)
        reader.close()


def _identity(tap: KafkaTap) -> list[str]:
    """Return the topic's id; nothing where the brokers have none."""
    return [name for name in tap.identity() if name is not None]


def _ends(tap: KafkaTap, start: Offsets | None, most_bytes: int) -> tuple[Offsets, Offsets]:
    """Return the offsets to read from and to.

    Raises
    ------
    SourceUnavailable : the brokers do not answer
    """
    begin, end, _ = tap.ends(start, most_bytes)
    if tap.unavailable is not None:
        raise tap.unavailable
    return begin, end


def _write(path: Path, connection: Events, tap: KafkaTap, start: Offsets, last: Offsets, schemas: _Schemas) -> tuple[Offsets, int]:
    """Write messages, a line each, until all are written or the file is large enough; return the offsets that it ends with, and its lines.

    They are read some megabytes at a time, partition after partition.
    """
    lines = 0
    names = Names(column.raw_name for column in connection.row_schema(connection.schema))
    with path.open("w", encoding="utf-8", newline="") as file:
        while start != last and (not lines or file.tell() < FILE_BYTES):
            _, most = _ends(tap, start, FILE_BYTES)
            end = tuple(min(high, highest) for high, highest in zip(most, last, strict=True))
            messages = message_bytes = 0
            for partition in tap.messages(start, end):
                for message in partition:
                    body = message.value()
                    messages, message_bytes = messages + 1, message_bytes + len(body or b"")
                    line = line_of(_position(message), body, connection.encoding, schemas.parsed, names)
                    if line is not None:
                        file.write(line + "\n")
                        lines += 1
            tap.learn(messages, message_bytes)
            start = end
    return start, lines


def _position(message: Message) -> Position:
    kind, time_ms = message.timestamp()
    key = message.key()
    return Position(
        message.partition() or 0, message.offset() or 0, time_ms if kind else None, key.encode() if isinstance(key, str) else key
    )


def _declaration_key(connection: Events) -> str:
    """Return a key of what a file's lines depend on: files with another key are not continued.

    The brokers' addresses are no part of it: a topic is told from another one by its id, and goes by the same offsets at each address.
    """
    parts = [connection.topic, connection.encoding, connection.epoch]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _newest_notes(folder: str, landed: Mapping[str, KnownFile]) -> Mapping[str, Any] | None:
    """Return the notes of the file that was landed last, or None."""
    names = sorted(path for path in landed if path.rpartition("/")[0] == folder)
    return dict(json.loads(landed[names[-1]].etag or "{}")) if names else None


class _Schemas:
    """The parsed schemas of a registry by number; each is requested once."""

    def __init__(self, registry: Http | None) -> None:
        self._registry = registry
        self._parsed: dict[int, Any] = {}

    def parsed(self, number: int) -> Any:
        """Return a schema.

        Raises
        ------
        NoRow : the registry has none of this number
        SourceProblem : the registry does not answer, or refuses
        """
        if number not in self._parsed:
            require("fastavro", extra="avro", for_="Reading messages of Avro")
            import fastavro

            assert self._registry is not None
            url = f"{self._registry.urls[0].rstrip('/')}/schemas/ids/{number}"
            try:
                with Client(self._registry) as client:
                    answer = client.with_retries(url, lambda: client.get(url, link=True).json())
                self._parsed[number] = fastavro.parse_schema(json.loads(answer["schema"]))
            except SourceProblem as problem:
                if problem.facts.get("status") != 404:
                    raise
                self._parsed[number] = None
            except (ValueError, TypeError, KeyError, fastavro.schema.SchemaParseException):  # Protobuf, JSON Schema, or none of all
                self._parsed[number] = None
        if self._parsed[number] is None:
            raise NoRow(f"the registry has no Avro schema of the number {number}")
        return self._parsed[number]
