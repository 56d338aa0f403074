"""Files behind URLs: asked for only when they have changed, retried, and taken up where a download broke off."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests
from urllib3.exceptions import HTTPError

from caudal.declarations.connection import Connection, Http
from caudal.errors import SourceProblem
from caudal.stages.ingest.arrival import Arrival, Clock, Seen, fetches
from caudal.stages.ingest.secret import without_user
from caudal.stages.ingest.web import AT_ONCE, Again, Client, cause

_BLOCK = 1 << 18


@fetches("http")
def fetch(connection: Connection, *, data: Path | None, scratch: Path, seen: Mapping[str, Seen], clock: Clock) -> list[Arrival]:
    """Return the files that have changed at their servers since they were landed, downloaded into ``scratch``."""
    assert isinstance(connection, Http)
    for url in connection.urls:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise SourceProblem(
                f"'{without_user(url)}' is not an HTTP address.",
                fix="Begin it with https:// or http://.",
                url=without_user(url),
            )
    with Client(connection) as client:
        if connection.pages or connection.since:
            from caudal.stages.ingest.pages import fetch_pages

            return fetch_pages(connection, client, scratch=scratch, seen=seen, clock=clock)
        with ThreadPoolExecutor(max_workers=min(AT_ONCE, max(1, len(connection.urls)))) as threads:
            found = threads.map(lambda url: _fetched(client, url, scratch, seen.get(without_user(url)), clock), connection.urls)
            return [arrival for arrival in found if arrival is not None]


def _fetched(client: Client, url: str, scratch: Path, seen: Seen | None, clock: Clock) -> Arrival | None:
    """Return one downloaded file, or None when the server says that it has not changed."""
    shown = without_user(url)
    folder = scratch / hashlib.sha256(shown.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return client.tried(url, lambda: _asked(client, url, folder, seen, clock))


def _asked(client: Client, url: str, folder: Path, seen: Seen | None, clock: Clock) -> Arrival | None:
    shown = without_user(url)
    part, tag = folder / "download.part", folder / "download.tag"  # the tag says which content the part belongs to
    # A URL without a last segment has to be called something.
    local = folder / (Path(unquote(urlsplit(shown).path)).name or "download")
    asked: dict[str, str] = {}
    done = folder / "download.done"  # what a whole file is, that no run has landed yet
    kept = json.loads(done.read_text()) if done.exists() and local.exists() else {}
    if kept.get("etag") or kept.get("changed"):
        asked |= {"If-None-Match": kept["etag"]} if kept["etag"] else {"If-Modified-Since": kept["changed"]}
    elif seen is not None and seen.etag:
        asked["If-None-Match"] = seen.etag
    elif seen is not None and seen.modified_ns:
        asked["If-Modified-Since"] = formatdate(seen.modified_ns // 1_000_000_000, usegmt=True)
    have = part.stat().st_size if part.exists() and tag.exists() else 0
    if have:
        asked |= {"Range": f"bytes={have}-", "If-Range": tag.read_text()}
    with client.ask(url, asked) as answer:
        if answer.status_code == 304:
            if not kept or (seen and (seen.modified_ns, seen.etag) == (kept["modified_ns"], kept["etag"])):
                return None
            return Arrival(shown, local, local.stat().st_size, kept["modified_ns"], kept["etag"])
        if answer.status_code == 416:  # what was kept of an earlier download does not fit any more
            part.unlink(missing_ok=True)
            raise Again("416 the part does not fit any more")
        etag, changed = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
        goes_on = answer.status_code == 206 and (answer.headers.get("Content-Range") or "").startswith(f"bytes {have}-")
        if answer.status_code == 206 and not goes_on:
            part.unlink(missing_ok=True)
            raise Again("the server sent another part than the one asked for")
        strong = etag if etag and not etag.startswith("W/") else changed
        if not goes_on:
            part.unlink(missing_ok=True)
            tag.unlink(missing_ok=True)
            if strong:
                tag.write_text(strong)
        _append(answer, part, "ab" if goes_on else "wb")
    done.unlink(missing_ok=True)
    part.replace(local)
    tag.unlink(missing_ok=True)
    modified_ns = _modified_ns(changed, etag, clock)
    done.write_text(json.dumps({"etag": etag, "changed": changed, "modified_ns": modified_ns}))
    return Arrival(shown, local, local.stat().st_size, modified_ns, etag)


def _append(answer: requests.Response, part: Path, mode: str) -> None:
    expected = answer.headers.get("Content-Length")
    got = 0
    with part.open(mode) as file:
        try:
            while block := answer.raw.read1(_BLOCK):  # as it came, not decompressed; of what is cut short as much as came
                file.write(block)
                got += len(block)
        except HTTPError as error:
            raise Again(cause(error)) from None
    if expected is not None and got != int(expected):
        raise Again(f"{got} of {int(expected)} bytes came")


def _modified_ns(changed: str | None, etag: str | None, clock: Clock) -> int:
    """Return when the content changed. The digits below a second hold the ETag: HTTP's dates are too coarse to tell two contents apart."""
    try:
        at_s = int(parsedate_to_datetime(changed).timestamp()) if changed else None
    except ValueError:
        at_s = None
    return int(clock() * 1e9) if at_s is None else at_s * 1_000_000_000 + zlib.crc32((etag or "").encode()) % 1_000_000_000
