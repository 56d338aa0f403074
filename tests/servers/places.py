"""The three places that a lake can lie at: a test that asks for `lake` runs at each."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from caudal.storage.place import Place, place

PLACES = ("local", "s3", "hdfs")
_numbers = itertools.count(1)


def place_of(kind: str, request: pytest.FixtureRequest) -> Place:
    """Return an empty place of a kind."""
    if kind == "s3":
        return place(f"s3://{request.getfixturevalue('s3').bucket()}/lakes/one")
    if kind == "hdfs":
        return place(f"{request.getfixturevalue('hdfs').root}/lakes/{next(_numbers)}")
    folder: Path = request.getfixturevalue("tmp_path")
    return folder / "lake"


@pytest.fixture(params=PLACES)
def lake(request: pytest.FixtureRequest) -> Place:
    """An empty place."""
    return place_of(request.param, request)
