"""The comparison with peers believes an engine only if its features are right, whatever it calls its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks.images.peers.compare import features, table, wrong

TRUTH = {f"{number:07d}.jpg": np.full(1280, number, np.float32) for number in range(3)}


def write(folder: Path, prefix: str, off: float = 0.0, leave_out: int = 0) -> Path:
    folder.mkdir()
    names = list(TRUTH)[leave_out:]
    rows = {"path": [f"{prefix}{name}" for name in names], "embedding": [TRUTH[name] + off for name in names]}
    pq.write_table(pa.table(rows), folder / "part.parquet")
    return folder


def test_features_are_compared_by_the_images_names(tmp_path: Path) -> None:
    for number, prefix in enumerate(("/data/Red%20Apple/", "file:/data/Apple/", "")):
        assert wrong(features(write(tmp_path / str(number), prefix)), TRUTH, 3) is None
    assert wrong(features(write(tmp_path / "off", "", off=0.01)), TRUTH, 3) == "other features of '0000000.jpg'"
    assert wrong(features(write(tmp_path / "less", "", leave_out=1)), TRUTH, 3) == "2 images instead of 3"


def test_an_engine_that_broke_is_told_below_the_table() -> None:
    rows = [
        {"platform": "raw", "images_per_s": [40.0, 50.0], "of_raw": [1.0, 1.0]},
        {"platform": "own", "images_per_s": [20.0, 30.0], "of_raw": [0.5, 0.6], "embedding_of_raw": [0.7, 0.8]},
        {"platform": "other", "images_per_s": [], "of_raw": [], "problem": "a long story\nno room"},
    ]
    said = table(rows, 1000)
    assert "| own | 20.0, 30.0 | 0.50, 0.60 | 0.55 |" in said
    assert "| own, its embedding alone | | 0.70, 0.80 | 0.75 |" in said
    assert "other: no room" in said
