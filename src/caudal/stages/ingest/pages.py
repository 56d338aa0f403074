"""Answers in pages: each page is asked for once and kept as it came; a fetch that dies goes on at the page it had reached."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import requests
from urllib3.exceptions import HTTPError

from caudal.declarations.connection import Http
from caudal.declarations.web import Pages
from caudal.errors import SourceProblem, nearest
from caudal.secret import Secret
from caudal.stages.ingest.arrival import Arrival, Clock, Seen
from caudal.stages.ingest.formats.json_records import lookup
from caudal.stages.ingest.journal import Journal, Page
from caudal.stages.ingest.secret import without_user
from caudal.stages.ingest.web import Again, Client, cause

_ONE = Pages("one", most=1)


@dataclass(frozen=True)
class Body:
    """A page that has come."""

    content: bytes
    document: Any
    records: list[Any] | None
    answer: requests.Response


def fetch_pages(connection: Http, client: Client, *, scratch: Path, seen: Mapping[str, Seen], clock: Clock) -> list[Arrival]:
    """Return all pages of all addresses when any has changed; with ``since=`` the pages of what is new.

    All of them are one set (`lake.landing.current`): they are landed together, or none of them.
    """
    declared = _declared(connection)
    before = _before(seen, declared)
    start = before.since if connection.since and before else connection.since.start if connection.since else None
    found: list[tuple[str, Page, Path]] = []
    for number, url in enumerate(connection.urls):
        folder = scratch / f"{hashlib.sha256(without_user(url).encode()).hexdigest()[:16]}"
        key = json.dumps([declared, number, start])
        journal = Journal.opened(folder, key, clock())
        try:
            pages = _all(connection, client, url, journal, start)
        except SourceProblem as problem:
            if not journal.continued or problem.facts.get("status") not in (400, 404, 410):
                raise
            pages = _all(connection, client, url, journal.anew(), start)  # cursors do not live for ever
        found += [(f"{number + 1}-{i + 1}", page, folder / page.file) for i, page in enumerate(pages)]
    if connection.since:
        found = [one for one in found if one[1].records]
        if not found:
            return []
    elif before and [page.sha256 for _, page, _ in found] == before.contents:
        return []
    at_ns = int(clock() * 1e9)
    stamp = datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    folder_name = before.folder if connection.since and before else f"{without_user(connection.urls[0])}#{stamp}"
    names = f"{stamp}-" if connection.since else ""
    newest = _greatest([page.since for _, page, _ in found] + [start])
    said = json.dumps({"declared": declared, "since": newest, "pages": len(found)})
    return [Arrival(f"{folder_name}/{names}{name}", path, path.stat().st_size, at_ns, said) for name, page, path in found]


@dataclass(frozen=True)
class Before:
    """The set that was landed last, declared as now."""

    folder: str
    contents: list[str]
    since: Any


def _before(seen: Mapping[str, Seen], declared: str) -> Before | None:
    sets: dict[str, list[tuple[str, Seen]]] = {}
    for path, one in seen.items():
        sets.setdefault(path.rpartition("/")[0], []).append((path, one))
    if not sets:
        return None
    folder = list(seen)[-1].rpartition("/")[0]  # what was landed last comes last
    files = sets[folder]
    said = [json.loads(file.etag or "{}") for _, file in files]
    if said[0].get("declared") != declared:
        return None
    files.sort(key=lambda one: [int(part) if part.isdigit() else 0 for part in one[0].rpartition("/")[2].split("-")])
    return Before(folder, [file.sha256 for _, file in files], _greatest([one.get("since") for one in said]))


def _declared(connection: Http) -> str:
    """Return what makes sets of pages count together: who asks otherwise begins anew."""
    said = [
        [without_user(url) for url in connection.urls], {name: repr(param.reveal() if isinstance(param, Secret) else param) for name, param in connection.params.items()},
        repr(connection.pages), repr(connection.since), str(connection.options.get("records", "")),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _all(connection: Http, client: Client, url: str, journal: Journal, start: Any) -> list[Page]:
    """Return the pages of an address; those that the journal has are not asked for again."""
    how = connection.pages or _ONE
    request = journal.request if journal.pages else _first(how, url, connection, start)
    while request is not None:
        if len(journal.pages) >= how.most and how.kind != "one":
            raise SourceProblem(
                f"'{without_user(url)}' has more than {how.most} pages.",
                fix="Raise most= of cd.pages if that is meant.",
                url=without_user(url),
            )
        try:
            body = client.tried(url, partial(_body, client, request, connection))
        except SourceProblem as problem:
            if problem.facts.get("status") == 404 and how.kind in ("page", "offset") and journal.pages:
                break  # some services answer so behind the last page
            raise
        if journal.pages and body.records and journal.pages[-1].sha256 == hashlib.sha256(body.content).hexdigest():
            raise SourceProblem(
                f"'{without_user(url)}' answers page {len(journal.pages) + 1} as it answers the page before.",
                fix=f"Check that '{how.parameter or how.path or 'Link'}' is what tells its pages apart.",
                url=without_user(url),
            )
        following = _next(how, request, body, url, client, not journal.pages)
        if following is not None and (following in journal.asked or following == request):
            raise SourceProblem(f"The pages of '{without_user(url)}' lead back to one that was read.", url=without_user(url))
        if how.kind not in ("page", "offset") or body.records or not journal.pages:
            journal.add(body.content, len(body.records or ()), _newest(connection, body), request, following)
        request = following
    journal.finish()
    return journal.pages


def _first(how: Pages, url: str, connection: Http, start: Any) -> dict[str, Any]:
    params: dict[str, Any] = {}
    if how.kind in ("page", "offset"):
        params[how.parameter] = how.first
    if connection.since and start is not None:
        params[connection.since.parameter] = start
    return {"url": url, "params": params}


def _body(client: Client, request: Mapping[str, Any], connection: Http) -> Body:
    with client.ask(request["url"], params=request["params"], link=request.get("link", False)) as answer:
        try:
            content = answer.raw.read(decode_content=True)
        except (HTTPError, OSError) as error:
            raise Again(cause(error)) from None
    expected = answer.headers.get("Content-Length")
    if expected is not None and not answer.headers.get("Content-Encoding") and len(content) != int(expected):
        raise Again(f"{len(content)} of {expected} bytes came")
    if connection.format not in (None, "json"):
        return Body(content, None, None, answer)
    shown = without_user(request["url"])
    try:
        document = json.loads(content)
    except ValueError as error:
        raise SourceProblem(
            f"'{shown}' answered with what is no JSON; it begins with {content[:60]!r}: {error}.", url=shown
        ) from None
    return Body(content, document, _records(document, str(connection.options.get("records", "")), shown), answer)


def _records(document: Any, path: str, shown: str) -> list[Any]:
    found = lookup(document, path)
    if found is None and path:
        missing = not isinstance(document, dict) or path.partition(".")[0] not in document
        if not missing:
            return []
    if not isinstance(found, list):
        lists = [key for key, one in document.items() if isinstance(one, list)] if isinstance(document, dict) else []
        raise SourceProblem(
            f"'{shown}' has no list of records at '{path or 'its top'}'"
            + (f"; it has {', '.join(repr(key) for key in document)}." if isinstance(document, dict) else "."),
            nearest=lists[0] if lists else None,
            fix="Say where they are with records=.",
            url=shown,
        )
    return found


def _next(how: Pages, request: Mapping[str, Any], body: Body, url: str, client: Client, first: bool) -> dict[str, Any] | None:
    """Return the request of the next page, None behind the last one."""
    if how.kind == "one" or (how.kind in ("page", "offset") and not body.records):
        return None
    if how.kind in ("page", "offset", "cursor"):
        params, name = dict(request["params"]), how.parameter
        if how.kind == "cursor":
            params[name] = _said(body, how.path, url, first)
        else:
            params[name] += 1 if how.kind == "page" else len(body.records or ())
        return {"url": request["url"], "params": params} if params[name] else None
    said = body.answer.links.get("next", {}).get("url") if how.kind == "link" else _said(body, how.path, url, first)
    if not said:
        return None
    return {"url": _same_host(urljoin(body.answer.url, str(said)), url, client), "params": {}, "link": True}


def _said(body: Body, path: str, url: str, first: bool) -> Any:
    above, _, key = path.rpartition(".")
    inside = lookup(body.document, above) if above else body.document
    if inside is None and first and body.records:  # later pages may leave it out: nothing comes next
        raise SourceProblem(
            f"'{without_user(url)}' says nothing at '{path}' of what comes next.",
            nearest=nearest(path.partition(".")[0], body.document) if isinstance(body.document, dict) else None,
            url=without_user(url),
        )
    return lookup(inside, key)


def _same_host(said: str, url: str, client: Client) -> str:
    """Return the next page's address, without our secrets. Who is trusted with them is the host that was declared, and no other."""
    first, then = urlsplit(without_user(url)), urlsplit(said)
    if then.hostname != first.hostname or then.scheme not in ("http", "https"):
        raise SourceProblem(
            f"The next page of '{without_user(url)}' is at another host, '{then.hostname}'.",
            fix="Declare that address.",
            url=without_user(url),
        )
    # Behind a proxy a service may not know that it is reached by https.
    scheme, host = (first.scheme, first.netloc) if first.scheme == "https" and then.scheme == "http" else (then.scheme, then.netloc)
    query = urlencode(
        [(name, one) for name, one in parse_qsl(then.query, keep_blank_values=True) if name not in client.secret_params]
    )
    return urlunsplit((scheme, host, then.path, query, ""))


def _newest(connection: Http, body: Body) -> Any:
    if connection.since is None:
        return None
    return _greatest([lookup(record, connection.since.at) for record in body.records or ()])


def _greatest(values: list[Any]) -> Any:
    """Return the greatest of some numbers or texts; numbers in texts are numbers."""
    there = [value for value in values if value is not None]
    try:
        return max(there, key=float) if there else None
    except (TypeError, ValueError):
        return max(str(one) for one in there)
