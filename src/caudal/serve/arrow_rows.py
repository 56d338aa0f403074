"""Rows from an Arrow stream, record batch by record batch. pyarrow is imported here, with the first such request.

A record batch is read when the whole of it has come: where messages begin and end is read here, from the few fields that say so, so that no thread has to wait for
bytes; Arrow's own reader reads the messages.

References
----------
The Arrow columnar format, "Serialization and Interprocess Communication", https://arrow.apache.org/docs/format/Columnar.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

from caudal.declarations.online import moment_of
from caudal.serve.inputs import Problem, input_problem, unknown_input
from caudal.serve.row_streams import CHUNK_ROWS, BodyBroken
from caudal.serve.signature import ModelInput, Signature
from caudal.web.streams import StreamRefused

MOST_BATCH_BYTES = 16 * 2**20  # of a record batch or a dictionary
MOST_BATCH_ROWS = 1_000_000
MOST_HEAD_BYTES = 2**20  # of what describes a message

_MICROS = {"s": (1_000_000, 1), "ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}  # of a unit, as a fraction
_CONTINUES = b"\xff\xff\xff\xff"
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
NO_ARROW = "The body is not an Arrow stream."
_TOO_LARGE = (
    f"A record batch of the Arrow stream is larger than {MOST_BATCH_BYTES} bytes or {MOST_BATCH_ROWS} rows: write smaller ones."
)
_COMPRESSED = "A record batch of the Arrow stream is compressed: write it without compression."
_DELTA = "A dictionary of the Arrow stream is written in pieces: write each whole."
_BROKEN = "The Arrow stream breaks off."


class ArrowRows:
    """Rows from an Arrow stream, with values as JSON has them.

    Parameters
    ----------
    asked : what callers are asked for
    inputs : the pydantic model of it
    """

    def __init__(self, asked: Signature, inputs: type[BaseModel]) -> None:
        self._asked, self._inputs = asked, inputs
        self._messages = _Messages()
        self._reader: Any = None
        self._ended = False

    def feed(self, part: bytes) -> Iterator[list[object]]:
        """Yield the rows of the record batches that are whole now."""
        self._messages.add(part)
        while (kind := self._messages.take()) is not None:
            if self._ended:
                raise BodyBroken("Something follows the end of the Arrow stream.")
            if kind == 0:
                self._ended = True
            elif self._reader is None:
                self._open(kind)
            elif kind == _BATCH:
                yield from self._rows()
            elif kind != _DICTIONARY:
                raise BodyBroken("The Arrow stream has another message than a record batch or a dictionary.")

    def finish(self) -> Iterator[list[object]]:
        """Yield nothing: all record batches have been read."""
        if self._reader is None:
            raise BodyBroken(NO_ARROW)
        if not self._ended or not self._messages.is_empty:
            raise BodyBroken(_BROKEN)
        yield from ()

    def _open(self, kind: int) -> None:
        if kind != _SCHEMA:
            raise BodyBroken(NO_ARROW)
        try:
            self._reader = pa.ipc.open_stream(self._messages)
            schema = self._reader.schema
            problems = list(_problems(schema, self._asked, self._inputs))
        except (pa.ArrowException, OSError, ValueError) as error:  # also of a name that is no UTF-8
            raise BodyBroken(NO_ARROW) from error
        if problems:
            document = {
                "errors": [{"row": None, **problem} for problem in problems[:20]],
                "more_errors": len(problems[20:]),
                "predictions": [],
            }
            raise StreamRefused(422, document)
        self._readers = [_reader_of(field.type, self._asked.by_name[field.name]) for field in schema]
        self._names = schema.names

    def _rows(self) -> Iterator[list[object]]:
        try:
            batch = self._reader.read_next_batch()
            batch.validate(full=True)  # every offset and place: what comes from outside may point anywhere
            columns = [read(column) for read, column in zip(self._readers, batch.columns, strict=True)]
        except (pa.ArrowException, OSError, ValueError, IndexError, StopIteration) as error:
            raise BodyBroken("A record batch of the Arrow stream is damaged.") from error
        names = self._names
        for start in range(0, batch.num_rows, CHUNK_ROWS):
            length = min(CHUNK_ROWS, batch.num_rows - start)
            values = [column(start, length) for column in columns]
            yield (
                [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)] if values else [{} for _ in range(length)]
            )


Slice = Callable[[int, int], list[Any]]
"""Returns so many values of a column from a row on."""


class _Messages:
    """The messages of a stream that are whole, as a file that Arrow's reader reads; incomplete ones wait."""

    closed = False

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._whole = bytearray()

    def add(self, part: bytes) -> None:
        """Add what has come."""
        self._waiting += part

    def take(self) -> int | None:
        """Move the next message to those that may be read, and return its kind, 0 for the end of the stream; None while it is not whole."""
        waiting = self._waiting
        if len(waiting) < 8:
            return None
        length = int.from_bytes(waiting[4:8], "little", signed=True)
        if not waiting.startswith(_CONTINUES) or not 0 <= length <= MOST_HEAD_BYTES:
            raise BodyBroken(NO_ARROW)
        if length == 0:
            del waiting[:8]
            return 0
        if len(waiting) < 8 + length:
            return None
        kind, body = _kind_and_body(bytes(waiting[8 : 8 + length]))
        if len(waiting) < 8 + length + body:
            return None
        self._whole += waiting[: 8 + length + body]
        del waiting[: 8 + length + body]
        return kind

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits for its rest."""
        return not self._waiting

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes of whole messages."""
        size = len(self._whole) if size < 0 else size
        content = bytes(self._whole[:size])
        del self._whole[:size]
        return content

    def readable(self) -> bool:
        """Return true, as files do."""
        return True

    def seekable(self) -> bool:
        """Return false, as files do."""
        return False

    def close(self) -> None:
        """Do nothing."""


