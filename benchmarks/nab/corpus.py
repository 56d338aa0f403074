"""The Numenta Anomaly Benchmark's streams and labels, read from ``$CAUDAL_DATA/nab``."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PROBATION, LONGEST_PROBATION = 0.15, 750


@dataclass(frozen=True)
class Stream:
    """One labelled stream.

    Parameters
    ----------
    name : str, folder and file
    at_us : int64 [n], event time, microseconds since 1970 (the corpus gives no zone: read as UTC)
    values : float64 [n]
    windows : positions of the first and last reading of each anomaly window, both inside
    """

    name: str
    at_us: np.ndarray
    values: np.ndarray
    windows: tuple[tuple[int, int], ...]

    @property
    def probation(self) -> int:
        """Readings at the beginning that are not scored: 15 % of the stream, at most 750."""
        return min(int(PROBATION * len(self.values)), LONGEST_PROBATION)


def folder() -> Path:
    """Return where the corpus lies: ``$CAUDAL_DATA/nab``, or ``../shared/data/nab`` from the project's root."""
    return Path(os.environ.get("CAUDAL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")).resolve() / "nab"


def streams(root: Path | None = None) -> list[Stream]:
    """Return all labelled streams, in the order of their names."""
    root = root or folder()
    labels = json.loads((root / "labels" / "combined_windows.json").read_text())
    return [_stream(root / "data" / name, name, labels[name]) for name in sorted(labels)]


def _stream(path: Path, name: str, windows: list[list[str]]) -> Stream:
    with path.open(newline="") as lines:
        rows = list(csv.reader(lines))[1:]
    position: dict[str, int] = {}
    for i, (at, _) in enumerate(rows):
        position.setdefault(at, i)  # Clocks were set back in four files: a label means the first reading of its time.
    edges = tuple((position[_second(left)], position[_second(right)]) for left, right in windows)
    at_us = np.array([_microseconds(at) for at, _ in rows], dtype=np.int64)
    return Stream(name, at_us, np.array([float(value) for _, value in rows]), edges)


def _second(label: str) -> str:
    return label.split(".")[0]


def _microseconds(at: str) -> int:
    return int(dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC).timestamp()) * 1_000_000
