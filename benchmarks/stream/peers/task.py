"""What an engine is asked and what it answers; read by every engine's script, so nothing but the standard library is needed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHANNELS = 16
LATE_S = 2
WINDOW_S = 1


@dataclass(frozen=True)
class Task:
    """One topic to be read.

    Parameters
    ----------
    wire : ``json`` or ``packed``
    out : file of the answer
    until : seconds since 1970; results are told as they change until then. None: the backlog is read to its end
    jars : files that the engine needs
    """

    servers: str
    topic: str
    wire: str
    partitions: int
    cores: int
    out: str
    until: float | None = None
    jars: tuple[str, ...] = ()

    def windows(self, first_s: float, last_s: float, rows: Sequence[Sequence[Any]]) -> None:
        """Answer with the windows and the moments of the first message read and of the last window out.

        ``rows`` are device, sensor, start of the window in seconds, count, min, max, mean, variance (n - 1).
        """
        self._write({"first_s": first_s, "last_s": last_s, "windows": list(rows)})

    def updates(self, rows: Sequence[Sequence[Any]]) -> None:
        """Answer with what was told of sensor 0 and when: device, start of the window in seconds, count, seconds since 1970."""
        self._write({"updates": list(rows)})

    def _write(self, answer: dict[str, Any]) -> None:
        part = Path(f"{self.out}.part")
        part.write_text(json.dumps(answer))
        part.rename(self.out)


def asked() -> Task:
    """Return the task of the command line."""
    return Task(**json.loads(sys.argv[1]))
