"""Fetch paged answers: each page is requested once and stored unchanged; an interrupted fetch continues at the page it had reached."""

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
from caudal.stages.ingest.arrival import Arrival, Clock, KnownFile
from caudal.stages.ingest.formats.json_records import lookup
from caudal.stages.ingest.journal import Journal, StoredPage
from caudal.stages.ingest.secret import without_user
from caudal.stages.ingest.web import Client, TryAgain, cause

_ONE = Pages("one", most=1)


@dataclass(frozen=True)
class PageResponse:
    """A fetched page."""

    content: bytes
    document: object
    records: list[object] | None
    answer: requests.Response


def fetch_pages(connection: Http, client: Client, *, scratch: Path, landed: Mapping[str, KnownFile], clock: Clock) -> list[Arrival]:
    """Return all pages of all addresses when any has changed; with ``since=`` only the pages of new records.

    They form one set (`tables.landing.current`): all of them are landed together, or none.
    """
    declared = _declaration_key(connection)
    before = _earlier_pages(landed, declared)
    start = before.since if connection.since and before else connection.since.start if connection.since else None
    fetched_pages: list[tuple[str, StoredPage, Path]] = []
    for number, url in enumerate(connection.urls):
        folder = scratch / f"{hashlib.sha256(without_user(url).encode()).hexdigest()[:16]}"
        key = json.dumps([declared, number, start])
        journal = Journal.open(folder, key, clock())
        try:
            pages = _fetch_all(connection, client, url, journal, start)
        except SourceProblem as problem:
            if not journal.continued or problem.facts.get("status") not in (400, 404, 410):
                raise
            pages = _fetch_all(connection, client, url, journal.clear(), start)  # cursors expire
        fetched_pages += [(f"{number + 1}-{i + 1}", page, folder / page.file) for i, page in enumerate(pages)]
    if connection.since:
        fetched_pages = [entry for entry in fetched_pages if entry[1].records]
        if not fetched_pages:
            return []
    elif before and [page.sha256 for _, page, _ in fetched_pages] == before.contents:
        return []
    at_ns = int(clock() * 1e9)
    stamp = datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    folder_name = before.folder if connection.since and before else f"{without_user(connection.urls[0])}#{stamp}"
    names = f"{stamp}-" if connection.since else ""
    newest = _greatest([page.since for _, page, _ in fetched_pages] + [start])
    notes = json.dumps({"declared": declared, "since": newest, "pages": len(fetched_pages)})
    return [Arrival(f"{folder_name}/{names}{name}", path, path.stat().st_size, at_ns, notes) for name, page, path in fetched_pages]


@dataclass(frozen=True)
class EarlierPages:
    """The set of pages that was landed last under the same declaration."""

    folder: str
    contents: list[str]
    since: object


def _earlier_pages(landed: Mapping[str, KnownFile], declared: str) -> EarlierPages | None:
    sets: dict[str, list[tuple[str, KnownFile]]] = {}
    for path, landed_file in landed.items():
        sets.setdefault(path.rpartition("/")[0], []).append((path, landed_file))
    if not sets:
        return None
    folder = list(landed)[-1].rpartition("/")[0]  # the files are in the order of landing
    files = sets[folder]
    notes = [json.loads(file.etag or "{}") for _, file in files]
    if notes[0].get("declared") != declared:
        return None
    files.sort(key=lambda entry: [int(part) if part.isdigit() else 0 for part in entry[0].rpartition("/")[2].split("-")])
    return EarlierPages(folder, [file.sha256 for _, file in files], _greatest([note.get("since") for note in notes]))


