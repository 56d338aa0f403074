"""Send rows to a folder: one file per micro-batch, named after it, so that a second try writes the same file."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa

from caudal.declarations.outlet import Drop, Outlet
from caudal.errors import EnvironmentProblem
from caudal.streaming.outlets.outbox import json_line

OUTLET = "drop"


def sender(declared: Outlet, product: str, data: Path) -> DropSender:
    """Return the sender of an outlet to a folder."""
    assert isinstance(declared.to, Drop)
    return DropSender(data / declared.to.folder)


class DropSender:
    """Writes rows to a folder. A file that exists is complete; a process that removes files must not put older ones back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def upto(self) -> int:
        """Return the last micro-batch that has a file."""
        return max((int(file.stem) for file in self._folder.glob("*.jsonl") if file.stem.isdigit()), default=-1)

    def send(self, batch: int, rows: pa.Table) -> None:
        """Write a temporary file, then rename it."""
        part, file = self._folder / f".{batch}.part", self._folder / f"{batch:012d}.jsonl"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as out:
                out.writelines(json_line(row) + b"\n" for row in rows.to_pylist())
                out.flush()
                os.fsync(out.fileno())
            part.replace(file)
        except OSError as error:
            raise EnvironmentProblem(f"{file} cannot be written: {error.strerror}.", fix="Make room, or mend the folder.") from None

    def close(self) -> None:
        """Do nothing: no resource is open."""