def _kind_and_body(head: bytes) -> tuple[int, int]:
    """Return the kind of a message and the length of its body, from the flat buffer that describes it."""
    try:
        message = _Table(head, struct.unpack_from("<I", head)[0])
        kind, body = message.number(1, "<B"), message.number(3, "<q")
        if not 0 <= body <= MOST_BATCH_BYTES:
            raise BodyBroken(_TOO_LARGE)
        content = message.table(2)
        if kind == _DICTIONARY:
            if content is None or content.number(2, "<B"):
                raise BodyBroken(_DELTA)
            content = content.table(1)
        if kind in (_DICTIONARY, _BATCH):
            if content is None or not 0 <= content.number(0, "<q") <= MOST_BATCH_ROWS:
                raise BodyBroken(_TOO_LARGE)
            if content.table(3) is not None:
                raise BodyBroken(_COMPRESSED)
    except struct.error as error:
        raise BodyBroken(NO_ARROW) from error
    return kind, body


class _Table:
    """A table of a flat buffer: its fields by their places."""

    def __init__(self, buffer: bytes, at: int) -> None:
        self._buffer, self._at = buffer, at
        self._fields = at - struct.unpack_from("<i", buffer, at)[0]
        if self._fields < 0:
            raise struct.error("a table that begins before its buffer")
        self._size = struct.unpack_from("<H", buffer, self._fields)[0]

    def _place(self, field: int) -> int:
        """Return where a field stands; 0 for one that has its default."""
        entry = 4 + 2 * field
        if entry + 2 > self._size:
            return 0
        offset: int = struct.unpack_from("<H", self._buffer, self._fields + entry)[0]
        return self._at + offset if offset else 0

    def number(self, field: int, form: str) -> int:
        """Return a number, 0 where it is left out."""
        place = self._place(field)
        return int(struct.unpack_from(form, self._buffer, place)[0]) if place else 0

    def table(self, field: int) -> _Table | None:
        """Return a table that a field points to."""
        place = self._place(field)
        return _Table(self._buffer, place + struct.unpack_from("<I", self._buffer, place)[0]) if place else None


def _problems(schema: Any, asked: Signature, inputs: type[BaseModel]) -> Iterator[Problem]:
    """Yield what is wrong with the columns of a stream."""
    names = list(schema.names)
    needed = {field.alias for field in inputs.model_fields.values() if field.is_required()}
    for input_ in asked.inputs:
        if input_.name in needed and input_.name not in names:
            yield input_problem(input_.name, "The column is missing.", None, _types_of(input_))
    for place, field in enumerate(schema):
        input_or_none = asked.by_name.get(field.name)
        if input_or_none is None:
            yield unknown_input(field.name, None, asked)
        elif names.index(field.name) != place:
            yield input_problem(field.name, "There are two columns of this name.", None, "one column for each input")
        elif not _fits(field.type, input_or_none):
            yield input_problem(field.name, "The column has another type.", str(field.type)[:100], _types_of(input_or_none))


def _types_of(input_: ModelInput) -> str:
    return {
        "double": "a column of floating-point numbers or integers",
        "long": "a column of integers, or of floating-point numbers that are whole",
        "boolean": "a column of booleans",
        "string": "a column of text, or a dictionary of text",
        "time": "a column of timestamps or text",
    }[input_.type]


def _fits(type_: Any, input_: ModelInput) -> bool:
    types = pa.types
    if input_.type in ("double", "long"):
        return bool(types.is_floating(type_) or types.is_integer(type_))
    if input_.type == "boolean":
        return bool(types.is_boolean(type_))
    return _is_text(type_) or (input_.type == "time" and bool(types.is_timestamp(type_)))


def _is_text(type_: Any) -> bool:
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def _reader_of(type_: Any, input_: ModelInput) -> Callable[[Any], Slice]:
    """Return what reads a column of a record batch."""
    if pa.types.is_dictionary(type_):
        return _dictionary
    if pa.types.is_timestamp(type_):
        return _times(type_.unit, has_zone=type_.tz is not None)
    if pa.types.is_float16(type_):
        return lambda column: _plain(column.cast(pa.float64()))
    return _plain


def _plain(column: Any) -> Slice:
    def values(start: int, length: int) -> list[Any]:
        found: list[Any] = column.slice(start, length).to_pylist()
        return found

    return values


def _dictionary(column: Any) -> Slice:
    texts, places = column.dictionary.to_pylist(), _plain(column.indices)  # each text once, however many rows have it

    def values(start: int, length: int) -> list[Any]:
        return [None if place is None else texts[place] for place in places(start, length)]

    return values


def _times(unit: str, *, has_zone: bool) -> Callable[[Any], Slice]:
    """Return what reads timestamps as the texts that JSON has: with a zone instants, without one local times."""
    zone = "Z" if has_zone else ""
    times, per = _MICROS[unit]

    def read(column: Any) -> Slice:
        numbers = _plain(column.view(pa.int64()))

        def values(start: int, length: int) -> list[Any]:
            return [None if at is None else _text(at * times // per, zone) for at in numbers(start, length)]

        return values

    return read


def _text(at_us: int, zone: str) -> str:
    try:
        return moment_of(at_us).isoformat() + zone
    except OverflowError:
        return str(at_us)  # is refused as any text that is no time
