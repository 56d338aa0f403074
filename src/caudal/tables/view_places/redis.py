"""Online views in Redis: the keys of a generation begin with its name, and one key of a view, which is set last, holds the name of the generation that is read.

The rows of a group lie in hashes of a few hundred keys each, so that all of a generation can be named, and is removed in small parts, without looking through the database.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TypedDict, TypeVar
from zlib import crc32

from caudal.extras import require
from caudal.secret import Address
from caudal.tables.online import Row, ViewName, ViewsUnavailable
from caudal.tables.remote_views import (
    ASK_S,
    GRACE_S,
    GenerationRows,
    Outage,
    RemoteDraft,
    Turns,
    ViewDocument,
    document_of,
    joined_key,
    written_values,
)
from caudal.tables.view_place_kind import ViewPlaceKind
from caudal.tables.view_places.sqlite import FileRows

T = TypeVar("T")
PREFIX = "caudal:online"
KEYS_OF_BUCKET = 200
ROWS_OF_CHUNK = 500  # of a key; one with more has several
BATCH = 500  # commands that are sent together
WHOLE = ""  # a field of each hash: where it is missing, the hash was removed, or given up by a Redis that is short of memory


class KeptGeneration(TypedDict):
    """What is kept of a generation until it is removed.

    Parameters
    ----------
    buckets : number of hashes of each group
    replaced_at : seconds since 1970, by the clock of Redis; None for a draft and for the one that is read
    """

    model: str
    buckets: list[int]
    replaced_at: float | None


class RedisViews:
    """The views in a database of Redis: a `caudal.tables.online.ViewPlace`.

    Parameters
    ----------
    url : its address
    folder : that of online views in the home, for drafts

    Raises
    ------
    EnvironmentProblem : redis-py is not installed
    """

    def __init__(self, url: str, folder: Path) -> None:
        redis: Any = require("redis", extra="redis", for_="An online view in Redis")
        self.outage, self.folder = Outage(url), folder
        self.shown = self.outage.shown
        self._errors: Any = redis.exceptions
        retry = redis.retry.Retry(redis.backoff.NoBackoff(), 1, supported_errors=(redis.exceptions.ConnectionError,))
        pool = redis.ConnectionPool.from_url(
            Address(url).escaped, socket_timeout=ASK_S, socket_connect_timeout=ASK_S, retry=retry, decode_responses=True, client_name="caudal",
        )  # fmt: skip
        self._redis, self._turns = redis.Redis(connection_pool=pool), Turns()

    def ask(self, of: Callable[[Any], T]) -> T:
        """Return what is asked of the client.

        Raises
        ------
        ViewsUnavailable : Redis does not answer in time, or refuses
        """
        self.outage.check()
        try:
            with self._turns.turn(self.outage):
                answer = of(self._redis)
        except (self._errors.RedisError, OSError) as error:
            raise self.outage.begin(error) from None
        self.outage.end()
        return answer

    def states(self, names: Collection[ViewName]) -> dict[ViewName, object]:
        """Return the generation of each view; a view that is not there is left out."""
        ordered = list(names)
        generations = self.ask(lambda redis: redis.mget([_pointer(name) for name in ordered])) if ordered else []
        return {name: generation for name, generation in zip(ordered, generations, strict=True) if generation is not None}

    def open(self, name: ViewName) -> RedisRows:
        """Return a view."""
        generation = self.ask(lambda redis: redis.get(_pointer(name)))
        if generation is None:
            raise FileNotFoundError(f"there is no online view of '{name[0]}/{name[1]}' at {self.shown}")
        document = self.ask(lambda redis: redis.get(_document(generation)))
        if document is None:
            raise self.outage.gone(name)
        return RedisRows(self, name, generation, json.loads(document))

    def draft(self, name: ViewName) -> RemoteDraft:
        """Return a new view that is to be written, after removing what is left of drafts of runs that were killed."""
        self.sweep(*name)
        return RemoteDraft(self, name, self.folder / name[0])

    def write(self, name: ViewName, generation: str, rows: FileRows) -> RedisRows:
        """Write a generation, which nobody sees yet, from a finished file, and return its rows as they can be read."""
        numbers = range(len(rows.described["groups"]))
        document = document_of(rows, [max(1, -(-rows.count_keys(number) // KEYS_OF_BUCKET)) for number in numbers])
        kept: KeptGeneration = {"model": name[1], "buckets": document["buckets"], "replaced_at": None}
        # Written down first, so that what a killed run leaves is found.
        self.ask(lambda redis: redis.hset(_generations(name[0]), generation, json.dumps(kept)))
        self._send(("hset", bucket, WHOLE, "1") for bucket in _buckets(generation, document["buckets"]))
        for number in numbers:
            self._send(self._entries(generation, document, number, rows))
        self.ask(lambda redis: redis.set(_document(generation), json.dumps(document)))
        return RedisRows(self, name, generation, document)

    def _entries(self, generation: str, document: ViewDocument, number: int, rows: FileRows) -> Iterator[tuple[Any, ...]]:
        """Yield the commands that write the rows of a group: those of a key are one text, or several and their first times."""
        for keys, of_key in groupby(rows.all_rows(number), key=lambda row: row[0]):
            key, values = joined_key(keys), [row for _, row in of_key]
            bucket = _bucket(generation, number, key, document["buckets"][number])
            if len(values) <= ROWS_OF_CHUNK:
                yield "hset", bucket, key, written_values(values)
                continue
            chunks = [values[start : start + ROWS_OF_CHUNK] for start in range(0, len(values), ROWS_OF_CHUNK)]
            for place, chunk in enumerate(chunks):
                yield "hset", bucket, f"{key}{place}", written_values(chunk)
            yield "hset", bucket, key, json.dumps({"rows": len(values), "starts": [chunk[0][0] for chunk in chunks]})

    def _send(self, commands: Iterator[tuple[Any, ...]]) -> None:
        """Send commands, so many together."""
        waiting: list[tuple[Any, ...]] = []

        def send(redis: Any) -> None:
            with redis.pipeline(transaction=False) as pipeline:
                for command, *arguments in waiting:
                    getattr(pipeline, command)(*arguments)
                pipeline.execute()

        for command in commands:
            waiting.append(command)
            if len(waiting) >= BATCH:
                self.ask(send)
                waiting.clear()
        if waiting:
            self.ask(send)

    def point(self, name: ViewName, generation: str) -> None:
        """Make a generation the one that is read, by setting one key; the one before goes by itself after a while."""
        self.ask(lambda redis: redis.set(_pointer(name), generation))
        for other, kept in self._kept(name[0]).items():
            if kept["model"] == name[1] and kept["replaced_at"] is None and other != generation:
                kept["replaced_at"] = float(self.ask(lambda redis: redis.time())[0])
                self.ask(lambda redis, other=other, kept=kept: redis.hset(_generations(name[0]), other, json.dumps(kept)))  # type: ignore[misc]
                self._send(("expire", key, GRACE_S) for key in (_document(other), *_buckets(other, kept["buckets"])))

    def remove_generation(self, name: ViewName, generation: str) -> None:
        """Remove a generation that nobody reads; where Redis does not answer it is left to the next run."""
        with suppress(ViewsUnavailable):
            if (kept := self._kept(name[0]).get(generation)) is not None:
                self._unlink(name[0], generation, kept)

    def _unlink(self, product: str, generation: str, kept: KeptGeneration) -> None:
        self._send(("unlink", key) for key in (_document(generation), *_buckets(generation, kept["buckets"])))
        self.ask(lambda redis: redis.hdel(_generations(product), generation))

    def _kept(self, product: str) -> dict[str, KeptGeneration]:
        written = self.ask(lambda redis: redis.hgetall(_generations(product)))
        return {generation: json.loads(text) for generation, text in written.items()}

    def models(self, product: str) -> list[str]:
        """Return the models of a product that have a view."""
        names = {(product, kept["model"]) for kept in self._kept(product).values()}
        return sorted(model for _, model in self.states(names))

    def remove(self, name: ViewName) -> None:
        """Remove a view and its generations."""
        self.ask(lambda redis: redis.delete(_pointer(name)))
        self.sweep(*name, replaced=True)

    def sweep(self, product: str, model: str | None = None, *, replaced: bool = False) -> None:
        """Remove generations that are not read: of drafts, and those that were replaced a while ago, or all."""
        kept = {generation: each for generation, each in self._kept(product).items() if model in (None, each["model"])}
        read = set(self.states({(product, each["model"]) for each in kept.values()}).values())
        now = float(self.ask(lambda redis: redis.time())[0]) if kept else time.time()
        for generation, each in kept.items():
            at = each["replaced_at"]
            if generation not in read and (replaced or at is None or now - at > GRACE_S):
                self._unlink(product, generation, each)

    def close(self) -> None:
        """Close the connections."""
        self._redis.connection_pool.disconnect()


class RedisRows(GenerationRows):
    """The rows of a generation in Redis."""

    def __init__(self, place: RedisViews, name: ViewName, generation: str, document: ViewDocument) -> None:
        self._place, self._name, self._generation = place, name, generation
        super().__init__(generation, document)

    def _fields(self, number: int, key: str, fields: Sequence[str]) -> list[str | None]:
        """Return fields of the hash that has a key."""
        bucket = _bucket(self._generation, number, key, self._document["buckets"][number])
        answer: list[str | None] = self._place.ask(lambda redis: redis.hmget(bucket, [WHOLE, *fields]))
        whole, *values = answer
        if whole is None:
            raise self._place.outage.gone(self._name)
        return values

    def _of_key(self, number: int, key: str) -> tuple[list[Row], list[int]]:
        """Return the rows of a key; of one with many the first times of its chunks instead."""
        (text,) = self._fields(number, key, [key])
        written = [] if text is None else json.loads(text)
        return ([], written["starts"]) if isinstance(written, dict) else (_rows(written), [])

    def rows_of_key(self, number: int, keys: Sequence[str], most: int) -> list[Row]:
        """Return the first rows of a key of a group in order of time, each a time and values."""
        key = joined_key(keys)
        rows, starts = self._of_key(number, key)
        if starts:
            wanted = [f"{key}{place}" for place in range(min(len(starts), -(-most // ROWS_OF_CHUNK)))]
            rows = [row for text in self._fields(number, key, wanted) for row in self._chunk(text)]
        return rows[:most]

    def row_at(self, number: int, keys: Sequence[str], at_us: int) -> Row | None:
        """Return the newest row of a key at or before a time: its time and values."""
        key = joined_key(keys)
        rows, starts = self._of_key(number, key)
        if starts:
            if (place := bisect_right(starts, at_us) - 1) < 0:
                return None
            (text,) = self._fields(number, key, [f"{key}{place}"])
            rows = self._chunk(text)
        place = bisect_right(rows, at_us, key=itemgetter(0)) - 1
        return None if place < 0 else rows[place]

    def _chunk(self, text: str | None) -> list[Row]:
        if text is None:
            raise self._place.outage.gone(self._name)
        return _rows(json.loads(text))

    def key_counts(self, number: int, place: int) -> Iterator[tuple[str, int]]:
        """Yield the texts of one of a group's keys, each with a number of rows."""
        for bucket in range(self._document["buckets"][number]):
            fields = self._place.ask(lambda redis, bucket=bucket: redis.hgetall(_hash(self._generation, number, bucket)))  # type: ignore[misc]
            if WHOLE not in fields:
                raise self._place.outage.gone(self._name)
            for key, text in fields.items():
                if key.endswith("]"):
                    rows = json.loads(text)
                    yield json.loads(key)[place], rows["rows"] if isinstance(rows, dict) else len(rows)


def _rows(written: list[list[Any]]) -> list[Row]:
    return [tuple(row) for row in written]


def _pointer(name: ViewName) -> str:
    return f"{PREFIX}:view:{joined_key(name)}"


def _generations(product: str) -> str:
    return f"{PREFIX}:generations:{product}"


def _document(generation: str) -> str:
    return f"{PREFIX}:{generation}:document"


def _hash(generation: str, number: int, bucket: int) -> str:
    return f"{PREFIX}:{generation}:{number}:{bucket}"


def _bucket(generation: str, number: int, key: str, buckets: int) -> str:
    return _hash(generation, number, crc32(key.encode()) % buckets)


def _buckets(generation: str, buckets: Sequence[int]) -> Iterator[str]:
    for number, count in enumerate(buckets):
        yield from (_hash(generation, number, bucket) for bucket in range(count))


VIEW_PLACE = ViewPlaceKind("redis", ("redis", "rediss", "unix"), RedisViews, "redis://host:6379/0")
