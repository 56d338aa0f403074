"""Connections to raw data. Each kind has its reader in ``stages/ingest`` under the same name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from caudal.declarations.address import address
from caudal.declarations.format import Format
from caudal.declarations.location import outside
from caudal.declarations.web import Env, Pages, Since, rate_of
from caudal.errors import DeclarationProblem
from caudal.secret import Address, Secret, secrets_hidden


@dataclass(frozen=True)
class Connection:
    """A place that raw data comes from."""

    kind: ClassVar[str]

    def _set(self, name: str, value: object) -> None:
        """Set a field of this frozen declaration in ``__post_init__``: secret values become a `Secret`."""
        object.__setattr__(self, name, value)


UNDESCRIBED: Mapping[str, object] = {"described": False}
"""Marks a field that fingerprints leave out: a new password in its address does not change a source."""


@dataclass(frozen=True)
class Files(Connection):
    """Files that match a glob, relative to the data folder (``--data``) unless absolute or at an address (``s3://``, ``sftp://`` …).

    Parameters
    ----------
    pattern : str, e.g. ``green_*.parquet``, ``s3://bucket/orders/*.csv.gz``; ``**`` descends. Of an address it holds the part without
        secrets; ``address`` is complete
    format : str, optional, ``parquet | csv | json | avro | excel | fixed_width``; by the file's ending when left out
    options : mapping, reader options (``separator``, ``encoding``, ``header``, ``null``)
    settle_s : float, a file younger than this counts as still being written, and waits
    required : bool, False lets the product run while no file is there yet
    changed : ``replace``: a file that comes again with other bytes takes the place of the old one; ``append``: both count
    storage : mapping, options of the remote file system, as fsspec names them; `Env` values are looked up when it is accessed
    follow_links : bool, True follows links that lead out of the folder that the pattern begins with
    """

    pattern: str
    format: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    settle_s: float = 0.0
    required: bool = True
    changed: str = "replace"
    storage: Mapping[str, object] = field(default_factory=dict)
    follow_links: bool = False
    address: Address | None = field(default=None, kw_only=True, repr=False, metadata=UNDESCRIBED)
    kind: ClassVar[str] = "files"

    def __post_init__(self) -> None:
        if self.remote and self.address is None:
            self._set("address", address(self.pattern))
            self._set("pattern", str(self.address))
        self._set("options", secrets_hidden(self.options))
        self._set("storage", secrets_hidden(self.storage))

    @property
    def remote(self) -> bool:
        """Whether the files are at an address, and not in a folder."""
        return "://" in self.pattern


@dataclass(frozen=True)
class Http(Connection):
    """Files behind URLs, landed under their last path segment; later requests send ETag and Last-Modified.

    Parameters
    ----------
    params, headers : mappings, sent with every request; `Env` values are looked up for each request
    auth : a bearer token, or a pair of user and password; any of them may be an `Env`
    rate : str, optional, ``10/s``, ``100/min``: no more requests than these to one host
    pages : how the next page is found, for answers in pages
    since : the parameter that asks for what is new, for answers that grow
    """

    urls: tuple[str, ...]  # as they may be shown
    format: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    timeout_s: float = 60.0
    params: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, object] = field(default_factory=dict)
    auth: Env | Secret | tuple[str | Env, str | Env | Secret] | None = None
    rate: str | None = None
    pages: Pages | None = None
    since: Since | None = None
    addresses: tuple[Address, ...] | None = field(default=None, kw_only=True, repr=False, metadata=UNDESCRIBED)
    kind: ClassVar[str] = "http"

    def __post_init__(self) -> None:
        if self.addresses is None:
            self._set("addresses", tuple(address(url) for url in self.urls))
            self._set("urls", tuple(map(str, self.addresses or ())))
        for name in ("options", "params", "headers"):
            self._set(name, secrets_hidden(getattr(self, name)))
        if isinstance(self.auth, tuple) and isinstance(self.auth[1], str):
            user = self.auth[0]
            self._set("auth", (user, Secret(self.auth[1], user=user if isinstance(user, str) else None)))
        if len({address.reveal() for address in self.addresses or ()}) > len(set(self.urls)):
            raise DeclarationProblem(
                "Two addresses differ only in their secrets, and their shown forms are equal.",
                fix="Declare a source for each, or pass the difference in a parameter whose name does not mark it as a secret.",
                where=str(outside()),
            )

    @property
    def changed(self) -> str:
        """How an update changes the source: pages accumulate (``set``), a file replaces the earlier one (``replace``)."""
        return "set" if self.pages or self.since else "replace"


@dataclass(frozen=True)
class Simulated(Connection):
    """Files that a function writes: ``write(folder, seed)`` puts them into an empty folder, the same ones for the same seed.

    ``code`` is the fingerprint of the function and of all code that it uses, where the run knows it.
    """

    write: Callable[..., object]
    seed: int = 0
    parameters: Mapping[str, object] = field(default_factory=dict)
    format: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    code: str | None = None
    kind: ClassVar[str] = "simulated"


class Channelled(Connection):
    """A stream of messages that hold samples of declared channels.

    Attributes
    ----------
    channels : names of a sample's values, in their order
    wire : str, how a message is written
    """

    channels: tuple[str, ...]
    wire: str


CHANNELLED = Channelled


@dataclass(frozen=True)
class Stream(Channelled):
    """Blocks of samples in the embedded log: a stream with no server, replayable by offset.

    Parameters
    ----------
    channels : names of a sample's values, in order
    wire : ``packed | json | avro``, how the messages are written (`caudal.messaging.wire`)
    partitions : int, number of partitions of the log; devices are spread over them
    """

    channels: tuple[str, ...]
    wire: str = "packed"
    partitions: int = 2
    kind: ClassVar[str] = "stream"


@dataclass(frozen=True)
class Kafka(Channelled):
    """Messages of a Kafka topic.

    Parameters
    ----------
    servers : str, optional, ``host:port`` of brokers; from the setting ``kafka`` (``CAUDAL_KAFKA``), else 127.0.0.1:9092, when left out
    starting : ``earliest | latest``, where a stream without a checkpoint begins
    options : mapping, further options of Spark's connector; `Env` values are looked up when the topic is read
    """

    topic: str
    channels: tuple[str, ...]
    wire: str = "packed"
    servers: str | None = None
    starting: str = "earliest"
    options: Mapping[str, object] = field(default_factory=dict)
    kind: ClassVar[str] = "kafka"

    def __post_init__(self) -> None:
        self._set("options", secrets_hidden(self.options))


@dataclass(frozen=True)
class Folder(Channelled):
    """Files dropped in a folder, each a message that is read once; write a file elsewhere and move it in."""

    pattern: str
    channels: tuple[str, ...]
    wire: str = "packed"
    kind: ClassVar[str] = "folder"


@dataclass(frozen=True)
class Socket(Channelled):
    """Messages that a TCP server sends: a u32 little-endian length before each, or one a line for JSON.

    Parameters
    ----------
    acknowledge : bool, True answers with the number of messages of this connection that are stored, a u64 little-endian; a server
        that sends unacknowledged messages again loses nothing
    """

    host: str
    port: int
    channels: tuple[str, ...]
    wire: str = "packed"
    acknowledge: bool = False
    kind: ClassVar[str] = "socket"


def files(
    pattern: str,
    *,
    format: str | Format | None = None,
    settle: float = 0.0,
    required: bool = True,
    changed: str = "replace",
    storage: Mapping[str, object] | None = None,
    follow_links: bool = False,
    **options: object,
) -> Files:
    """Return a source of files that match ``pattern``."""
    name, format_options = _format(format)
    return Files(str(pattern), name, {**format_options, **options}, settle, required, changed, storage or {}, follow_links)


def http(
    *urls: str,
    format: str | Format | None = None,
    timeout_s: float = 60.0,
    params: Mapping[str, object] | None = None,
    headers: Mapping[str, object] | None = None,
    auth: Env | str | tuple[str | Env, str | Env] | None = None,
    rate: str | None = None,
    pages: Pages | None = None,
    since: Since | None = None,
    **options: object,
) -> Http:
    """Return a source of files, or of answers in pages, behind ``urls``.

    ``records="data.items"`` is the path of the list of rows in a JSON answer.
    """
    name, format_options = _format(format)
    if name is None and (pages or since or "records" in options):
        name = "json"
    if name == "json" and (pages or since):
        options.setdefault("records", "")
    if rate is not None:
        rate_of(rate)
    login = Secret(auth) if isinstance(auth, str) else auth
    return Http(tuple(urls), name, {**format_options, **options}, timeout_s, params or {}, headers or {}, login, rate, pages, since)


def _format(declared: str | Format | None) -> tuple[str | None, Mapping[str, object]]:
    return (declared.name, declared.options) if isinstance(declared, Format) else (declared, {})


def simulated(write: Callable[..., object], *, seed: int = 0, format: str | None = None, **parameters: object) -> Simulated:
    """Return a source whose raw files the function ``write`` creates."""
    return Simulated(write, seed, parameters, format)


def stream(*, channels: Sequence[str], wire: str = "packed", partitions: int = 2) -> Stream:
    """Return a source of samples from the embedded log."""
    return Stream(tuple(channels), wire, partitions)


def kafka(
    topic: str,
    *,
    channels: Sequence[str] = (),
    wire: str = "packed",
    servers: str | None = None,
    starting: Literal["earliest", "latest"] = "earliest",
    **options: object,
) -> Kafka:
    """Return a source of samples from a Kafka topic; of one whose messages are rows, `events`."""
    if not channels:
        raise DeclarationProblem(
            f"Topic '{topic}' is declared without the channels of its samples.",
            fix="Name them with channels=; a topic whose messages are rows is declared by cd.events(topic, schema=...).",
            where=str(outside()),
        )
    return Kafka(topic, tuple(channels), wire, servers, starting, options)


def folder(pattern: str, *, channels: Sequence[str], wire: str = "packed") -> Folder:
    """Return a source of samples from files dropped in a folder."""
    return Folder(str(pattern), tuple(channels), wire)


def socket(host: str, port: int, *, channels: Sequence[str], wire: str = "packed", acknowledge: bool = False) -> Socket:
    """Return a source of samples from a TCP server."""
    return Socket(host, port, tuple(channels), wire, acknowledge)
