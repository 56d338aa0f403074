"""The records of a raw file with their original bytes, each marked as a subject's or not; see `caudal.tables.erased`.

A file is parsed as the reader of its format parses it. If it cannot be decided whether a record is the subject's, an error says so.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from caudal.errors import NotThere

Is = Callable[[object], bool]
Record = tuple[bytes, bool]
_SPACE = " \t\r\n\ufeff"


class WrittenNumber(str):
    """A number of a JSON file, as it is written in the file."""

    __slots__ = ()


@dataclass(frozen=True)
class RawKind:
    """How a raw file is read: its format and options, and the column names of a file without a header.

    Parameters
    ----------
    spans : returns the begin and end of each row in a JSON document's text, if rows are nested (``records=``)
    edit : for a file from which no record can be cut, a workbook or an archive: searches it for a column's subject and, if the last
        argument is a path, writes it there without the subject's rows; returns how many rows are the subject's and how many are not
    """

    format: str
    options: Mapping[str, object]
    names: tuple[str, ...] = field(default=())
    spans: Callable[[str], list[tuple[int, int]]] | None = None
    edit: Callable[[Path, str, Is, Path | None], tuple[int, int]] | None = None


def has_subject(value: object, columns: set[str], is_subject: Is) -> bool:
    """Return whether a row (names and values, at any depth) has the subject under one of some names.

    Examples
    --------
    >>> has_subject({"order": {"by": [{"user": 7}]}}, {"user"}, lambda value: value == 7), has_subject({"user": {"id": 7}}, {"user"}, lambda value: value == 7)
    (True, True)
    """
    if isinstance(value, Mapping):
        return any(
            contains_subject(inner, is_subject)
            if str(name).lower() in columns or name in columns
            else has_subject(inner, columns, is_subject)
            for name, inner in value.items()
        )
    return isinstance(value, list | tuple) and any(has_subject(inner, columns, is_subject) for inner in value)


def contains_subject(value: object, is_subject: Is) -> bool:
    """Return whether a value, or one nested in it, is the subject's."""
    if isinstance(value, Mapping):
        return any(contains_subject(inner, is_subject) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(contains_subject(inner, is_subject) for inner in value)
    return is_subject(value)


def raw_records(raw: IO[bytes], kind: RawKind, column: str, is_subject: Is) -> Iterator[Record]:
    """Yield each record of a text file with its bytes, and whether it is the subject's; text that is not a record never is.

    Raises
    ------
    NotThere : files of this format, or this file, cannot be searched
    """
    if kind.options.get("decimal") == ",":
        is_subject = with_comma(is_subject)
    if kind.format == "csv":
        yield from _csv(raw, kind, column, is_subject)
    elif kind.format == "json" and kind.spans is not None:
        yield from _json_rows(raw, kind, column, is_subject)
    elif kind.format == "json" and not kind.options.get("records"):
        yield from _json(raw, str(kind.options.get("encoding") or "utf-8"), column, is_subject)
    elif kind.format == "fixed_width":
        yield from _fixed_width(raw, kind.options, column, is_subject)
    else:
        raise NotThere(
            f"Raw files of the format {kind.format} cannot be searched for a subject.",
            fix="Erase it at its origin and deliver the files again.",
        )


def with_comma(is_subject: Is) -> Is:
    """Return a test for the subject's values in files that write numbers with a decimal comma."""
    return lambda value: is_subject(value) or (isinstance(value, str) and is_subject(value.replace(".", "").replace(",", ".")))


def open_unpacked(file: Path, mode: str, like: Path | None = None) -> Any:
    """Open a file for its uncompressed bytes; written bytes are compressed as ``like`` is."""
    name = (like or file).name.lower()
    if name.endswith(".gz"):
        return gzip.open(file, mode)
    if name.endswith(".bz2"):
        return bz2.open(file, mode)
    if name.endswith(".xz"):
        return lzma.open(file, mode)
    if name.endswith(".zst"):
        return pa.input_stream(str(file), compression="zstd") if mode == "rb" else pa.output_stream(str(file), compression="zstd")
    if name.endswith(".zip"):
        raise NotThere("Archives cannot be searched for a subject.", fix="Erase it at its origin and deliver the files again.")
    return file.open(mode)


def _csv(raw: IO[bytes], kind: RawKind, column: str, is_subject: Is) -> Iterator[Record]:
    options = kind.options
    encoding = str(options.get("encoding") or "utf-8")
    quote = options.get("quote", '"')
    dialect: dict[str, Any] = {"delimiter": str(options.get("separator") or ",")}
    dialect |= {"quotechar": str(quote)} if quote else {"quoting": csv.QUOTE_NONE}
    csv.field_size_limit(1 << 30)
    lines_read: list[str] = []

    def lines() -> Iterator[str]:
        for line in io.TextIOWrapper(raw, encoding, errors="surrogateescape", newline=""):
            lines_read.append(line)
            yield line

    names: list[str] | None = None if options.get("header", True) else [name.lower() for name in kind.names]
    for record in csv.reader(lines(), **dialect):
        pieces = lines_read.copy()
        lines_read.clear()
        if names is None:
            names = [name.strip().lstrip("\ufeff").lower() for name in record]
            yield _bytes("".join(pieces), encoding), False
            continue
        names = names or [f"column_{place}" for place in range(len(record))]
        open_ = bool(quote) and sum(piece.count(str(quote)) for piece in pieces) % 2
        if len(pieces) > 1 and (open_ or len(record) != len(names)):  # an unclosed quote: each line is a row
            for piece in pieces:
                row = next(csv.reader([piece], **dialect), [])
                yield _bytes(piece, encoding), _has(row, names, column, is_subject)
        else:
            yield _bytes("".join(pieces), encoding), _has(record, names, column, is_subject)


def _has(row: list[str], names: list[str], column: str, is_subject: Is) -> bool:
    if column.lower() not in names:
        return column == "row_index" and len(row) == len(names) + 1 and is_subject(row[0])
    place = names.index(column.lower()) + (
        len(row) == len(names) + 1 and row[-1] != ""
    )  # a row index; a trailing separator is none
    return place < len(row) and is_subject(row[place])


def _bytes(text: str, encoding: str) -> bytes:
    return text.encode(encoding, errors="surrogateescape")


def _json(raw: IO[bytes], encoding: str, column: str, is_subject: Is) -> Iterator[Record]:
    """Yield the values, and the text between them. Values may stand one per line, one after the other, or in one array."""
    text = raw.read().decode(encoding, errors="surrogateescape")
    decoder = json.JSONDecoder(parse_int=WrittenNumber, parse_float=WrittenNumber)
    names = {column, column.lower()}
    place = _past(text, 0)
    array = text.startswith("[", place)
    begin, any_kept = 0, False
    if array:
        place += 1
        yield _bytes(text[:place], encoding), False
        begin = place
    while (start := _past(text, place)) < len(text) and not (array and text[start] == "]"):
        try:
            value, place = decoder.raw_decode(text, start)
        except ValueError:
            place = text.find("\n", start) + 1 or len(text)
            if array or is_subject(text[start:place].strip()) or _mentions(text[start:place], is_subject):
                raise NotThere(f"What begins at character {start} is no JSON, so it cannot be searched for a subject.") from None
            value = None
        is_mine = has_subject(value, names, is_subject)
        if array:
            after = _past(text, place)
            element = text[begin:place]
            place = begin = after + 1 if text.startswith(",", after) else after
            if not is_mine:
                element, any_kept = ("," if any_kept else "") + element, True
            yield _bytes(element, encoding), is_mine
        else:
            end = _past(text, place)
            yield _bytes(text[begin:end], encoding), is_mine
            place = begin = end
    yield _bytes(text[begin:], encoding), False


def _json_rows(raw: IO[bytes], kind: RawKind, column: str, is_subject: Is) -> Iterator[Record]:
    """Yield the nested rows of a document, and the text around them."""
    encoding = str(kind.options.get("encoding") or "utf-8")
    text = raw.read().decode(encoding, errors="surrogateescape")
    assert kind.spans is not None
    spans = kind.spans(text.removeprefix("\ufeff"))
    marked = len(text) - len(text.removeprefix("\ufeff"))
    decoder = json.JSONDecoder(parse_int=WrittenNumber, parse_float=WrittenNumber)
    names = {column, column.lower()}
    first, last = (marked + spans[0][0], marked + spans[-1][1]) if spans else (len(text), len(text))
    around = (text[:first] + text[last:]).strip(_SPACE)
    if around and has_subject(decoder.decode(around), names, is_subject):
        raise NotThere(
            f"It has the subject's '{column}' outside of its rows.", fix="Erase it at its origin and deliver the files again."
        )
    yield _bytes(text[:first], encoding), False
    end, any_kept = first, False
    for start, stop in ((marked + start, marked + stop) for start, stop in spans):
        is_mine = has_subject(decoder.raw_decode(text, start)[0], names, is_subject)
        separator, end = text[end:start], stop
        yield _bytes((separator if any_kept else "") + text[start:stop], encoding), is_mine
        any_kept |= not is_mine
    yield _bytes(text[last:], encoding), False


def _mentions(text: str, is_subject: Is) -> bool:
    """Return whether text that could not be parsed contains the subject as a word or in quotes."""
    return any(is_subject(word) for word in (*re.findall(r'"((?:[^"\\]|\\.)*)"', text), *re.split(r"[^\w.+-]+", text)) if word)


def _past(text: str, place: int) -> int:
    while place < len(text) and text[place] in _SPACE:
        place += 1
    return place


def _fixed_width(raw: IO[bytes], options: Mapping[str, Any], column: str, is_subject: Is) -> Iterator[Record]:
    encoding = str(options.get("encoding") or "utf-8")
    place = next((place for name, place in (options.get("columns") or {}).items() if str(name).lower() == column.lower()), None)
    for line in io.TextIOWrapper(raw, encoding, errors="surrogateescape", newline=""):
        value = None if place is None else line.lstrip("\ufeff").rstrip("\r\n")[place[0] - 1 : place[1]].strip()
        yield _bytes(line, encoding), bool(value) and is_subject(value)
