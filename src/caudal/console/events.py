"""Server-sent events: follow a product's feed as long as a browser listens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import ServiceUnavailable

from caudal.console.feeds import feed_of
from caudal.messaging.feed import Feed
from caudal.web.access import key_holds

VIEWERS = 32
LOOK_EVERY_S = 0.01
IDLE_EVERY_S = 1.0
MOST_HISTORY_S = 600.0
_TOGETHER = 16  # updates sent together, some hundred kilobytes
_MOST_UPDATES = 6000  # in one response; a page that missed more starts from the beginning


def offer_events(app: Flask, home: Path, viewers: int = VIEWERS) -> None:
    """Add the route ``/api/v1/live/<product>/events`` to an app.

    An event is an update of the feed as JSON, its id the update's number. A browser that reconnects names the last one it had
    (``Last-Event-ID``, or ``after``) and gets the updates since; a new one gets the last ``history`` seconds. ``idle`` is sent, with the
    server's clock, after the history and once a second while nothing happens; ``again`` means that the browser's updates belong to another feed.
    """
    seats = threading.BoundedSemaphore(viewers)
    stopped: threading.Event = app.extensions.setdefault("stopped", threading.Event())

    @app.route("/api/v1/live/<product>/events", methods=["GET"])
    def events(product: str) -> Response:
        feed = feed_of(home, product)
        # The header is newer than the address, which is from the page's first request.
        after = request.headers.get("Last-Event-ID", type=_number)
        after = request.args.get("after", type=_number) if after is None else after
        history_s = min(request.args.get("history", 0.0, type=float), MOST_HISTORY_S)
        if request.method == "HEAD":  # has no body whose closing would release the seat
            return Response(mimetype="text/event-stream")
        if not seats.acquire(blocking=False):
            raise ServiceUnavailable(f"{viewers} pages follow streams already, as many as this console allows.")
        answer = Response(_events(feed, after, history_s, stopped, key_holds(app)), mimetype="text/event-stream")
        answer.headers["X-Accel-Buffering"] = "no"  # a proxy must not buffer live events
        answer.call_on_close(seats.release)
        return answer


def _events(
    feed: Feed, after: int | None, history_s: float, stopped: threading.Event, holds: Callable[[], bool]
) -> Iterator[bytes]:
    """Yield the events until the server stops or the viewer's key ends; a browser that disconnects closes the generator."""
    yield b"retry: 500\n\n"
    end = feed.end()
    if after is not None and (after > end or end - after > _MOST_UPDATES):
        yield b"event: again\ndata: {}\n\n"
        after = None
    number = next(iter(recent_numbers(feed, history_s)), end + 1) - 1 if after is None else after
    idle_at: float | None = None
    while not stopped.is_set() and holds():
        news = feed.lines(number)
        for begin in range(0, len(news), _TOGETHER):
            yield b"".join(b"id: %d\ndata: %b\n\n" % new for new in news[begin : begin + _TOGETHER])
        now = time.monotonic()
        if news:
            number = news[-1][0]
        # The first idle event says that the history is over.
        if idle_at is None or (not news and now - idle_at >= IDLE_EVERY_S):
            idle_at = now
            if feed.end() < number:
                yield b"event: again\ndata: {}\n\n"
                number = 0
            yield b"event: idle\ndata: %b\n\n" % json.dumps({"now": time.time(), "number": number}).encode()
        elif news:
            idle_at = now
        stopped.wait(LOOK_EVERY_S)


def recent_numbers(feed: Feed, seconds: float) -> list[int]:
    """Return the numbers of the updates of the last seconds before the newest one.

    Examples
    --------
    >>> import tempfile
    >>> feed = Feed(Path(tempfile.mkdtemp()))
    >>> numbers = [feed.append({"at": at}) for at in (100.0, 101.0, 102.0)]
    >>> recent_numbers(feed, 1.5)
    [2, 3]
    """
    numbers: list[int] = []
    newest: float | None = None
    for number, line in reversed(feed.lines(max(0, feed.end() - _MOST_UPDATES))):
        at = float(orjson.loads(line).get("at") or 0.0)
        newest = at if newest is None else newest
        if newest - at > seconds:
            break
        numbers.append(number)
    return numbers[::-1] if seconds > 0 else []


def _number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError("numbers begin with 0")
    return number
