"""Find the rows in a JSON answer without reading numbers into floats, so that every digit stays."""

from __future__ import annotations

import re

from caudal.errors import SourceProblem, nearest
from caudal.stages.ingest.formats.json_rows import scan

_SPACE = re.compile(r"[ \t\r\n]*")


def extract_records(text: str, path: str, name: str) -> list[str]:
    """Return the rows of an answer as their original text, each on a line; ``path`` is like ``data.items``, empty for the answer itself.

    Examples
    --------
    >>> extract_records('{"n": 2, "data": {"items": [{"a": 1.50}, {"a": 2}]}}', "data.items", "page")
    ['{"a": 1.50}', '{"a": 2}']

    Raises
    ------
    SourceProblem : the answer is not JSON, or has nothing at the path
    """
    return [_line(text[start:end]) for start, end in row_spans(text, path, name)]


def row_spans(text: str, path: str, name: str) -> list[tuple[int, int]]:
    """Return where the rows of an answer begin and end; see `extract_records`.

    Raises
    ------
    SourceProblem : the answer is not JSON, or has nothing at the path
    """
    try:
        at = _space(text, 0)
        if after := text[_end(text, at) :].strip(" \t\r\n"):  # the whole answer is parsed: rows may lie before a broken part
            raise ValueError(f"after its document there is {after[:20]!r}")
        path_so_far: list[str] = []
        for key in [part for part in path.split(".") if part]:
            at = _value_of_key(text, at, key, path_so_far, name)
            path_so_far.append(key)
        return _items(text, at, path, name)
    except (ValueError, IndexError) as error:
        raise SourceProblem(f"'{name}' is no JSON: {error}.", fix=f"It begins with {text[:60]!r}.", file=name) from None


def lookup(document: object, path: str) -> object:
    """Return the value at a path of a JSON document, None where there is none.

    Examples
    --------
    >>> lookup({"meta": {"next": "abc"}}, "meta.next"), lookup({"meta": []}, "meta.next")
    ('abc', None)
    """
    for key in [part for part in path.split(".") if part]:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _items(text: str, at: int, path: str, name: str) -> list[tuple[int, int]]:
    if text[at] == "{" and not path:
        return [(at, _end(text, at))]
    if text.startswith("null", at):
        return []
    if text[at] != "[":
        _, end = scan(text, at)
        raise SourceProblem(
            f"'{name}' has {text[at:end][:40]!r} at '{path or 'its top'}', where a list of records should be.",
            fix="Say where the records are with records=.",
            file=name,
        )
    spans_ = []
    at = _space(text, at + 1)
    while text[at] != "]":
        end = _end(text, at)
        spans_.append((at, end))
        at = _space(text, end)
        if text[at] == ",":
            at = _space(text, at + 1)
        elif text[at] != "]":
            raise ValueError(f"a comma is missing at character {at}")
    return spans_


def _value_of_key(text: str, at: int, key: str, path_so_far: list[str], name: str) -> int:
    """Return the position of the value of a key of the object at ``at``."""
    keys: list[str] = []
    places: list[int] = []
    if text[at] == "{":
        at = _space(text, at + 1)
        while text[at] == '"':
            current_key, end = scan(text, at)
            at = _space(text, _space(text, end) + 1)
            keys.append(str(current_key))
            if current_key == key:
                places.append(at)
            at = _space(text, _end(text, at))
            if text[at] == ",":
                at = _space(text, at + 1)
    if len(places) == 1:
        return places[0]
    if places:
        raise ValueError(f"it has '{key}' twice")
    place = ".".join(path_so_far) or "its top"
    raise SourceProblem(
        f"'{name}' has no '{key}' at {place}" + (f"; it has {', '.join(repr(key) for key in keys[:10])}." if keys else "."),
        nearest=nearest(key, keys),
        fix="Say where the records are with records=.",
        file=name,
    )


def _end(text: str, at: int) -> int:
    return scan(text, at)[1]


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _line(text: str) -> str:
    # Inside strings JSON escapes line ends, so all of these lie between values.
    return text.replace("\r", " ").replace("\n", " ")