def _declaration_key(connection: Http) -> str:
    """Return a key of the declaration: sets of pages with another key are not continued."""
    parts = [
        [without_user(url) for url in connection.urls], {name: repr(param.reveal() if isinstance(param, Secret) else param) for name, param in connection.params.items()},
        repr(connection.pages), repr(connection.since), str(connection.options.get("records", "")),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _fetch_all(connection: Http, client: Client, url: str, journal: Journal, start: object) -> list[StoredPage]:
    """Return the pages of an address; pages in the journal are not fetched again."""
    pages = connection.pages or _ONE
    request = journal.request if journal.pages else _first_request(pages, url, connection, start)
    while request is not None:
        if len(journal.pages) >= pages.most and pages.kind != "one":
            raise SourceProblem(
                f"'{without_user(url)}' has more than {pages.most} pages.",
                fix="Raise most= of cd.pages if that is correct.",
                url=without_user(url),
            )
        try:
            body = client.with_retries(url, partial(_fetch_page, client, request, connection))
        except SourceProblem as problem:
            if problem.facts.get("status") == 404 and pages.kind in ("page", "offset") and journal.pages:
                break  # some services answer 404 after the last page
            raise
        if journal.pages and body.records and journal.pages[-1].sha256 == hashlib.sha256(body.content).hexdigest():
            raise SourceProblem(
                f"'{without_user(url)}' returns the same content for page {len(journal.pages) + 1} as for the page before.",
                fix=f"Check that '{pages.parameter or pages.path or 'Link'}' selects the page.",
                url=without_user(url),
            )
        following = _next_request(pages, request, body, url, client, not journal.pages)
        if following is not None and (following in journal.requests or following == request):
            raise SourceProblem(f"The pages of '{without_user(url)}' lead back to a page that was read.", url=without_user(url))
        if pages.kind not in ("page", "offset") or body.records or not journal.pages:
            journal.add(body.content, len(body.records or ()), _newest(connection, body), request, following)
        request = following
    journal.finish()
    return journal.pages


def _first_request(pages: Pages, url: str, connection: Http, start: object) -> dict[str, Any]:
    params: dict[str, Any] = {}
    if pages.kind in ("page", "offset"):
        params[pages.parameter] = pages.first
    if connection.since and start is not None:
        params[connection.since.parameter] = start
    return {"url": url, "params": params}


def _fetch_page(client: Client, request: Mapping[str, Any], connection: Http) -> PageResponse:
    with client.get(request["url"], params=request["params"], link=request.get("link", False)) as answer:
        try:
            content = answer.raw.read(decode_content=True)
        except (HTTPError, OSError) as error:
            raise TryAgain(cause(error)) from None
    expected = answer.headers.get("Content-Length")
    if expected is not None and not answer.headers.get("Content-Encoding") and len(content) != int(expected):
        raise TryAgain(f"{len(content)} of {expected} bytes arrived")
    if connection.format not in (None, "json"):
        return PageResponse(content, None, None, answer)
    address = without_user(request["url"])
    try:
        document = json.loads(content)
    except ValueError as error:
        raise SourceProblem(
            f"'{address}' did not answer with JSON; the answer begins with {content[:60]!r}: {error}.", url=address
        ) from None
    return PageResponse(content, document, _records(document, str(connection.options.get("records", "")), address), answer)


def _records(document: object, path: str, address: str) -> list[object]:
    records = lookup(document, path)
    if records is None and path:
        missing = not isinstance(document, dict) or path.partition(".")[0] not in document
        if not missing:
            return []
    if not isinstance(records, list):
        lists = [key for key, value in document.items() if isinstance(value, list)] if isinstance(document, dict) else []
        raise SourceProblem(
            f"'{address}' has no list of records at '{path or 'its top'}'"
            + (f"; it has {', '.join(repr(key) for key in document)}." if isinstance(document, dict) else "."),
            nearest=lists[0] if lists else None,
            fix="Say where they are with records=.",
            url=address,
        )
    return records


def _next_request(
    pages: Pages, request: Mapping[str, Any], body: PageResponse, url: str, client: Client, is_first: bool
) -> dict[str, Any] | None:
    """Return the request of the next page, None after the last one."""
    if pages.kind == "one" or (pages.kind in ("page", "offset") and not body.records):
        return None
    if pages.kind in ("page", "offset", "cursor"):
        params, name = dict(request["params"]), pages.parameter
        if pages.kind == "cursor":
            params[name] = _link_at(body, pages.path, url, is_first)
        else:
            params[name] += 1 if pages.kind == "page" else len(body.records or ())
        return {"url": request["url"], "params": params} if params[name] else None
    link = body.answer.links.get("next", {}).get("url") if pages.kind == "link" else _link_at(body, pages.path, url, is_first)
    if not link:
        return None
    return {"url": _same_host(urljoin(body.answer.url, str(link)), url, client), "params": {}, "link": True}


def _link_at(body: PageResponse, path: str, url: str, is_first: bool) -> object:
    parent_path, _, key = path.rpartition(".")
    parent = lookup(body.document, parent_path) if parent_path else body.document
    if parent is None and is_first and body.records:  # later pages may omit it: no page follows
        raise SourceProblem(
            f"'{without_user(url)}' has nothing at '{path}', which should give the next page.",
            nearest=nearest(path.partition(".")[0], body.document) if isinstance(body.document, dict) else None,
            url=without_user(url),
        )
    return lookup(parent, key)


def _same_host(next_url: str, url: str, client: Client) -> str:
    """Return the next page's address without the declared secrets, which only the declared host may get."""
    declared_parts, next_parts = urlsplit(without_user(url)), urlsplit(next_url)
    if next_parts.hostname != declared_parts.hostname or next_parts.scheme not in ("http", "https"):
        raise SourceProblem(
            f"The next page of '{without_user(url)}' is at another host, '{next_parts.hostname}'.",
            fix="Declare that address.",
            url=without_user(url),
        )
    # A service behind a proxy may not know that it is reached by https.
    scheme, host = (
        (declared_parts.scheme, declared_parts.netloc)
        if declared_parts.scheme == "https" and next_parts.scheme == "http"
        else (next_parts.scheme, next_parts.netloc)
    )
    query = urlencode(
        [(name, value) for name, value in parse_qsl(next_parts.query, keep_blank_values=True) if name not in client.secret_params]
    )
    return urlunsplit((scheme, host, next_parts.path, query, ""))


def _newest(connection: Http, body: PageResponse) -> object:
    if connection.since is None:
        return None
    return _greatest([lookup(record, connection.since.at) for record in body.records or ()])


def _greatest(values: list[Any]) -> object:
    """Return the greatest of some numbers or texts; numbers in texts are numbers."""
    present = [value for value in values if value is not None]
    try:
        return max(present, key=float) if present else None
    except (TypeError, ValueError):
        return max(str(value) for value in present)
