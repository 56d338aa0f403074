"""Images land in packs: each once, each again when it has changed, from a folder and from a bucket."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import caudal as cd
import caudal.stages.ingest.images as images
from caudal.errors import DeclarationProblem, SourceProblem
from caudal.stages.ingest import KnownFile, arrivals

Image = pytest.importorskip("PIL.Image")


def jpeg(colour: int, side: int = 40) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (side, side), (colour, 0, 0)).save(held, "JPEG")
    return held.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label in ("apple", "pear"):
        (tmp_path / "in" / label).mkdir(parents=True)
        for i in range(3):
            path = tmp_path / "in" / label / f"{i}.jpg"
            path.write_bytes(jpeg(i))
            os.utime(path, (1000 + i, 1000 + i))
    return tmp_path


def landed(
    connection: Any, base: Path, seen: dict[str, KnownFile] | None = None, at: float = 5000.0
) -> tuple[list[dict], dict[str, KnownFile]]:
    """Fetch, and keep what came as a landing would; return its rows and what is remembered then."""
    remembered, scratch = dict(seen or {}), base / f"scratch-{len(seen or {})}-{at}"
    rows = []
    for one in arrivals(connection, data=base, scratch=scratch, landed=remembered, clock=lambda: at):
        rows += pq.read_table(one.local).to_pylist()
        remembered[one.path] = KnownFile(None, one.modified_ns, one.bytes, "", one.local)
    return rows, remembered


def test_what_an_image_says_of_itself(folder: Path) -> None:
    rows, _ = landed(cd.images("in/*/*.jpg"), folder)
    assert [(row["label"], Path(row["path"]).name) for row in rows] == [
        (label, f"{i}.jpg") for label in ("apple", "pear") for i in range(3)
    ]
    first = rows[0]
    assert first["content"] == (folder / "in" / "apple" / "0.jpg").read_bytes()
    assert (first["width"], first["height"], first["format"], first["fault"]) == (40, 40, "JPEG", None)


def test_only_what_is_new_or_has_changed_lands_again(folder: Path) -> None:
    connection = cd.images("in/*/*.jpg")
    _, seen = landed(connection, folder)
    rows, seen = landed(connection, folder, seen, at=6000.0)
    assert rows == []
    (folder / "in" / "apple" / "1.jpg").write_bytes(jpeg(99))
    (folder / "in" / "pear" / "new.jpg").write_bytes(jpeg(100))
    rows, seen = landed(connection, folder, seen, at=7000.0)
    assert [Path(row["path"]).name for row in rows] == ["1.jpg", "new.jpg"]
    assert landed(connection, folder, seen, at=8000.0)[0] == []


def test_what_is_no_image_lands_with_its_reason(folder: Path) -> None:
    (folder / "in" / "pear" / "note.jpg").write_bytes(b"buy pears")
    (folder / "in" / "pear" / "video.jpg").write_bytes(b"\0" * 5000)
    connection = cd.images("in/pear/*.jpg", max_bytes=4000)
    rows, seen = landed(connection, folder)
    told = {Path(row["path"]).name: row["fault"] for row in rows if row["fault"]}
    assert told["note.jpg"] == "is no image: it begins with b'buy pear'"
    assert told["video.jpg"].startswith("is 5,000 bytes large, more than the allowed 4,000")
    assert {row["content"] for row in rows if row["path"].endswith("video.jpg")} == {None}
    rows, _ = landed(cd.images("in/pear/*.jpg", max_bytes=6000), folder, seen, at=6000.0)
    assert [Path(row["path"]).name for row in rows] == ["video.jpg"]


def test_many_images_are_few_packs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_WINDOW_BYTES", 1)
    monkeypatch.setattr(images, "PACK_IMAGES", 4)
    arrived = arrivals(cd.images("in/*/*.jpg"), data=folder, scratch=folder / "scratch", landed={}, clock=lambda: 5000.0)
    assert [pq.read_metadata(one.local).num_rows for one in arrived] == [4, 2]


def test_whole_packs_of_a_fetch_that_was_killed_are_taken_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_WINDOW_BYTES", 1)
    monkeypatch.setattr(images, "PACK_IMAGES", 2)
    row, calls = images._row, []

    def killed(*told: Any) -> Any:
        calls.append(told)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return row(*told)

    monkeypatch.setattr(images, "_row", killed)
    asked = {"data": folder, "scratch": folder / "scratch", "landed": {}, "clock": lambda: 5000.0}
    with pytest.raises(KeyboardInterrupt):
        arrivals(cd.images("in/*/*.jpg"), **asked)
    calls.clear()
    monkeypatch.setattr(images, "_row", lambda *told: calls.append(told) or row(*told))
    arrived = arrivals(cd.images("in/*/*.jpg"), **asked)
    assert len(calls) == 2
    assert sorted(path for one in arrived for path in pq.read_table(one.local)["path"].to_pylist()) == sorted(
        path.relative_to(folder).as_posix() for path in folder.glob("in/*/*.jpg")
    )


def test_no_image_at_all_is_told(folder: Path) -> None:
    with pytest.raises(SourceProblem, match=r"No file matches"):
        landed(cd.images("in/*/*.png"), folder)


@pytest.mark.slow
def test_images_of_a_bucket(s3: Any, tmp_path: Path) -> None:
    pytest.importorskip("s3fs")
    bucket = s3.bucket()
    for label, colour in (("red apple", 200), ("pear", 20)):
        s3.put(bucket, f"in/{label}/a b+c.jpg", jpeg(colour))
    connection = cd.images(f"s3://{bucket}/in/*/*.jpg")
    rows, seen = landed(connection, tmp_path)
    assert {(row["path"], row["label"]) for row in rows} == {
        (f"s3://{bucket}/in/red apple/a b+c.jpg", "red apple"), (f"s3://{bucket}/in/pear/a b+c.jpg", "pear")
    }  # fmt: skip
    assert landed(connection, tmp_path, seen, at=6000.0)[0] == []
    s3.put(bucket, "in/pear/a b+c.jpg", jpeg(21))
    rows, _ = landed(connection, tmp_path, seen, at=7000.0)
    assert [(row["label"], row["content"]) for row in rows] == [("pear", jpeg(21))]


def test_what_is_gone_stays_or_is_told_of_once_and_comes_back(folder: Path) -> None:
    keep, drop = cd.images("in/*/*.jpg"), cd.images("in/*/*.jpg", gone="quarantine")
    _, seen = landed(keep, folder)
    (folder / "in" / "apple" / "0.jpg").rename(folder / "in" / "pear" / "moved.jpg")
    rows, _ = landed(keep, folder, seen, at=6000.0)
    assert [(row["label"], row["fault"]) for row in rows] == [("pear", None)]
    rows, seen = landed(drop, folder, seen, at=6001.0)
    assert [(row["label"], Path(row["path"]).name, row["content"] is None, row["fault"]) for row in rows] == [
        ("pear", "moved.jpg", False, None), ("apple", "0.jpg", True, "is not at its place any more"),
    ]  # fmt: skip
    assert landed(drop, folder, seen, at=7000.0)[0] == []
    (folder / "in" / "pear" / "moved.jpg").rename(folder / "in" / "apple" / "0.jpg")
    rows, seen = landed(drop, folder, seen, at=8000.0)
    assert [(Path(row["path"]).name, row["fault"] is None) for row in rows] == [("0.jpg", True), ("moved.jpg", False)]
    assert landed(drop, folder, seen, at=9000.0)[0] == []


def test_what_becomes_of_those_that_are_gone_is_one_of_two() -> None:
    with pytest.raises(DeclarationProblem, match="quarantin"):
        cd.images("in/*/*.jpg", gone="quarantin")
