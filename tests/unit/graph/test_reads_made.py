"""What a call makes for itself and reads again is no input of it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from caudal.graph.reads import Recorder


def test_a_file_that_the_call_makes_is_not_read(tmp_path: Path) -> None:
    known = tmp_path / "known.txt"
    known.write_text("1")

    def call() -> str:
        with tempfile.NamedTemporaryFile("w", dir=tmp_path, delete=False) as file:
            file.write("made")
        with tempfile.TemporaryFile("w+", dir=tmp_path) as nameless:
            nameless.write("made too")
        (tmp_path / "x").open("x").close()
        return Path(file.name).read_text() + (tmp_path / "x").read_text() + known.read_text()

    recorder = Recorder()
    assert recorder.call(call) == "made1"
    assert set(recorder.reads.files) == {str(known)}
