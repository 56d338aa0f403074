"""Fetch files behind URLs: only those that have changed, with retries, continuing interrupted downloads."""

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
from caudal.stages.ingest.arrival import Arrival, Clock, KnownFile, fetches
from caudal.stages.ingest.pages import fetch_pages
from caudal.stages.ingest.secret import without_user
from caudal.stages.ingest.web import AT_ONCE, Client, TryAgain, cause

_BLOCK = 1 << 18


@fetches("http")
def fetch(
    connection: Connection, *, data: Path | None, scratch: Path, landed: Mapping[str, KnownFile], clock: Clock
) -> list[Arrival]:
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
            return fetch_pages(connection, client, scratch=scratch, landed=landed, clock=clock)
        with ThreadPoolExecutor(max_workers=min(AT_ONCE, max(1, len(connection.urls)))) as threads:
            downloads = threads.map(
                lambda url: _fetch_url(client, url, scratch, landed.get(without_user(url)), clock), connection.urls
            )
            return [arrival for arrival in downloads if arrival is not None]


def _fetch_url(client: Client, url: str, scratch: Path, landed_file: KnownFile | None, clock: Clock) -> Arrival | None:
    """Return one downloaded file, or None when the server says that it has not changed."""
    address = without_user(url)
    folder = scratch / hashlib.sha256(address.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return client.with_retries(url, lambda: _download(client, url, folder, landed_file, clock))


def _download(client: Client, url: str, folder: Path, landed_file: KnownFile | None, clock: Clock) -> Arrival | None:
    address = without_user(url)
    part_file, tag_file = folder / "download.part", folder / "download.tag"  # the tag says which content the part belongs to
    # A URL without a last segment needs a name.
    local = folder / (Path(unquote(urlsplit(address).path)).name or "download")
    headers: dict[str, str] = {}
    done_file = folder / "download.done"  # facts about a complete file that no run has landed yet
    downloaded = json.loads(done_file.read_text()) if done_file.exists() and local.exists() else {}
    if downloaded.get("etag") or downloaded.get("changed"):
        headers |= {"If-None-Match": downloaded["etag"]} if downloaded["etag"] else {"If-Modified-Since": downloaded["changed"]}
    elif landed_file is not None and landed_file.etag:
        headers["If-None-Match"] = landed_file.etag
    elif landed_file is not None and landed_file.modified_ns:
        headers["If-Modified-Since"] = formatdate(landed_file.modified_ns // 1_000_000_000, usegmt=True)
    part_bytes = part_file.stat().st_size if part_file.exists() and tag_file.exists() else 0
    if part_bytes:
        headers |= {"Range": f"bytes={part_bytes}-", "If-Range": tag_file.read_text()}
    with client.get(url, headers) as answer:
        if answer.status_code == 304:
            if not downloaded or (
                landed_file and (landed_file.modified_ns, landed_file.etag) == (downloaded["modified_ns"], downloaded["etag"])
            ):
                return None
            return Arrival(address, local, local.stat().st_size, downloaded["modified_ns"], downloaded["etag"])
        if answer.status_code == 416:  # the part of an earlier download does not fit any more
            part_file.unlink(missing_ok=True)
            raise TryAgain("416 the part does not fit any more")
        etag, changed = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
        continues = answer.status_code == 206 and (answer.headers.get("Content-Range") or "").startswith(f"bytes {part_bytes}-")
        if answer.status_code == 206 and not continues:
            part_file.unlink(missing_ok=True)
            raise TryAgain("the server sent another part than the requested one")
        validator = etag if etag and not etag.startswith("W/") else changed
        if not continues:
            part_file.unlink(missing_ok=True)
            tag_file.unlink(missing_ok=True)
            if validator:
                tag_file.write_text(validator)
        _append(answer, part_file, "ab" if continues else "wb")
    done_file.unlink(missing_ok=True)
    part_file.replace(local)
    tag_file.unlink(missing_ok=True)
    modified_ns = _modified_ns(changed, etag, clock)
    done_file.write_text(json.dumps({"etag": etag, "changed": changed, "modified_ns": modified_ns}))
    return Arrival(address, local, local.stat().st_size, modified_ns, etag)


def _append(answer: requests.Response, part: Path, mode: str) -> None:
    expected = answer.headers.get("Content-Length")
    received_bytes = 0
    with part.open(mode) as file:
        try:
            while block := answer.raw.read1(_BLOCK):  # the raw bytes, not decompressed; of a cut-off answer as much as arrived
                file.write(block)
                received_bytes += len(block)
        except HTTPError as error:
            raise TryAgain(cause(error)) from None
    if expected is not None and received_bytes != int(expected):
        raise TryAgain(f"{received_bytes} of {int(expected)} bytes arrived")


def _modified_ns(changed: str | None, etag: str | None, clock: Clock) -> int:
    """Return when the content changed. The digits below a second hold the ETag: HTTP's dates are too coarse to distinguish two contents."""
    try:
        at_s = int(parsedate_to_datetime(changed).timestamp()) if changed else None
    except ValueError:
        at_s = None
    return int(clock() * 1e9) if at_s is None else at_s * 1_000_000_000 + zlib.crc32((etag or "").encode()) % 1_000_000_000
