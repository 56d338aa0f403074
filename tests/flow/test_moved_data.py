"""A data folder that moves, or is read by another path: files and images are those that landed before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.flow.commands import caudal, run_here

from caudal.ledger.records import landed, steps as recorded
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home
from caudal.tables.landing import origin_of

Image = pytest.importorskip("PIL.Image")

PRODUCT = """
import caudal as cd
from caudal import expect as ex
product = cd.Product("album")
product.source("pictures", cd.images("*/*.jpg"), expect=[ex.unique("sha256").quarantine(max_share=0.4)])
product.source("notes", cd.files("*/*.csv"))
product.source("more", cd.files("apple/*.csv"))
"""


def steps(document: dict) -> dict[str, str]:
    return {step["step"]: step["state"] for step in document["steps"]}


def rows(home: Path, table: str, *columns: str) -> list[tuple]:
    return sorted(zip(*arrow(delta.read_version(Home(home).table("album", table)), columns).to_pydict().values(), strict=True))


def test_a_data_folder_that_moved_is_the_same_folder(tmp_path: Path, spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    product, data, home = tmp_path / "p", tmp_path / "data", tmp_path / "home"
    product.mkdir()
    (product / "product.py").write_text(PRODUCT)
    for n, label in enumerate(("apple", "pear")):
        (data / label).mkdir(parents=True)
        Image.new("RGB", (20, 20), (90 * n, 0, 0)).save(data / label / "1.jpg")
        (data / label / "1.csv").write_text(f"n\n{n}\n")
        for name in ("1.jpg", "1.csv"):
            os.utime(data / label / name, (1000 + n, 1000 + n))

    caudal("run", product, "--home", home, "--data", data)
    pictures, notes = rows(home, "pictures", "path", "label", "sha256"), rows(home, "notes", "n", "_file")
    assert [path for path, *_ in pictures] == ["apple/1.jpg", "pear/1.jpg"]

    (tmp_path / "link").symlink_to(data)
    (tmp_path / "mnt").mkdir()
    monkeypatch.chdir(tmp_path)
    for way in ("link", "data/", str(data / "pear" / ".."), "mnt/volume"):
        if way == "mnt/volume":
            data.rename(way)
        again = caudal("run", product, "--home", home, "--data", way)
        assert set(steps(again).values()) == {"skipped"}, (way, steps(again))
    assert (rows(home, "pictures", "path", "label", "sha256"), rows(home, "notes", "n", "_file")) == (pictures, notes)
    moved_to = tmp_path / "mnt" / "volume"
    ledger = Home(home).ledger()
    origins = {str(origin_of(row)) for row in ledger.find(landed, product="album", source=["notes", "more"])}
    ledger.close()
    assert origins == {str(moved_to / "apple/1.csv"), str(moved_to / "pear/1.csv")}

    (moved_to / "pear/1.csv").write_text("n\n7\n")  # at its new place it is the same file, which has changed
    (moved_to / "apple/1.csv").rename(moved_to / "apple/2.csv")  # another name, the same content
    run_here(product, home, moved_to)
    assert [n for n, _ in rows(home, "notes", "n", "_file")] == [0, 7]
    ledger = Home(home).ledger()
    landing = ledger.find(recorded, step="land:notes", newest=True, limit=1)[0]
    ledger.close()
    assert landing["detail"]["notes"] == ["'apple/2.csv' holds the same bytes as 'apple/1.csv': they count once."]
