"""Options for reading a web service: secrets by name, pagination, incremental requests, and rate limits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from caudal.errors import DeclarationProblem

_SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0}


@dataclass(frozen=True)
class Env:
    """The name of an environment variable; its value is looked up when it is needed, and stored nowhere."""

    name: str


@dataclass(frozen=True)
class Pages:
    """How the next page is found.

    Parameters
    ----------
    kind : ``link | next | page | offset | cursor``
    parameter : str, the parameter that selects the page
    path : str, the place of the next page's address or cursor in an answer, e.g. ``meta.next``
    first : int, the first page's number or offset
    most : int, the greatest number of pages; more are an error
    """

    kind: str
    parameter: str = ""
    path: str = ""
    first: int = 1
    most: int = 10_000


@dataclass(frozen=True)
class Since:
    """The request parameter for new records: its value is the greatest value of the field ``at`` in earlier landings.

    Parameters
    ----------
    start : str, optional, sent the first time
    """

    parameter: str
    at: str
    start: str | None = None


def env(name: str) -> Env:
    """Return the value of an environment variable, to be looked up when it is needed."""
    return Env(name)


def pages(
    *,
    next: str | None = None,
    page: str | None = None,
    offset: str | None = None,
    cursor: tuple[str, str] | None = None,
    first: int | None = None,
    most: int = 10_000,
) -> Pages:
    """Return how the next page is found: exactly one of four ways.

    Parameters
    ----------
    next : ``"link"``: the header ``Link: <…>; rel="next"``; else the place of the next page's address in the JSON answer (``"paging.next"``)
    page : the parameter that takes the page's number; the last page is the one without records
    offset : the parameter that takes the number of records to skip; the last page is the one without records
    cursor : the parameter, and the place of its next value in the JSON answer (``("after", "meta.cursor")``)
    first : the number of the first page (1) or the first offset (0)

    Examples
    --------
    >>> pages(next="link").kind, pages(page="page", first=0).first, pages(cursor=("after", "meta.cursor")).path
    ('link', 0, 'meta.cursor')
    """
    ways: dict[str, object] = {
        name: value for name, value in (("next", next), ("page", page), ("offset", offset), ("cursor", cursor)) if value
    }
    if len(ways) != 1:
        raise DeclarationProblem(
            f"cd.pages is given {' and '.join(ways) or 'no way to find the next page'}.",
            fix="Give one of next=, page=, offset=, cursor=.",
        )
    if next == "link":
        return Pages("link", most=most)
    if next:
        return Pages("next", path=next, most=most)
    if page:
        return Pages("page", parameter=page, first=1 if first is None else first, most=most)
    if offset:
        return Pages("offset", parameter=offset, first=first or 0, most=most)
    assert cursor is not None
    return Pages("cursor", parameter=cursor[0], path=cursor[1], most=most)


def since(parameter: str, at: str | None = None, *, start: object = None) -> Since:
    """Return the request parameter for new records, and the field of a record with its value (the same name unless given)."""
    return Since(parameter, at or parameter, None if start is None else str(start))


def rate_of(text: str) -> tuple[float, float]:
    """Return a rate limit as the number of requests and the seconds in which they are allowed.

    Examples
    --------
    >>> rate_of("10/s"), rate_of("100/min")
    ((10.0, 1.0), (100.0, 60.0))
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*/\s*([a-z]+)", text.strip())
    if match is None or match.group(2) not in _SECONDS or float(match.group(1)) == 0:
        raise DeclarationProblem(f"'{text}' is no rate of requests.", fix="Write '10/s', '100/min' or '1000/h'.")
    return float(match.group(1)), _SECONDS[match.group(2)]
