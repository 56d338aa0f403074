"""What the tests of reading share: landing a file as the lake does, and declaring a source of it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from caudal.declarations.connection import Files
from caudal.declarations.node import Source
from caudal.declarations.schema import Schema
from caudal.stages.ingest import RawFile


@pytest.fixture
def land(tmp_path: Path) -> Callable[..., RawFile]:
    """Return a function that copies a file, or writes bytes, to where its hash says, and returns the landed file."""

    def landed(content: Path | bytes | str, name: str | None = None, format: str | None = None) -> RawFile:
        octets = content.read_bytes() if isinstance(content, Path) else content.encode() if isinstance(content, str) else content
        called = name or (content.name if isinstance(content, Path) else "file.csv")
        sha256 = hashlib.sha256(octets).hexdigest()
        endings = "".join(Path(called).suffixes[-2:]) if called.endswith(".gz") else Path(called).suffix
        folder = tmp_path / "raw"
        folder.mkdir(exist_ok=True)
        path = folder / f"{sha256}{endings}"
        if isinstance(content, Path):
            shutil.copyfile(content, path)
        else:
            path.write_bytes(octets)
        return RawFile(path, sha256, called, format)

    return landed


@pytest.fixture
def source() -> Callable[..., Source]:
    """Return a function that declares a source of files with reader options."""

    def declared(schema: Schema | None = None, **options: Any) -> Source:
        return Source("trips_raw", Files("*", None, options), schema)

    return declared
