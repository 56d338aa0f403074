"""Parse JSON text into rows, exactly: numbers and nested values keep their text, and text that is not a row gets a reason.

One parser collects keys and reads values, in this process and on Spark's workers: the standard library's scanner, with
``str`` for numbers, so that none becomes a float.
"""

from __future__ import annotations

import bz2
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from json.decoder import JSONDecodeError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

DEEPEST = 500  # levels of nested arrays and objects
NO_OBJECT = "line is not a JSON object"
ROWS = 10_000  # of a batch
# Objects are tuples of pairs, which shows repeated keys and distinguishes arrays from objects.
_DECODER = json.JSONDecoder(object_pairs_hook=tuple, parse_float=str, parse_int=str, parse_constant=str)
_scan = _DECODER.scan_once  # type: ignore[attr-defined]
_SPACE = re.compile(r"[ \t\r\n]*")
_BLANKS = " \t\r\n\ufeff"
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_CONSTANTS = {True: "true", False: "false"}
Pairs = tuple[tuple[str, object], ...]


@dataclass
class TextRows:
    """Rows of some text.

    Parameters
    ----------
    values : for each row its keys with their values: scalars as their text, nested values as parsed
    texts : for each row its place: the text, its start and its end
    faults : by row, why it is not a row
    """

    values: list[dict[str, object]] = field(default_factory=list)
    texts: list[tuple[str, int, int]] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)

    def add(self, line: str) -> int:
        """Add the rows of a line, or of a whole document, and return their number; a faulty line counts as one."""
        line = line.strip(_BLANKS)
        if not line:
            return 0
        if line.count("[") + line.count("{") <= DEEPEST and line[0] == "{":  # nearly all lines
            try:
                value, end = _scan(line, 0)
            except (StopIteration, JSONDecodeError) as error:
                return self._fault((line, 0, len(line)), _reason(error))
            if end == len(line):
                return self._row(value, (line, 0, end))
        try:
            values = list(items(line))
        except JSONDecodeError as error:
            return self._fault((line, 0, len(line)), _reason(error))
        for value, start, end in values:
            self._row(value, (line, start, end))
        return len(values)

    def add_item(self, text: str, item: tuple[object, int, int]) -> int:
        """Add an item of a document."""
        return self._row(item[0], (text, *item[1:]))

    def column(self, name: str) -> pa.Array:
        """Return the values of a key as text: strings decoded, all others as written."""
        import pyarrow as pa

        values = [row.get(name) for row in self.values]
        try:
            return pa.array(values, pa.string())
        except (pa.ArrowException, TypeError, UnicodeEncodeError):
            return pa.array([self._text(i, name, value) for i, value in enumerate(values)], pa.string())

    def _text(self, i: int, name: str, value: object) -> str | None:
        if value is True or value is False:
            return _CONSTANTS[value]
        if isinstance(value, tuple | list):
            return self._members(i)[name]
        if value is None or _is_text(str(value)):
            return None if value is None else str(value)
        self.faults[i] = f"'{name}' holds half of a surrogate pair, which is no character"
        return None

    def _members(self, i: int) -> dict[str, str]:
        """Return the texts of a row's nested values, and store them in place of the parsed ones."""
        row = self.values[i]
        text, start, _ = self.texts[i]
        texts = nested_texts(text, start)
        row.update(texts)
        return texts

    def _row(self, value: object, text: tuple[str, int, int]) -> int:
        if type(value) is not tuple:
            return self._fault(text, NO_OBJECT)
        row = dict(value)
        if len(row) != len(value):
            return self._fault(text, f"object has the key {repeated_key(value)!r} twice")
        self.values.append(row)
        self.texts.append(text)
        return 1

    def _fault(self, text: tuple[str, int, int], reason: str) -> int:
        self.faults[len(self.values)] = reason
        self.values.append({})
        self.texts.append(text)
        return 1


