"""Requests whose answers begin before their bodies end: parts of a body go to a thread as they come, and what is answered goes back before more is worked on.

A slow client holds no thread, and a client that does not read stops its own stream: at most `AHEAD_BYTES` of its body are read ahead.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, MutableMapping
from typing import Any, Protocol, TypeVar

from flask import Response, request

from caudal.web.connections import REQUEST_S

NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
STREAMED_TYPES = (NDJSON, ARROW)
STREAMS_PER_THREAD = 4  # with more a newcomer is told to come back

AHEAD_BYTES = 256 * 1024  # of a body that are read while a thread works on what came before
PART_BYTES = 64 * 1024  # in which a body is read that is there already

_SLOT = "caudal.stream"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]
T = TypeVar("T")


class StreamRefused(Exception):
    """A stream that is refused before anything was answered.

    Parameters
    ----------
    document : what the answer says
    """

    def __init__(self, status: int, document: dict[str, object]) -> None:
        super().__init__(str(document))
        self.status, self.content = status, json.dumps(document).encode()


class StreamAnswer(Protocol):
    """What answers a streamed request. Its iterators work when they are asked for their next part; one is asked at a time."""

    def feed(self, part: bytes) -> Iterator[bytes]:
        """Yield the answers to what is whole now.

        Raises
        ------
        StreamRefused : only before the first answer
        """

    def finish(self) -> Iterator[bytes]:
        """Yield the answers to the rest: the body has ended."""

    def break_off(self, sentence: str) -> Iterator[bytes]:
        """Yield the end of the answer to a body that will not come to its own, with a sentence that says why."""

    @property
    def is_over(self) -> bool:
        """Whether the answer has ended before the body."""

    def close(self, status: int) -> None:
        """Note that nothing more is asked for; the status is that of the answer."""


class StreamSlot:
    """Where the app leaves the answer of a request that the server streams."""

    def __init__(self) -> None:
        self.answer: StreamAnswer | None = None


def may_be_streamed(scope: Message) -> bool:
    """Return whether the app is asked about a request before its body has come, which it may stream."""
    if scope["method"] != "POST" or not scope["path"].endswith("/predict/batch"):
        return False
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    return len(types) == 1 and types[0].decode("latin-1").partition(";")[0].strip().lower() in STREAMED_TYPES


def stream_slot(environ: dict[str, Any]) -> StreamSlot:
    """Return the place for the app's answer, made in the request's environment."""
    slot: StreamSlot = environ.setdefault(_SLOT, StreamSlot())
    return slot


def stream_response(answer: StreamAnswer, content_type: str) -> Response:
    """Return the response to the current request: caudal's server streams the answer, any other WSGI server has it from an iterator that reads the body."""
    slot = request.environ.get(_SLOT)
    if slot is not None:
        slot.answer = answer
        return Response(status=200, content_type=content_type)
    body = request.stream
    parts = _outputs(answer, iter(lambda: body.read(PART_BYTES), b""))
    try:
        first = next(parts, b"")
    except StreamRefused as refused:
        return Response(refused.content, refused.status, content_type="application/json")

    def content() -> Iterator[bytes]:
        try:
            yield first
            yield from parts
        finally:
            answer.close(200)

    return Response(content(), 200, content_type=content_type)


def _outputs(answer: StreamAnswer, parts: Iterable[bytes]) -> Iterator[bytes]:
    for part in parts:
        yield from answer.feed(part)
        if answer.is_over:
            return
    yield from answer.finish()


class BodyAhead:
    """The body of a request, read a little ahead of what is worked on."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._parts = bytearray()
        self.has_ended = self.is_gone = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    async def read(self) -> None:
        """Read until the client has gone."""
        while not self.is_gone:
            message = await self._receive()
            self.is_gone = message["type"] == "http.disconnect"
            self._parts += message.get("body", b"")
            self.has_ended = self.has_ended or not (self.is_gone or message.get("more_body", False))
            self._changed.set()
            while len(self._parts) >= AHEAD_BYTES and not self.has_ended:
                self._room.clear()
                await self._room.wait()

    async def take(self, within_s: float) -> bytes:
        """Return what has come, once something has or the body has ended.

        Raises
        ------
        TimeoutError : nothing has come in that time
        """
        while not (self._parts or self.has_ended or self.is_gone):
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), max(0.0, within_s))
        part = bytes(self._parts)
        self._parts.clear()
        self._room.set()
        return part

    @property
    def is_read(self) -> bool:
        """Whether all of it has been taken."""
        return self.has_ended and not self._parts


async def send_stream(
    answer: StreamAnswer,
    head: Message,
    receive: Receive,
    send: Send,
    on_thread: Callable[[Callable[[], bytes | None]], Awaitable[bytes | None]],
) -> None:
    """Answer a request part by part; where the client goes, nothing more is worked on.

    Parameters
    ----------
    head : the beginning of the answer, as the app has made it
    on_thread : runs a function on one of the app's threads
    """
    body = BodyAhead(receive)
    reading = asyncio.ensure_future(body.read())
    status = 200
    try:
        loop = asyncio.get_running_loop()
        progress = loop.time()
        has_begun = False
        while not body.is_gone:
            try:
                part = await body.take(progress + REQUEST_S - loop.time())
            except TimeoutError:
                steps = answer.break_off(f"No whole row came within {REQUEST_S:.0f} seconds.")
                is_last = True
            else:
                is_last = body.is_read
                steps = _steps(answer, part, is_last)
            while not body.is_gone and (output := await on_thread(lambda steps=steps: next(steps, None))) is not None:  # type: ignore[misc]
                if not has_begun:
                    await send(head)
                    has_begun = True
                await send({"type": "http.response.body", "body": output, "more_body": True})
                progress = loop.time()
            if is_last or answer.is_over:
                break
        if not has_begun:
            await send(head)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except StreamRefused as refused:
        status = refused.status
        await send(_refusal_head(head, refused))
        await send({"type": "http.response.body", "body": refused.content, "more_body": False})
    finally:
        reading.cancel()
        answer.close(status)


def _steps(answer: StreamAnswer, part: bytes, is_last: bool) -> Iterator[bytes]:
    yield from answer.feed(part)
    if is_last and not answer.is_over:
        yield from answer.finish()


def streamed_head(start: Message, *, keeps_length: bool = False) -> Message:
    """Return the beginning of an answer that is the last of its connection, since the body may go on after it; without the length where it is streamed."""
    left_out = (b"connection",) if keeps_length else (b"connection", b"content-length")
    kept = [(name, value) for name, value in start["headers"] if name not in left_out]
    return {**start, "headers": [*kept, (b"connection", b"close")]}


def _refusal_head(head: Message, refused: StreamRefused) -> Message:
    kept = [(name, value) for name, value in head["headers"] if name != b"content-type"]
    length = str(len(refused.content)).encode()
    return {
        **head,
        "status": refused.status,
        "headers": [*kept, (b"content-type", b"application/json"), (b"content-length", length)],
    }
