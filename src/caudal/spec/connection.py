"""Where raw data comes from. Each kind has its reader in ``stages/ingest`` under the same name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True)
class Connection:
    """A place that raw data comes from."""

    kind: ClassVar[str]


@dataclass(frozen=True)
class Files(Connection):
    """Files that match a glob, relative to the data folder (``--data``) unless absolute.

    Parameters
    ----------
    pattern : str, e.g. ``green_*.parquet``; ``**`` descends
    format : str, optional, ``parquet | csv | json | avro``; told by the file's ending when left out
    options : mapping, reader options (``separator``, ``encoding``, ``header``, ``null``)
    settle_s : float, a file younger than this is taken as still being written, and waits
    required : bool, False lets the product run while no file is there yet
    changed : ``replace``: a file that comes again with other bytes takes the place of the old one; ``append``: both count
    """

    pattern: str
    format: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    settle_s: float = 0.0
    required: bool = True
    changed: str = "replace"
    kind: ClassVar[str] = "files"


@dataclass(frozen=True)
class Http(Connection):
    """Files behind URLs, landed under their last path segment; asked again with ETag and Last-Modified."""

    urls: tuple[str, ...]
    format: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 60.0
    kind: ClassVar[str] = "http"


@dataclass(frozen=True)
class Simulated(Connection):
    """Files that a function writes: ``write(folder, seed)`` puts them into an empty folder, the same ones for the same seed."""

    write: Callable[..., Any]
    seed: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    format: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    kind: ClassVar[str] = "simulated"


def files(
    pattern: str,
    *,
    format: str | None = None,
    settle: float = 0.0,
    required: bool = True,
    changed: str = "replace",
    **options: Any,
) -> Files:
    """Return a source of files that match ``pattern``."""
    return Files(str(pattern), format, options, settle, required, changed)


def http(*urls: str, format: str | None = None, timeout_s: float = 60.0, **options: Any) -> Http:
    """Return a source of files behind ``urls``."""
    return Http(tuple(urls), format, options, timeout_s)


def simulated(write: Callable[..., Any], *, seed: int = 0, format: str | None = None, **parameters: Any) -> Simulated:
    """Return a source whose raw files ``write`` makes."""
    return Simulated(write, seed, parameters, format)
