"""What earlier versions wrote is read: a stream goes on from it."""

from __future__ import annotations

import shutil
from pathlib import Path

from caudal.streaming.checkpoint import Checkpoint, newest

STORED = Path(__file__).parent / "stored"  # before_0_1: 30 samples of a second each and a captured file; classes had other names


def test_a_checkpoint_whose_classes_were_renamed_since_is_read_whole(tmp_path: Path) -> None:
    shutil.copy(STORED / "before_0_1.memory", tmp_path / f"{0:012d}.memory")
    checkpoint = newest(tmp_path)
    assert type(checkpoint) is Checkpoint
    assert (checkpoint.batch, checkpoint.offsets, checkpoint.counts["samples"]) == (0, (1,), 30)
    ((table, captured),) = checkpoint.files
    assert (table, captured.name, captured.rows, captured.day) == ("samples", "x.parquet", 30, None)
    assert set(checkpoint.operators) == {"odd/0"}
    state = checkpoint.states["seconds"]
    assert (state.samples, state.open.low.ravel().tolist(), state.seen.high.tolist()) == (30, [27.0, 28.0, 29.0], [27, 28, 29])
