"""Files behind URLs: asked for only when they have changed, retried, and taken up where a download broke off."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from caudal.errors import EnvironmentProblem, SourceProblem
from caudal.spec.connection import Connection, Http
from caudal.stages.ingest.arrival import Arrival, Clock, Seen, fetches

ATTEMPTS = 5
BACKOFF_S = 0.25  # before the second attempt; doubled before each one after it
LONGEST_WAIT_S = 30.0  # however long a server asks for
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
AT_ONCE = 4
_BLOCK = 1 << 18


@fetches("http")
def fetch(connection: Connection, *, data: Path | None, scratch: Path, seen: Mapping[str, Seen], clock: Clock) -> list[Arrival]:
    """Return the files that have changed at their servers since they were landed, downloaded into ``scratch``."""
    assert isinstance(connection, Http)
    for url in connection.urls:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise SourceProblem(f"'{url}' is not an HTTP address.", fix="Begin it with https:// or http://.", url=url)
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, max(1, len(connection.urls)))) as threads:
        found = threads.map(lambda url: _fetched(url, connection.timeout_s, scratch, seen.get(url), clock), connection.urls)
        return [arrival for arrival in found if arrival is not None]


def _fetched(url: str, timeout_s: float, scratch: Path, seen: Seen | None, clock: Clock) -> Arrival | None:
    """Return one downloaded file, or None when the server says that it has not changed."""
    folder = scratch / hashlib.sha256(url.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "download.part"
    wait_s, asked_s, last = BACKOFF_S, 0.0, "no answer"
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(max(wait_s, asked_s))
            wait_s, asked_s = wait_s * 2, 0.0
        try:
            return _asked(url, timeout_s, folder, part, seen, clock)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 304:
                    return None
                last = f"{error.code} {error.reason}"
                if error.code == 416:  # what was kept of an earlier download does not fit any more
                    part.unlink(missing_ok=True)
                elif error.code in AGAIN:
                    asked_s = _retry_after_s(error.headers.get("Retry-After"))
                else:
                    raise _refused(url, error) from None
        except _Incomplete as error:
            last = str(error)
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            last = f"{type(reason).__name__}: {reason}" if isinstance(reason, Exception) else str(reason)
        except OSError as error:
            if error.errno in (28, 122):  # no space, quota
                raise EnvironmentProblem(
                    f"The disk is full: '{url}' could not be downloaded.",
                    fix="Free space where --home lies and run again.",
                    url=url,
                ) from None
            raise
    raise SourceProblem(
        f"'{url}' could not be fetched in {ATTEMPTS} attempts; the last one ended with: {last}.",
        fix="Run again when the server answers; what was downloaded is kept and taken up.",
        url=url,
        attempts=ATTEMPTS,
        passing=True,
    )


def _asked(url: str, timeout_s: float, folder: Path, part: Path, seen: Seen | None, clock: Clock) -> Arrival:
    # The scheme was checked to be HTTP before any address is asked.
    request = urllib.request.Request(url, headers={"User-Agent": "caudal", "Accept-Encoding": "identity"})
    if seen is not None and seen.etag:
        request.add_header("If-None-Match", seen.etag)
    elif seen is not None and seen.modified_ns:
        request.add_header("If-Modified-Since", formatdate(seen.modified_ns // 1_000_000_000, usegmt=True))
    tag = folder / "download.tag"  # which content the part belongs to
    have = part.stat().st_size if part.exists() and tag.exists() else 0
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", tag.read_text())
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:
        etag, changed = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
        goes_on = answer.status == 206 and (answer.headers.get("Content-Range") or "").startswith(f"bytes {have}-")
        if answer.status == 206 and not goes_on:
            part.unlink(missing_ok=True)
            raise _Incomplete("the server sent another part than the one asked for")
        strong = etag if etag and not etag.startswith("W/") else changed
        if not goes_on:
            part.unlink(missing_ok=True)
            tag.unlink(missing_ok=True)
            if strong:
                tag.write_text(strong)
        _append(answer, part, "ab" if goes_on else "wb")
    # A URL without a last segment has to be called something.
    local = folder / (Path(unquote(urlsplit(url).path)).name or "download")
    part.replace(local)
    tag.unlink(missing_ok=True)
    return Arrival(url, local, local.stat().st_size, _modified_ns(changed, etag, clock), etag)


class _Incomplete(Exception):
    """The connection ended before the whole file had come."""


def _append(answer: http.client.HTTPResponse, part: Path, mode: str) -> None:
    expected = answer.headers.get("Content-Length")
    got = 0
    with part.open(mode) as file:
        while block := answer.read(_BLOCK):
            file.write(block)
            got += len(block)
    if expected is not None and got != int(expected):
        raise _Incomplete(f"{got} of {int(expected)} bytes came")


def _modified_ns(changed: str | None, etag: str | None, clock: Clock) -> int:
    """Return when the content changed. The digits below a second hold the ETag: HTTP's dates are too coarse to tell two contents apart."""
    try:
        at_s = int(parsedate_to_datetime(changed).timestamp()) if changed else None
    except ValueError:
        at_s = None
    return int(clock() * 1e9) if at_s is None else at_s * 1_000_000_000 + zlib.crc32((etag or "").encode()) % 1_000_000_000


def _retry_after_s(said: str | None) -> float:
    try:
        return min(float(said), LONGEST_WAIT_S) if said else 0.0
    except ValueError:  # a date: the doubling wait does
        return 0.0


def _refused(url: str, error: urllib.error.HTTPError) -> SourceProblem:
    fixes = {
        401: "The server wants to know who asks; use an address that carries its token.",
        403: "The server does not let this machine read it.",
        404: "Check the address; the file may not be published yet.",
        410: "The file was taken away for good; find its new address.",
    }
    return SourceProblem(f"'{url}' answered {error.code} {error.reason}.", fix=fixes.get(error.code), url=url, status=error.code)