def items(text: str) -> Iterator[tuple[object, int, int]]:
    """Yield the values of all documents of a text with their positions; for an array its items.

    Examples
    --------
    >>> [text[1] for text in items('{"a": 1.50}{"a": 2} [{"a": 3}]')]
    [0, 11, 21]

    Raises
    ------
    JSONDecodeError : the text is not JSON, or nests deeper than ``DEEPEST``
    """
    at = _after_space(text, 0)
    while at < len(text):
        if text[at] != "[":
            value, end = scan(text, at)
            yield value, at, end
        else:
            at = _after_space(text, at + 1)
            end = at + 1
            while text[at : at + 1] != "]":
                value, end = scan(text, at)
                yield value, at, end
                at = _after_space(text, end)
                end = at + 1
                if text[at : at + 1] == ",":
                    at = _after_space(text, end)
                    if text[at : at + 1] == "]":
                        raise JSONDecodeError("Expecting value", text, at)
                elif text[at : at + 1] != "]":
                    raise JSONDecodeError("Expecting ',' delimiter", text, at)
        at = _after_space(text, end)


def scan(text: str, at: int) -> tuple[object, int]:
    """Return the value at a position and where it ends; numbers are text.

    Raises
    ------
    JSONDecodeError : there is no value, or it nests deeper than ``DEEPEST``
    """
    try:
        value, end = _scan(text, at)
    except StopIteration as stop:
        raise JSONDecodeError("Expecting value", text, stop.value) from None
    except RecursionError:
        raise JSONDecodeError(f"nests deeper than {DEEPEST}", text, at) from None
    if text.count("[", at, end) + text.count("{", at, end) > DEEPEST and depth(text, at, end) > DEEPEST:
        raise JSONDecodeError(f"nests deeper than {DEEPEST}", text, at)
    return value, end


def depth(text: str, start: int, end: int) -> int:
    """Return how deeply arrays and objects are nested.

    Examples
    --------
    >>> depth('{"a": [1, "[["]}', 0, 16)
    2
    """
    deepest = current = 0
    for token in _TOKEN.finditer(text, start, end):
        if token.group() in "[{":
            current += 1
            deepest = max(deepest, current)
        elif token.group() in "]}":
            current -= 1
    return deepest


def nested_texts(text: str, at: int) -> dict[str, str]:
    """Return the arrays and objects in the object at a position, as their original text.

    Examples
    --------
    >>> nested_texts('{"a": 1, "b": {"c": 1.50}, "d": [ 1 ]}', 0)
    {'b': '{"c": 1.50}', 'd': '[ 1 ]'}
    """
    texts: dict[str, str] = {}
    at = _after_space(text, at + 1)
    while text[at] == '"':
        key, at = _scan(text, at)
        start = _after_space(text, _after_space(text, at) + 1)
        value, at = _scan(text, start)
        if isinstance(value, tuple | list):
            texts[key] = text[start:at]
        at = _after_space(text, at)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return texts


def repeated_key(pairs: Pairs) -> str:
    """Return the first key that an object has twice."""
    keys_so_far: set[str] = set()
    return next(key for key, _ in pairs if key in keys_so_far or keys_so_far.add(key))  # type: ignore[func-returns-value]


def read_lines(
    batches: Iterable[pa.RecordBatch], names: Sequence[str], encoding: str, spans_lines: bool
) -> Iterator[pa.RecordBatch]:
    """Yield rows of text: the columns ``names`` as ``_r0`` …, ``_file``, and ``_line`` and ``_fault`` where a line is not a row.

    Parameters
    ----------
    batches : of ``text`` (binary: a line, or a whole file) and ``_file``
    """
    import pyarrow as pa

    for rows, files in parse_rows(_pairs(batches, encoding, spans_lines), spans_lines):
        yield row_batch(rows, names).append_column("_file", pa.array(files, pa.string()))


