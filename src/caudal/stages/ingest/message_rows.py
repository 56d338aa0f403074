"""The row of a message as a line of JSON: its own values as they were written, after its position in the topic.

A message that holds no row becomes a line that is no JSON either: it names the position, the reason and the message, and goes to quarantine
when the file is read.
"""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from caudal.stages.ingest.formats.json_rows import TextRows, nested_texts

SchemaOf = Callable[[int], Any]
"""Returns the parsed schema of a number in the registry; raises `NoRow` where there is none."""
_MAGIC, _HEADER = 0, 5  # Confluent's wire format: a zero, the schema's number in four bytes, big-endian, then the record
_LINE_ENDS = re.compile(r"[\r\n]+")
_CHANGES = {"c", "u", "d", "r", "t"}


class NoRow(Exception):
    """A message holds no row; the text says why."""


@dataclass(frozen=True)
class Position:
    """Where a message stands in its topic: partition, offset, time in milliseconds since 1970 UTC, and key."""

    partition: int
    offset: int
    time_ms: int | None
    key: bytes | None

    def members(self) -> dict[str, str]:
        """Return the names and the JSON of its columns."""
        return {
            "kafka_partition": str(self.partition),
            "kafka_offset": str(self.offset),
            "kafka_time": _instant(self.time_ms),
            "kafka_key": "null" if self.key is None else json.dumps(_key_text(self.key)),
        }


class Names:
    """The names of the columns of a file: columns ignore case, so a message whose name differs from an earlier one in case only is no row.

    Parameters
    ----------
    declared : names that are known from the beginning
    """

    def __init__(self, declared: Iterable[str]) -> None:
        self._by_case = {name.casefold(): name for name in declared}

    def add(self, names: Iterable[str]) -> None:
        """Add the names of a message.

        Raises
        ------
        NoRow : one of them differs from a known one, or from another one of the message, in case only, or is no text
        """
        added: dict[str, str] = {}
        for name in names:
            try:
                name.encode()
            except UnicodeEncodeError:
                raise NoRow(f"its key {name!r} holds half of a surrogate pair and is no text") from None
            folded = name.casefold()
            known = self._by_case.get(folded) or added.setdefault(folded, name)
            if known != name:
                raise NoRow(f"its key {name!r} differs from {known!r} in case only")
        self._by_case |= added


def line_of(position: Position, body: bytes | None, encoding: str, schema_of: SchemaOf, known: Names) -> str | None:
    """Return the line of a message, without its end; None for a tombstone of Debezium, which repeats that a row was deleted."""
    if body is None and encoding == "debezium":
        return None
    try:
        members = position.members()
        names, text = _row(body, encoding, schema_of, members)
        known.add(names)
    except NoRow as problem:
        shown = (body or b"").decode("utf-8", "backslashreplace")
        place = f"kafka_partition={position.partition} kafka_offset={position.offset}"
        return f"{place} is no row: {problem}; the message: {json.dumps(shown, ensure_ascii=False)}"
    own = ",".join(f'"{name}":{value}' for name, value in members.items() if name not in names)
    rest = text.strip()[1:].lstrip()
    comma = "" if rest == "}" or not own else ","
    return "{" + own + comma + rest


def _row(body: bytes | None, encoding: str, schema_of: SchemaOf, members: dict[str, str]) -> tuple[Iterable[str], str]:
    """Return the names of a row's values and its JSON in one line; Debezium adds to the members of its position."""
    if body is None:
        return (), "{}"
    text = _avro_as_json(body, schema_of) if encoding == "avro" else _text(body)
    names = _names(text)
    if encoding == "debezium":
        text = _changed_row(text, members)
        names = _names(text)
    return names, _LINE_ENDS.sub(" ", text)


def _text(body: bytes) -> str:
    if body[:1] == b"\x00" and body[_HEADER : _HEADER + 1].strip() in (b"{", b""):  # JSON that was written by way of a registry
        body = body[_HEADER:]
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NoRow(f"byte {error.start} is no UTF-8") from None


def _names(text: str) -> Iterable[str]:
    """Return the keys of a text that is one JSON object."""
    rows = TextRows()
    count = rows.add(text)
    if count != 1:
        raise NoRow(f"it holds {count} JSON values" if count else "it is empty")
    if rows.faults:
        raise NoRow(rows.faults[0])
    return rows.values[0]


def _changed_row(text: str, members: dict[str, str]) -> str:
    """Return the row that an event of Debezium tells of: as it is after the change, of a deleted one as it was before."""
    text = text.strip()
    event = json.loads(text, parse_float=str, parse_int=str)
    if "payload" in event and "op" not in event:
        payload = nested_texts(text, 0).get("payload")
        if payload is None or not payload.startswith("{"):
            raise NoRow("its payload is no object")
        text, event = payload, event["payload"]
    operation = event.get("op")
    if not isinstance(operation, str) or operation not in _CHANGES:
        raise NoRow("it is no event of Debezium: it has no 'op' of c, u, d, r or t")
    members["change"] = json.dumps(operation)
    members["changed_at"] = _instant(event.get("ts_ms"))
    if operation == "t":
        return "{}"
    image = nested_texts(text, 0).get("before" if operation == "d" else "after")
    if image is None or not image.startswith("{"):
        raise NoRow(f"it has no row {'before' if operation == 'd' else 'after'} the change")
    return image


def _avro_as_json(body: bytes, schema_of: SchemaOf) -> str:
    import fastavro

    if len(body) < _HEADER or body[0] != _MAGIC:
        raise NoRow("it is not in Confluent's wire format, which begins with a zero and the number of a schema")
    schema = schema_of(int.from_bytes(body[1:_HEADER], "big"))
    record_bytes = io.BytesIO(body[_HEADER:])
    try:
        record = fastavro.schemaless_reader(record_bytes, schema, None)
    except Exception as error:  # noqa: BLE001 (the reader raises whatever bytes that are no record make of it)
        raise NoRow(f"it cannot be read by its schema: {type(error).__name__} {error}".rstrip()) from None
    if record_bytes.tell() != len(body) - _HEADER:
        raise NoRow("bytes follow its record")
    if not isinstance(record, dict):
        raise NoRow("its schema is none of a record")
    return json.dumps(record, default=_as_text, ensure_ascii=False)


def _as_text(value: object) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _key_text(key: bytes) -> str:
    """Return a key as text; one that is no text by Base64."""
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(key).decode()


def _instant(time_ms: object) -> str:
    """Return milliseconds since 1970 as JSON of an instant; null where there are none, or where they are in no year of four digits."""
    try:
        moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=int(str(time_ms)))
    except (OverflowError, ValueError):
        return "null"
    return json.dumps(moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
