"""A file is named by its path below the data folder, wherever that is; whole paths of older homes get that name."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, strategies as st

import caudal as cd
from caudal.declarations.connection import files
from caudal.ledger.records import landed
from caudal.stages.ingest import KnownFile, RawFile, arrivals
from caudal.stages.ingest.files import list_origins
from caudal.stages.ingest.origin import former_name, former_pattern
from caudal.tables.home import Home
from caudal.tables.landing import current, land, origin_of, rebase_paths

PART = st.from_regex(r"[a-z .+()$\[{^-]{0,5}[a-z]", fullmatch=True)
PATH = st.lists(PART, min_size=1, max_size=4)


@given(PATH, PATH, PATH)
def test_the_whole_path_of_an_older_home_gets_the_name_below_its_data_folder(
    old: list[str], new: list[str], name: list[str]
) -> None:
    pattern = "/".join([*(part.replace("[", "x") for part in name[:-1]), "*"])
    below = "/".join([*(part.replace("[", "x") for part in name[:-1]), name[-1]])
    named = former_name(pattern, Path("/", *new))
    assert named(f"/{'/'.join(old)}/{below}") == below
    assert named(below) == below


@pytest.mark.parametrize(
    ("pattern", "path", "name"),
    [
        ("*/*.jpg", "/old/data/apple/1.jpg", "apple/1.jpg"),
        ("photos/**/*.jpg", "/old/data/photos/a/b/1.jpg", "photos/a/b/1.jpg"),
        ("**/*.jpg", "/data/a/b/1.jpg", "a/b/1.jpg"),
        ("**/*.jpg", "/old/data/a/b/1.jpg", "/old/data/a/b/1.jpg"),  # nothing tells how deep the data folder lay
        ("photos/*.jpg", "/old/pictures/1.jpg", "/old/pictures/1.jpg"),
        ("../in/*.csv", "/old/data/../in/1.csv", "../in/1.csv"),
        ("/mnt/in/*.csv", "/mnt/in/1.csv", "/mnt/in/1.csv"),
    ],
)
def test_what_an_older_path_is_named(pattern: str, path: str, name: str) -> None:
    base = None if pattern.startswith("/") else Path("/data")
    assert former_name(pattern, base)(path) == name


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("in/a/1.csv", "in/b/1.csv"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True)
        path.write_text(f"x\n{name}\n")
        os.utime(path, (1000, 1000))
    return tmp_path / "data"


def other_ways(data: Path) -> list[Path]:
    """Return other paths to a data folder, the last of which is where it has moved to."""
    link = data.parent / "link"
    link.symlink_to(data)
    others = [link, Path(os.path.relpath(data)), Path(f"{data}/"), data / "in" / ".."]
    return [*others, data.parent / "far" / "away"]


def test_files_are_known_by_any_path_to_their_folder(data: Path) -> None:
    asked = files("in/*/*.csv")
    first = arrivals(asked, data=data, scratch=data / ".s", landed={})
    assert [one.path for one in first] == ["in/a/1.csv", "in/b/1.csv"]
    seen = {one.path: KnownFile(None, one.modified_ns, one.bytes, "") for one in first}
    for way in other_ways(data):
        if not way.exists():
            way.parent.mkdir()
            data.rename(way)
        assert arrivals(asked, data=way, scratch=data / ".s", landed=seen) == []
        assert list_origins(asked, way) == {"in/a/1.csv", "in/b/1.csv"}
    (way / "in/a/1.csv").write_text("x\nchanged\n")
    changed = arrivals(asked, data=way, scratch=data / ".s", landed=seen, clock=lambda: 5000.0)
    assert [(one.path, one.local) for one in changed] == [("in/a/1.csv", way / "in/a/1.csv")]


def test_an_absolute_pattern_names_its_files_by_whole_paths(data: Path) -> None:
    assert [one.path for one in arrivals(files(f"{data}/in/*/*.csv"), data=data, scratch=data, landed={})] == [
        str(data / "in/a/1.csv"),
        str(data / "in/b/1.csv"),
    ]


def test_a_home_of_before_goes_on(data: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    ledger = home.ledger()
    about = {"product": "p", "source": "s"}
    for place in (data, tmp_path / "twin"):  # the ledger of before: whole paths, the same files below two folders
        arrived = arrivals(files(f"{place}/in/*/*.csv"), data=None, scratch=data, landed={})
        land(arrived, home, ledger, run_id="r", **about)
        if place == data:
            data.rename(tmp_path / "twin")
            (tmp_path / "twin" / "in/b/1.csv").write_text("x\nnewer\n")
    held = {file.sha256 for file in current(home, ledger, **about)}
    rebase_paths(ledger, "p", "s", tmp_path / "twin", former_name("in/*/*.csv", tmp_path / "twin"))
    rows = ledger.find(landed, **about)
    assert {(row["path"], row["base"]) for row in rows if row["base"]} == {
        (name, str(tmp_path / "twin")) for name in ("in/a/1.csv", "in/b/1.csv")
    }
    assert all(origin_of(row).exists() == (row["base"] is not None) for row in rows)
    assert {file.sha256 for file in current(home, ledger, **about)} == held  # nothing that counted is lost by a name
    seen = {row["path"]: KnownFile(None, row["modified_ns"], row["bytes"], row["sha256"]) for row in rows}
    assert arrivals(files("in/*/*.csv"), data=tmp_path / "twin", scratch=data, landed=seen) == []
    ledger.close()


def pictures(folder: Path) -> Path:
    image = pytest.importorskip("PIL.Image")
    for n, label in enumerate(("apple", "pear")):
        path = folder / "in" / label / "1.jpg"
        path.parent.mkdir(parents=True)
        image.new("RGB", (20, 20), (n, 0, 0)).save(path)
        os.utime(path, (1000, 1000))
    return folder


def landed_packs(pattern: str, data: Path, seen: dict[str, KnownFile], at: float) -> list[str]:
    scratch = data.parent / f"packs-{at}"
    paths: list[str] = []
    for one in arrivals(cd.images(pattern, gone="quarantine"), data=data, scratch=scratch, landed=seen, clock=lambda: at):
        paths += pq.read_table(one.local)["path"].to_pylist()
        seen[one.path] = KnownFile(None, one.modified_ns, one.bytes, "", one.local)
    return paths


def test_images_are_known_by_any_path_to_their_folder(tmp_path: Path) -> None:
    data = pictures(tmp_path / "data")
    seen: dict[str, KnownFile] = {}
    assert landed_packs("in/*/*.jpg", data, seen, 5000.0) == ["in/apple/1.jpg", "in/pear/1.jpg"]
    for n, way in enumerate(other_ways(data)):
        if not way.exists():
            way.parent.mkdir()
            data.rename(way)
        assert landed_packs("in/*/*.jpg", way, seen, 6000.0 + n) == []


def test_images_of_a_home_of_before_are_known_and_read_by_their_new_names(tmp_path: Path, spark: object) -> None:
    data = pictures(tmp_path / "data")
    seen: dict[str, KnownFile] = {}
    assert landed_packs(f"{data}/in/*/*.jpg", data, seen, 5000.0) == [str(data / "in" / one / "1.jpg") for one in ("apple", "pear")]
    data.rename(tmp_path / "moved")
    assert landed_packs("in/*/*.jpg", tmp_path / "moved", seen, 6000.0) == []

    from caudal.stages.ingest.images import image_frame

    (pack,) = [one.stored for one in seen.values()]
    read = image_frame(spark, [RawFile(pack, "", "p", "parquet")], cd.images("in/*/*.jpg"), tmp_path / "moved")  # type: ignore[arg-type]
    assert sorted(row.path for row in read.select("path").collect()) == ["in/apple/1.jpg", "in/pear/1.jpg"]


def test_the_expression_is_python_s_and_java_s(spark: object) -> None:
    from pyspark.sql import functions as F

    frame = spark.createDataFrame([("/o(l)d/in $x/a #1.jpg",)], "path string")  # type: ignore[attr-defined]
    expression = former_pattern("in $x/*.jpg", Path("/n"))
    assert expression is not None
    assert re.match(expression, "/o(l)d/in $x/a #1.jpg")
    assert frame.select(F.regexp_extract("path", f"(?s){expression}", 1)).head()[0] == "in $x/a #1.jpg"


def test_the_label_of_an_image_is_the_folder_that_it_lies_in_even_the_data_folder(tmp_path: Path) -> None:
    data = pictures(tmp_path / "data") / "in" / "apple"
    packs = arrivals(cd.images("*.jpg"), data=data, scratch=tmp_path / "s", landed={}, clock=lambda: 5000.0)
    assert [(row["path"], row["label"]) for one in packs for row in pq.read_table(one.local).to_pylist()] == [("1.jpg", "apple")]
