"""Messages are taken without what a stream has noted of them, whole up to some record, and linked where links can be made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from caudal.compare.messages import link_messages, take_messages
from caudal.messaging.log import Writer


def written(folder: Path, count: int) -> Path:
    with Writer(folder / "samples", 2, segment_bytes=200) as writer:
        for number in range(count):
            writer.append(number % 2, [f"message {number}".encode()])
    (folder / "samples" / "memory").mkdir()
    (folder / "samples" / "memory" / "0.checkpoint").write_text("noted")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_messages_are_taken_and_nothing_else(tmp_path: Path) -> None:
    streams = written(tmp_path / "streams", 120)
    take_messages(streams, tmp_path / "taken")
    expected = {name: data for name, data in contents(streams).items() if name.endswith((".data", ".index"))}
    assert len(expected) > 4  # several segments
    assert contents(tmp_path / "taken") == expected


def test_a_home_shares_the_files_or_has_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take_messages(written(tmp_path / "streams", 4), tmp_path / "taken")
    link_messages(tmp_path / "taken", tmp_path / "linked")

    def refused(*_: object) -> None:
        raise OSError("another file system")

    monkeypatch.setattr(os, "link", refused)
    link_messages(tmp_path / "taken", tmp_path / "copied")
    assert contents(tmp_path / "taken") == contents(tmp_path / "linked") == contents(tmp_path / "copied")
    first = next((tmp_path / "taken").rglob("*.data"))
    assert first.stat().st_nlink == 2