def row_batch(rows: TextRows, names: Sequence[str]) -> pa.RecordBatch:
    """Return rows of text: the columns ``names`` as ``_r0`` …, and ``_line`` and ``_fault`` where a line is not a row."""
    import pyarrow as pa

    every = range(len(rows.texts))
    lines = [rows.texts[i][0][slice(*rows.texts[i][1:])] if i in rows.faults else None for i in every]
    columns = [
        *(rows.column(name) for name in names),
        pa.array(lines, pa.string()),
        pa.array([rows.faults.get(i) for i in every], pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, names=[*(f"_r{i}" for i in range(len(names))), "_line", "_fault"])


def line_keys(batches: Iterable[pa.RecordBatch], encoding: str) -> Iterator[pa.RecordBatch]:
    """Yield one row with the keys of lines, as JSON in ASCII, which can hold any key."""
    import pyarrow as pa

    all_keys = Keys()
    for rows, _ in parse_rows(_pairs(batches, encoding, False), spans_lines=False):
        all_keys.add(rows)
    yield pa.RecordBatch.from_arrays([pa.array([json.dumps([list(all_keys.names), all_keys.repeated])])], names=["keys"])


@dataclass
class Keys:
    """The keys of objects, and where an object repeats a key: the key and the beginning of the object."""

    names: dict[str, None] = field(default_factory=dict)
    repeated: tuple[str, str] | None = None

    def add(self, rows: TextRows) -> None:
        """Add the keys of some rows."""
        for row in rows.values:
            if row.keys() - self.names.keys():
                self.names.update(dict.fromkeys(row))
        if self.repeated is None:
            for i, reason in rows.faults.items():
                if reason.endswith(" twice"):
                    text, start, end = rows.texts[i]
                    self.repeated = repeated_key(_scan(text, start)[0]), text[start:end][:60]
                    break


def parse_rows(texts: Iterable[tuple[str, str]], spans_lines: bool) -> Iterator[tuple[TextRows, list[str]]]:
    """Yield the rows of texts in batches, each row with its file.

    Parameters
    ----------
    texts : pairs of a text and its file
    spans_lines : bool, whether a text is a whole file, whose documents span lines; otherwise it is a line

    Raises
    ------
    JSONDecodeError : a whole file is not JSON
    """
    rows, files = TextRows(), []
    for text, file in texts:
        if not spans_lines:
            files += [file] * rows.add(text)
        for item in items(text) if spans_lines else ():
            files += [file] * rows.add_item(text, item)
            if len(files) >= ROWS:
                yield rows, files
                rows, files = TextRows(), []
        if len(files) >= ROWS:
            yield rows, files
            rows, files = TextRows(), []
    if files:
        yield rows, files


def _pairs(batches: Iterable[pa.RecordBatch], encoding: str, spans_lines: bool) -> Iterator[tuple[str, str]]:
    for batch in batches:
        for text, file in zip(_decode(batch.column(0), encoding, spans_lines), batch.column(1).to_pylist(), strict=True):
            yield text.removeprefix("\ufeff"), file


def _decode(octets: pa.Array, encoding: str, spans_lines: bool) -> list[str]:
    import pyarrow as pa

    if encoding == "utf-8" and not spans_lines:
        return octets.cast(pa.string()).to_pylist()  # type: ignore[no-any-return]
    return [(decompress(text) if spans_lines else text).decode(encoding) for text in octets.to_pylist()]


def decompress(octets: bytes) -> bytes:
    """Return a file's plain bytes: Spark decompresses lines, but not whole files."""
    if octets.startswith(b"\x1f\x8b"):
        return gzip.decompress(octets)
    # A block of bzip2 begins with pi.
    return bz2.decompress(octets) if octets[:3] == b"BZh" and octets[4:10] == bytes.fromhex("314159265359") else octets


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _reason(error: Exception) -> str:
    return f"line nests deeper than {DEEPEST}" if "nests deeper" in str(error) else NO_OBJECT


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
